"""``director-cpi NAME``: any installed CPI as an executable of BOSH's CPI protocol.

One JSON request on standard input, one JSON answer on standard output; log lines go to standard
error and into the answer's ``log``. Whatever goes wrong is an answer too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import traceback
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from cpis.contract import CloudError, Cpi, CpiInfo
from cpis.registry import known_cpis, load_cpi
from cpis.rpc.json_text import Malformed, from_json
from cpis.rpc.protocol import VERSION, Answer, Request, answer_to_json, request_from_json
from cpis.rpc.redaction import hide, secrets_in
from director.model.errors import DirectorError

_log = logging.getLogger("cpis.serve")

_ASKERS_OWN = ("director_uuid", "request_id", "vm")
_MOST_INPUT = 64 << 20
_MOST_LOG = 64 << 10

_USAGE = """\
usage: director-cpi NAME [--properties FILE]

Runs one call of a CPI, as BOSH's directors do: reads a request as JSON from standard input and
writes the answer as JSON to standard output. Installed CPIs: {names}

  NAME               an installed CPI, or package.module:Class of one
  --properties FILE  the CPI's properties, JSON; the request's context is laid over them

Try:
  echo '{{"method": "info", "arguments": [], "context": {{}}}}' | director-cpi memory
"""


class Usage(Exception):
    """The command line is not one of this command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one request; returns 0, 1 for an answer that is an error, 2 for a wrong usage."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given in (["-h"], ["--help"]):
        sys.stdout.write(_usage())
        return 0
    try:
        name, file = _read_arguments(given)
        if sys.stdin.isatty():
            raise Usage("there is no request on standard input")
    except Usage as error:
        sys.stderr.write(f"director-cpi: {error}\n\n{_usage()}")
        return 2
    with _stdout_kept() as output:
        text, failed = serve(name, file, sys.stdin.buffer.read(_MOST_INPUT + 1))
        with contextlib.suppress(BrokenPipeError):
            output.write(text + b"\n")
            output.flush()
    return int(failed)


def serve(name: str, file: str | None, text: bytes) -> tuple[bytes, bool]:
    """Return the answer to one request, as JSON, and whether it is an error; raises nothing."""
    said = _Said()
    with _logging_to(said):
        try:
            answer = Answer(result=_result(name, file, text, said))
            return answer_to_json(replace(answer, log=said.text())), False
        except Malformed as error:
            failure = CloudError(f"the request or its answer {error}")
            failure.type_name = "InvalidCall"
        except CloudError as error:
            failure = error
        except DirectorError as error:
            failure = CloudError(error.what, fix=error.fix)
        except (Exception, SystemExit) as error:  # noqa: BLE001 -- callers read an answer only
            _log.error("%s", traceback.format_exc())
            failure = CloudError(f"the CPI '{name}' failed: {type(error).__name__}: {error}")
        # Not of the failure's own class: a CPI's own errors may be made of anything.
        told = CloudError(
            hide(failure.what, said.hidden),
            ok_to_retry=failure.ok_to_retry,
            fix=None if failure.fix is None else hide(failure.fix, said.hidden),
        )
        told.type_name = failure.type_name
        return answer_to_json(Answer(error=told, log=said.text())), True


def _result(name: str, file: str | None, text: bytes, said: _Said) -> Any:
    if len(text) > _MOST_INPUT:
        raise Malformed(f"is larger than {_MOST_INPUT >> 20} MiB")
    request = request_from_json(text)
    properties = {
        **_read_properties(file),
        **{key: value for key, value in request.context.items() if key not in _ASKERS_OWN},
    }
    said.hidden = secrets_in(properties, request.arguments)
    _log.info("%s: %s", request.context.get("request_id", "no id"), request.method)
    return _call(load_cpi(name, properties), request)


def _call(cpi: Cpi, request: Request) -> Any:
    """Return what the protocol's version says for this method."""
    old = (request.api_version or 1) < VERSION
    if request.method == "info":
        return _info_to_json(cpi.info())
    if request.method == "create_disk":
        *arguments, token = request.arguments
        return cpi.create_disk(*arguments, token=token)
    result = getattr(cpi, request.method)(*request.arguments)
    if old and request.method == "create_vm":
        return result[0]
    return None if old and request.method == "attach_disk" else result


def _info_to_json(info: CpiInfo) -> dict[str, Any]:
    return {
        "api_version": info.api_version,
        "stemcell_formats": list(info.stemcell_formats),
        "director": {"host_keys": info.host_keys, "finds": info.finds},
    }


# -- what it is started with --------------------------------------------------------------------


def _read_arguments(given: list[str]) -> tuple[str, str | None]:
    match given:
        case [name, "--properties", file] | ["--properties", file, name]:
            return name, file
        case [name] if not name.startswith("-"):
            return name, None
    raise Usage("give the name of one CPI" if not given else f"what is {' '.join(given)!r}?")


def _usage() -> str:
    return _USAGE.format(names=", ".join(known_cpis()))


def _read_properties(file: str | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        with open(file, "rb") as stream:
            properties = from_json(stream.read())
    except (OSError, Malformed) as error:
        raise CloudError(
            f"the properties in '{file}' cannot be read: {error}",
            fix="give a file of JSON: a mapping of the CPI's properties",
        ) from error
    if not isinstance(properties, dict):
        raise CloudError(f"the properties in '{file}' are no mapping")
    return properties


# -- what it says -------------------------------------------------------------------------------


@contextlib.contextmanager
def _stdout_kept() -> Iterator[IO[bytes]]:
    """Yield standard output, and send what anybody else writes there to standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(kept, "wb", closefd=False) as output:
            yield output
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class _Said(logging.Handler):
    """Keeps the last log lines for the answer and shows all of them on standard error."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.hidden: frozenset[str] = frozenset()
        self._lines: deque[str] = deque()
        self._size = 0

    def emit(self, record: logging.LogRecord) -> None:
        line = hide(self.format(record), self.hidden) + "\n"
        sys.stderr.write(line)
        self._lines.append(line)
        self._size += len(line)
        while self._size > _MOST_LOG:
            self._size -= len(self._lines.popleft())

    def text(self) -> str:
        """Return the lines, at most 64 KiB of them."""
        return "".join(self._lines)


@contextlib.contextmanager
def _logging_to(said: _Said) -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("cpis")
    levels = root.level, ours.level
    root.addHandler(said)
    root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(said)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


if __name__ == "__main__":
    sys.exit(main())
