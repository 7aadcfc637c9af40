"""Columns that are encrypted on the disk: what an operator wrote, which may hold passwords.

A value given with ``-v`` stands in the manifest that is sent, so manifests, configs and all that is
made from them are sealed as a whole. The functions that seal come from whoever opens the database
and belong to its engine; without them (in tests of the store) the columns are plain.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Text
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.types import TypeDecorator


@dataclass(frozen=True, slots=True)
class Sealing:
    """``seal`` turns a text into another that only ``unseal`` reads; that one tells whether a text
    is sealed by what ``seal`` puts in front, and gives back any other as it is."""

    seal: Callable[[str], str]
    unseal: Callable[[str], str]


PLAIN = Sealing(str, str)


def use_sealing(engine: Engine, sealing: Sealing) -> None:
    """Let the sealed columns of ``engine`` be written and read with ``sealing``."""
    # SQLAlchemy hands types the dialect of the engine, and nothing else that belongs to it.
    engine.dialect.director_sealing = sealing  # type: ignore[attr-defined]


def _sealing(dialect: Dialect) -> Sealing:
    found: Sealing = getattr(dialect, "director_sealing", PLAIN)
    return found


class SealedText(TypeDecorator[str]):
    """A text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _sealing(dialect).seal(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else _sealing(dialect).unseal(value)


class SealedJson(TypeDecorator[Any]):
    """JSON data; None is NULL. In the column it is one JSON string, the sealed text."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        sealing = _sealing(dialect)
        return value if value is None or sealing is PLAIN else sealing.seal(json.dumps(value))

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        sealing = _sealing(dialect)
        return json.loads(sealing.unseal(value)) if isinstance(value, str) else value
