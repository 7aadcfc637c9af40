"""What an operator does to the redis deployment, from the first deploy to the last delete.

The same on every cloud: ``director`` as a process, machines that are real, data that must survive
every step, and in the end a cloud that is as empty as before.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from clouds.bridge import Bridge, wait_for
from real_director import REPOSITORY, Director

REDIS = "/var/vcap/packages/redis/bin/redis-cli"
_CLIENT = (
    "sudo sh -c \"REDISCLI_AUTH=\\$(sed -n 's/^requirepass //p' "
    "/var/vcap/jobs/redis/config/redis.conf | tr -d '\\042') {redis} {command}\""
)


@dataclass(frozen=True, kw_only=True)
class Site:
    """A cloud to deploy to.

    ``images`` are two images of the cloud as stemcells' cloud properties. ``delete_server``
    deletes a server behind the director's back; ``left`` names whatever is there of the project's.
    """

    director: Director
    bridge: Bridge
    cloud_config: Mapping[str, Any]
    images: tuple[Mapping[str, Any], Mapping[str, Any]]
    delete_server: Callable[[str], None]
    left: Callable[[], object]


def deploy_change_and_delete(site: Site, directory: Path) -> None:
    """Deploy redis and change it in every way; the test's assertions are in here."""
    before = site.left()
    _upload_stemcell(site, directory, "12.1", site.images[0])
    config = directory / "cloud-config.yml"
    config.write_text(yaml.safe_dump(dict(site.cloud_config)))
    _run(site, "update-cloud-config", config)
    manifest = _Manifest(directory)

    _deploy(site, manifest.write(instances=1))
    assert _states(site) == ["running"]
    assert _redis(site, "set kept safely") == "OK"
    first = _vms(site)
    for cid in first.values():
        told = site.bridge.run_in(
            cid, "cat /etc/image-of-cloud; echo; grep -c ' /var/vcap/' /proc/mounts"
        )
        image, mounted = told.splitlines()
        assert image in str(site.images[0])
        assert int(mounted) == 2, "/var/vcap/data and /var/vcap/store lie on disks of their own"

    _deploy(site, manifest.write(instances=2))
    assert _states(site) == ["running"] * 2
    assert _vms(site).items() >= first.items(), "scaling out leaves the others alone"
    assert _redis(site, "get kept") == "safely"

    _upload_stemcell(site, directory, "12.2", site.images[1])
    _deploy(site, manifest.write(instances=2))
    second = _vms(site)
    assert not set(second.values()) & set(first.values()), "every VM is another one"
    for cid in second.values():
        assert site.bridge.run_in(cid, "cat /etc/image-of-cloud") in str(site.images[1])
    assert _redis(site, "get kept") == "safely"

    _deploy(site, manifest.write(instances=2, disk="large"))
    assert _vms(site) == second, "a larger disk needs no other VM"
    for cid in second.values():
        size_mb = site.bridge.run_in(cid, "df -Pm /var/vcap/store | awk 'END {print $2}'")
        assert int(size_mb) > 1500
    assert _redis(site, "get kept") == "safely"

    lost = second["redis/0"]
    site.delete_server(lost)
    wait_for(
        site.bridge,
        f"server {lost} is deleted and its instance runs",
        lambda: _states(site).count("running") == 1,
    )
    _deploy(site, manifest.path, "--fix")
    assert _states(site) == ["running"] * 2
    healed = _vms(site)
    assert healed.pop("redis/0") != lost
    assert healed.items() <= second.items(), "the healthy ones are left alone"
    assert _redis(site, "get kept") == "safely"

    _run(site, "-d", "redis", "delete-deployment")
    _run(site, "clean-up", "--all")
    assert site.director.rows("stemcells") == []
    wait_for(site.bridge, f"left in the cloud: {site.left()}", lambda: site.left() == before)


class _Manifest:
    """The redis manifest of ``manifests/``, with a release that compiles fast."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "redis.yml"
        release = directory / "redis"
        shutil.copytree(REPOSITORY / "releases" / "redis", release)
        packaging = release / "packages/redis/packaging"
        text = packaging.read_text()
        assert "OPTIMIZATION=-O2" in text
        packaging.write_text(text.replace("OPTIMIZATION=-O2", "OPTIMIZATION=-O0"))
        self._data = yaml.safe_load((REPOSITORY / "manifests" / "redis.yml").read_text())
        self._data["releases"][0]["url"] = f"file://{release}"

    def write(self, *, instances: int, disk: str = "default") -> Path:
        (group,) = self._data["instance_groups"]
        group |= {
            "instances": instances,
            "persistent_disk_type": disk,
            # Swap would be the swap of this host.
            "env": {"bosh": {"swap_size": 0}},
        }
        self.path.write_text(yaml.safe_dump(self._data))
        return self.path


def _upload_stemcell(site: Site, directory: Path, version: str, image: Mapping[str, Any]) -> None:
    properties = directory / f"image-{version}.yml"
    properties.write_text(yaml.safe_dump(dict(image)))
    tarball = directory / f"stemcell-{version}.tgz"
    definition = REPOSITORY / "stemcells" / "debian-12-cloud"
    options = ("--version", version, "--cloud-properties", properties, "--output", tarball)
    _run(site, "build-stemcell", definition, *options)
    _run(site, "upload-stemcell", tarball)


def _deploy(site: Site, manifest: Path, *options: str) -> None:
    _run(site, "-d", "redis", "deploy", manifest, *options)


def _run(site: Site, *args: str | Path) -> str:
    """Run ``director ARGS`` unless and until something in the bridge goes wrong."""
    with site.director.start(*args) as process:
        while True:
            try:
                told, _ = process.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if site.bridge.error is not None:
                    process.kill()
                    site.bridge.check()
    site.bridge.check()
    assert "Traceback" not in told, told
    assert process.returncode == 0, f"$ director {' '.join(map(str, args))}\n{told}"
    return told


def _states(site: Site) -> list[str]:
    rows = site.director.rows("-d", "redis", "instances")
    return [row["process_state"] for row in rows]


def _vms(site: Site) -> dict[str, str]:
    """Return the CID of each instance's VM, by the instance's index."""
    rows = site.director.rows("-d", "redis", "instances", "--details")
    return {f"redis/{row['index']}": row["vm_cid"] for row in rows}


def _redis(site: Site, command: str) -> str:
    text = _CLIENT.format(redis=REDIS, command=command)
    told = _run(site, "-d", "redis", "ssh", "redis/0", "-c", text)
    return "\n".join(
        line.partition("stdout | ")[2] for line in told.splitlines() if "stdout | " in line
    )
