"""The checks, by name, and how to run them: with pytest, or from a command."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from cpis.conformance import disks, real_vms, vms
from cpis.conformance.lab import (
    LARGEST_FLEET,
    MOST_DISKS,
    DoesNotApply,
    Given,
    Lab,
    NotConforming,
    agent_of,
)
from cpis.contract import CloudError, Cpi, NotImplementedByCpi
from director.model.ids import StemcellCid

Check = Callable[[Lab], None]

CHECKS: tuple[Check, ...] = (*vms.CHECKS, *disks.CHECKS)
"""What every CPI must pass."""

REAL_CHECKS: tuple[Check, ...] = real_vms.CHECKS
"""What a CPI with real VMs must pass beside: these log into them."""

_UNFILLED = "is not filled in yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one check ended.

    ``problem`` is empty when it passed. ``skipped`` says why there was nothing to look at, where
    that is so. ``trace`` is the traceback of an error that no CPI should raise.
    """

    name: str
    promise: str
    problem: str = ""
    skipped: str = ""
    trace: str = ""
    duration_s: float = 0.0


def run_check(check: Check, cpi: Cpi, given: Given, stemcell: StemcellCid) -> str:
    """Run one check; raises NotConforming, or the CPI's own error, and leaves nothing behind.

    Returns why the check does not apply to this CPI; empty where it does.
    """
    try:
        with Lab(cpi, given, stemcell, check.__name__) as lab:
            check(lab)
    except DoesNotApply as reason:
        return str(reason)
    return ""


def checks_for(given: Given) -> tuple[Check, ...]:
    """Return the checks that fit what is given: those that log in only where that is possible."""
    return (*CHECKS, *(REAL_CHECKS if given.run is not None else ()))


def promise_of(check: Check) -> str:
    """Return what a check looks for, in one line."""
    return " ".join((check.__doc__ or "").split())


def run_all(
    cpi: Cpi,
    given: Given,
    *,
    checks: Sequence[Check] | None = None,
    on_start: Callable[[Check], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Outcome, None, None]:
    """Run every check that fits the CPI, or ``checks``, and yield each one's outcome as it ends.

    A stemcell that cannot be deleted at the end is an outcome of its own. Close the iterator if you
    leave it early: the stemcell is deleted then.
    """
    stemcell = cpi.create_stemcell(given.image_path, given.stemcell_properties)
    finished = False
    try:
        for check in checks_for(given) if checks is None else checks:
            on_start(check)
            yield _outcome(check, cpi, given, stemcell, clock)
        finished = True
    finally:
        if not finished:
            cpi.delete_stemcell(stemcell)
    try:
        cpi.delete_stemcell(stemcell)
    except CloudError as error:
        promise = "A stemcell can be deleted once nothing uses it."
        yield Outcome(name="delete_stemcell", promise=promise, problem=_told(error))


def unfilled_methods(cpi: type) -> tuple[str, ...]:
    """Return the methods of a CPI's class that only say that they are not filled in yet."""
    return tuple(
        name
        for name in vars(Cpi)
        if not name.startswith("_") and _is_unfilled(getattr(cpi, name, None))
    )


def sweep(cpi: Cpi, given: Given) -> list[str]:
    """Delete what a run with this ``run_id`` left behind when it was killed; return the CIDs."""
    removed: list[str] = []
    for check in (*CHECKS, *REAL_CHECKS):
        for n in range(LARGEST_FLEET):
            vm = cpi.find_vm(agent_of(given.run_id, check.__name__, n))
            if vm is not None:
                cpi.delete_vm(vm)
                removed.append(vm)
        for token in (*range(MOST_DISKS), "same", "shared"):
            disk = cpi.find_disk(agent_of(given.run_id, check.__name__, f"d{token}"))
            if disk is not None:
                cpi.delete_disk(disk)
                removed.append(disk)
    return removed


def _outcome(
    check: Check, cpi: Cpi, given: Given, stemcell: StemcellCid, clock: Callable[[], float]
) -> Outcome:
    began = clock()
    problem = skipped = trace = ""
    try:
        skipped = run_check(check, cpi, given, stemcell)
    except (NotConforming, CloudError) as error:
        problem = _told(error)
    except Exception as error:  # noqa: BLE001 -- whatever an author's code raises is a finding
        problem = f"raised {type(error).__name__}: {_told(error)}"
        trace = "".join(traceback.format_exception(error))
    return Outcome(
        name=check.__name__,
        promise=promise_of(check),
        problem=problem,
        skipped=skipped,
        trace=trace,
        duration_s=clock() - began,
    )


def _told(error: Exception) -> str:
    return "; ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])


def _is_unfilled(method: object) -> bool:
    code = getattr(method, "__code__", None)
    return (
        code is not None
        and NotImplementedByCpi.__name__ in code.co_names
        and any(isinstance(text, str) and _UNFILLED in text for text in code.co_consts)
    )
