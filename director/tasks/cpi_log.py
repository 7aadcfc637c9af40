"""The requests to the clouds, logged: what each CPI was asked and what it answered, as JSON.

No secret is in it: nothing below a key such as ``password``, and no value that was filled in for a
variable, wherever it turns up again.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from cpis.contract import CloudError, Cpi
from cpis.rpc.redaction import redacted, secrets_in
from director.execute.hidden import hidden_values, hide
from director.model.errors import DirectorError
from director.tasks.log import CPI_LOGGER

_log = logging.getLogger(CPI_LOGGER)
_numbers = itertools.count(1)


def logged(cpi: Cpi, name: str = "", secrets: frozenset[str] = frozenset()) -> Cpi:
    """Return ``cpi``, called ``name``, with every request and answer logged without secrets.

    ``secrets`` are those it was made with. Whatever else it has is there as before.
    """
    return cast(Cpi, _Logged(cpi, name, secrets))


class _Logged:
    def __init__(self, cpi: Cpi, name: str, secrets: frozenset[str]) -> None:
        self._cpi = cpi
        self._name = name
        self._secrets = secrets

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cpi, name)
        if name not in _METHODS:
            return found
        return _request(self._name, name, found, self._secrets)


_METHODS = frozenset(name for name in vars(Cpi) if not name.startswith("_"))


def _request(
    cpi: str, name: str, method: Callable[..., Any], secrets: frozenset[str]
) -> Callable[..., Any]:
    def ask(*args: Any, **kwargs: Any) -> Any:
        hide(secrets | secrets_in(*args, *kwargs.values()))
        number = next(_numbers)
        about = {"request": number, "cpi": cpi, "method": name}
        _say(about, arguments=[*args, *kwargs.values()])
        began = time.monotonic()
        try:
            given = method(*args, **kwargs)
        except DirectorError as error:
            _say(about, seconds=_since(began), error=_error(error))
            raise
        _say(about, seconds=_since(began), result=given)
        return given

    return ask


def _say(about: Mapping[str, Any], **what: Any) -> None:
    if _log.isEnabledFor(logging.INFO):
        shown = hidden_values().from_data(redacted(_plain(what)))
        _log.info("%s", json.dumps({**about, **shown}, ensure_ascii=False, default=str))


def _plain(data: Any) -> Any:
    """Return what a CPI was given or gave as JSON data."""
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return _plain(dataclasses.asdict(data))
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(item) for item in data]
    return data


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)


def _error(error: DirectorError) -> dict[str, Any]:
    """Return an error in the protocol's shape; the way out is part of its message."""
    if isinstance(error, CloudError):
        return {
            "type": error.type_name,
            "message": str(error),
            "ok_to_retry": error.ok_to_retry,
        }
    return {"type": type(error).__name__, "message": str(error)}
