"""Local machines for tests: a stemcell that is built once, a CPI that goes, keys and logins.

Needs root and LXC; tests that use it carry the mark ``machines``. The stemcell is kept in
``.cache`` of the repository, or where DIRECTOR_TEST_CACHE says, and built again when its definition
changes; DIRECTOR_TEST_STEMCELL names one to use instead.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cpis.local import LocalCpi
from cpis.local.leftovers import id_of_this_test_run, stale_directors
from director.machine.host_keys import HostKey, new_host_key

REPOSITORY = Path(__file__).parents[1]
DEFINITION = REPOSITORY / "stemcells" / "debian-12"


def cache() -> Path:
    """Return the directory in which built stemcells are kept."""
    path = Path(os.environ.get("DIRECTOR_TEST_CACHE") or REPOSITORY / ".cache")
    path.mkdir(parents=True, exist_ok=True)
    return path


def stemcell_tarball() -> Path:
    """Return a stemcell tarball, building it the first time (about half a minute)."""
    from director.stemcell.build import build_stemcell

    if given := os.environ.get("DIRECTOR_TEST_STEMCELL"):
        return Path(given)
    digest = hashlib.sha256()
    for file in sorted(DEFINITION.rglob("*")):
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    target = cache() / f"debian-12-{digest.hexdigest()[:12]}.tgz"
    with _alone():
        if not target.exists():
            for old in cache().glob("debian-12-*"):
                old.unlink()
            partial = target.with_name(f"partial-{target.name}")
            build_stemcell(DEFINITION, partial)
            partial.rename(target)
    return target


def stemcell_image() -> Path:
    """Return the image inside :func:`stemcell_tarball`, unpacked beside it once."""
    tarball = stemcell_tarball()
    stamp = tarball.stat()
    image = cache() / f"image-{stamp.st_size}-{int(stamp.st_mtime)}"
    with _alone():
        if not image.exists():
            for old in cache().glob("image-*"):
                old.unlink()
            with tarfile.open(tarball) as outer:
                source = outer.extractfile("image")
                assert source is not None
                with image.with_suffix(".part").open("wb") as sink:
                    shutil.copyfileobj(source, sink)
            image.with_suffix(".part").rename(image)
    return image


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other test runs out of the cache."""
    with (cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def remove_stale() -> None:
    """Remove what test runs that were killed left behind."""
    for director_id, root in stale_directors():
        LocalCpi({"root": str(root), "director_id": director_id}).destroy_all()
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def local_cpi(name: str, *, runtime: str = "auto") -> Iterator[LocalCpi]:
    """Yield a local CPI of its own; all it makes goes at the end, or at the next test run."""
    remove_stale()
    root = Path(tempfile.mkdtemp(prefix="director-test-"))
    cpi = LocalCpi(local_properties(root, name, runtime=runtime))
    try:
        yield cpi
    finally:
        cpi.destroy_all()
        shutil.rmtree(root)


def local_properties(root: Path, name: str, *, runtime: str = "auto") -> dict[str, Any]:
    """Return a local CPI's properties with a director id that marks it as this run's."""
    return {"root": str(root), "director_id": id_of_this_test_run(name), "runtime": runtime}


class Keys:
    """A login key and a host key, as ``env`` carries them, and a login with them."""

    def __init__(self) -> None:
        self.login, self.host = new_host_key(), new_host_key()

    @property
    def env(self) -> dict[str, Any]:
        return machine_env(self.host, self.login.public_key)

    def run(self, address: str, user: str, command: str, timeout_s: float = 20) -> str:
        """Return what a command on a machine printed; the host key must be the given one."""
        import paramiko

        transport = paramiko.Transport(wait_for_sshd(address, timeout_s))
        try:
            transport.start_client(timeout=timeout_s)
            shown = transport.get_remote_server_key().get_base64()
            assert shown == self.host.public_key.split()[1]
            key = paramiko.Ed25519Key.from_private_key(io.StringIO(self.login.private_key))
            transport.auth_publickey(user, key)
            channel = transport.open_session()
            channel.settimeout(timeout_s)
            channel.exec_command(command)
            with channel.makefile("rb") as output:
                return bytes(output.read()).decode()
        finally:
            transport.close()


def wait_for_sshd(address: str, timeout_s: float = 20) -> socket.socket:
    """Return a connection to a machine's sshd as soon as it listens."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return socket.create_connection((address, 22), timeout=1)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)


def manual_network(address: str, *, gateway: str, **more: Any) -> Mapping[str, Any]:
    """Return a manual /24 network as ``create_vm`` takes it."""
    shape = {"type": "manual", "ip": address, "netmask": "255.255.255.0", "gateway": gateway}
    return {**shape, "dns": [], "default": ["dns", "gateway"], "cloud_properties": {}, **more}


def machine_env(host: HostKey, *login_public: str) -> dict[str, Any]:
    """Return the ``env`` of a machine that presents a host key and lets these keys in as root."""
    keys = {"private_key": host.private_key, "public_key": host.public_key}
    return {"bosh": {"authorized_keys": list(login_public), "ssh_host_key": keys}}
