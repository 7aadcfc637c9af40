"""Renders jobs: reads their templates, has workers fill them in, and collects what went wrong."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from director.model.errors import DirectorError, ErrorList, ReleaseInvalid, raise_all
from director.model.rendered import RenderedFile, RenderedJob
from director.model.rendering import RenderRequest
from director.render import engines
from director.render.archive import read_sources
from director.render.batch import Failure, Outcome, Pool, Template
from director.render.digests import link_values, plain, rendered_digest
from director.render.failures import Failed, Limits, explain
from director.render.output_paths import LINKS_FILE, check_output_paths

_BATCH = 32
_CACHE_BYTES = 16 * 1024 * 1024
_KEPT_JOBS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _JobTemplates:
    """A job's templates as read, monit first; ``digest`` stands for names and contents."""

    templates: tuple[Template, ...]
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A request made ready; ``context`` is the JSON text its templates see."""

    request: RenderRequest
    job: _JobTemplates
    context: str = field(repr=False)
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Some templates of one job (numbers), for some of the work (numbers), in one language."""

    engine: str
    templates: tuple[int, ...]
    work: tuple[int, ...]


class Renderer:
    """Renders templates in worker processes, started at first use and kept until :meth:`close`.

    ``ruby`` is a path; without it Ruby is looked up when an ERB template first needs it.
    ``workers`` bounds the processes of each template language; ``timeout_s`` and ``memory_mb``
    bound one template. May be used by several threads.
    """

    def __init__(
        self,
        ruby: str | None = None,
        workers: int = 2,
        timeout_s: float = 10.0,
        memory_mb: int = 512,
        find: Callable[[str], str | None] = shutil.which,
    ) -> None:
        self._limits = Limits(timeout_s=timeout_s, memory_mb=memory_mb)
        self._workers = workers
        made = (engines.erb(ruby, memory_mb, find), engines.jinja(memory_mb))
        self._engines = {engine.name: engine for engine in made}
        self._pools = {
            engine.name: Pool(engine, size=workers, find=find, timeout_s=timeout_s)
            for engine in made
        }
        self._lock = Lock()
        self._jobs: OrderedDict[tuple[object, ...], _JobTemplates] = OrderedDict()
        self._cache: OrderedDict[bytes, RenderedJob] = OrderedDict()
        self._cached_bytes = 0

    def warm_up(self, names: Iterable[str]) -> None:
        """Start what will render templates with these names, and return at once."""
        for engine in {_engine_name(name) for name in names}:
            self._pools[engine].warm_up()

    def render(self, requests: Sequence[RenderRequest]) -> list[RenderedJob]:
        """Return the rendered jobs, in the order of ``requests``.

        Raises every error of every template of all requests at once (one, or an ErrorList).
        """
        work, errors = self._prepare(requests)
        done: dict[bytes, RenderedJob] = {}
        with self._lock:
            for one in work:
                if one.key in self._cache:
                    self._cache.move_to_end(one.key)
                    done[one.key] = self._cache[one.key]
        missing = list({one.key: one for one in work if one.key not in done}.values())
        failed: list[Failed] = []
        for one, outcomes in zip(missing, self._outcomes(missing), strict=True):
            contents: list[bytes] = []
            for template, outcome in zip(one.job.templates, outcomes, strict=True):
                if isinstance(outcome, Failure):
                    failed.append(
                        Failed(request=one.request, template=template.name, failure=outcome)
                    )
                else:
                    contents.append(outcome)
            if len(contents) == len(outcomes):
                done[one.key] = self._remember(one.key, _assemble(one.request, contents))
        raise_all([*errors, *explain(failed, self._limits)])
        return [done[one.key] for one in work]

    def close(self) -> None:
        """End the worker processes. The renderer may be used again, and starts new ones."""
        for pool in self._pools.values():
            pool.close()

    def worker_pids(self) -> tuple[int, ...]:
        """Return the process ids of the workers that wait for work."""
        return tuple(pid for pool in self._pools.values() for pid in pool.pids())

    # -- before ---------------------------------------------------------------------------------

    def _prepare(
        self, requests: Sequence[RenderRequest]
    ) -> tuple[list[_Work], list[DirectorError]]:
        """Read the templates of all jobs; a job that cannot be read is one error, and left out."""
        work: list[_Work] = []
        bad: dict[tuple[str, str, str], list[DirectorError]] = {}
        for request in requests:
            name = (request.release, request.job, request.archive)
            if name in bad:
                continue
            try:
                raise_all(check_output_paths(request))
                job = self._templates(request)
            except DirectorError as error:
                bad[name] = [*error.errors] if isinstance(error, ErrorList) else [error]
                continue
            work.append(_ready(request, job))
        return work, [error for errors in bad.values() for error in errors]

    def _templates(self, request: RenderRequest) -> _JobTemplates:
        names = tuple(request.templates)
        try:
            found = os.stat(request.archive)
        except OSError as error:
            raise ReleaseInvalid(
                f"the tarball of job '{request.job}' of release '{request.release}' cannot be "
                f"read: {error.strerror}",
                fix="upload the release again with --fix",
            ) from error
        key = (request.archive, found.st_ino, found.st_size, found.st_mtime_ns, names)
        with self._lock:
            if key in self._jobs:
                self._jobs.move_to_end(key)
                return self._jobs[key]
        sources = read_sources(request.archive, names)
        templates = [Template(name=sources.monit_name, source=sources.monit)]
        templates += [Template(name=name, source=sources.templates[name]) for name in names]
        digest = hashlib.sha256()
        for template in templates:
            for part in (template.name.encode(), template.source):
                digest.update(hashlib.sha256(part).digest())
        job = _JobTemplates(templates=tuple(templates), digest=digest.digest())
        with self._lock:
            self._jobs[key] = job
            while len(self._jobs) > _KEPT_JOBS:
                self._jobs.popitem(last=False)
        return job

    # -- the rendering --------------------------------------------------------------------------

    def _outcomes(self, work: list[_Work]) -> list[list[Outcome]]:
        """Return, for each of ``work``, what became of each of its job's templates."""
        outcomes: list[list[Outcome]] = [[t.source for t in w.job.templates] for w in work]

        def run(batch: _Batch) -> None:
            templates = [work[batch.work[0]].job.templates[t] for t in batch.templates]
            contexts = [work[number].context for number in batch.work]
            rendered = self._pools[batch.engine].render(templates, contexts)
            for (c, t), outcome in rendered.items():
                outcomes[batch.work[c]][batch.templates[t]] = outcome

        batches = list(self._batches(work))
        if len(batches) < 2:
            for batch in batches:
                run(batch)
        else:
            with ThreadPoolExecutor(self._workers * len(self._pools)) as threads:
                for done in [threads.submit(run, batch) for batch in batches]:
                    done.result()
        return outcomes

    def _batches(self, work: list[_Work]) -> Iterator[_Batch]:
        """Yield batches of work on the same job. A template that is only text needs none."""
        by_job: dict[bytes, list[int]] = {}
        for number, one in enumerate(work):
            by_job.setdefault(one.job.digest, []).append(number)
        for numbers in by_job.values():
            templates = work[numbers[0]].job.templates
            for engine in self._engines.values():
                wanted = tuple(
                    t
                    for t, template in enumerate(templates)
                    if _engine_name(template.name) == engine.name
                    and not engine.is_static(template.source)
                )
                for start in range(0, len(numbers) if wanted else 0, _BATCH):
                    yield _Batch(
                        engine=engine.name,
                        templates=wanted,
                        work=tuple(numbers[start : start + _BATCH]),
                    )

    def _remember(self, key: bytes, job: RenderedJob) -> RenderedJob:
        with self._lock:
            if key not in self._cache:
                self._cache[key] = job
                self._cached_bytes += _size(job)
            while self._cached_bytes > _CACHE_BYTES and len(self._cache) > 1:
                self._cached_bytes -= _size(self._cache.popitem(last=False)[1])
        return job


