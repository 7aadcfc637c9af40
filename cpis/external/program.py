"""Asking a CPI's executable: a request with its context, an answer or the error it tells."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cpis.contract import CloudError
from cpis.external.chatter import Chatter
from cpis.external.executable import run
from cpis.rpc.json_text import Malformed
from cpis.rpc.protocol import Answer, Request, answer_from_json, request_to_json
from cpis.rpc.redaction import REDACTED, hide, redacted, secrets_in

_log = logging.getLogger("cpis.external")

_OURS = ("director_uuid", "request_id", "vm")
"""Keys of the context that say who asks; a CPI's properties cannot change them."""

_LONGEST_SHOWN = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An executable and what every call tells it. Threads may ask at once."""

    command: tuple[str, ...]
    name: str
    properties: Mapping[str, Any] = field(repr=False)
    director_uuid: str
    stemcell_api_version: int
    timeout_s: float

    def ask(self, method: str, arguments: Sequence[Any], *, api_version: int | None) -> Any:
        """Run the executable for one call and return the result.

        Raises CloudError: the one it answered with, without the secrets it was given; or one that
        says what is wrong with its answer, and what it printed last.
        """
        request_id = f"cpi-{secrets.token_hex(6)}"
        request = Request(
            method=method,
            arguments=arguments,
            context=self._context(request_id),
            api_version=api_version,
        )
        hidden = secrets_in(self.properties, arguments)
        _log.debug("%s: %s %s", request_id, self.name, _brief(self._shown(request), hidden))
        began = time.monotonic()
        answer = self._answer(request, Chatter(request_id, hidden))
        spent_s = time.monotonic() - began
        if answer.error is None:
            shown = _brief(answer.result, hidden)
            _log.debug("%s: answered in %.3f s: %s", request_id, spent_s, shown)
            return answer.result
        error = _without(answer.error, hidden)
        _log.debug("%s: refused in %.3f s: %s: %s", request_id, spent_s, error.type_name, error)
        raise error

    def _answer(self, request: Request, chatter: Chatter) -> Answer:
        try:
            text = request_to_json(request)
        except Malformed as error:
            raise CloudError(f"the arguments of '{request.method}' {error.args[0]}") from error
        try:
            output = run(self.command, text, timeout_s=self.timeout_s, hear=chatter.hear)
            answer = answer_from_json(output, request.method)
        except Malformed as error:
            raise CloudError(
                f"what the CPI '{self.name}' answered to '{request.method}' {error}"
                + chatter.last_words(),
                fix=f"see whether '{self.command[0]}' works when it is run by hand",
            ) from error
        except CloudError as error:
            raise CloudError(error.what + chatter.last_words(), fix=error.fix) from error
        chatter.end(answer.log)
        return answer

    def _context(self, request_id: str) -> dict[str, Any]:
        return {
            **{key: value for key, value in self.properties.items() if key not in _OURS},
            "director_uuid": self.director_uuid,
            "request_id": request_id,
            "vm": {"stemcell": {"api_version": self.stemcell_api_version}},
        }

    def _shown(self, request: Request) -> dict[str, Any]:
        """Return a request for the log. Which of a CPI's properties are secret it alone knows."""
        context = {
            key: value if key in _OURS else REDACTED for key, value in request.context.items()
        }
        return {
            "method": request.method,
            "arguments": list(request.arguments),
            "context": context,
            "api_version": request.api_version,
        }


def _without(error: CloudError, hidden: frozenset[str]) -> CloudError:
    fix = None if error.fix is None else hide(error.fix, hidden)
    return type(error)(hide(error.what, hidden), ok_to_retry=error.ok_to_retry, fix=fix)


def _brief(data: Any, hidden: frozenset[str]) -> str:
    text = hide(json.dumps(redacted(data), default=str), hidden)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
