"""What becomes of a round of lifecycle scripts, and what a drain script is told."""

from __future__ import annotations

import json
from dataclasses import dataclass

from director.machine.contract import StopRequest
from director.model.errors import MachineError


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """How one job's script ended; ``said`` are its last lines of standard error."""

    job: str
    exit_code: int
    said: str = ""


def read_results(text: str) -> tuple[JobResult, ...]:
    """Return the results ``lifecycle.sh`` and ``drain.sh`` print, by job name."""
    found: list[tuple[str, int, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            if found:
                found[-1][2].append(line[1:])
            continue
        job, _, code = line.rpartition(" ")
        if job and code.isdigit():
            found.append((job, int(code), []))
    return tuple(
        JobResult(job=job, exit_code=code, said="\n".join(said))
        for job, code, said in sorted(found, key=lambda row: row[0])
    )


def read_later(text: str) -> frozenset[str]:
    """Return the later scripts that ``lifecycle.sh`` says some job has; nobody asks for others."""
    return frozenset(line[1:] for line in text.splitlines() if line.startswith("+"))


def raise_failed(script: str, results: tuple[JobResult, ...]) -> None:
    """Raise MachineError if a script failed, naming every job, in BOSH's words."""
    failed = [r for r in results if r.exit_code != 0]
    if not failed:
        return
    good = [r.job for r in results if r.exit_code == 0]
    text = f"{len(failed)} of {len(results)} {script} scripts failed. "
    text += f"Failed Jobs: {', '.join(r.job for r in failed)}."
    if good:
        text += f" Successful Jobs: {', '.join(good)}."
    for result in failed:
        lines = result.said.splitlines() or ["(nothing on standard error)"]
        text += f"\n{result.job}: exit code {result.exit_code}"
        text += "".join(f"\n  {line}" for line in lines)
    first = failed[0].job
    raise MachineError(
        text,
        fix=f"see /var/vcap/sys/log/{first}/{script}.stderr.log, correct the job, deploy again",
    )


def next_states(request: StopRequest) -> list[str]:
    """Return the variables pre-stop is told; who goes with a larger thing goes too."""
    instance = "delete" if request.deployment_next == "delete" else request.instance_next
    vm = "delete" if instance == "delete" else request.vm_next
    return [
        f"BOSH_VM_NEXT_STATE={vm}",
        f"BOSH_INSTANCE_NEXT_STATE={instance}",
        f"BOSH_DEPLOYMENT_NEXT_STATE={request.deployment_next}",
    ]


def drain_arguments(request: StopRequest, *, new: bool) -> list[str]:
    """Return the arguments of ``drain.sh``; ``new`` when nothing is recorded on the machine."""
    jobs = [":all"] if new else sorted(request.changed_jobs)
    return [
        json.dumps({"persistent_disk": request.persistent_disk_mb}),
        json.dumps({"persistent_disk": request.persistent_disk_next_mb}),
        " ".join(sorted(request.changed_packages)),
        f" {' '.join(jobs)} ",
        request.drain,
    ]
