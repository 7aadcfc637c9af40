"""What the gce CPI accepts, and that its README says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpis.gce.properties import TABLES

README = Path(__file__).parents[4] / "cpis/gce/README.md"


def rows(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the README's table rows of a schema."""
    for name, one in schema["properties"].items():
        given = one.get("type", "string")
        kinds = [given] if isinstance(given, str) else given
        kind = " or ".join("list" if each == "array" else each for each in kinds)
        need = " (required)" if name in schema["required"] else ""
        yield f"| `{name}` | {kind} | {one['description']}{need} |"


def test_the_readme_lists_every_property_as_the_schemas_do() -> None:
    text = README.read_text(encoding="utf-8")
    for heading, schema in TABLES.items():
        head = f"### {heading}\n\n| property | type | meaning |\n|---|---|---|\n"
        assert head + "\n".join(rows(schema)) + "\n\n" in text, heading


def test_the_readme_says_what_was_never_tried() -> None:
    assert "## What was not tried against the real cloud" in README.read_text(encoding="utf-8")
