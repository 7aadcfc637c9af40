"""Which recorded instances a group may go on with: its own, and those of groups it takes over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from director.model.errors import DirectorError, PlacementError
from director.model.instances import DesiredState, RecordedInstance
from director.model.manifest import MigratedFrom
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.plan.networks import locate


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A recorded instance a group may keep, in the AZ it counts for.

    ``own`` is false while its row still names the group it migrates from.
    """

    recorded: RecordedInstance
    az: str | None
    own: bool = True

    @property
    def expendable(self) -> tuple[bool, bool, bool, int, str]:
        """A sort key: the greater, the sooner the instance goes when there are too many."""
        it = self.recorded
        return (
            it.state is DesiredState.DETACHED,
            not (it.bootstrap and self.own),
            not self.own,
            it.index,
            it.id,
        )

    @property
    def has_disk(self) -> bool:
        return self.recorded.active_disk is not None


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one instance: who fills it (None: a new one), in which AZ, with which static
    addresses (by network name)."""

    candidate: Candidate | None
    az: str | None
    static_ips: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """The places of a group, and the instances that have none."""

    slots: tuple[Slot, ...]
    surplus: tuple[RecordedInstance, ...]


def candidates(
    resolved: ResolvedDeployment, recorded: Sequence[RecordedInstance]
) -> tuple[Mapping[str, list[Candidate]], list[RecordedInstance], list[DirectorError]]:
    """Return each group's candidates, the instances of no group, and what is wrong.

    An instance is never a candidate of two groups.
    """
    by_group: dict[str, list[RecordedInstance]] = {}
    for instance in recorded:
        by_group.setdefault(instance.group, []).append(instance)
    found: dict[str, list[Candidate]] = {}
    errors: list[DirectorError] = []
    names = {group.name for group in resolved.groups}
    taken_over: dict[str, str] = {}
    for group in resolved.groups:
        mine = found.setdefault(group.name, [])
        moves = {move.name: move for move in group.migrated_from}
        for name in dict.fromkeys((group.name, *moves)):
            if name != group.name and name in names:
                errors.append(_still_there(resolved, group, name))
            elif name in taken_over:
                errors.append(_taken_twice(resolved, group, name, taken_over[name]))
            else:
                taken_over[name] = group.name
                mine.extend(
                    _as_candidates(resolved, group, by_group.get(name, ()), moves.get(name), errors)
                )
    homeless = [i for name, those in by_group.items() if name not in taken_over for i in those]
    return found, homeless, errors


def _as_candidates(
    resolved: ResolvedDeployment,
    group: ResolvedGroup,
    instances: Iterable[RecordedInstance],
    move: MigratedFrom | None,
    errors: list[DirectorError],
) -> Iterable[Candidate]:
    for instance in sorted(instances, key=lambda i: (i.index, i.id)):
        az = instance.az
        if move is not None:
            if az is None:
                az = move.az
            problem = _az_problem(group, instance, move, az)
            if problem:
                errors.append(
                    PlacementError(
                        f"instance group '{group.name}' cannot take over '{instance.name}': "
                        f"{problem}",
                        where=locate(resolved.sources, (*group.path, "migrated_from")),
                        fix="give 'migrated_from' the 'az' in which the old instances are",
                    )
                )
                return
        yield Candidate(recorded=instance, az=az, own=instance.group == group.name)


def _az_problem(
    group: ResolvedGroup, instance: RecordedInstance, move: MigratedFrom, az: str | None
) -> str:
    if move.az is not None and instance.az is not None and move.az != instance.az:
        return f"it is in AZ '{instance.az}', not in '{move.az}'"
    if az is None and group.azs:
        return "it has no AZ, and 'migrated_from' gives it none"
    if move.az is not None and move.az not in group.azs:
        return f"AZ '{move.az}' is none of the group's 'azs'"
    return ""


def _still_there(resolved: ResolvedDeployment, group: ResolvedGroup, name: str) -> DirectorError:
    return PlacementError(
        f"instance group '{group.name}' takes over '{name}', which the manifest still has",
        where=locate(resolved.sources, (*group.path, "migrated_from")),
        fix=f"remove instance group '{name}', or the 'migrated_from' entry",
    )


def _taken_twice(
    resolved: ResolvedDeployment, group: ResolvedGroup, name: str, other: str
) -> DirectorError:
    return PlacementError(
        f"instance groups '{other}' and '{group.name}' both take over '{name}'",
        where=locate(resolved.sources, (*group.path, "migrated_from")),
        fix=f"let only one of them name '{name}' in 'migrated_from'",
    )
