"""What is sent: its layout, its completeness, its memory."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from director.machine.bundles import Parcel, monit_configuration, parts_of, write_parcel
from director.machine.contract import Bundle, InstalledPackage
from director.machine.session import Tail
from director.model.errors import MachineError
from director.model.rendered import RenderedFile, RenderedJob


def job(path: str = "bin/run", content: bytes = b"x") -> RenderedJob:
    return RenderedJob(
        name="redis", digest="d1", monit=b"m", files=(RenderedFile(path=path, content=content),)
    )


def bundle(*jobs: RenderedJob, package: BinaryIO | None = None) -> Bundle:
    packages = ()
    if package is not None:
        packages = (InstalledPackage(name="lib", digest="d2", open=lambda: package),)
    return Bundle(jobs=jobs, packages=packages, instance={"id": "i"}, spec_digest="s1")


def sent(parcel: Parcel) -> dict[str, tuple[int, bytes]]:
    sink = io.BytesIO()
    write_parcel(parcel, sink)
    sink.seek(0)
    with tarfile.open(fileobj=sink) as tar:
        return {
            m.name: (m.mode, stream.read() if (stream := tar.extractfile(m)) else b"") for m in tar
        }


def test_a_whole_parcel() -> None:
    whole = bundle(job("config/a/b.conf"), package=io.BytesIO(b"tgz"))
    found = sent(
        Parcel(jobs=whole.jobs, packages=whole.packages, missing=parts_of(whole), whole=whole)
    )
    assert found["plan"][1] == b"job redis d1\npackage lib d2\n"
    assert found["jobs/redis/d1/config/a/b.conf"] == (0o640, b"x")
    assert found["jobs/redis/d1/config/a"][0] == 0o750
    assert found["packages/lib/d2.tgz"][1] == b"tgz"
    assert found["spec_digest"][1] == b"s1\n"
    assert found["monitrc"][0] == found["monit.user"][0] == 0o600
    assert next(reversed(found)) == "end"


def test_only_what_is_missing_is_sent() -> None:
    found = sent(Parcel(jobs=(job(),), missing=frozenset()))
    assert list(found) == ["plan", "end"]


class _Pipe(io.RawIOBase):
    """A stream that cannot be measured."""

    def __init__(self, left: int) -> None:
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        size = min(len(buffer), self._left)
        buffer[:size] = b"x" * size
        self._left -= size
        return size


def test_a_stream_of_unknown_length_is_sent_whole() -> None:
    pipe = cast("BinaryIO", _Pipe(700_000))
    packages = (InstalledPackage(name="lib", digest="d2", open=lambda: pipe),)
    found = sent(Parcel(packages=packages, missing=frozenset({("package", "lib", "d2")})))
    assert len(found["packages/lib/d2.tgz"][1]) == 700_000


@pytest.mark.parametrize("path", ["", "/a", "a/..", "./a", "a//b", "a\0b", "x" * 2000])
def test_paths_that_leave_the_job_are_refused_before_anything_is_sent(path: str) -> None:
    with pytest.raises(MachineError):
        parts_of(bundle(job(path)))


def test_secrets_do_not_print() -> None:
    assert "swordfish" not in repr(bundle(job(content=b"swordfish")))


def test_monit_listens_on_loopback_with_a_password() -> None:
    text = monit_configuration("director:abc")
    assert "use address 127.0.0.1\n" in text
    assert 'allow "director":"abc"' in text
    assert "set daemon 1\n" in text


def test_a_tail_keeps_the_end() -> None:
    tail = Tail(5)
    for text in (b"abc", b"defghijkl", b"m"):
        tail.write(text)
    assert tail.value() == b"ijklm"


def test_the_unit_that_starts_jobs_at_boot_is_one_systemd_accepts(tmp_path: Path) -> None:
    text = sent(Parcel(whole=bundle()))["director-boot.service"][1].decode()
    lines = text.splitlines()
    assert {"Type=oneshot", "KillMode=process", "OOMPolicy=continue"} < set(lines)
    assert "After=network.target local-fs.target" in lines
    assert "ExecStart=/var/vcap/bosh/boot" in lines
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "director-boot.service"
        # It wants the program to be there.
        unit.write_text(text.replace("/var/vcap/bosh/boot", "/bin/true"))
        said = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (said.returncode, said.stdout + said.stderr) == (0, "")
