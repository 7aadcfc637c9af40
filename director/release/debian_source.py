"""Fetch files of Debian source packages, with apt and this host's own configuration of it.

The host's binary sources are read as source ones, in a private copy with a private state: nothing
on the host changes, and its mirrors, keyrings, proxies and credentials are used as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from director.model.errors import ReleaseInvalid
from director.release.programs import failure_of

_DEB822 = re.compile(r"^Types:.*$", re.MULTILINE | re.IGNORECASE)
_ONE_LINE = re.compile(r"^\s*deb(-src)?\s+", re.MULTILINE)
_URI = re.compile(r"'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) ?(?P<digest>\S*)")


def fetch_source_file(
    package: str,
    file: str,
    target: Path,
    workdir: Path,
    *,
    on_progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Write ``file`` of the newest source version of ``package`` that has it to ``target``.

    ``workdir`` keeps apt's lists for the next call. Raises ReleaseInvalid with what is missing. The
    caller verifies the content.
    """
    if shutil.which("apt-get") is None:
        raise ReleaseInvalid("this host has no apt", fix="fetch the file yourself")
    settings = _private_settings(workdir)
    environment = {**os.environ, "APT_CONFIG": str(settings), "LC_ALL": "C"}
    on_progress("reading the host's Debian source lists")
    _run(["apt-get", "-q", "update"], environment)
    uri = _uri(package, file, environment)
    on_progress(f"fetching {file}")
    _run([_helper(), "download-file", uri, str(target)], environment)


def _private_settings(workdir: Path) -> Path:
    parts = workdir / "sources.list.d"
    for directory in (parts, workdir / "lists" / "partial", workdir / "archives" / "partial"):
        directory.mkdir(parents=True, exist_ok=True)
    for old in parts.iterdir():
        old.unlink()
    found = 0
    for file in _host_sources():
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".sources":
            text = _DEB822.sub("Types: deb-src", text)
        else:
            text = "\n".join(dict.fromkeys(_ONE_LINE.sub("deb-src ", text).splitlines())) + "\n"
        (parts / f"{found:03}{file.suffix}").write_text(text, encoding="utf-8")
        found += 1
    if not found:
        raise ReleaseInvalid(
            "this host has no package sources configured for apt",
            fix="add one to /etc/apt/sources.list.d, or fetch the file yourself",
        )
    settings = workdir / "apt.conf"
    settings.write_text(
        'Dir::Etc::sourcelist "/dev/null";\n'
        f'Dir::Etc::sourceparts "{parts}";\n'
        f'Dir::State::lists "{workdir / "lists"}";\n'
        f'Dir::Cache "{workdir}";\n'
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
        # The unprivileged user apt drops to cannot enter a directory with mode 0700.
        + ('APT::Sandbox::User "root";\n' if os.geteuid() == 0 else ""),
        encoding="utf-8",
    )
    return settings


def _host_sources() -> Sequence[Path]:
    """Return the files of the host's apt sources, where apt looks for them."""
    paths = []
    for key, pattern in (("Dir::Etc::sourcelist/f", None), ("Dir::Etc::sourceparts/d", "*")):
        done = _output(["apt-config", "shell", "PLACE", key], dict(os.environ))
        place = Path(done.strip().removeprefix("PLACE=").strip("'\"") or "/nonexistent")
        if pattern is None:
            paths.append(place)
        elif place.is_dir():
            paths += sorted(p for p in place.iterdir() if p.suffix in (".list", ".sources"))
    return [path for path in paths if path.is_file()]


def _uri(package: str, file: str, environment: dict[str, str]) -> str:
    command = ["apt-get", "-q", "source", "--download-only", "--print-uris"]
    for wanted in (package, *_other_versions(package, environment)):
        listing = _output([*command, wanted], environment)
        for match in _URI.finditer(listing):
            if match["file"] == file:
                return match["uri"]
    raise ReleaseInvalid(
        f"source package '{package}' has no file '{file}' in the sources of this host",
        fix="correct the file name to one that `apt-get source --print-uris` shows,"
        " or fetch the file yourself",
    )


def _other_versions(package: str, environment: dict[str, str]) -> list[str]:
    listing = _output(["apt-cache", "showsrc", "--only-source", package], environment)
    versions = re.findall(r"^Version: (\S+)$", listing, re.MULTILINE)
    return [f"{package}={version}" for version in dict.fromkeys(versions)]


def _helper() -> str:
    return shutil.which("apt-helper") or "/usr/lib/apt/apt-helper"


def _output(command: Sequence[str], environment: dict[str, str]) -> str:
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    failed = failure_of(command, env=environment, lines=8)
    if failed is not None:
        raise ReleaseInvalid(
            f"'{Path(command[0]).name} {command[1]}' failed:\n{failed[1]}",
            fix="look at this host's package sources with apt-get update",
        )
