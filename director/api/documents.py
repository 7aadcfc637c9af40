"""YAML documents in requests. The loader is imported when one comes: listings do without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from director.manifest.located_yaml import Located


def read_document(text: str, what: str) -> Located:
    """Return a document that is a mapping; raises YamlError with line and column.

    ``what`` names it in errors: ``release manifest``.
    """
    from director.manifest.located_yaml import load_located, require_mapping

    located = load_located(text, what.replace(" ", "-"))
    require_mapping(located, what)
    return located


def read_mapping(text: str, what: str) -> dict[str, Any]:
    """Return the data of a document as a mapping; an empty text is an empty mapping."""
    return dict(read_document(text, what).data) if text.strip() else {}


def difference(
    old: Mapping[str, Any] | None, new: Mapping[str, Any], *, redact: bool
) -> list[list[str | None]]:
    """Return the lines by which two documents differ."""
    from director.manifest.diff import diff_lines

    return diff_lines(old, new, redact=redact)
