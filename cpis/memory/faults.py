"""Failures to order: which call of which method goes wrong, and how."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cpis.contract import CloudError


class FaultKind(StrEnum):
    """What goes wrong.

    FAIL raises before anything is done, FAIL_AFTER once it was done (the answer is lost), DELAY
    waits first, VM_DIES lets ``create_vm`` succeed and the VM be dead.
    """

    FAIL = "fail"
    FAIL_AFTER = "fail_after"
    DELAY = "delay"
    VM_DIES = "vm_dies"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One failure: the ``nth`` call (from 1) of ``method`` and the ``times - 1`` after it.

    ``nth`` None means every call. ``match`` limits it to calls one of whose arguments is this text
    (an agent id, a CID); only those are counted.
    """

    method: str
    kind: FaultKind = FaultKind.FAIL
    nth: int | None = 1
    times: int = 1
    match: str | None = None
    message: str = "the cloud failed, as ordered"
    ok_to_retry: bool = False
    delay_s: float = 0.0

    def hits(self, call: int) -> bool:
        """Tell whether the fault strikes the call with this number."""
        return self.nth is None or self.nth <= call < self.nth + self.times

    def error(self) -> CloudError:
        """Return the error to raise."""
        return CloudError(self.message, ok_to_retry=self.ok_to_retry)


def read_faults(given: Iterable[Mapping[str, Any] | Fault]) -> list[Fault]:
    """Return faults from a CPI's properties; raises CloudError for a malformed one."""
    faults = []
    for item in given:
        if isinstance(item, Fault):
            faults.append(item)
            continue
        try:
            faults.append(Fault(**{**item, "kind": FaultKind(item.get("kind", "fail"))}))
        except (TypeError, ValueError) as error:
            raise CloudError(
                f"the memory CPI cannot read the fault {dict(item)}: {error}"
            ) from error
    return faults


class FaultBook:
    """Counts calls and says which faults strike; thread-safe."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = list(faults)
        self._calls: Counter[int] = Counter()
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Order one more failure; calls are counted from now on."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take all orders back."""
        with self._lock:
            self._faults.clear()
            self._calls.clear()

    def strike(self, method: str, texts: tuple[str, ...]) -> list[Fault]:
        """Count a call and return the faults that strike it."""
        if not self._faults:
            return []
        struck = []
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.method == method and (fault.match is None or fault.match in texts):
                    self._calls[index] += 1
                    if fault.hits(self._calls[index]):
                        struck.append(fault)
        return struck
