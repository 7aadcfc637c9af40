"""What the renderer is asked for: one job of one instance, with all its templates may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from director.model.manifest import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A link as templates see it. ``instances`` entries have name, index, id, az, address,
    bootstrap (a manual link's only address); ``address`` is set for manual links."""

    instances: tuple[Json, ...] = ()
    properties: Json = field(default_factory=dict, repr=False)
    address: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """One job for one instance. ``label`` names both in errors (``web/0``, ``redis``).

    ``archive`` is the path of the job's tarball; ``templates`` maps its files to paths on the VM.
    ``spec`` is BOSH's ``spec`` object as JSON; ``properties`` has every secret filled in, so the
    request is never printed.
    """

    instance: str
    release: str
    job: str
    archive: str
    templates: Mapping[str, str]
    spec: Json = field(repr=False)
    properties: Json = field(repr=False)
    property_names: tuple[str, ...] = ()
    links: Mapping[str, LinkView] = field(default_factory=dict, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
