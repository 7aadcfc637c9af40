"""Which instances there shall be: identity, AZ, index, bootstrap mark, addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from director.model.errors import DirectorError, PlacementError, raise_all
from director.model.ids import InstanceId
from director.model.instances import (
    DesiredState,
    InstanceSpec,
    JobDigests,
    NetworkSpec,
    PackageRef,
    RecordedInstance,
    StemcellRef,
)
from director.model.release import dependency_key
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.plan.balance import balance
from director.plan.candidates import Candidate, Choice, Slot, candidates
from director.plan.networks import AddressBook, Taken, Wish, dynamic_place, locate
from director.plan.static_ips import has_static_ips, place_by_address
from director.plan.vips import with_vips


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Every instance there shall be and every one there shall not be any more.

    ``specs`` are the instances of service groups and those of errand groups that have a VM kept
    alive; ``errands`` are all instances of errand groups. Specs come in the order of the manifest,
    in a group the bootstrap instance first, then by index. ``surplus`` is to be deleted.
    ``states`` has the desired state of every spec.
    """

    specs: tuple[InstanceSpec, ...]
    errands: tuple[InstanceSpec, ...]
    surplus: tuple[RecordedInstance, ...]
    states: Mapping[InstanceId, DesiredState]


def place(
    resolved: ResolvedDeployment,
    recorded: Sequence[RecordedInstance],
    taken: Taken,
    new_id: Callable[[], str],
) -> Placement:
    """Decide which recorded instances stay and which are new, and where each of them is.

    ``recorded`` are all instances of the deployment; ``taken`` every address given out by the
    director, by (network, ip), to its owner's id. Raises PlacementError, NetworkError, or an
    ErrorList with the problems of all groups. Reserves nothing.
    """
    by_group, homeless, errors = candidates(resolved, recorded)
    errors += _ignored_cannot_go(homeless, "its instance group is not in the manifest any more")
    raise_all(errors)
    book = AddressBook(resolved.cloud.networks, taken, recorded)
    specs: list[InstanceSpec] = []
    errands: list[InstanceSpec] = []
    surplus = list(homeless)
    states: dict[InstanceId, DesiredState] = {}
    for group in resolved.groups:
        found = by_group[group.name]
        try:
            choice = _choose(resolved, group, found, book)
            placed = list(_build(resolved, group, found, choice, book, new_id))
        except DirectorError as error:
            errors.append(error)
            continue
        surplus.extend(choice.surplus)
        for spec, instance in placed:
            states[spec.id] = instance.state if instance else DesiredState.STARTED
            if group.lifecycle == "errand":
                errands.append(spec)
            if group.lifecycle != "errand" or (instance is not None and _has_vm(instance)):
                specs.append(spec)
    raise_all(errors)
    return Placement(
        specs=tuple(specs), errands=tuple(errands), surplus=tuple(surplus), states=states
    )


def _choose(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    found: Sequence[Candidate],
    book: AddressBook,
) -> Choice:
    if has_static_ips(group) and group.instances > 0:
        choice = place_by_address(resolved, group, found, book)
    else:
        choice = balance(resolved, group, found)
    raise_all(_ignored_cannot_go(choice.surplus, "no place is left for it"))
    return with_vips(resolved, group, choice, book)


def _ignored_cannot_go(gone: Sequence[RecordedInstance], why: str) -> list[DirectorError]:
    return [
        PlacementError(
            f"ignored instance '{i.name}' would be deleted: {why}",
            fix=f"run 'unignore {i.name}' first, or keep it in the manifest",
        )
        for i in gone
        if i.ignore
    ]


def _has_vm(instance: RecordedInstance) -> bool:
    return instance.vm is not None and instance.vm.cid is not None


