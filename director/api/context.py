"""What every request handler works with."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from director.execute.world import World
from director.model.errors import BadRequest, DeploymentNotFound
from director.model.records import DeploymentRecord
from director.store.store import Store
from director.tasks.local_queue import LocalQueue

CONTEXT_ID_LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The director behind the API; ``user`` is who its requests come from, ``cpi`` the CPI's name.

    ``version`` is the director's.
    """

    world: World
    queue: LocalQueue
    user: str
    cpi: str
    version: str


def context_of(request: Request) -> Context:
    """Return the context the application was made with."""
    context: Context = request.app.state.context
    return context


def store_of(request: Request) -> Store:
    """Return the store."""
    return context_of(request).world.store


def flag(request: Request, name: str) -> bool:
    """Tell whether the query says ``name=true``."""
    return request.query_params.get(name, "") in ("true", "1", "yes")


def number(request: Request, name: str) -> int | None:
    """Return a whole number of the query, None where it is not given; raises BadRequest."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.lstrip("-").isdigit() or len(text) > 18:
        raise BadRequest(f"'{name}' is not a whole number: '{text[:40]}'")
    return int(text)


def context_id(request: Request) -> str:
    """Return the id a client gave its request, to find the tasks by; raises BadRequest."""
    text = request.headers.get("x-bosh-context-id", "")
    if len(text) > CONTEXT_ID_LIMIT:
        raise BadRequest(f"X-Bosh-Context-Id is longer than {CONTEXT_ID_LIMIT} characters")
    return text


def known_deployment(request: Request) -> DeploymentRecord:
    """Return the deployment the path names; raises DeploymentNotFound."""
    store, name = store_of(request), request.path_params["deployment"]
    found = store.deployments.get(name)
    if found is None:
        known = ", ".join(f"'{d.name}'" for d in store.deployments.list()) or "none"
        raise DeploymentNotFound(f"Deployment '{name}' doesn't exist", fix=f"there are: {known}")
    return found
