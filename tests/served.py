"""A CPI behind its own executable's code, without a process for every call.

Requests and answers are the JSON that ``director-cpi`` and a BOSH director exchange; what a process
per call adds is shown by a few checks that start one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from unittest.mock import patch

from cpis import serve
from cpis.contract import Cpi
from cpis.external import ExternalCpi


@contextlib.contextmanager
def served(cpi: Cpi) -> Iterator[ExternalCpi]:
    """Yield ``cpi`` as a director sees it that runs it as a BOSH CPI executable."""

    def run(
        command: Sequence[str], request: bytes, *, timeout_s: float, hear: Callable[[bytes], None]
    ) -> bytes:
        return serve.serve(command[-1], None, request)[0]

    outside = ExternalCpi({"exec_path": "/nowhere/director-cpi", "arguments": ["served"]})
    # Log handlers belong to a process; here many calls share one.
    quiet = patch("cpis.serve._logging_to", lambda _said: contextlib.nullcontext())
    ours = patch("cpis.serve.load_cpi", lambda _name, _properties: cpi)
    with quiet, ours, patch("cpis.external.program.run", run):
        yield outside
