"""The requests to the cloud, logged: what was asked, of what, how long it took, how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, cast

from cpis.contract import Cpi
from director.model.errors import DirectorError
from director.tasks.log import CPI_LOGGER

_log = logging.getLogger(CPI_LOGGER)


def logged(cpi: Cpi) -> Cpi:
    """Return ``cpi`` with every request logged; whatever else it has is there as before."""
    return cast(Cpi, _Logged(cpi))


class _Logged:
    def __init__(self, cpi: Cpi) -> None:
        self._cpi = cpi

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cpi, name)
        return _request(name, found) if name in _METHODS else found


_METHODS = frozenset(name for name in vars(Cpi) if not name.startswith("_"))


def _request(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*args: Any, **kwargs: Any) -> Any:
        # Only ids and sizes: properties, networks and env may hold secrets.
        about = " ".join(str(arg) for arg in args if isinstance(arg, str | int))
        began = time.monotonic()
        try:
            given = method(*args, **kwargs)
        except DirectorError as error:
            spent = time.monotonic() - began
            _log.info("%s %s failed after %.3f s: %s", name, about, spent, error.what)
            raise
        spent = time.monotonic() - began
        _log.info("%s %s -> %s (%.3f s)", name, about, _short(given), spent)
        return given

    return ask


def _short(given: Any) -> str:
    first = given[0] if isinstance(given, tuple) and given else given
    return str(first) if isinstance(first, str | bool | int) else type(first).__name__
