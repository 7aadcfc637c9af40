"""Names with a slash: ``group/id``, ``name/version``."""

from __future__ import annotations

from dataclasses import dataclass

from director.model.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """All instances, those of a group, or one of them (an index, or an id or its beginning)."""

    group: str | None = None
    instance: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.group, self.instance) if part) or "all instances"


def target(text: str | None) -> Target:
    """Return what ``group`` or ``group/id`` names; all instances where nothing was given."""
    if not text:
        return Target()
    group, slash, instance = text.partition("/")
    if not group or (slash and not instance) or "/" in instance:
        raise UsageError(
            f"'{text}' names no instances", fix="write GROUP, or GROUP/INDEX, or GROUP/ID"
        )
    return Target(group=group, instance=instance or None)


def one_instance(text: str) -> tuple[str, str]:
    """Return group and id of one instance."""
    found = target(text)
    if found.group is None or found.instance is None:
        raise UsageError(f"'{text}' is not one instance", fix="write GROUP/ID")
    return found.group, found.instance


def name_and_version(text: str, *, version_needed: bool) -> tuple[str, str | None]:
    """Return the two parts of ``name/version``."""
    name, slash, version = text.partition("/")
    if not name or (slash and not version) or (version_needed and not version):
        wanted = "NAME/VERSION" if version_needed else "NAME or NAME/VERSION"
        raise UsageError(f"'{text}' has no name and version", fix=f"write {wanted}")
    return name, version or None
