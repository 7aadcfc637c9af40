"""The plan: from what is wanted and what was found to what must be done."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

from director.model.configs import CpiConfig, called
from director.model.errors import DirectorError, PlacementError, raise_all
from director.model.ids import InstanceId
from director.model.instances import (
    ActualInstance,
    DesiredState,
    Found,
    InstanceSpec,
    RecordedDisk,
    RecordedInstance,
)
from director.model.resolved import ResolvedDeployment, ResolvedGroup
from director.plan.changes import action_for, changes, disk_changes
from director.plan.compile_order import CompiledKey, to_compile
from director.plan.networks import locate
from director.plan.options import PlanOptions as PlanOptions
from director.plan.placement import Placement
from director.plan.rollout import phases, policy_for, waves, width_for
from director.plan.steps import (
    CreateVm,
    DeleteInstance,
    GroupRollout,
    Plan,
    Reason,
    UpdateInstance,
    Why,
)


def unresponsive(actual: Sequence[ActualInstance], options: PlanOptions) -> list[ActualInstance]:
    """Return the instances that stand in a plan's way: their VMs do not answer, and the operator
    did not ask to ``fix`` that. A caller raises if there are any."""
    if options.fix:
        return []
    return [a for a in actual if a.found is Found.UNRESPONSIVE and not a.recorded.ignore]


def plan(
    resolved: ResolvedDeployment,
    placement: Placement,
    specs: Sequence[InstanceSpec],
    actual: Sequence[ActualInstance],
    compiled: Container[CompiledKey],
    options: PlanOptions,
) -> Plan:
    """Return everything that turns ``actual`` into ``specs``.

    ``specs`` are those of ``placement`` with the digests of what was rendered; an errand
    group's specs are left out unless ``placement.specs`` has them. ``compiled`` holds the keys of
    the packages already compiled. Raises CompileError for a package that cannot be compiled,
    PlacementError for a change of an ignored instance's state, and for a disk that would have to
    move to another CPI.
    """
    found = {one.recorded.id: _under_current_names(one, resolved.cpis) for one in actual}
    _refuse_ignored(found, options)
    wanted = {spec.id for spec in placement.specs}
    updates: dict[str, list[UpdateInstance]] = {}
    kept: list[InstanceSpec] = []
    ignored: list[InstanceSpec] = []
    for spec in specs:
        if spec.id not in wanted:
            continue
        before = found.get(spec.id)
        state = options.state_changes.get(spec.id, placement.states[spec.id])
        if before is not None and before.recorded.ignore and _has_vm(before):
            ignored.append(spec)
        elif update := _update(spec, before, state, options):
            updates.setdefault(spec.group, []).append(update)
        else:
            kept.append(spec)
    _refuse_stranded_disks(resolved, updates)
    obsolete, surplus = _deletions(resolved, placement.surplus, found)
    groups = sorted(resolved.groups, key=lambda group: group.lifecycle == "errand")
    return Plan(
        deployment=resolved.name,
        compile=to_compile(resolved, compiled),
        obsolete=obsolete,
        create=tuple(
            CreateVm(spec=update.spec, before=update.before)
            for group in groups
            for update in updates.get(group.name, ())
            if update.vm_is_new and update.state != DesiredState.DETACHED
        ),
        phases=phases(
            _roll_out(group, updates.get(group.name, ()), surplus.get(group.name, ()), options)
            for group in groups
        ),
        kept=tuple(kept),
        ignored=tuple(ignored),
    )


def _refuse_ignored(found: Mapping[InstanceId, ActualInstance], options: PlanOptions) -> None:
    touched = [found[id].recorded for id in options.state_changes if id in found]
    raise_all(
        PlacementError(
            f"instance '{recorded.name}' is ignored, so its state cannot be changed",
            fix=f"unignore '{recorded.name}' first",
        )
        for recorded in touched
        if recorded.ignore
    )


def _under_current_names(actual: ActualInstance, cpis: CpiConfig) -> ActualInstance:
    """Return the instance with the names by which the CPIs of its VM and disks go now."""
    if not cpis.entries:
        return actual
    row = actual.recorded
    vm = replace(row.vm, cpi=cpis.current(row.vm.cpi)) if row.vm is not None else None
    disks = tuple(replace(disk, cpi=cpis.current(disk.cpi)) for disk in row.disks)
    return replace(actual, recorded=replace(row, vm=vm, disks=disks))


def _refuse_stranded_disks(
    resolved: ResolvedDeployment, updates: Mapping[str, Sequence[UpdateInstance]]
) -> None:
    """Raise PlacementError for disks that are wanted where they cannot be: on another CPI."""
    raise_all(
        _stranded_disk(resolved, update.spec, update.before.recorded.active_disk)
        for group in updates.values()
        for update in group
        if update.before is not None
        and update.spec.disk is not None
        and update.state != DesiredState.DETACHED
        and _is_elsewhere(update.before.recorded.active_disk, update.spec)
    )


def _is_elsewhere(disk: RecordedDisk | None, spec: InstanceSpec) -> bool:
    return disk is not None and disk.cpi != spec.cpi


def _stranded_disk(
    resolved: ResolvedDeployment, spec: InstanceSpec, disk: RecordedDisk | None
) -> DirectorError:
    old = disk.cpi if disk is not None else ""
    there, here = called(old), called(spec.cpi)
    return PlacementError(
        f"'{spec.name}' would move to {here}, and its persistent disk is on {there}, where it has "
        "to stay",
        where=locate(resolved.sources, resolved.group(spec.group).path),
        fix=f"leave its AZ on {there}; if both are one cloud, tell {here} so with "
        f"'migrated_from: [{{name: \"{old}\"}}]'; else move the data to instances in a new AZ",
    )


def _has_vm(actual: ActualInstance) -> bool:
    return actual.found in (Found.RESPONSIVE, Found.UNRESPONSIVE)


def _update(
    spec: InstanceSpec,
    before: ActualInstance | None,
    state: DesiredState,
    options: PlanOptions,
) -> UpdateInstance | None:
    why = changes(spec, before, options, state)
    if not why:
        return None
    detached = state is DesiredState.DETACHED
    return UpdateInstance(
        spec=spec,
        before=before,
        action=action_for(why),
        why=why,
        state=state.value,
        disk_changes=not detached and disk_changes(spec, before, options),
        restart=any(one.reason is Reason.REQUESTED_RESTART for one in why),
    )


def _deletions(
    resolved: ResolvedDeployment,
    surplus: Sequence[RecordedInstance],
    found: Mapping[InstanceId, ActualInstance],
) -> tuple[tuple[DeleteInstance, ...], Mapping[str, list[DeleteInstance]]]:
    """Return what goes because its group is gone, and per group what goes of groups that stay.

    Instances a renamed group has no place for go with the new group, within its bounds.
    """
    homes = {group.name: group.name for group in resolved.groups}
    for group in resolved.groups:
        homes.update({move.name: group.name for move in group.migrated_from})
    obsolete: list[DeleteInstance] = []
    by_group: dict[str, list[DeleteInstance]] = {}
    for recorded in surplus:
        home = homes.get(recorded.group)
        detail = "" if home else "its instance group is not in the manifest"
        step = DeleteInstance(
            instance=found.get(recorded.id) or _unseen(recorded),
            why=(Why(reason=Reason.SURPLUS, detail=detail),),
        )
        (by_group.setdefault(home, []) if home else obsolete).append(step)
    return tuple(obsolete), by_group


def _unseen(recorded: RecordedInstance) -> ActualInstance:
    has_vm = recorded.vm is not None and recorded.vm.cid is not None
    return ActualInstance(
        recorded=recorded, found=Found.UNRESPONSIVE if has_vm else Found.NO_VM, why="not looked at"
    )


def _roll_out(
    group: ResolvedGroup,
    updates: Sequence[UpdateInstance],
    deletes: Sequence[DeleteInstance],
    options: PlanOptions,
) -> GroupRollout:
    policy = policy_for(group.update, options)
    return GroupRollout(
        group=group.name,
        policy=policy,
        deletes=tuple(deletes),
        delete_width=width_for(policy, len(deletes)),
        waves=waves(updates, policy),
        azs_together=options.first_deploy
        and policy.initial_deploy_az_update_strategy == "parallel",
    )
