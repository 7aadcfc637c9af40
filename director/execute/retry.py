"""Who retries what, how often and how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from cpis.contract import CloudError

Result = TypeVar("Result")

CREATE_VM_TRIES = 5
"""How often a VM is asked for when the cloud says that asking again is safe."""


def retry_cloud(
    call: Callable[[], Result],
    *,
    tries: int = CREATE_VM_TRIES,
    checkpoint: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what ``call`` returns; a CloudError with ``ok_to_retry`` is tried again, up to
    ``tries`` times in all, with pauses of 0.2, 0.4, 0.8... seconds."""
    for attempt in range(1, tries):
        try:
            return call()
        except CloudError as error:
            if not error.ok_to_retry:
                raise
        checkpoint()
        sleep(0.1 * 2**attempt)
    return call()