def _build(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    found: Sequence[Candidate],
    choice: Choice,
    book: AddressBook,
    new_id: Callable[[], str],
) -> Iterator[tuple[InstanceSpec, RecordedInstance | None]]:
    """Yield the specs of a group with the instance each continues, bootstrap first."""
    indexes = _indexes(found, choice)
    leader = _bootstrap(choice.slots, indexes)
    order = sorted(range(len(indexes)), key=lambda n: (n != leader, indexes[n]))
    jobs = tuple(
        JobDigests(name=j.name, release=j.release.name, fingerprint=j.job.fingerprint)
        for j in group.jobs
    )
    packages = _packages(group)
    for n in order:
        slot = choice.slots[n]
        stemcell = group.stemcells[slot.az]
        instance = slot.candidate.recorded if slot.candidate else None
        instance_id = instance.id if instance else InstanceId(new_id())
        yield (
            InstanceSpec(
                id=instance_id,
                deployment=resolved.name,
                group=group.name,
                index=indexes[n],
                az=slot.az,
                bootstrap=n == leader,
                lifecycle=group.lifecycle,
                stemcell=StemcellRef(
                    name=stemcell.name, version=stemcell.version, os=stemcell.operating_system
                ),
                vm_type=group.vm_type,
                cloud_properties=group.cloud_properties[slot.az],
                env=group.env,
                networks=_networks(resolved, group, slot, instance_id, book),
                jobs=jobs,
                packages=packages,
                disk=group.disk,
                tags=group.tags,
                cpi=stemcell.cpi,
            ),
            instance,
        )


def _indexes(found: Sequence[Candidate], choice: Choice) -> list[int]:
    """Return an index per slot: the one an instance has in this group, else the lowest unused.

    The indexes of instances about to go are in use until they are gone.
    """
    used = {c.recorded.index for c in found if c.own}
    indexes: list[int] = []
    lowest = 0
    for slot in choice.slots:
        if slot.candidate is not None and slot.candidate.own:
            indexes.append(slot.candidate.recorded.index)
            continue
        while lowest in used:
            lowest += 1
        used.add(lowest)
        indexes.append(lowest)
    return indexes


def _bootstrap(slots: Sequence[Slot], indexes: Sequence[int]) -> int | None:
    """Return which slot is the bootstrap instance: the one that is, else the lowest index.

    An ignored instance becomes it only where there is no other, since nobody would tell it.
    """

    def rank(n: int) -> tuple[bool, bool, bool, int]:
        candidate = slots[n].candidate
        marked = candidate is not None and candidate.recorded.bootstrap
        own = candidate is not None and candidate.own
        ignored = candidate is not None and candidate.recorded.ignore
        return (not marked, marked and not own, not marked and ignored, indexes[n])

    return min(range(len(slots)), key=rank, default=None)


def _packages(group: ResolvedGroup) -> tuple[PackageRef, ...]:
    """Return what the group's jobs need at run time; a package two jobs share stands once."""
    found: dict[tuple[str, str], PackageRef] = {}
    for job in group.jobs:
        for name in job.job.packages:
            package = job.release.packages[name]
            if (name, package.fingerprint) not in found:
                found[name, package.fingerprint] = PackageRef(
                    name=name,
                    release=job.release.name,
                    fingerprint=package.fingerprint,
                    dependency_key=dependency_key(job.release, name),
                )
    return tuple(found.values())


def _networks(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    slot: Slot,
    instance_id: InstanceId,
    book: AddressBook,
) -> tuple[NetworkSpec, ...]:
    instance = slot.candidate.recorded if slot.candidate else None
    if instance is not None and instance.ignore and instance.spec is not None:
        return instance.spec.networks
    static_ips = dict(slot.static_ips)
    places: list[NetworkSpec] = []
    for n, (use, network) in enumerate(group.networks):
        wish = Wish(
            owner=instance_id,
            group=group.name,
            az=slot.az,
            use=use,
            network=network,
            # With one network there is nothing to choose, so it need not be written.
            default=use.default if len(group.networks) > 1 else ("dns", "gateway"),
            where=locate(resolved.sources, (*group.path, "networks", n)),
        )
        if network.type == "dynamic":
            places.append(dynamic_place(wish, instance))
        else:
            places.append(book.settle(wish, static_ips.get(use.name)))
    return tuple(places)
