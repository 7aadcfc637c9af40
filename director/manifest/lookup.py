"""What resolving shares: errors with places in the manifest, and names that are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from director.manifest.suggest import did_you_mean
from director.model.errors import DirectorError, ManifestError
from director.model.source import Path, Source


class Lookup:
    """The errors and warnings of one resolving, each with the place of what is wrong."""

    def __init__(self, sources: Mapping[Path, Source]) -> None:
        self.sources = sources
        self.errors: list[DirectorError] = []
        self.warnings: list[str] = []

    def add(
        self,
        what: str,
        path: Path,
        fix: str,
        *,
        kind: type[DirectorError] = ManifestError,
    ) -> None:
        """Note an error about the value at ``path``, or about the nearest thing around it."""
        self.errors.append(kind(what, where=self._where(path), fix=fix))

    def warn(self, what: str, path: Path, fix: str) -> None:
        """Note something that is probably a mistake, about the value at ``path``."""
        # A warning reads as an error does; it only stops nothing.
        self.warnings.append(str(ManifestError(what, where=self._where(path), fix=fix)))

    def known(
        self, name: str, names: Iterable[str], *, kind: str, user: str, path: Path, home: str
    ) -> bool:
        """Whether ``name`` is one of ``names``; if not, note that ``user`` uses an unknown one.

        ``home`` is where such a thing is defined.
        """
        known = tuple(names)
        if name in known:
            return True
        what = f"{user} uses unknown {kind} '{name}'"
        self.add(what, path, did_you_mean(name, known, f"add it to {home}"))
        return False

    def _where(self, path: Path) -> Source | None:
        while path and path not in self.sources:
            path = path[:-1]
        return self.sources.get(path)
