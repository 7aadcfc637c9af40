"""A release directory as an author keeps it: jobs, packages and the files they are made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from director.model.errors import NotSupported, ReleaseInvalid
from director.model.release import Job
from director.release.document import name_in, names_in, read_mapping
from director.release.fingerprint import SourceFile
from director.release.job_spec import read_job_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSource:
    """A package as written: the files it is packed from and the packages it needs.

    ``pre_packaging`` is the author's preparation script, if there is one.
    """

    name: str
    files: tuple[SourceFile, ...]
    dependencies: tuple[str, ...] = ()
    pre_packaging: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """A job as written: its spec as read and the files it is packed from."""

    job: Job
    files: tuple[SourceFile, ...]


class ReleaseDir:
    """The files of a release directory; reading them changes nothing."""

    def __init__(self, root: Path) -> None:
        """Raises ReleaseInvalid if ``root`` is no release directory."""
        self.root = root
        if not (root / "config").is_dir() and not (root / "jobs").is_dir():
            raise ReleaseInvalid(
                f"'{root}' is not a release directory",
                fix="name a directory with 'jobs', 'packages' and 'config/final.yml'",
            )

    @cached_property
    def name(self) -> str:
        """The release's name: of ``config/final.yml``, else the directory's."""
        for file, keys in (("final.yml", ("name", "final_name")), ("dev.yml", ("dev_name",))):
            data = self.document(f"config/{file}")
            for key in keys:
                if data.get(key):
                    return name_in(data[key], f"config/{file}: {key}")
        return name_in(self.root.resolve().name.removesuffix("-release"), "directory")

    def document(self, path: str) -> dict[str, object]:
        """Return the mapping in a YAML file of the directory; empty if there is no such file."""
        file = self.root / path
        if not file.is_file():
            return {}
        return read_mapping(_text(file), str(file))

    def jobs(self) -> Iterator[JobSource]:
        """Yield the jobs, by name."""
        for directory in _directories(self.root / "jobs"):
            yield self._job(directory)

    def packages(self) -> Iterator[PackageSource]:
        """Yield the packages, by name."""
        for directory in _directories(self.root / "packages"):
            yield self._package(directory)

    def license(self) -> tuple[SourceFile, ...]:
        """Return the files of the release's licence, by name; there may be none."""
        found = sorted({*self.root.glob("LICENSE*"), *self.root.glob("NOTICE*")})
        return tuple(
            SourceFile(path=path, name=path.name, exclude_mode=True, follow=True)
            for path in found
            if path.is_file()
        )

    def _job(self, directory: Path) -> JobSource:
        files = [SourceFile(path=directory / "spec", name="job.MF", follow=True)]
        for name in ("monit", "properties_schema.json"):
            if (directory / name).is_file():
                files.append(SourceFile(path=directory / name, name=name, follow=True))
        templates = directory / "templates"
        available = {
            f"templates/{path.relative_to(templates).as_posix()}": path
            for path in templates.rglob("*")
            if path.is_file()
        }
        job = read_job_spec(
            _text(directory / "spec"),
            file=str(directory / "spec"),
            files={*available, *(file.name for file in files)},
        )
        _same_name(job.name, directory)
        for template in job.templates:
            name = f"templates/{template}"
            files.append(SourceFile(path=available[name], name=name, follow=True))
        return JobSource(job=job, files=tuple(files))

    def _package(self, directory: Path) -> PackageSource:
        if (directory / "spec.lock").exists():
            raise NotSupported(
                f"package '{directory.name}' is vendored (spec.lock), which is not supported yet",
                fix="copy the package's spec and sources into the release",
            )
        spec = read_mapping(_text(directory / "spec"), str(directory / "spec"))
        name = name_in(spec.get("name"), f"{directory / 'spec'}: package name")
        _same_name(name, directory)
        files = self._package_files(name, spec)
        packaging = directory / "packaging"
        if not packaging.is_file():
            raise ReleaseInvalid(
                f"package '{name}' has no 'packaging' script",
                fix=f"write packages/{name}/packaging; it installs into $BOSH_INSTALL_TARGET",
            )
        files.append(SourceFile(path=packaging, name="packaging", exclude_mode=True, follow=True))
        pre_packaging = directory / "pre_packaging"
        if pre_packaging.is_file():
            files.append(
                SourceFile(path=pre_packaging, name="pre_packaging", exclude_mode=True, follow=True)
            )
        return PackageSource(
            name=name,
            files=tuple(files),
            dependencies=names_in(spec.get("dependencies"), f"dependencies of package '{name}'"),
            pre_packaging=pre_packaging if pre_packaging.is_file() else None,
        )

    def _package_files(self, name: str, spec: dict[str, object]) -> list[SourceFile]:
        """Return what the package's patterns match, in ``src`` first and then in ``blobs``."""
        chosen: dict[str, Path] = {}
        for pattern in _patterns(spec.get("files"), name):
            matches = self._matching(pattern)
            if not matches:
                raise ReleaseInvalid(
                    f"package '{name}' wants files '{pattern}', and none in src or blobs match",
                    fix=f"correct the pattern in packages/{name}/spec, or add the files",
                )
            for path, file in matches.items():
                chosen.setdefault(path, file)
        for pattern in _patterns(spec.get("excluded_files"), name):
            for path in self._matching(pattern):
                chosen.pop(path, None)
        for special in ("packaging", "pre_packaging"):
            if special in chosen:
                raise ReleaseInvalid(
                    f"package '{name}' lists a file '{special}', which is where its script goes",
                    fix=f"rename src/{special}",
                )
        return [SourceFile(path=file, name=path) for path, file in chosen.items()]

    def _matching(self, pattern: str) -> dict[str, Path]:
        expression = _expression(pattern)
        return {
            path: file
            for tree in (self._blobs, self._src)
            for path, file in tree.items()
            if expression.fullmatch(path)
        }

    @cached_property
    def _src(self) -> dict[str, Path]:
        return _tree(self.root / "src")

    @cached_property
    def _blobs(self) -> dict[str, Path]:
        return _tree(self.root / "blobs")


