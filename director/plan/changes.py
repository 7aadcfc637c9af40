"""What differs between an instance as wanted and as recorded, and what that demands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from director.model.configs import called
from director.model.instances import (
    ActualInstance,
    DesiredState,
    Found,
    InstanceSpec,
    JobDigests,
)
from director.plan.differences import (
    digest_details,
    job_details,
    mapping_details,
    network_details,
    package_details,
    quote,
)
from director.plan.options import PlanOptions
from director.plan.steps import Action, Reason, Why


def action_for(why: Iterable[Why]) -> Action:
    """Return the strongest action the reasons demand."""
    return max((one.reason.action for one in why), default=Action.KEEP)


def changes(
    wanted: InstanceSpec,
    actual: ActualInstance | None,
    options: PlanOptions,
    state: DesiredState = DesiredState.STARTED,
) -> tuple[Why, ...]:
    """Return why the instance must be touched so that it is ``wanted`` and in ``state``.

    Empty when nothing must be done. ``actual`` is None for an instance nobody recorded yet.
    """
    if state is DesiredState.DETACHED:
        return tuple(_detaching(actual))
    if actual is None:
        return (Why(reason=Reason.NEW),)
    return (
        *_state_change(actual, state),
        *(_vm_trouble(actual, options) or _differences(wanted, actual)),
        *_requests(wanted, options),
        *_disk(wanted, actual, options),
    )


def disk_changes(wanted: InstanceSpec, actual: ActualInstance | None, options: PlanOptions) -> bool:
    """Return whether the persistent disk is added, replaced or dropped."""
    if actual is None:
        return wanted.disk is not None
    return any(True for _ in _disk(wanted, actual, options))


def _detaching(actual: ActualInstance | None) -> Iterator[Why]:
    """A detached instance has no VM; whatever else differs waits until it is started again."""
    if actual is None:
        return
    recorded = actual.recorded
    if recorded.state is not DesiredState.DETACHED:
        yield Why(reason=Reason.STATE, detail=f"{recorded.state} → {DesiredState.DETACHED}")
    elif recorded.vm is not None:
        yield Why(reason=Reason.STATE, detail="still has a VM")


def _state_change(actual: ActualInstance, state: DesiredState) -> Iterator[Why]:
    recorded = actual.recorded
    if recorded.state is not state:
        yield Why(reason=Reason.STATE, detail=f"{recorded.state} → {state}")
    elif actual.found is Found.RESPONSIVE and actual.job_state:
        runs = actual.job_state == "running"
        if runs is not (state is DesiredState.STARTED) and (runs or state is DesiredState.STARTED):
            yield Why(reason=Reason.STATE, detail=f"jobs are {actual.job_state}, not {state}")


def _vm_trouble(actual: ActualInstance, options: PlanOptions) -> list[Why]:
    """Return why the VM cannot be gone on with; then comparing what is on it says nothing."""
    spec = actual.recorded.spec
    if actual.found is Found.NO_VM:
        return [Why(reason=Reason.NEW if spec is None else Reason.VM_MISSING)]
    if actual.found is Found.MISSING:
        return [Why(reason=Reason.VM_MISSING, detail=actual.why)]
    if actual.found is Found.UNRESPONSIVE and options.fix:
        return [Why(reason=Reason.VM_UNRESPONSIVE, detail=f"VM does not answer: {actual.why}")]
    if spec is None:
        return [Why(reason=Reason.VM_UNKNOWN)]
    return []


def _differences(wanted: InstanceSpec, actual: ActualInstance) -> Iterator[Why]:
    recorded = actual.recorded
    old, vm = recorded.spec, recorded.vm
    if recorded.dirty:
        yield Why(reason=Reason.DIRTY)
    if vm is not None and vm.cpi != wanted.cpi:
        yield Why(reason=Reason.CPI, detail=f"{called(vm.cpi)} → {called(wanted.cpi)}")
    if old is None or old == wanted:
        return
    yield from _vm_differences(old, wanted)
    yield from _content_differences(old, wanted)
    yield from _label_differences(old, wanted)


def _vm_differences(old: InstanceSpec, new: InstanceSpec) -> Iterator[Why]:
    a, b = old.stemcell, new.stemcell
    if (a.name, a.version) != (b.name, b.version):
        detail = f"stemcell {quote(f'{a.name}/{a.version}')} → {quote(f'{b.name}/{b.version}')}"
        yield Why(reason=Reason.STEMCELL, detail=detail)
    yield from _whys(
        Reason.CLOUD_PROPERTIES,
        mapping_details("cloud property", old.cloud_properties, new.cloud_properties, values=True),
    )
    yield from _whys(Reason.ENV, mapping_details("env", old.env, new.env, values=False))
    yield from _whys(Reason.NETWORK, network_details(old.networks, new.networks))
    if old.az is not None and old.az != new.az:
        yield Why(reason=Reason.AZ, detail=f"AZ {quote(old.az)} → {quote(new.az or '')}")


def _content_differences(old: InstanceSpec, new: InstanceSpec) -> Iterator[Why]:
    yield from _whys(Reason.JOBS, job_details(old.jobs, new.jobs))
    before = {job.name: job for job in old.jobs}
    for job in new.jobs:
        if job.name in before and before[job.name].templates != job.templates:
            yield from _rendered_differently(before[job.name], job)
    yield from _whys(Reason.PACKAGES, package_details(old.packages, new.packages))


def _rendered_differently(old: JobDigests, new: JobDigests) -> Iterator[Why]:
    """Name what made the files differ. A property no template reads changes nothing."""
    properties = digest_details("property", new.name, old.properties, new.properties)
    links = digest_details("link", new.name, old.links, new.links)
    yield from _whys(Reason.PROPERTIES, properties)
    yield from _whys(Reason.LINKS, links)
    if not properties and not links:
        yield Why(reason=Reason.TEMPLATES, detail=f"rendered files of job {quote(new.name)}")


def _label_differences(old: InstanceSpec, new: InstanceSpec) -> Iterator[Why]:
    yield from _whys(Reason.TAGS, mapping_details("tag", old.tags, new.tags, values=False))
    if old.index != new.index:
        yield Why(reason=Reason.INDEX, detail=f"index {old.index} → {new.index}")
    if old.bootstrap != new.bootstrap:
        detail = "becomes the bootstrap instance" if new.bootstrap else "is no longer bootstrap"
        yield Why(reason=Reason.INDEX, detail=detail)
    if old.group != new.group:
        detail = f"instance group {quote(old.group)} → {quote(new.group)}"
        yield Why(reason=Reason.NAMES, detail=detail)
    if old.az is None and new.az is not None:
        yield Why(reason=Reason.NAMES, detail=f"AZ is now called {quote(new.az)}")
    if old.vm_type != new.vm_type:
        detail = f"vm type {quote(old.vm_type)} → {quote(new.vm_type)}"
        yield Why(reason=Reason.NAMES, detail=detail)


def _requests(wanted: InstanceSpec, options: PlanOptions) -> Iterator[Why]:
    if wanted.id in options.recreate:
        yield Why(reason=Reason.REQUESTED_RECREATE)
    if wanted.id in options.restart:
        yield Why(reason=Reason.REQUESTED_RESTART)


def _disk(wanted: InstanceSpec, actual: ActualInstance, options: PlanOptions) -> Iterator[Why]:
    """Compare with the disk that is there, not with a spec: the disk outlives VMs and deploys."""
    have, want = actual.recorded.active_disk, wanted.disk
    details: list[str] = []
    if have is None and want is not None:
        details = [f"disk of {want.size_mb} MiB added"]
    elif have is not None and want is None:
        details = [f"disk of {have.size_mb} MiB removed"]
    elif have is not None and want is not None:
        if have.size_mb != want.size_mb:
            details.append(f"disk {have.size_mb} → {want.size_mb} MiB")
        details += mapping_details(
            "disk cloud property", have.cloud_properties, want.cloud_properties, values=True
        )
        if options.recreate_persistent_disks and not details:
            details = ["disk to be replaced, as asked"]
    yield from _whys(Reason.DISK, details)


def _whys(reason: Reason, details: Iterable[str]) -> Iterator[Why]:
    return (Why(reason=reason, detail=detail) for detail in details)
