"""What an operator is told of templates that failed: where, which property or link, how to fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from director.model.errors import TemplateError
from director.model.rendering import RenderRequest
from director.model.source import Source
from director.render.batch import Failure

_SHOWN_INSTANCES = 3
_REDACTED = "<redacted>"
_SECRET_PIECE = 8
_SHORTEST_SECRET = 4
_MAX_MESSAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A template of a request that was not rendered."""

    request: RenderRequest
    template: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a template may use."""

    timeout_s: float
    memory_mb: int


def explain(failed: Iterable[Failed], limits: Limits) -> Iterator[TemplateError]:
    """Yield one error for each thing that is wrong, naming all instances where it is."""
    groups: dict[tuple[object, ...], list[Failed]] = {}
    for one in failed:
        request = one.request
        failure = _without_secrets(
            one.failure, request.extra.get("secrets", ()), request.extra.get("given", ())
        )
        place = (request.release, request.job, one.template, failure)
        groups.setdefault(place, []).append(replace(one, failure=failure))
    for members in groups.values():
        yield _error(members, limits)


def redacted(message: str, secrets: Sequence[str], given: Sequence[str] = ()) -> str:
    """Return ``message`` without any piece of a secret that is eight characters or longer, and
    without shorter secrets as a whole; texts that were ``given`` go as a whole if they are long."""
    for text in sorted(given, key=len, reverse=True):
        if len(text) >= _SECRET_PIECE:
            message = message.replace(text, _REDACTED)
    hidden = [False] * len(message)
    for secret in secrets:
        size = min(len(secret), _SECRET_PIECE)
        if size < _SHORTEST_SECRET:
            continue
        pieces = {secret[i : i + size] for i in range(len(secret) - size + 1)}
        for start in range(len(message) - size + 1):
            if message[start : start + size] in pieces:
                hidden[start : start + size] = [True] * size
    shown = "".join("\0" if hide else char for hide, char in zip(hidden, message, strict=True))
    return re.sub("\0+", _REDACTED, shown)


def _without_secrets(failure: Failure, secrets: Sequence[str], given: Sequence[str]) -> Failure:
    return replace(
        failure,
        kind=redacted(failure.kind, secrets),
        message=redacted(failure.message, secrets, given),
        names=tuple(redacted(name, secrets) for name in failure.names),
    )


def _error(members: list[Failed], limits: Limits) -> TemplateError:
    request, template, failure = members[0].request, members[0].template, members[0].failure
    where = Source(f"{request.release}/{request.job}/{template}", max(1, failure.line), 1)
    what, fix = _words(request, failure, _one_line(failure.message), limits)
    names = list(dict.fromkeys(m.request.instance for m in members))
    shown = ", ".join(names[:_SHOWN_INSTANCES])
    if len(names) > _SHOWN_INSTANCES:
        shown += f" and {len(names) - _SHOWN_INSTANCES} more"
    return TemplateError(
        f"the template of job '{request.job}' {what} (for {shown})", where=where, fix=fix
    )


def _words(
    request: RenderRequest, failure: Failure, message: str, limits: Limits
) -> tuple[str, str]:
    kind, _, rest = failure.kind.partition(" ")
    names = " and ".join(f"'{name}'" for name in failure.names)
    match kind:
        case "property":
            return _property_words(request, failure.names)
        case "link_property":
            *asked, link = failure.names
            return (
                f"needs property {_one_of(asked)} of link '{link}', which has no value there",
                f"list it under 'properties' of link '{link}' in the providing job's spec, and "
                "set it in the manifest",
            )
        case "link" | "link_instance":
            lack = "which is not provided" if kind == "link" else "which has no such instance"
            return (
                f"needs link {names}, {lack}",
                f"let a job of the deployment provide it, or let job '{request.job}' consume it "
                "with 'from'; a template can ask with if_link",
            )
        case "library":
            return (
                f"requires the Ruby library {names or message}, which templates cannot load",
                "use Ruby's standard library only",
            )
        case "syntax":
            return f"is not valid: {message}", "correct the template and create the release again"
        case "memory":
            return (
                f"needs more than the {limits.memory_mb} MB of memory a template may use",
                "let the template build less text",
            )
        case "exit":
            return "ends the program", "let the template use 'raise' with a message instead"
        case "ended":
            return _ending_words(rest, limits)
        case "undefined":
            return (
                f"uses what is not there: {message}",
                "test with 'is defined', or correct the name",
            )
        case _:
            said = f"{rest}: {message}" if message and message != rest else rest
            return f"raises {said}", "correct the template, or the properties it works on"


def _property_words(request: RenderRequest, asked: Sequence[str]) -> tuple[str, str]:
    declared = request.property_names
    unknown = [
        name
        for name in asked
        if not any(
            d == name or d.startswith(f"{name}.") or name.startswith(f"{d}.") for d in declared
        )
    ]
    if len(unknown) < len(asked):
        return (
            f"needs property {_one_of(asked)}, which has no value",
            f"set it under 'properties' of job '{request.job}' in the manifest, or give it a "
            "default in the job's spec",
        )
    fix = f"declare it under 'properties' in the spec of job '{request.job}'"
    close = difflib.get_close_matches(unknown[0], declared, n=1)
    if close:
        fix += f", or did you mean '{close[0]}'?"
    return f"needs property {_one_of(asked)}, which the job's spec does not declare", fix


def _ending_words(ending: str, limits: Limits) -> tuple[str, str]:
    match ending:
        case "timeout" | "signal 9" | "signal 24":
            return (
                f"is not done after {limits.timeout_s:g} seconds",
                "look for a loop that does not end",
            )
        case "too much":
            return "yields more text than a template may", "let the template build less text"
        case _:
            return f"ended the process it is rendered in ({ending})", "correct the template"


def _one_of(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def _one_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    first = re.sub(r"^\S*:\d+: ", "", lines[0]) if lines else ""
    return first[:_MAX_MESSAGE]
