"""Build a stemcell tarball from a definition: with mmdebstrap, or naming an image of a cloud."""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from director.model.digests import multi_digest
from director.model.errors import StemcellInvalid
from director.stemcell.definition import StemcellDefinition, read_definition
from director.stemcell.host_sources import acquire_options, source_lines

FORMAT = "director-rootfs"
"""The stemcell format of these images: a root filesystem as tar, compressed."""


_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,99}")


def build_stemcell(
    definition_dir: Path,
    output: Path,
    *,
    cloud_properties: Mapping[str, Any] | None = None,
    version: str | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
    now: Callable[[], float] = time.time,
) -> Path:
    """Build the stemcell of ``definition_dir`` and return the path of its tarball.

    ``output`` is the file to write, or a directory that gets ``<name>-<version>.tgz``. The version
    is, unless given, the major version of the definition and the time in UTC, so a later build is
    always newer. ``cloud_properties`` go over the definition's. Nothing on the host is changed.
    Raises StemcellInvalid with what is missing or went wrong.
    """
    definition = read_definition(definition_dir)
    version = version or f"{definition.major}.{datetime.fromtimestamp(now(), UTC):%Y%m%d%H%M%S}"
    if not _VERSION.fullmatch(version):
        raise StemcellInvalid(
            f"'{version[:100]}' cannot be a version", fix="use digits and dots, such as 12.1"
        )
    properties = {**definition.cloud_properties, **(cloud_properties or {})}
    formats = _light_formats(definition, properties) if definition.light else [FORMAT]
    manifest = {
        "name": definition.name,
        "version": version,
        "bosh_protocol": 1,
        "api_version": 3,
        "operating_system": definition.operating_system,
        "stemcell_formats": formats,
        "cloud_properties": {"name": definition.name, "version": version, **properties},
    }
    target = output / f"{definition.name}-{version}.tgz" if output.is_dir() else output
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".stemcell-") as scratch:
        work = Path(scratch)
        image, packages = work / "image", work / "packages.txt"
        if definition.light:
            image.touch()
            packages.touch()
        else:
            image = _build_image(definition, work, on_progress)
        on_progress("packing the stemcell")
        packed = work / "stemcell.tgz"
        _pack(manifest, image, packages, packed)
        os.replace(packed, target)
    return target


def _light_formats(definition: StemcellDefinition, properties: Mapping[str, Any]) -> list[str]:
    """Return the formats of a light stemcell: those whose cloud property is there."""
    found = {made for name, made in definition.formats.items() if properties.get(name)}
    if not found:
        names = ", ".join(f"'{name}' ({made})" for name, made in definition.formats.items())
        raise StemcellInvalid(
            f"the light stemcell '{definition.name}' names no image of any cloud",
            fix=f"give --cloud-properties one of {names}",
        )
    return sorted(found)


def _build_image(
    definition: StemcellDefinition, work: Path, on_progress: Callable[[str], None]
) -> Path:
    if shutil.which("mmdebstrap") is None:
        raise StemcellInvalid("mmdebstrap is not installed", fix="install the package mmdebstrap")
    lines, own = source_lines(definition)
    if not own:
        on_progress(f"this host has no source of suite {definition.suite}; using the definition's")
    image = work / ("image.tar.zst" if shutil.which("zstd") else "image.tar.gz")
    _run(_command(definition, lines, image, work), on_progress)
    return image


def _command(
    definition: StemcellDefinition, lines: Sequence[str], image: Path, work: Path
) -> list[str]:
    options = work / "apt.conf"
    options.write_text(acquire_options(), encoding="utf-8")
    options.chmod(0o600)
    command = [
        "mmdebstrap",
        "--variant=minbase",
        # Four fifths of the time would go into flushing files of a tree that is thrown away.
        "--dpkgopt=force-unsafe-io",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        '--aptopt=APT::Install-Recommends "false"',
        f"--include={','.join(definition.packages)}",
    ]
    if options.stat().st_size:
        command.append(f"--aptopt={options}")
    if definition.customize is not None:
        command.append(f'--customize-hook=sh {shlex.quote(str(definition.customize))} "$1"')
    listing = "chroot \"$1\" dpkg-query -Wf '${Package} ${Version} ${Architecture}\\n'"
    command.append(f"--customize-hook={listing} >{shlex.quote(str(work / 'packages.txt'))}")
    return [*command, definition.suite, str(image), *lines]


def _run(command: Sequence[str], on_progress: Callable[[str], None]) -> None:
    """Run mmdebstrap, passing on its milestones; its last lines explain a failure."""
    tail: deque[str] = deque(maxlen=15)
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        try:
            for line in process.stderr or ():
                tail.append(line.rstrip())
                if line.startswith("I: "):
                    on_progress(line[3:].strip().rstrip("."))
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise StemcellInvalid(
            "mmdebstrap failed:\n" + "\n".join(f"    {line}" for line in tail),
            fix="mend what it names; if packages cannot be fetched, look at this host's"
            " package sources with apt-get update",
        )


def _pack(manifest: Mapping[str, Any], image: Path, packages: Path, target: Path) -> None:
    with image.open("rb") as stream:
        digest = multi_digest(stream)
    text = yaml.safe_dump({**manifest, "sha1": digest}, sort_keys=False).encode()
    # The image is compressed already: gzip is only the wrapping the format asks for.
    with tarfile.open(target, "w:gz", compresslevel=0) as archive:
        for name, content in (("stemcell.MF", text), ("packages.txt", packages.read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        entry = tarfile.TarInfo("image")
        entry.size = image.stat().st_size
        with image.open("rb") as stream:
            archive.addfile(entry, stream)
