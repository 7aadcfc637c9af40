"""A little release directory that tests write and change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

FILES: Mapping[str, str] = {
    "config/final.yml": "name: little\n",
    "jobs/web/spec": (
        "name: web\n"
        "templates: {ctl.erb: bin/ctl}\n"
        "packages: [server]\n"
        "provides: [{name: http, type: http, properties: [port]}]\n"
        "properties: {port: {description: the port, default: 80}}\n"
    ),
    "jobs/web/monit": "",
    "jobs/web/templates/ctl.erb": "#!/bin/sh\n",
    "jobs/web/templates/unused.erb": "not in the spec\n",
    "packages/library/spec": "name: library\nfiles: [library/**/*]\n",
    "packages/library/packaging": "cp -r library $BOSH_INSTALL_TARGET\n",
    "packages/server/spec": (
        "name: server\ndependencies: [library]\nfiles: [server/*.c]\nexcluded_files: [server/b.c]\n"
    ),
    "packages/server/packaging": "cc server/a.c\n",
    "src/library/deep/down/x.h": "1\n",
    "src/server/a.c": "int main;\n",
    "src/server/b.c": "int b;\n",
}

WriteRelease = Callable[..., Path]


@pytest.fixture
def write_release(tmp_path: Path) -> WriteRelease:
    """Write the release with ``changes`` (None leaves a file out) and return its directory."""

    def write(changes: Mapping[str, str | None] | None = None) -> Path:
        root = tmp_path / "little-release"
        for name, content in {**FILES, **(changes or {})}.items():
            path = root / name
            if content is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return root

    return write
