"""Digests by which a change is seen and named without showing a value."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from director.model.instances import JobDigests
from director.model.rendered import RenderedFile
from director.model.rendering import LinkView, RenderRequest
from director.model.resolved import ResolvedJob

_LENGTH = 32


def rendered_digest(monit: bytes, files: Iterable[RenderedFile]) -> str:
    """Return the sha256 over monit and files, names and contents; the order given is no matter."""
    digest = hashlib.sha256()
    for name, content in [
        ("monit", monit),
        *sorted((f"files/{file.path}", file.content) for file in files),
    ]:
        for part in (name.encode(), content):
            digest.update(b"%d:" % len(part))
            digest.update(part)
    return digest.hexdigest()


def job_digests(
    job: ResolvedJob, request: RenderRequest, rendered_digest: str, key: bytes
) -> JobDigests:
    """Return what ``job`` is made of: the rendered files' digest, and a digest keyed by ``key``
    for each declared property that has a value and for each link.

    Values have their secrets filled in, so a rotated credential is a changed property. Without
    the key a digest tells nothing, not even which values are equal.
    """
    properties = {
        spec.name: _keyed(key, "property", job.name, spec.name, value)
        for spec in job.job.properties
        if (value := _look_up(request.properties, spec.name)) is not None
    }
    links = {
        name: _keyed(key, "link", job.name, name, link_values(view))
        for name, view in request.links.items()
    }
    return JobDigests(
        name=job.name,
        release=job.release.name,
        fingerprint=job.job.fingerprint,
        templates=rendered_digest,
        properties=properties,
        links=links,
    )


def link_values(view: LinkView) -> dict[str, Any]:
    """Return a link as the JSON object templates are given."""
    return {
        "instances": list(view.instances),
        "properties": view.properties,
        "address": view.address,
        "group": view.group,
    }


def plain(value: Any) -> Any:
    """Return what JSON does not know (a date from YAML, some mapping) as something it knows."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    raise TypeError(f"a {type(value).__name__} cannot be given to a template")


def _keyed(key: bytes, *parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=plain, separators=(",", ":"))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:_LENGTH]


def _look_up(properties: Mapping[str, Any], name: str) -> Any:
    value: Any = properties
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
