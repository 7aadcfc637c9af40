"""Batches: the templates of one job, rendered for several instances in one go of a worker."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from director.model.errors import TemplateError
from director.render.engines import Engine
from director.render.worker import Reply, StartFailed, Worker, start

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template's source; ``name`` is what its errors show (``config/redis.conf.erb``)."""

    name: str
    source: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a template was not rendered. ``kind`` says which rule; ``line`` is 0 if unknown.

    ``names`` are the properties, the link or the library asked for; for ``link_property`` the
    last one is the link.
    """

    kind: str
    line: int = 0
    message: str = field(default="", repr=False)
    names: tuple[str, ...] = ()


Outcome = bytes | Failure


class Pool:
    """Up to ``size`` workers of one engine, started when needed and used again."""

    def __init__(
        self, engine: Engine, *, size: int, find: Callable[[str], str | None], timeout_s: float
    ) -> None:
        self._engine = engine
        self._find = find
        self._timeout_s = timeout_s
        self._turn = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[tuple[frozenset[str], Worker]] = []
        self._starting: threading.Thread | None = None

    def warm_up(self) -> None:
        """Start a worker in the background, if there is none.

        What goes wrong is left to whoever needs one: it is tried again then, and told.
        """
        with self._lock:
            if self._idle or self._starting is not None:
                return
            self._starting = threading.Thread(target=self._start_idle, daemon=True)
            self._starting.start()

    def _start_idle(self) -> None:
        try:
            worker = start(self._engine.command(frozenset()), find=self._find)
        except (StartFailed, OSError, TemplateError) as failed:
            _log.debug("no worker for %s: %s", self._engine.name, failed)
            return
        with self._lock:
            self._idle.append((frozenset(), worker))

    def _settle(self) -> None:
        """Wait for the worker that is being started in the background."""
        with self._lock:
            starting, self._starting = self._starting, None
        if starting is not None:
            starting.join()

    def render(
        self, templates: Sequence[Template], contexts: Sequence[str]
    ) -> dict[tuple[int, int], Outcome]:
        """Render every template for every context; keys are (context number, template number).

        A template that hangs or takes its process along is given up for the contexts that are
        left, and the others are rendered all the same.
        """
        outcomes: dict[tuple[int, int], Outcome] = {}
        wanted = list(range(len(templates)))
        libraries = frozenset[str]().union(*(self._engine.libraries(t.source) for t in templates))
        first = 0
        lost = False
        while wanted and first < len(contexts):
            with self._worker(libraries) as worker:
                reply = self._ask(worker, [templates[t] for t in wanted], contexts[first:])
            if reply.ending == "gone" and not lost:
                # Somebody ended the worker, perhaps long ago; once, that is no template's fault.
                lost = True
                continue
            got = list(_read(reply, len(contexts) - first, len(wanted)))
            for (c, t), outcome in got:
                outcomes[first + c, wanted[t]] = outcome
            if len(got) == (len(contexts) - first) * len(wanted):
                break
            # The first record that is missing is the culprit's; what its context still lacks
            # besides is rendered with the next request.
            c, t = divmod(len(got), len(wanted))
            guilty = wanted[t]
            for context in range(first + c, len(contexts)):
                outcomes[context, guilty] = Failure(kind=f"ended {reply.ending}")
            wanted.remove(guilty)
            first += c
        return outcomes

    def close(self) -> None:
        """End the idle workers."""
        self._settle()
        with self._lock:
            idle, self._idle = self._idle, []
        for _, worker in idle:
            worker.kill()

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the idle workers."""
        with self._lock:
            return tuple(worker.pid for _, worker in self._idle)

    def _ask(self, worker: Worker, templates: list[Template], contexts: Sequence[str]) -> Reply:
        payload = {
            "templates": [
                {"name": t.name, "source": base64.b64encode(t.source).decode()} for t in templates
            ],
            "contexts": list(contexts),
        }
        return worker.ask(
            json.dumps(payload).encode(),
            records=len(templates) * len(contexts),
            timeout_s=self._timeout_s,
            total_s=self._timeout_s * len(templates),
        )

    @contextmanager
    def _worker(self, libraries: frozenset[str]) -> Iterator[Worker]:
        with self._turn:
            loaded, worker = self._take(libraries)
            try:
                yield worker
            except BaseException:
                worker.kill()
                raise
            if worker.alive:
                with self._lock:
                    self._idle.append((loaded, worker))

    def _take(self, libraries: frozenset[str]) -> tuple[frozenset[str], Worker]:
        self._settle()
        with self._lock:
            for number, (loaded, _) in enumerate(self._idle):
                if libraries <= loaded:
                    return self._idle.pop(number)
            # One that lacks a library makes room: it cannot load anything any more.
            loaded, lacking = self._idle.pop() if self._idle else (frozenset[str](), None)
        if lacking is not None:
            lacking.kill()
        try:
            needed = libraries | loaded
            return needed, start(self._engine.command(needed), find=self._find)
        except (StartFailed, OSError) as failed:
            raise TemplateError(
                f"the process that renders {self._engine.name} templates does not start: {failed}",
                fix="check that Ruby 3.1 or newer is installed completely"
                if self._engine.name == "erb"
                else "install the director again; its Jinja2 is not usable",
            ) from failed


def _read(reply: Reply, contexts: int, templates: int) -> Iterator[tuple[tuple[int, int], Outcome]]:
    """Yield the outcomes in order, up to the first record that is not what it should be."""
    expected = ((c, t) for c in range(contexts) for t in range(templates))
    for key, record in zip(expected, reply.records, strict=False):
        try:
            word, c, t, *fields = record.split(b" ")
            if (int(c), int(t)) != key:
                return
            if word == b"ok":
                yield key, base64.b64decode(fields[0], validate=True)
            else:
                kind, message, names = (base64.b64decode(f).decode() for f in fields[1:4])
                yield (
                    key,
                    Failure(
                        kind=kind,
                        line=int(fields[0]),
                        message=message,
                        names=tuple(n for n in names.split("\0") if n),
                    ),
                )
        except (ValueError, IndexError):
            return
