"""The next dev version."""

from __future__ import annotations

import pytest

from director.release.versions import next_dev


@pytest.mark.parametrize(
    ("existing", "base", "expected"),
    [
        ([], "0", "0+dev.1"),
        (["0+dev.9", "0+dev.10"], "0", "0+dev.11"),
        (["1+dev.3"], "0", "0+dev.1"),
        (["1+dev.3", "10+dev.7"], "1+dev.2", "1+dev.4"),
        (["1.2+dev.1", "1x2+dev.5", "1.2"], "1.2", "1.2+dev.2"),
    ],
)
def test_next_dev(existing: list[str], base: str, expected: str) -> None:
    assert next_dev(existing, base=base) == expected