def _engine_name(template: str) -> str:
    return "jinja2" if template.endswith(".j2") else "erb"


def _ready(request: RenderRequest, job: _JobTemplates) -> _Work:
    context = json.dumps(
        {
            "spec": request.spec,
            "properties": request.properties,
            "links": {name: link_values(view) for name, view in request.links.items()},
        },
        default=plain,
    )
    key = hashlib.sha256(job.digest)
    paths = json.dumps([request.release, request.job, dict(request.templates)])
    for part in (context.encode(), paths.encode(), _links_json(request)):
        key.update(hashlib.sha256(part).digest())
    return _Work(request=request, job=job, context=context, key=key.digest())


def _assemble(request: RenderRequest, contents: Sequence[bytes]) -> RenderedJob:
    monit, *rest = contents
    paths = request.templates.values()
    files = [RenderedFile(path=p, content=c) for p, c in zip(paths, rest, strict=True)]
    files.append(RenderedFile(path=LINKS_FILE, content=_links_json(request)))
    files.sort(key=lambda file: file.path)
    return RenderedJob(
        name=request.job,
        digest=rendered_digest(monit, files),
        monit=monit,
        files=tuple(files),
    )


def _links_json(request: RenderRequest) -> bytes:
    return json.dumps(request.extra.get("provides", []), sort_keys=True).encode()


def _size(job: RenderedJob) -> int:
    return len(job.monit) + sum(len(file.content) for file in job.files)
