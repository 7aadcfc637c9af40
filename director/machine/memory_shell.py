"""What a machine in memory can run: ``echo TEXT``, ``echo TEXT >&2`` and ``exit N``."""

from __future__ import annotations

import gzip
import io
import shlex
import tarfile

from director.machine.contract import ScriptResult


def interpret(content: bytes) -> ScriptResult:
    """Return what a script of these commands would do; other commands do nothing."""
    stdout, stderr, code = "", "", 0
    for line in content.decode(errors="replace").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["echo"] and words[-1:] == [">&2"]:
            stderr += " ".join(words[1:-1]) + "\n"
        elif words[:1] == ["echo"]:
            stdout += " ".join(words[1:]) + "\n"
        elif words[:1] == ["exit"]:
            code = int(words[1])
            break
    return ScriptResult(exit_code=code, stdout=stdout, stderr=stderr)


def pack(files: dict[str, bytes]) -> bytes:
    """Return a gzipped tarball of these files: equal contents give equal bytes."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
