"""A bench with instances, in a world in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from instance_bench import InstanceBench
from worlds import memory_world


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[InstanceBench]:
    with memory_world(tmp_path, now=lambda: 1000.0) as lab:
        lab.world.store.deployments.ensure("dep")
        yield InstanceBench(lab)