def _tree(root: Path) -> dict[str, Path]:
    """Return all files and links below ``root`` by their relative path; links are not followed."""
    found: dict[str, Path] = {}
    waiting = [root] if root.is_dir() else []
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if path.is_dir() and not path.is_symlink():
                waiting.append(path)
            else:
                found[path.relative_to(root).as_posix()] = path
    return dict(sorted(found.items()))


def _expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern: ``**`` is any number of directories, ``*`` and ``?`` stay inside one."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\]|\{[^{}/]*\})", pattern)
    meaning = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = ""
    for piece in pieces:
        if piece in meaning:
            text += meaning[piece]
        elif piece.startswith("[") and piece.endswith("]"):
            text += "[" + piece[1:-1].replace("\\", r"\\").replace("!", "^", 1) + "]"
        elif piece.startswith("{") and piece.endswith("}"):
            text += "(?:" + "|".join(re.escape(part) for part in piece[1:-1].split(",")) + ")"
        else:
            text += re.escape(piece)
    try:
        return re.compile(text, re.DOTALL)
    except re.error as error:
        raise ReleaseInvalid(f"'{pattern}' is not a file pattern: {error}") from error


def _patterns(value: object, package: str) -> Sequence[str]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ReleaseInvalid(f"files of package '{package}' must be a list of patterns")
    for pattern in value:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise ReleaseInvalid(
                f"package '{package}' wants files '{pattern}', outside of src and blobs",
                fix="use patterns relative to src, without '..'",
            )
    return value


def _directories(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []


def _same_name(name: str, directory: Path) -> None:
    if name != directory.name:
        raise ReleaseInvalid(
            f"'{directory / 'spec'}' says its name is '{name}'",
            fix=f"call it '{directory.name}' as its directory, or rename the directory",
        )


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseInvalid(f"'{file}' cannot be read: {error}") from error
