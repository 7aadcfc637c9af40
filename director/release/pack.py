"""Pack the files of jobs, packages and whole releases: the same files give the same bytes."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from director.model.errors import ReleaseInvalid
from director.release.fingerprint import SourceFile
from director.release.programs import failure_of
from director.release.source_dir import PackageSource


def pack_files(files: Iterable[SourceFile], target: Path) -> None:
    """Write a gzipped tar of ``files`` to ``target``, without times and owners."""
    with (
        target.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for file in sorted(files, key=lambda f: f.name):
            entry = tarfile.TarInfo(f"./{file.name}")
            if file.is_link:
                entry.type = tarfile.SYMTYPE
                entry.linkname = os.readlink(file.path)
                entry.mode = 0o777
                archive.addfile(entry)
                continue
            with file.path.open("rb") as stream:
                facts = os.fstat(stream.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise ReleaseInvalid(f"'{file.path}' is not a file")
                entry.size = facts.st_size
                entry.mode = 0o755 if facts.st_mode & 0o111 else 0o644
                archive.addfile(entry, stream)


def pack_package(package: PackageSource, release_dir: Path, target: Path) -> None:
    """Pack a package; its ``pre_packaging``, if any, prepares a copy of the files first.

    Raises ReleaseInvalid with the script's last lines if it fails.
    """
    if package.pre_packaging is None:
        pack_files(package.files, target)
        return
    with tempfile.TemporaryDirectory(prefix="pre_packaging-", dir=target.parent) as scratch:
        build = Path(scratch)
        for file in package.files:
            _copy(file, build / file.name)
        failed = failure_of(
            ["bash", "-x", "pre_packaging"],
            cwd=build,
            env={**os.environ, "BUILD_DIR": str(build), "RELEASE_DIR": str(release_dir.resolve())},
            lines=15,
        )
        if failed is not None:
            raise ReleaseInvalid(
                f"pre_packaging of package '{package.name}' exited with {failed[0]}:\n{failed[1]}",
                fix=f"mend packages/{package.name}/pre_packaging",
            )
        (build / "pre_packaging").unlink(missing_ok=True)
        prepared = [
            SourceFile(path=path, name=path.relative_to(build).as_posix())
            for path in build.rglob("*")
            if path.is_symlink() or path.is_file()
        ]
        pack_files(prepared, target)


def pack_release(manifest: str, members: Mapping[str, Path], target: Path) -> None:
    """Write a release tarball: ``release.MF`` first, then ``members`` by name.

    ``target`` appears whole or not at all.
    """
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            # The members are compressed already: level 1 costs a tenth and loses nothing.
            gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
        ):
            content = manifest.encode()
            entry = tarfile.TarInfo("release.MF")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
            for name, path in sorted(members.items()):
                entry = tarfile.TarInfo(name)
                entry.size = path.stat().st_size
                with path.open("rb") as stream:
                    archive.addfile(entry, stream)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _copy(file: SourceFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.is_link:
        target.symlink_to(os.readlink(file.path))
        return
    target.write_bytes(file.path.read_bytes())
    target.chmod(0o755 if file.path.stat().st_mode & 0o111 else 0o644)
