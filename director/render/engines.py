"""The two template languages: how their worker processes are started, and when none is needed."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from director.model.errors import TemplateError

_HERE = Path(__file__).parent
_REQUIRE = re.compile(rb"\brequire[ (]*['\"]([A-Za-z0-9_/-]+)['\"]")

# Parts of Ruby's standard library that are slow to load or seldom used: loaded where a template
# asks. What needs files, the network or other processes loads, and then finds none of them.
_RUBY_ON_DEMAND = frozenset(
    """
    English abbrev benchmark bigdecimal/util cgi cgi/escape cgi/util csv delegate digest/md5
    digest/sha1 digest/sha2 erb/util etc fileutils find forwardable json/add/core logger matrix
    monitor net/http observer open-uri open3 openssl optparse pp prime rexml/document resolv
    singleton socket tempfile timeout tmpdir tsort zlib
    """.split()  # noqa: SIM905 - it reads better than forty quoted words
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A template language. ``command`` starts its worker with the given extra libraries."""

    name: str
    command: Callable[[frozenset[str]], list[str]]
    is_static: Callable[[bytes], bool]
    libraries: Callable[[bytes], frozenset[str]]


def erb(ruby: str | None, memory_mb: int, find: Callable[[str], str | None]) -> Engine:
    """Return ERB by the Ruby at path ``ruby``, or else by the one ``find`` knows.

    Its ``command`` raises TemplateError where there is no Ruby.
    """

    def command(libraries: frozenset[str]) -> list[str]:
        found = ruby or find("ruby")
        if found is None:
            raise TemplateError(
                "a release has ERB templates, and Ruby is not installed where the director runs",
                fix="install the package 'ruby' there: apt-get install ruby",
            )
        script, context = str(_HERE / "erb_worker.rb"), str(_HERE / "erb_context.rb")
        options = ["--disable=all", "-EUTF-8", "-W0"]
        return [found, *options, script, str(memory_mb), context, *sorted(libraries)]

    def libraries(source: bytes) -> frozenset[str]:
        asked = {name.decode() for name in _REQUIRE.findall(source)}
        return frozenset(asked & _RUBY_ON_DEMAND)

    return Engine(
        name="erb",
        command=command,
        is_static=lambda source: b"<%" not in source,
        libraries=libraries,
    )


def jinja(memory_mb: int) -> Engine:
    """Return Jinja2 by this very Python."""

    def command(_libraries: frozenset[str]) -> list[str]:
        folders = {str(_HERE.parent.parent)}
        for package in ("jinja2", "markupsafe"):
            spec = importlib.util.find_spec(package)
            assert spec is not None
            assert spec.origin is not None
            folders.add(str(Path(spec.origin).parent.parent))
        # No site: it would only cost time, and isolated, so that nothing around is imported.
        start = (
            f"import sys; sys.path[:0] = {sorted(folders)!r}; "
            f"from director.render.jinja_worker import main; main({memory_mb})"
        )
        return [sys.executable, "-I", "-S", "-X", "utf8", "-c", start]

    return Engine(
        name="jinja2",
        command=command,
        is_static=lambda source: not any(mark in source for mark in (b"{{", b"{%", b"{#", b"\r")),
        libraries=lambda _source: frozenset(),
    )
