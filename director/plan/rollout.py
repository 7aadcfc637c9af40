"""In which order, and how many at once: canaries, waves, AZ by AZ, serial groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from director.model.manifest import UpdatePolicy
from director.plan.options import PlanOptions
from director.plan.steps import Action, GroupRollout, UpdateInstance, Wave


def policy_for(policy: UpdatePolicy, options: PlanOptions) -> UpdatePolicy:
    """Return a group's policy with the operator's flags over it."""
    return replace(
        policy,
        canaries=options.canaries or policy.canaries,
        max_in_flight=options.max_in_flight or policy.max_in_flight,
    )


def width_for(policy: UpdatePolicy, count: int) -> int:
    """Return how many of ``count`` instances may be down at once; never less than one."""
    return max(1, policy.max_in_flight.of(count))


def waves(updates: Sequence[UpdateInstance], policy: UpdatePolicy) -> tuple[Wave, ...]:
    """Return the updates of one group as waves: one AZ after the other, the first with canaries.

    Percentages are of the instances to update in an AZ. ``updates`` come in the order in which
    instances shall be chosen, the bootstrap instance first. An update that only writes records
    tries nothing out, so it is no canary.
    """
    found: list[Wave] = []
    canaries_due = True
    for az in dict.fromkeys(update.spec.az for update in updates):
        here = [u for u in updates if u.spec.az == az]
        trying = [u for u in here if u.action > Action.RECORD]
        width = width_for(policy, len(trying) or len(here))
        count = min(policy.canaries.of(len(trying)), len(trying)) if canaries_due else 0
        if trying:
            canaries_due = False
        if count:
            first = tuple(replace(update, canary=True) for update in trying[:count])
            found.append(Wave(az=az, updates=first, width=min(width, count), canary=True))
        rest = (*trying[count:], *(u for u in here if u.action <= Action.RECORD))
        if rest:
            found.append(Wave(az=az, updates=rest, width=width))
    return tuple(found)


def phases(groups: Iterable[GroupRollout]) -> tuple[tuple[GroupRollout, ...], ...]:
    """Return groups in manifest order as phases: a serial group is one, and so is each unbroken
    run of groups that are not serial. Groups with nothing to do are left out afterwards, so that
    they still part the runs."""
    runs: list[list[GroupRollout]] = []
    open_run = False
    for group in groups:
        if open_run and not group.policy.serial:
            runs[-1].append(group)
        else:
            runs.append([group])
        open_run = not group.policy.serial
    busy = (tuple(g for g in run if g.deletes or g.waves) for run in runs)
    return tuple(run for run in busy if run)
