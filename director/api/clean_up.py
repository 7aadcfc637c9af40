"""Clean-up of what nothing uses."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from director.api.answers import answer, task
from director.api.bodies import with_json
from director.api.context import context_of, flag
from director.api.routing import Route


def dry_run(request: Request) -> Response:
    """``GET /cleanup/dryrun``: what a clean-up would delete."""
    from director.operations.clean_up import dry_run as preview

    config = {
        "remove_all": flag(request, "remove_all"),
        "keep_orphaned_disks": flag(request, "keep_orphaned_disks"),
    }
    return answer(preview(context_of(request).world, config))


def clean_up(request: Request, body: dict[str, Any]) -> Response:
    """``POST /cleanup``."""
    config = body.get("config")
    config = config if isinstance(config, dict) else {}
    args = {
        "remove_all": config.get("remove_all") is True,
        "keep_orphaned_disks": config.get("keep_orphaned_disks") is True,
    }
    description = "clean up all" if args["remove_all"] else "clean up"
    return task(request, "delete_artifacts", description, args)


ROUTES = [
    Route("/cleanup/dryrun", dry_run, methods=["GET"]),
    Route("/cleanup", with_json(clean_up), methods=["POST"]),
]
