"""What a cloud's own libraries cost is paid only by who uses that cloud."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("libcloud", "boto3", "botocore", "requests")

_SHOW = """
import importlib, pkgutil, sys
for name in {packages!r}:
    package = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(package, "__path__", []), name + "."):
        if not found.name.startswith({leave!r}):
            importlib.import_module(found.name)
print(*[name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "packages",
    [
        pytest.param(["director"], id="the director"),
        pytest.param(
            ["cpis.contract", "cpis.registry", "cpis.rpc", "cpis.external", "cpis.serve"],
            id="how CPIs are found",
        ),
    ],
)
def test_no_cloud_library_is_imported_before_a_cpi_is_used(packages: list[str]) -> None:
    # Scripts that run where they are imported: Alembic's, and ``python -m director``.
    leave = ("director.store.migrations", "director.__main__")
    text = _SHOW.format(packages=packages, leave=leave, heavy=HEAVY)
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
