"""The checks, by name, and how to run them: with pytest, or from a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cpis.conformance import disks, real_vms, vms
from cpis.conformance.lab import Given, Lab, NotConforming
from cpis.contract import CloudError, Cpi
from director.model.ids import StemcellCid

Check = Callable[[Lab], None]

CHECKS: tuple[Check, ...] = (*vms.CHECKS, *disks.CHECKS)
"""What every CPI must pass."""

REAL_CHECKS: tuple[Check, ...] = real_vms.CHECKS
"""What a CPI with real VMs must pass beside: these log into them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one check ended; ``problem`` is empty when it passed."""

    name: str
    promise: str
    problem: str = ""


def run_check(check: Check, cpi: Cpi, given: Given, stemcell: StemcellCid) -> None:
    """Run one check; raises NotConforming, or the CPI's own error, and leaves nothing behind."""
    with Lab(cpi, given, stemcell, check.__name__) as lab:
        check(lab)


def run_all(cpi: Cpi, given: Given) -> Iterator[Outcome]:
    """Run every check that fits the CPI and yield each one's outcome as it ends."""
    stemcell = cpi.create_stemcell(given.image_path, given.stemcell_properties)
    try:
        for check in (*CHECKS, *(REAL_CHECKS if given.run is not None else ())):
            promise = (check.__doc__ or "").strip()
            problem = ""
            try:
                run_check(check, cpi, given, stemcell)
            except (NotConforming, CloudError) as error:
                problem = str(error) or type(error).__name__
            yield Outcome(name=check.__name__, promise=promise, problem=problem)
    finally:
        cpi.delete_stemcell(stemcell)
