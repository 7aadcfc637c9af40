"""OpenStack's services as the rest of this CPI asks them: JSON in, JSON out, errors as ApiError."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from cpis.contract import CloudError
from cpis.libcloud_base.calls import Calls
from cpis.openstack.judge import ApiError
from cpis.openstack.properties import Settings
from cpis.openstack.session import Session

if TYPE_CHECKING:
    from cpis.openstack.transport import Driver

T = TypeVar("T")
Row = dict[str, Any]

_PAGE = 1000


def at(template: str, *ids: str) -> str:
    """Return a path with these ids in it, quoted; raises ApiError (404) for what is no id.

    Ids come from the director's database and from clouds; an empty one, or dots, would be another
    path.
    """
    for one in ids:
        if not one.strip("."):
            raise ApiError(f"there is nothing with the id '{one}'", http_status=404)
    return template.format(*(quote(one, safe="") for one in ids))


class Api:
    """Requests to the services ``compute``, ``network``, ``volume``, ``image``, ``load-balancer``.

    ``doing`` completes the sentence "OpenStack refuses to ..." of an error.
    """

    def __init__(self, calls: Calls[Driver], *, grace_s: float = 10.0) -> None:
        self.calls = calls
        self.grace_s = grace_s

    def get(self, service: str, path: str, doing: str, **params: Any) -> Row:
        """Return what is there; raises ApiError with status 404 where nothing is."""
        return _row(self.calls.ask(doing, lambda d: d.send(service, "GET", path, params=params)))

    def look(self, service: str, template: str, one: str, doing: str) -> Row | None:
        """Return what has this id, or None."""
        try:
            return self.get(service, at(template, one), doing)
        except ApiError as error:
            if error.http_status == 404:
                return None
            raise

    def pages(self, service: str, path: str, key: str, doing: str, **params: Any) -> list[Row]:
        """Return every row of a list, page by page, however long a page the service gives."""
        rows: list[Row] = []
        wanted = {"limit": _PAGE, **params}
        while True:
            answer = self.get(service, path, doing, **wanted)
            page = [row for row in answer.get(key) or () if isinstance(row, dict)]
            rows.extend(page)
            links = answer.get(f"{key}_links") or ()
            if not page or not (
                answer.get("next") or any(link.get("rel") == "next" for link in links)
            ):
                return rows
            wanted["marker"] = page[-1]["id"]

    def send(
        self,
        method: str,
        service: str,
        path: str,
        body: Any,
        doing: str,
        *,
        repeatable: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Row:
        """Send a change. Not ``repeatable``: where no answer comes, ``unanswered`` is raised."""
        return _row(
            self.calls.ask(
                doing,
                lambda d: d.send(service, method, path, body=body, headers=headers),
                repeatable=repeatable,
            )
        )

    def delete(self, service: str, path: str, doing: str) -> bool:
        """Delete; returns False where nothing was there."""
        try:
            self.calls.ask(doing, lambda d: d.send(service, "DELETE", path))
        except ApiError as error:
            if error.http_status == 404:
                return False
            raise
        return True

    def make(self, make: Callable[[], T], find: Callable[[], T | None]) -> T:
        """Return what ``make`` makes, which must not be repeated, or what it made unanswered.

        Where no answer came, ``find`` looks for it for ``grace_s``; raises the error where it is
        not there by then. Calling again is right: whoever creates looks first.
        """
        try:
            return make()
        except ApiError as error:
            if not error.unanswered:
                raise
            try:
                return self.calls.until("what it may have begun", find, timeout_s=self.grace_s)
            except CloudError:
                error.ok_to_retry = True
                raise error from None


def _row(answer: Any) -> Row:
    if answer is None or answer == "":
        return {}
    if not isinstance(answer, dict):
        raise CloudError("OpenStack's answer is not one of its API", fix="check 'auth_url'")
    return answer


class Turns:
    """Lets one thread at a time work on one key; who works on another key never waits."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Hold ``key`` for the time of the context."""
        with self._guard:
            lock, users = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._held[key]
                if users == 1:
                    del self._held[key]
                else:
                    self._held[key] = lock, users - 1


class Remembered(Generic[T]):
    """What was looked up a short while ago; several threads may look up the same at once."""

    def __init__(self, clock: Callable[[], float], *, keep_s: float = 300.0) -> None:
        self._clock = clock
        self._keep_s = keep_s
        self._kept: dict[str, tuple[float, T]] = {}

    def get(self, key: str, look: Callable[[], T]) -> T:
        """Return what ``look`` gave for ``key``, now or a while ago."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < self._keep_s:
            return kept[1]
        found = look()
        self._kept[key] = self._clock(), found
        return found

    def put(self, key: str, value: T) -> None:
        """Remember ``value``."""
        self._kept[key] = self._clock(), value

    def forget(self, key: str) -> None:
        """Look it up next time."""
        self._kept.pop(key, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One OpenStack project as this CPI sees it, shared by all threads."""

    api: Api
    settings: Settings
    session: Session
    new_id: Callable[[], str]
    flavors: Remembered[tuple[Row, ...]]
    ids: Remembered[str]
    turns: Turns = field(default_factory=Turns)
