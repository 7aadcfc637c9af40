"""Nothing in a stranger's tarball leaves its directory or fills the memory."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Callable

import pytest

from director.archives import read_archive
from director.model.errors import ReleaseInvalid


def entry(
    name: str, type: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = type, link, size
    return made


def archive(*entries: tarfile.TarInfo) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as target:
        for made in entries:
            target.addfile(made, io.BytesIO(b"x" * made.size))
    stream.seek(0)
    return stream


def read(stream: io.BytesIO, **limits: int) -> list[str]:
    found = read_archive(stream, what="'r.tgz'", invalid=ReleaseInvalid, **limits)
    return [f"{member.kind} {member.name}" for member in found]


def test_names_are_plain_and_content_is_read_once() -> None:
    stream = archive(entry("./a/b", size=3), entry("a", tarfile.DIRTYPE), entry("a/c"))
    members = read_archive(stream, what="it", invalid=ReleaseInvalid)
    first = next(members)
    assert (first.name, first.read(3)) == ("a/b", b"xxx")
    assert [m.name for m in members] == ["a", "a/c"]


def test_links_that_stay_inside_are_fine() -> None:
    stream = archive(
        entry("a/real"),
        entry("a/soft", tarfile.SYMTYPE, "real"),
        entry("a/hard", tarfile.LNKTYPE, "a/real"),
        entry("b", tarfile.SYMTYPE, "/var/vcap/packages/ruby"),
    )
    assert len(read(stream)) == 4


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        pytest.param([entry("../evil")], "leads out", id="dotdot"),
        pytest.param([entry("a/../../evil")], "leads out", id="dotdot inside"),
        pytest.param([entry("/etc/passwd")], "not a relative path", id="absolute"),
        pytest.param([entry("a\nb")], "not a relative path", id="line break"),
        pytest.param([entry("sda", tarfile.BLKTYPE)], "neither a file", id="block device"),
        pytest.param([entry("tty", tarfile.CHRTYPE)], "neither a file", id="character device"),
        pytest.param([entry("pipe", tarfile.FIFOTYPE)], "neither a file", id="pipe"),
        pytest.param([entry("a", tarfile.SYMTYPE, "../x")], "link that leads out", id="symlink"),
        pytest.param(
            [entry("a", tarfile.SYMTYPE, "/etc")], "link that leads out", id="absolute link"
        ),
        pytest.param(
            [entry("a", tarfile.SYMTYPE, "/var/vcap/../../etc")],
            "link that leads out",
            id="disguise",
        ),
        pytest.param([entry("a", tarfile.LNKTYPE, "../x")], "link that leads out", id="hard link"),
        pytest.param(
            [entry("a", tarfile.SYMTYPE, "b"), entry("a/c")], "below a link", id="through a link"
        ),
        pytest.param([entry("a"), entry("./a")], "there twice", id="duplicate"),
    ],
)
def test_hostile_entries_are_refused(entries: list[tarfile.TarInfo], why: str) -> None:
    with pytest.raises(ReleaseInvalid, match=why) as caught:
        read(archive(*entries))
    assert caught.value.fix


def test_amounts_are_bounded() -> None:
    with pytest.raises(ReleaseInvalid, match="over 5 bytes"):
        read(archive(entry("a", size=3), entry("b", size=3)), max_bytes=5)
    with pytest.raises(ReleaseInvalid, match="more than 2 entries"):
        read(archive(entry("a"), entry("b"), entry("c")), max_members=2)
    with pytest.raises(ValueError, match="longer than 2"):
        next(read_archive(archive(entry("a", size=3)), what="", invalid=ReleaseInvalid)).read(2)


def huge_header() -> io.BytesIO:
    """A gzip of a few kilobytes whose one extended header claims, and has, 64 MB."""
    pax = entry("x", tarfile.XHDTYPE, size=64 << 20)
    return io.BytesIO(gzip.compress(pax.tobuf() + bytes(64 << 20)))


def cut_short() -> io.BytesIO:
    whole = archive(entry("a", size=100_000)).getvalue()
    return io.BytesIO(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    "make",
    [huge_header, cut_short, lambda: io.BytesIO(b"no archive at all" * 100), lambda: io.BytesIO()],
    ids=["huge header", "cut short", "text", "empty"],
)
def test_what_is_no_archive_is_said_so(make: Callable[[], io.BytesIO]) -> None:
    with pytest.raises(ReleaseInvalid, match=r"'r.tgz' is not a readable tar archive"):
        for _ in read_archive(make(), what="'r.tgz'", invalid=ReleaseInvalid):
            pass


@pytest.mark.parametrize("zipped", [True, False])
def test_content_that_is_cut_short_is_said_to_be(zipped: bool) -> None:
    noise = random.Random(1).randbytes(300_000)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz" if zipped else "w") as target:
        target.addfile(entry("a", size=len(noise)), io.BytesIO(noise))
    cut = io.BytesIO(stream.getvalue()[:200_000])
    members = read_archive(cut, what="'r.tgz'", invalid=ReleaseInvalid)
    with pytest.raises(ReleaseInvalid, match=r"'r.tgz' is not a readable tar archive"):
        next(members).read(1 << 20)
