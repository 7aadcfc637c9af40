"""What a deploy task was asked for, read from its arguments into the planner's options."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from director.model.amounts import Amount
from director.model.errors import (
    BadRequest,
    InstanceInvalidIndex,
    InstanceNotFound,
)
from director.model.ids import InstanceId
from director.model.instances import ActualInstance, DesiredState, RecordedInstance
from director.model.tasks import Task
from director.plan.options import PlanOptions

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")
CHANGES = ("started", "stopped", "detached", "restart", "recreate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of state of ``group`` (``*`` is all) or of its one instance ``id`` (UUID or index).

    ``state`` is one of :data:`CHANGES`.
    """

    state: str
    group: str = "*"
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployRequest:
    """A deploy as asked for; ``manifest`` is None where a change of state uses the deployed one.

    ``cloud_config_ids`` are those a diff was shown for; empty means the current ones.
    """

    deployment: str
    manifest: str | None
    recreate: bool
    recreate_persistent_disks: bool
    fix: bool
    dry_run: bool
    canaries: Amount | None
    max_in_flight: Amount | None
    skip_drain: Callable[[RecordedInstance], bool]
    change: Change | None = None
    cloud_config_ids: tuple[int, ...] = ()


def read_request(task: Task) -> DeployRequest:
    """Return the request of an ``update_deployment`` task; raises BadRequest for a bad amount."""
    args = task.args
    options: Mapping[str, Any] = args.get("options") or {}
    change = args.get("change")
    return DeployRequest(
        deployment=str(task.deployment),
        manifest=None if change else args.get("manifest"),
        recreate=bool(options.get("recreate")),
        recreate_persistent_disks=bool(options.get("recreate_persistent_disks")),
        fix=bool(options.get("fix")),
        dry_run=bool(options.get("dry_run")),
        canaries=_amount(options, "canaries"),
        max_in_flight=_amount(options, "max_in_flight"),
        skip_drain=_skip_drain(options.get("skip_drain")),
        change=_change(change) if change else None,
        cloud_config_ids=tuple(int(id) for id in args.get("cloud_config_ids") or ()),
    )


def _amount(options: Mapping[str, Any], key: str) -> Amount | None:
    value = options.get(key)
    if value in (None, ""):
        return None
    try:
        return Amount.parse(value)
    except ValueError as error:
        raise BadRequest(
            f"'{key}' is wrong: {error}", fix="give a count such as 2, or a percentage such as 50%"
        ) from error


def _change(change: Mapping[str, Any]) -> Change:
    state = str(change.get("state") or "")
    if state not in CHANGES:
        raise BadRequest(f"'{state}' is no state to change to", fix=f"use one of {CHANGES}")
    id = change.get("id")
    return Change(state=state, group=str(change.get("group") or "*"), id=str(id) if id else None)


def _skip_drain(value: Any) -> Callable[[RecordedInstance], bool]:
    """``*`` skips everywhere; else a comma list of ``group`` and ``group/id-or-index``."""
    if value is True or value in ("*", "true"):
        return lambda _: True
    slugs = {slug.strip() for slug in str(value or "").split(",") if slug.strip()}

    def skip(instance: RecordedInstance) -> bool:
        names = {instance.group, instance.name, f"{instance.group}/{instance.index}"}
        return bool(slugs & names)

    return skip


def plan_options(
    request: DeployRequest, actual: Sequence[ActualInstance], *, first_deploy: bool
) -> PlanOptions:
    """Return the planner's options; raises InstanceNotFound for a change of what is not there."""
    states: dict[InstanceId, DesiredState] = {}
    recreate: frozenset[InstanceId] = frozenset()
    restart: frozenset[InstanceId] = frozenset()
    if request.change is not None:
        chosen = select_instances(
            [a.recorded for a in actual], request.change.group, request.change.id
        )
        ids = frozenset(instance.id for instance in chosen)
        if request.change.state in ("restart", "recreate"):
            states = dict.fromkeys(ids, DesiredState.STARTED)
            restart = ids if request.change.state == "restart" else restart
            recreate = ids if request.change.state == "recreate" else recreate
        else:
            states = {id: DesiredState(request.change.state) for id in ids}
    elif request.recreate:
        recreate = frozenset(a.recorded.id for a in actual)
    return PlanOptions(
        fix=request.fix,
        recreate=recreate,
        restart=restart,
        state_changes=states,
        recreate_persistent_disks=request.recreate_persistent_disks,
        canaries=request.canaries,
        max_in_flight=request.max_in_flight,
        first_deploy=first_deploy,
    )


def select_instances(
    recorded: Sequence[RecordedInstance], group: str, id: str | None
) -> list[RecordedInstance]:
    """Return the instances of ``group`` (``*``: all), or the one with this UUID or index.

    Raises InstanceInvalidIndex for an id that is neither, InstanceNotFound when nothing matches.
    """
    if id is not None and not id.isdigit() and not _UUID.fullmatch(id):
        raise InstanceInvalidIndex(
            f"Invalid instance index or id '{id}'", fix="give an index such as 0, or a UUID"
        )
    chosen = [
        instance
        for instance in recorded
        if group in ("*", instance.group)
        and (id is None or id in (instance.id, str(instance.index)))
    ]
    if not chosen:
        known = ", ".join(sorted({f"'{i.group}/{i.index}'" for i in recorded})) or "none"
        asked = group if id is None else f"{group}/{id}"
        raise InstanceNotFound(f"Instance '{asked}' doesn't exist", fix=f"there are: {known}")
    return chosen
