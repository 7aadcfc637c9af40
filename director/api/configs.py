"""Configs of any type: list, look at, compare, update, delete; and the older paths by type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from director.api.answers import CREATED, answer, moment, nothing
from director.api.bodies import with_json, with_text
from director.api.context import context_of, flag, number, store_of
from director.api.documents import difference, read_document, read_mapping
from director.api.routing import Route
from director.execute.world import World
from director.model.errors import ConfigNotFound, ConfigRequestError
from director.model.events import AuditEvent
from director.model.records import ConfigRecord
from director.store.store import Store

TYPED = ("cloud", "runtime", "cpi")


def list_configs(request: Request) -> Response:
    """``GET /configs``: the newest ``limit`` versions of each; ``type`` and ``name`` narrow."""
    query = request.query_params
    limit = number(request, "limit")
    if limit is not None and limit < 1:
        raise ConfigRequestError("'limit' must be at least 1")
    if query.get("latest") not in (None, "", "true", "false"):
        raise ConfigRequestError("'latest' must be 'true' or 'false'")
    if limit is None:
        limit = 10**9 if query.get("latest") == "false" else 1
    found = store_of(request).configs.list(
        query.get("type") or None, query.get("name") or None, limit
    )
    return answer([_show(config) for config in found])


def get_config(request: Request) -> Response:
    """``GET /configs/{id}``."""
    return answer(_show(_by_id(store_of(request), request.path_params["id"])))


def create(request: Request, body: dict[str, Any]) -> Response:
    """``POST /configs``: a new version, unless the text is the same."""
    type, name, content = (_required(body, key) for key in ("type", "name", "content"))
    expected = body.get("expected_latest_id")
    if expected is not None and not (isinstance(expected, str) and expected.isdigit()):
        raise ConfigRequestError("'expected_latest_id' must be an id as text")
    record = _create(request, type, name, content, None if expected is None else int(expected))
    return answer(_show(record), CREATED)


def delete_config(request: Request) -> Response:
    """``DELETE /configs?type=&name=``: all versions."""
    type, name = request.query_params.get("type"), request.query_params.get("name")
    if not type or not name:
        raise ConfigRequestError("'type' and 'name' are required")
    if not store_of(request).configs.delete(type, name):
        raise ConfigNotFound(f"there is no {type} config '{name}'")
    return nothing()


def delete_version(request: Request) -> Response:
    """``DELETE /configs/{id}``: one version."""
    store = store_of(request)
    store.configs.delete_version(_by_id(store, request.path_params["id"]).id)
    return nothing()


def diff(request: Request, body: dict[str, Any]) -> Response:
    """``POST /configs/diff``: a text with the current config, or any two versions or texts."""
    store = store_of(request)
    if "from" in body or "to" in body:
        old, old_id = _side(store, body, "from")
        new, _ = _side(store, body, "to")
        shown: dict[str, Any] = {"id": old_id} if old_id else {}
    else:
        type, name, new = (_required(body, key) for key in ("type", "name", "content"))
        latest = store.configs.latest(type, name)
        old = latest.content if latest else ""
        shown = {"id": str(latest.id) if latest else "0"}
    return answer({"from": shown, "diff": _diff(old, new, redact=True)})


def list_typed(request: Request) -> Response:
    """``GET /cloud_configs``: the newest ``limit`` versions of a config."""
    limit = number(request, "limit")
    if limit is None:
        return PlainTextResponse("limit is required", 400)
    found = store_of(request).configs.list(_type(request), _name(request), max(1, limit))
    return answer([{"properties": c.content, "created_at": moment(c.created_at)} for c in found])


def create_typed(request: Request, text: str) -> Response:
    """``POST /cloud_configs``: a new version, unless the text is the same."""
    _create(request, _type(request), _name(request), text, None)
    return nothing(CREATED)


def diff_typed(request: Request, text: str) -> Response:
    """``POST /cloud_configs/diff``: a text with the current config."""
    type = _type(request)
    latest = store_of(request).configs.latest(type, _name(request))
    redact = type != "cloud" and request.query_params.get("redact") != "false"
    old = latest.content if latest else ""
    return answer({"diff": _diff(old, text, redact=redact or flag(request, "redact"))})


def _create(
    request: Request, type: str, name: str, content: str, expected: int | None
) -> ConfigRecord:
    context = context_of(request)
    _check(context.world, type, name, content)
    before = context.world.store.configs.latest(type, name)
    record = context.world.store.configs.create(type, name, content, expected_latest_id=expected)
    if before is None or before.id != record.id:
        typed = type in TYPED
        context.world.store.events.add(
            AuditEvent(
                action="update" if typed else "create",
                object_type=f"{type}-config" if typed else f"config/{type}",
                object_name=name,
                user=context.user,
                timestamp=context.world.now(),
            )
        )
    return record


def _check(world: World, type: str, name: str, content: str) -> None:
    """Raise what is wrong with a config: all of it, so that no deploy finds it later."""
    if type not in ("cloud", "cpi"):
        read_document(content, f"{type} config")
        return
    from director.manifest.several_texts import label

    file = label(type, name)
    listed = world.store.configs.list(type=type)
    others = [(label(type, c.name), c.content) for c in listed if c.name != name]
    if type == "cloud":
        from director.manifest.read_cloud_config import check_cloud_config

        check_cloud_config(file, content, others)
    else:
        from director.manifest.read_cpi_config import check_cpi_config

        check_cpi_config(file, content, others, types=world.cpi_types())


def _diff(old: str, new: str, *, redact: bool) -> list[list[str | None]]:
    before = read_mapping(old, "current config") if old.strip() else None
    return difference(before, read_mapping(new, "config"), redact=redact)


def _side(store: Store, body: Mapping[str, Any], key: str) -> tuple[str, str]:
    side = body.get(key)
    id = side.get("id") if isinstance(side, dict) else None
    if isinstance(id, str) and id.isdigit():
        return _by_id(store, id).content, id
    content = side.get("content") if isinstance(side, dict) else None
    if not isinstance(content, str):
        raise ConfigRequestError(f"'{key}' must have an 'id' or a 'content', both as text")
    return content, ""


def _by_id(store: Store, text: str) -> ConfigRecord:
    usable = text.isascii() and text.isdigit() and len(text) <= 18
    record = store.configs.get(int(text), live=True) if usable else None
    if record is None:
        raise ConfigNotFound(f"Config {text[:40]} not found")
    return record


def _required(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise ConfigRequestError(f"'{key}' is required, as text")
    return value


def _type(request: Request) -> str:
    return request.url.path.strip("/").partition("_")[0]


def _name(request: Request) -> str:
    return request.query_params.get("name") or "default"


def _show(config: ConfigRecord) -> dict[str, Any]:
    return {
        "content": config.content,
        "id": str(config.id),
        "type": config.type,
        "name": config.name,
        "team": None,
        "created_at": moment(config.created_at),
        "current": config.current,
    }


ROUTES = [
    Route("/configs", list_configs, methods=["GET"]),
    Route("/configs", with_json(create), methods=["POST"]),
    Route("/configs", delete_config, methods=["DELETE"]),
    Route("/configs/diff", with_json(diff), methods=["POST"]),
    Route("/configs/{id}", get_config, methods=["GET"]),
    Route("/configs/{id}", delete_version, methods=["DELETE"]),
    *(Route(f"/{type}_configs", list_typed, methods=["GET"]) for type in TYPED),
    *(Route(f"/{type}_configs", with_text(create_typed), methods=["POST"]) for type in TYPED),
    *(Route(f"/{type}_configs/diff", with_text(diff_typed), methods=["POST"]) for type in TYPED),
]
