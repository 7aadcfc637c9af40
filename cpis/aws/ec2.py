"""Asking EC2: parameters as EC2 wants them, every page, and what a lost answer did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree.ElementTree import Element

from cpis.aws.errors import PERHAPS_DONE, code_of
from cpis.aws.properties import Settings
from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls

if TYPE_CHECKING:
    from cpis.aws.wire import Wire

T = TypeVar("T")
NEW_FOR_S = 30.0
_KEPT = 1000


class Recent:
    """Ids of what this process made a moment ago: EC2 may deny for seconds that they are there."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since: dict[str, float] = {}

    def note(self, cid: str) -> None:
        """Remember a thing; one that is not asked for in time is forgotten."""
        if len(self._since) >= _KEPT:
            self._since.clear()
        self._since[cid] = self._now()

    def forget(self, cid: str) -> None:
        """Forget a thing that is to go."""
        self._since.pop(cid, None)

    def __contains__(self, cid: object) -> bool:
        since = self._since.get(str(cid))
        return since is not None and self._now() - since < NEW_FOR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was looked up and does not change: plain dictionaries, whose single operations are
    atomic. Two threads may look the same up at once."""

    root_devices: dict[str, str] = field(default_factory=dict)
    """By AMI."""

    vpcs: dict[str, str] = field(default_factory=dict)
    """By subnet."""

    groups: dict[tuple[str, str], str] = field(default_factory=dict)
    """Ids of security groups by VPC and name."""

    zones: dict[str, str] = field(default_factory=dict)
    """By VM; and the region's first zone by the empty text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ec2:
    """EC2 of one region, as the modules of this CPI ask it."""

    settings: Settings
    calls: Calls[Wire]
    recent: Recent
    sleep: Callable[[float], None]
    new_id: Callable[[], str]
    known: Known = field(default_factory=Known)

    def ask(
        self, action: str, params: Mapping[str, Any] | None = None, *, repeatable: bool = True
    ) -> Element:
        """Return EC2's answer. ``params`` may nest; None is left out. Raises CloudError."""
        flat = flattened(params or {})
        return self.calls.ask(
            action, lambda wire: wire.request(action, flat), repeatable=repeatable
        )

    def items(self, action: str, params: Mapping[str, Any], path: str) -> Iterator[Element]:
        """Yield what lies at ``path`` on every page of an answer."""
        token: str | None = None
        while True:
            page = self.ask(action, {**params, "NextToken": token})
            yield from page.iterfind(path)
            token = page.findtext("nextToken") or None
            if token is None:
                return

    def ask_once(
        self,
        action: str,
        params: Mapping[str, Any],
        *,
        then: Callable[[Element], T],
        look: Callable[[], T | None],
    ) -> T:
        """Make what EC2 has no client token for; returns what ``then`` makes of the answer.

        Where an answer was lost, ``look`` tells what became of the request, and only one that came
        to nothing is sent again.
        """
        for _ in range(4):
            try:
                return then(self.ask(action, params, repeatable=False))
            except CloudError as error:
                if code_of(error) not in ("", *PERHAPS_DONE):
                    raise
                lost = error
                found = look()
                if found is not None:
                    return found
        raise lost

    def wait(
        self, doing: str, look: Callable[[], T | None], *, timeout_s: float, first_s: float = 0.25
    ) -> T:
        """Return what ``look`` gives once it is not None. The first look comes after a pause, since
        what EC2 was asked for a moment ago is never done yet."""
        self.sleep(first_s)
        return self.calls.until(doing, look, timeout_s=timeout_s, first_s=first_s * 2)


def flattened(params: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested parameters as EC2's query API names them: ``Filter.1.Value.2``."""
    flat: dict[str, str] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flattened(value, f"{name}."))
        elif isinstance(value, list | tuple):
            flat.update(flattened({str(n): one for n, one in enumerate(value, 1)}, f"{name}."))
        elif isinstance(value, bool):
            flat[name] = "true" if value else "false"
        elif value is not None:
            flat[name] = str(value)
    return flat


def filters(**wanted: str | tuple[str, ...]) -> list[dict[str, Any]]:
    """Return filters; an underscore in a name stands for a hyphen."""
    return [
        {"Name": name.replace("_", "-"), "Value": [value] if isinstance(value, str) else value}
        for name, value in wanted.items()
    ]


def tag_filter(key: str, value: str) -> dict[str, Any]:
    """Return the filter for a tag's value; ``*`` and ``?`` in it mean themselves."""
    exact = "".join(f"\\{c}" if c in "*?\\" else c for c in value)
    return {"Name": f"tag:{key}", "Value": [exact]}


def text(element: Element, path: str) -> str:
    """Return the text at a path, empty where there is none."""
    return (element.findtext(path) or "").strip()
