"""What is sent to a machine: one tar, made while it is sent, in bounded memory."""

from __future__ import annotations

import io
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import BinaryIO, cast

from director.machine.commands import boot_script, check_digest, check_name, check_path
from director.machine.contract import Bundle, InstalledPackage
from director.machine.session import Sink
from director.model.errors import MachineError
from director.model.rendered import RenderedJob

Part = tuple[str, str, str]
"""A job or package: its kind (``job``, ``package``), name and digest."""

_MONITRC_HEAD = "# Written by the director, layout 1. Its own credentials are in monit.user.\n"
_BLOCK = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What one sending holds. ``missing`` are the parts to be sent of those named; ``source`` is a
    package's source tarball, for compiling."""

    jobs: tuple[RenderedJob, ...] = ()
    packages: tuple[InstalledPackage, ...] = ()
    missing: Set[Part] = frozenset()
    whole: Bundle | None = None
    source: BinaryIO | None = None


def parts_of(bundle: Bundle) -> frozenset[Part]:
    """Return everything ``bundle`` has; raises MachineError for what cannot be installed safely."""
    for job in bundle.jobs:
        for file in job.files:
            check_path(job.name, file.path)
    jobs = {("job", check_name("job", j.name), check_digest(j.digest)) for j in bundle.jobs}
    return frozenset(jobs) | package_parts(bundle.packages)


def package_parts(packages: Iterable[InstalledPackage]) -> frozenset[Part]:
    """Return ``packages`` as parts; raises MachineError for names that cannot be installed."""
    return frozenset(
        ("package", check_name("package", p.name), check_digest(p.digest)) for p in packages
    )


def write_parcel(parcel: Parcel, sink: Sink) -> None:
    """Write the tar that ``install.sh`` expects to ``sink``."""
    with tarfile.open(
        fileobj=cast("io.BytesIO", sink), mode="w|", bufsize=_BLOCK, format=tarfile.GNU_FORMAT
    ) as tar:
        _file(tar, "plan", _plan(parcel))
        for job in parcel.jobs:
            if ("job", job.name, job.digest) in parcel.missing:
                _job(tar, job)
        for package in parcel.packages:
            if ("package", package.name, package.digest) in parcel.missing:
                with package.open() as stream:
                    _stream(tar, f"packages/{package.name}/{package.digest}.tgz", stream)
        if parcel.source is not None:
            _stream(tar, "source.tgz", parcel.source)
        if parcel.whole is not None:
            _own_files(tar, parcel.whole)
        # A tar cut off between two members looks complete to tar. This one shows that it is.
        _file(tar, "end", b"")


def _plan(parcel: Parcel) -> bytes:
    lines = [f"job {job.name} {job.digest}" for job in parcel.jobs]
    lines += [f"package {package.name} {package.digest}" for package in parcel.packages]
    return "".join(f"{line}\n" for line in lines).encode()


def _job(tar: tarfile.TarFile, job: RenderedJob) -> None:
    base = f"jobs/{job.name}/{job.digest}"
    made: set[str] = set()
    _directory(tar, base, made)
    contents = {f.path: f.content for f in job.files}
    for path, content in {**contents, "monit": job.monit}.items():
        parents = path.split("/")[:-1]
        for depth in range(len(parents)):
            _directory(tar, "/".join([base, *parents[: depth + 1]]), made)
        _file(tar, f"{base}/{path}", content, 0o750 if path.startswith("bin/") else 0o640)


def _own_files(tar: tarfile.TarFile, bundle: Bundle) -> None:
    for key, value in bundle.instance.items():
        _file(tar, f"instance/{check_name('instance file', key)}", value.encode())
    credentials = f"director:{secrets.token_hex(16)}"
    _file(tar, "monit.user", f"{credentials}\n".encode(), 0o600)
    _file(tar, "monitrc", monit_configuration(credentials).encode(), 0o600)
    _file(tar, "monitrc.head", _MONITRC_HEAD.encode())
    _file(tar, "jobs.order", "".join(f"{job.name}\n" for job in bundle.jobs).encode())
    _file(tar, "boot", boot_script().encode(), 0o755)
    _file(tar, "director-boot.service", _BOOT_UNIT.encode())
    _file(tar, "spec_digest", f"{check_digest(bundle.spec_digest)}\n".encode())


def monit_configuration(credentials: str) -> str:
    """Return monit's own configuration; ``credentials`` are ``user:password``.

    A cycle of one second lets a process that died be back within it. Its interface listens on the
    machine's loopback only, and is reached through the SSH connection.
    """
    user, _, password = credentials.partition(":")
    return (
        f"{_MONITRC_HEAD}"
        "set daemon 1\n"
        "set pidfile /var/vcap/monit/monit.pid\n"
        "set idfile /var/vcap/monit/id\n"
        "set statefile /var/vcap/monit/state\n"
        "set logfile /var/vcap/monit/monit.log\n"
        "set httpd port 2822 and use address 127.0.0.1\n"
        f'  allow "{user}":"{password}"\n'
        "include /var/vcap/monit/job/*.monitrc\n"
    )


_BOOT_UNIT = """[Unit]
Description=Start what the director installed
After=network.target local-fs.target
ConditionPathExists=/var/vcap/bosh/boot

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/var/vcap/bosh/boot
# monit and all jobs stay in the unit's control group: what befalls one of them is no business of
# the others, and they may make groups of their own.
KillMode=process
OOMPolicy=continue
TasksMax=infinity
Delegate=yes

[Install]
WantedBy=multi-user.target
"""


def _directory(tar: tarfile.TarFile, path: str, made: set[str]) -> None:
    if path not in made:
        made.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode = tarfile.DIRTYPE, 0o750
        tar.addfile(entry)


def _file(tar: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _stream(tar: tarfile.TarFile, path: str, stream: BinaryIO) -> None:
    """Add a stream of unknown length; one that cannot be measured goes through a file first."""
    if not stream.seekable():
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, _BLOCK)
            copy.seek(0)
            _stream(tar, path, cast("BinaryIO", copy))
        return
    begin = stream.tell()
    size = stream.seek(0, io.SEEK_END) - begin
    stream.seek(begin)
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = size, 0o600
    try:
        tar.addfile(entry, stream)
    except OSError as error:
        if "unexpected end of data" in str(error):
            raise MachineError(f"'{path}' became shorter while it was sent") from error
        raise
