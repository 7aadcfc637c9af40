"""Which instances of a group stay, and in which AZs the others come to be.

Ignored instances keep their place; instances with a persistent disk keep their AZ; the rest are
spread so that no AZ is more crowded than it must be.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from director.model.errors import PlacementError
from director.model.instances import DesiredState, RecordedInstance
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.plan.candidates import Candidate, Choice, Slot
from director.plan.networks import locate

AzOrder = Sequence[str | None]


def az_order(resolved: ResolvedDeployment, group: ResolvedGroup) -> AzOrder:
    """Return the group's AZs in the order in which ties are decided.

    With the feature ``randomize_az_placement`` the order differs between groups, but is always the
    same for one: a plan made twice is the same plan.
    """
    if not group.azs:
        return (None,)
    if not resolved.features.get("randomize_az_placement"):
        return group.azs

    def scattered(az: str) -> bytes:
        return hashlib.sha256(f"{resolved.name}/{group.name}/{az}".encode()).digest()

    return sorted(group.azs, key=scattered)


def keep_ignored(
    resolved: ResolvedDeployment, group: ResolvedGroup, found: Sequence[Candidate]
) -> list[Candidate]:
    """Return the ignored instances of a group; raises PlacementError if they cannot all stay."""
    ignored = [c for c in found if c.recorded.ignore]
    away = [c for c in ignored if c.az not in (group.azs or (None,))]
    if away:
        raise PlacementError(
            f"ignored instance '{away[0].recorded.name}' is in AZ '{away[0].az}', which instance "
            f"group '{group.name}' no longer uses",
            where=locate(resolved.sources, (*group.path, "azs")),
            fix=f"unignore '{away[0].recorded.name}', or keep its AZ",
        )
    if len(ignored) > group.instances:
        raise PlacementError(
            f"instance group '{group.name}' has {len(ignored)} ignored instances and shall have "
            f"{group.instances} instances",
            where=locate(resolved.sources, (*group.path, "instances")),
            fix=f"unignore some of its instances, or set 'instances' to {len(ignored)} or more",
        )
    return ignored


def balance(
    resolved: ResolvedDeployment, group: ResolvedGroup, found: Sequence[Candidate]
) -> Choice:
    """Choose the instances of a group that has no static addresses."""
    azs = az_order(resolved, group)
    fixed = keep_ignored(resolved, group, found)
    inside = [c for c in found if c.az in azs]
    free = [c for c in inside if not c.recorded.ignore]
    crowd = Counter(c.az for c in inside)

    # Whoever was stopped for good goes first, whatever AZ that leaves less crowded.
    detached = [c for c in free if c.recorded.state is DesiredState.DETACHED]
    excess = max(0, len(inside) - group.instances)
    gone = _drop(detached, min(excess, len(detached)), crowd)
    free = _without(free, gone)

    # A disk the group no longer wants binds nobody: it is orphaned wherever its instance stays.
    bound = [c for c in free if c.has_disk and group.disk is not None]
    room = group.instances - len(fixed)
    gone += _drop(bound, max(0, len(bound) - room), crowd)
    kept = fixed + _without(bound, gone)

    spare = _without(free, bound)
    slots = [Slot(c, c.az) for c in kept]
    slots += _spread(spare, group.instances - len(kept), Counter(c.az for c in kept), azs)
    return Choice(tuple(slots), left_over(found, slots))


def left_over(found: Sequence[Candidate], slots: Sequence[Slot]) -> tuple[RecordedInstance, ...]:
    """Return the instances that got no place."""
    placed = {s.candidate.recorded.id for s in slots if s.candidate is not None}
    return tuple(c.recorded for c in found if c.recorded.id not in placed)


def _without(those: Sequence[Candidate], gone: Sequence[Candidate]) -> list[Candidate]:
    ids = {c.recorded.id for c in gone}
    return [c for c in those if c.recorded.id not in ids]


def _drop(those: Sequence[Candidate], count: int, crowd: Counter[str | None]) -> list[Candidate]:
    """Return the ``count`` that go: from the most crowded AZ, the highest index, and the bootstrap
    instance last. ``crowd`` is kept up to date."""
    stacks: dict[str | None, list[Candidate]] = {}
    for candidate in sorted(those, key=lambda c: c.expendable):
        stacks.setdefault(candidate.az, []).append(candidate)

    def urgency(az: str | None) -> tuple[bool, int, int, str]:
        _, not_bootstrap, _, index, name = stacks[az][-1].expendable
        return (not_bootstrap, crowd[az], index, name)

    gone: list[Candidate] = []
    for _ in range(count):
        az = max((az for az, stack in stacks.items() if stack), key=urgency)
        gone.append(stacks[az].pop())
        crowd[az] -= 1
    return gone


def _spread(
    spare: Sequence[Candidate], count: int, crowd: Counter[str | None], azs: AzOrder
) -> list[Slot]:
    """Fill ``count`` places, each in the least crowded AZ, with those who are there or anew."""
    stacks: dict[str | None, list[Candidate]] = {az: [] for az in azs}
    for candidate in sorted(spare, key=lambda c: c.expendable, reverse=True):
        stacks[candidate.az].append(candidate)
    place = {az: n for n, az in enumerate(azs)}

    def attraction(az: str | None) -> tuple[int, bool, bool, int]:
        stack = stacks[az]
        has_bootstrap = bool(stack) and stack[-1].own and stack[-1].recorded.bootstrap
        return (crowd[az], not stack, not has_bootstrap, place[az])

    slots: list[Slot] = []
    for _ in range(count):
        az = min(azs, key=attraction)
        slots.append(Slot(stacks[az].pop() if stacks[az] else None, az))
        crowd[az] += 1
    return slots
