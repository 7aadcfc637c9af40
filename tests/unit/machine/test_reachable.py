"""Causes by name."""

from __future__ import annotations

import errno

import pytest

from director.machine.reachable import NO_ROUTE, PORT_CLOSED, TIMEOUT, cause_of


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConnectionRefusedError(), PORT_CLOSED),
        (TimeoutError(), TIMEOUT),
        (OSError(errno.EHOSTUNREACH, "x"), NO_ROUTE),
        (OSError(errno.ENETUNREACH, "x"), NO_ROUTE),
        (OSError(errno.EIO, "broken"), "broken"),
    ],
)
def test_causes(error: OSError, cause: str) -> None:
    assert cause_of(error) == cause
