"""Tests here write and change a little release directory, or act in a world in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from little_release import write_release
from worlds import MemoryWorld, memory_world

__all__ = ["write_release"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MemoryWorld]:
    """A world with a release, a stemcell and a cloud config, and nothing deployed."""
    with memory_world(tmp_path) as lab:
        yield lab
