"""A plan as text for a terminal, and as JSON data. Names keys and places, never a secret."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from director.model.instances import DesiredState, InstanceSpec, RecordedInstance
from director.plan.steps import (
    Action,
    CompilePackage,
    DeleteInstance,
    GroupRollout,
    Plan,
    Reason,
    UpdateInstance,
    Wave,
    Why,
)

WIDTH = 80
_SHORT_ID = 8
_LONG_GROUP = 24
_WORDS = ("compile", "create", "recreate", "update", "start", "stop", "detach", "record", "delete")


def describe(plan: Plan) -> str:
    """Return what the plan would do, one instance after another, for 80 columns.

    Each line says what is done, where, in which wave and why; a summary ends the text.
    """
    lines: list[str] = []
    for title, rows in _sections(plan):
        if rows:
            lines += [*_wrap(title, WIDTH), *_table(rows), ""]
    if plan.ignored:
        lines += _listing("Ignored, left as they are", plan.ignored)
    lines += _wrap(_summary_line(plan), WIDTH)
    return "\n".join(lines) + "\n"


def describe_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON data: ``compile``, ``delete``, ``update``, ``kept``, ``ignored`` and
    a ``summary`` of counts."""
    deletes: list[tuple[DeleteInstance, str | None]] = [(d, None) for d in plan.obsolete]
    deletes += [(d, g.group) for phase in plan.phases for g in phase for d in g.deletes]
    return {
        "deployment": plan.deployment,
        "changes_nothing": plan.changes_nothing,
        "compile": [
            {
                "package": step.package.name,
                "fingerprint": step.package.fingerprint,
                "release": step.release.name,
                "stemcell": str(step.stemcell),
            }
            for step in plan.compile
        ],
        "delete": [
            {
                "instance": step.instance.recorded.name,
                "index": step.instance.recorded.index,
                "az": step.instance.recorded.az,
                "with_group": group,
                "why": _why_json(step.why),
            }
            for step, group in deletes
        ],
        "update": [
            {
                "instance": update.spec.name,
                "index": update.spec.index,
                "az": update.spec.az,
                "action": _word(update),
                "state": update.state,
                "disk_changes": update.disk_changes,
                "phase": phase,
                "wave": number,
                "at_once": wave.width,
                "canary": update.canary,
                "why": _why_json(update.why),
            }
            for phase, group, number, wave in _numbered(plan)
            for update in wave.updates
        ],
        "kept": [spec.name for spec in plan.kept],
        "ignored": [spec.name for spec in plan.ignored],
        "summary": dict(_counts(plan)),
    }


def _why_json(why: Sequence[Why]) -> list[dict[str, str]]:
    return [
        {"reason": one.reason.name.lower(), "text": one.reason.text, "detail": one.detail}
        for one in why
    ]


def _numbered(plan: Plan) -> Iterator[tuple[int, GroupRollout, int, Wave]]:
    """Yield each wave with its phase and its number within its group, both from one."""
    for phase_number, phase in enumerate(plan.phases, start=1):
        for group in phase:
            for wave_number, wave in enumerate(group.waves, start=1):
                yield phase_number, group, wave_number, wave


_Row = tuple[tuple[str, ...], tuple[str, ...]]
"""The columns of a line, and the reasons that follow them."""


def _sections(plan: Plan) -> Iterator[tuple[str, list[_Row]]]:
    yield "Packages to compile", [_compile_row(step) for step in plan.compile]
    yield "Instances to delete first", [_delete_row(step) for step in plan.obsolete]
    for phase in plan.phases:
        for group in phase:
            rows = [_delete_row(step) for step in group.deletes]
            for number, wave in enumerate(group.waves, start=1):
                rows += [_update_row(update, number) for update in wave.updates]
            policy = group.policy
            bounds = f"canaries {policy.canaries}, max in flight {policy.max_in_flight}"
            others = ", ".join(f"'{g.group}'" for g in phase if g is not group)
            beside = f", beside {others}" if others else ""
            yield f"Instance group '{group.group}' ({bounds}{beside})", rows


