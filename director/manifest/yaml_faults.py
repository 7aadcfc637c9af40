"""What a YAML parser's complaint means to the person who wrote the text."""

from __future__ import annotations

import yaml

from director.model.errors import YamlError
from director.model.source import Source

_QUOTE = "put the value in quotes if it is meant as text"
_FIXES = (
    ("mapping values are not allowed", f"check the indentation; {_QUOTE} and has ': ' in it"),
    ("found character that cannot start any token", _QUOTE),
    ("unexpected end of stream", "close the quote that is opened here"),
    ("expected ',' or ']'", "close the list with ']', or put a comma between its items"),
    ("expected ',' or '}'", "close the mapping with '}', or put a comma between its entries"),
    ("could not find expected ':'", "put ': ' after the key, and check the indentation"),
    ("did not find expected key", "indent this line as its neighbours, or quote the value above"),
    (
        "did not find expected '-' indicator",
        "begin each item with '- ', all equally far in",
    ),
    ("block sequence entries are not allowed", "begin the list on a line of its own"),
    ("expected <document start>", "indent this line as its neighbours"),
    ("unknown escape character", "use single quotes, or write the backslash twice"),
    ("while scanning an anchor", _QUOTE),
    ("while scanning an alias", _QUOTE),
)


def explain(error: yaml.YAMLError, text: str, file: str) -> YamlError:
    """Return the parser's error with the position and an advice."""
    problem = getattr(error, "problem", None) or "the text cannot be read"
    context = getattr(error, "context", None) or ""
    mark = getattr(error, "problem_mark", None)
    opened = getattr(error, "context_mark", None)
    if "unexpected end of stream" in problem and opened is not None:
        mark, opened = opened, None
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    where = Source(file, line + 1, column + 1)
    if _is_tab(text, line, column):
        return YamlError(
            "not valid YAML: a tab is used for indentation", where=where, fix="indent with spaces"
        )
    since = f" {context}" if context else ""
    if opened is not None and opened.line != line:
        since += f", which begins in line {opened.line + 1}"
    fix = next((fix for sign, fix in _FIXES if sign in f"{problem} {context}"), None)
    return YamlError(
        f"not valid YAML: {problem}{since}",
        where=where,
        fix=fix or "check the quotes and the indentation of this line and the one before",
    )


def _is_tab(text: str, line: int, column: int) -> bool:
    lines = text.split("\n", line + 1)
    if line >= len(lines):
        return False
    before = lines[line][: column + 1]
    return "\t" in before and not before.strip()
