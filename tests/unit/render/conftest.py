"""A renderer for all tests of the package, and jobs made of a few texts."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from director.model.rendering import LinkView, RenderRequest
from director.render.renderer import Renderer

MakeRequest = Callable[..., RenderRequest]

SPEC = {
    "deployment": "dep",
    "name": "web",
    "id": "u-1",
    "index": 3,
    "az": "z1",
    "bootstrap": False,
    "address": "10.0.0.3",
    "networks": {"default": {"ip": "10.0.0.3", "dns": ["1.1.1.1"]}, "other": {"ip": "10.1.0.3"}},
}
PROPERTIES = {
    "port": 80,
    "off": False,
    "nothing": None,
    "tls": {"cert": "C", "names": ["a", "b"], "update": "u"},
    "list": [{"name": "x"}],
}
LINKS = {
    "db": LinkView(
        instances=(
            {"name": "db", "index": 0, "id": "d0", "az": "z1", "address": "9.0", "bootstrap": True},
            {"name": "db", "index": 1, "id": "d1", "az": "z2", "address": "9.1"},
        ),
        properties={"port": 5432, "user": {"name": "me"}},
        group="db",
    ),
    "manual": LinkView(instances=({"address": "a"},), address="literal", properties={}),
}


@pytest.fixture(scope="package")
def renderer() -> Iterator[Renderer]:
    made = Renderer(timeout_s=20, memory_mb=256)
    yield made
    made.close()


@pytest.fixture
def new_renderer() -> Iterator[Callable[..., Renderer]]:
    """Makes renderers of a test's own, closed after it."""
    made: list[Renderer] = []

    def make(**options: Any) -> Renderer:
        made.append(Renderer(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def request_for(tmp_path: Path) -> MakeRequest:
    """Makes a request for a job with these templates (name to text), each becoming ``out/NAME``."""

    def make(
        templates: Mapping[str, str | bytes] | None = None,
        *,
        monit: str = "",
        monit_name: str = "monit",
        job: str = "redis",
        index: int = 3,
        paths: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> RenderRequest:
        archive = tmp_path / f"{job}.tgz"
        members = {f"./templates/{name}": text for name, text in (templates or {}).items()}
        members[f"./{monit_name}"] = monit
        with tarfile.open(archive, "w:gz") as tar:
            for name, text in members.items():
                content = text.encode() if isinstance(text, str) else text
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        values: dict[str, Any] = {
            "instance": f"web/{index}",
            "release": "rel",
            "job": job,
            "archive": str(archive),
            "templates": paths or {name: f"out/{name}" for name in templates or {}},
            "spec": {**SPEC, "index": index},
            "properties": PROPERTIES,
            "property_names": ("port", "off", "nothing", "tls.cert", "redis.password", "list"),
            "links": LINKS,
        }
        return RenderRequest(**{**values, **changes})

    return make


@pytest.fixture
def outputs(renderer: Renderer, request_for: MakeRequest) -> Callable[..., dict[str, str]]:
    """Renders these templates and returns the texts by template name, and ``monit``."""

    def render(templates: Mapping[str, str | bytes], **changes: Any) -> dict[str, str]:
        (job,) = renderer.render([request_for(templates, **changes)])
        found = {f.path.removeprefix("out/"): f.content.decode() for f in job.files}
        return {**found, "monit": job.monit.decode()}

    return render