def _compile_row(step: CompilePackage) -> _Row:
    return (
        (f"{step.package.name}/{_short(step.package.fingerprint)}", f"for {step.stemcell}"),
        (f"release '{step.release.name}'",),
    )


def _delete_row(step: DeleteInstance) -> _Row:
    it = step.instance.recorded
    return ((_label(it), "delete", it.az or "", ""), tuple(_text(why) for why in step.why))


def _update_row(update: UpdateInstance, wave: int) -> _Row:
    spec = update.spec
    return (
        (
            _label(spec),
            _word(update),
            spec.az or "",
            f"wave {wave}" + (" canary" if update.canary else ""),
        ),
        tuple(_text(why) for why in update.why),
    )


def _text(why: Why) -> str:
    """Return a reason in the fewest words that say it: the detail, where there is one."""
    return why.detail or why.reason.text


def _word(update: UpdateInstance) -> str:
    """Return what is done to an instance, in one word."""
    if update.state == DesiredState.DETACHED:
        return "detach"
    if update.vm_is_new:
        return "create"
    if update.action is Action.RECREATE:
        return "recreate"
    if update.action is Action.RECORD:
        return "record"
    if all(why.reason is Reason.STATE for why in update.why):
        return "start" if update.state == DesiredState.STARTED else "stop"
    return "update"


def _label(it: InstanceSpec | RecordedInstance) -> str:
    return f"{_short(it.group, _LONG_GROUP)}/{_short(it.id)} ({it.index})"


def _short(name: str, length: int = _SHORT_ID) -> str:
    return name if len(name) <= length else f"{name[:length]}…"


def _table(rows: Sequence[_Row]) -> list[str]:
    """Lay rows out in columns, the reasons beside them, or below where they do not fit.

    Reasons that are those of the row above are not said again.
    """
    columns = zip(*(cells for cells, _ in rows), strict=True)
    widths = [max(len(cell) for cell in column) for column in columns]
    start = 2 + sum(width + 2 for width in widths if width)
    widest = max(len(reason) for _, reasons in rows for reason in reasons)
    indent = start if start + widest <= WIDTH else 6
    lines: list[str] = []
    above: tuple[str, ...] = ()
    for cells, reasons in rows:
        left = "  " + "".join(
            f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True) if width
        )
        again = len(reasons) > 1 and reasons == above
        said = ("for the same reasons",) if again else reasons
        wrapped = [line for reason in said for line in _wrap(reason, WIDTH - indent)]
        if indent == start and wrapped:
            left += wrapped.pop(0)
        lines.append(left.rstrip())
        lines += [" " * indent + line for line in wrapped]
        above = reasons
    return lines


def _wrap(text: str, width: int) -> list[str]:
    # No hyphenation: names are searched for and copied.
    return textwrap.wrap(
        text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _listing(title: str, specs: Sequence[InstanceSpec]) -> list[str]:
    names = ", ".join(_label(spec) for spec in specs)
    return [title, *textwrap.wrap(names, WIDTH, initial_indent="  ", subsequent_indent="  "), ""]


def _counts(plan: Plan) -> dict[str, int]:
    """Return how often each thing is done; what is never done is left out."""
    counts: Counter[str] = Counter()
    counts["compile"] = len(plan.compile)
    counts["delete"] = len(plan.obsolete)
    for phase in plan.phases:
        for group in phase:
            counts["delete"] += len(group.deletes)
    for _, _, _, wave in _numbered(plan):
        counts.update(_word(update) for update in wave.updates)
    found = {word: counts[word] for word in _WORDS if counts[word]}
    return {**found, "keep": len(plan.kept), "ignore": len(plan.ignored)}


def _summary_line(plan: Plan) -> str:
    counts = _counts(plan)
    kept, ignored = counts.pop("keep"), counts.pop("ignore")
    unchanged = f"{kept} unchanged" + (f", {ignored} ignored" if ignored else "")
    if plan.changes_nothing:
        return f"Nothing to do: {unchanged}."
    compiled = counts.pop("compile", 0)
    parts = [f"{word} {count}" for word, count in counts.items()]
    if compiled:
        parts.insert(0, f"compile {compiled} package{'s' if compiled > 1 else ''}")
    return f"Summary: {', '.join(parts)}; {unchanged}."
