"""Who may import whom: an import points downwards only, and every module is in one row."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ADAPTERS = (
    "director.store",
    "director.blobs",
    "director.variables",
    "director.machine",
    "director.render",
    "director.release",
    "director.stemcell",
)
BELOW_OPERATIONS = (
    "director.model",
    "director.plan",
    "director.manifest",
    *ADAPTERS,
    "director.execute",
    "cpis.contract",
)
BELOW_API = (*BELOW_OPERATIONS, "director.operations", "director.tasks", "director.health")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "director.model": (),
    "director.plan": ("director.model",),
    "director.manifest": ("director.model",),
    # What opens tarballs safely, for everyone who is handed one.
    "director.archives": ("director.model",),
    **dict.fromkeys(ADAPTERS, ("director.model",)),
    **dict.fromkeys(
        ("director.release", "director.stemcell", "director.render"),
        ("director.model", "director.archives"),
    ),
    "director.execute": ("director.model", "director.plan.steps", *ADAPTERS, "cpis.contract"),
    "director.operations": BELOW_OPERATIONS,
    "director.tasks": (*BELOW_OPERATIONS, "director.operations", "cpis.rpc"),
    "director.health": (*BELOW_OPERATIONS, "director.operations", "director.tasks"),
    "director.api": BELOW_API,
    # The wiring, which app.py was too long for: only app imports these four.
    "director.home": ("director.model", "director.store.owner"),
    "director.settings": ("director.model", "director.manifest.located_yaml"),
    "director.clouds": (
        *("director.home", "director.settings", "director.model", "director.store"),
        *("director.manifest", "director.variables", "director.execute", "director.tasks"),
        *("cpis.contract", "cpis.registry", "cpis.rpc"),
    ),
    "director.ways": ("director.home", "director.model", "director.machine"),
    "director.app": (
        *(*BELOW_API, "director.api", "director.home", "director.settings", "director.clouds"),
        "director.ways",
        *("director.__version__", "cpis.registry"),
    ),
    "director.client": ("director.model",),
    "director.cli": ("director.client", "director.model"),
    "director.__main__": ("director.cli",),
    "director.data": (),
    "director": (),
    "cpis.contract": ("director.model",),
    "cpis.registry": ("cpis.contract", "director.model"),
    "cpis.rpc": ("cpis.contract", "director.model"),
    "cpis.external": ("cpis.contract", "cpis.properties", "cpis.rpc", "director.model"),
    "cpis.serve": ("cpis.contract", "cpis.rpc", "cpis.registry", "director.model"),
    "cpis.conformance": ("cpis.contract", "director.model"),
    "cpis.kit": (
        *("cpis.contract", "cpis.registry", "cpis.conformance", "cpis.properties"),
        "director.model",
    ),
    # For CPIs of all kinds, plugins too.
    "cpis.properties": ("cpis.contract", "director.model"),
    "cpis.libcloud_base": ("cpis.contract", "cpis.properties", "director.model"),
    **{
        f"cpis.{name}": ("cpis.contract", "cpis.properties", "director.model")
        for name in ("memory", "local")
    },
    **{
        f"cpis.{name}": (
            *("cpis.contract", "cpis.properties", "cpis.libcloud_base"),
            "director.model",
        )
        for name in ("aws", "openstack", "gce", "cloudstack")
    },
    "cpis": (),
}
"""What each layer may import beside itself; ``director`` and ``cpis`` are their ``__init__``."""

LAZILY: dict[str, tuple[str, ...]] = {
    "director.cli": (
        # A CPI is written and checked where its author sits: no director is asked.
        "cpis.conformance",
        "cpis.kit",
        "director.app",
        "director.archives",
        "director.manifest",
        "director.release",
        "director.stemcell",
        "director.variables.vars_store",
    ),
}
"""What a layer may import inside a function only, so that a command pays just for what it uses."""

PURE = {
    *("__future__", "abc", "base64", "bisect", "collections", "copy", "dataclasses", "enum"),
    *("functools", "hashlib", "hmac", "heapq", "ipaddress", "itertools", "json", "math"),
    *("operator", "re", "string", "textwrap", "types", "typing", "unicodedata"),
}
"""The standard library of functions of their arguments: no clock, network, files, chance."""

PURE_LAYERS = ("director.model", "director.plan")


@dataclass(frozen=True)
class Import:
    module: str
    name: str
    line: int
    lazy: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.name}"


def imports_of(module: str, text: str) -> Iterator[Import]:
    """Yield every import, those for type checkers too."""

    def visit(node: ast.AST, lazy: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, alias.name, node.lineno, lazy)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                base = "." * node.level + (node.module or "")
                yield Import(module, f"{base}.{alias.name}", node.lineno, lazy)
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        inside = lazy or for_types or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    yield from visit(ast.parse(text), False)


def within(name: str, layer: str) -> bool:
    return name == layer or name.startswith(layer + ".")


def layer_of(module: str) -> str | None:
    if module in ("director", "cpis"):
        return module
    rows = [row for row in MAY_IMPORT if row not in ("director", "cpis") and within(module, row)]
    return max(rows, key=len, default=None)


def problem(one: Import) -> str | None:
    """Return what is wrong with an import, or None."""
    layer = layer_of(one.module)
    if layer is None:
        return f"{one.module} is in no row of the table"
    if one.name.startswith("."):
        return f"{one}: write imports absolutely"
    top = one.name.partition(".")[0]
    if top not in ("director", "cpis"):
        if layer in PURE_LAYERS and top not in PURE:
            return f"{one}: {layer} is pure"
        return None
    if any(within(one.name, allowed) for allowed in (layer, *MAY_IMPORT[layer])):
        return None
    if any(within(one.name, allowed) for allowed in LAZILY.get(layer, ())):
        return None if one.lazy else f"{one}: import it inside the function that needs it"
    return f"{one}: {layer} may import {', '.join(MAY_IMPORT[layer]) or 'nothing'}"


def modules() -> dict[str, Path]:
    found = {}
    for package in ("director", "cpis"):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def test_every_module_is_in_a_row():
    assert [name for name in modules() if layer_of(name) is None] == []


def test_imports_point_downwards():
    found = [
        trouble
        for name, file in modules().items()
        for one in imports_of(name, file.read_text(encoding="utf-8"))
        if (trouble := problem(one))
    ]
    assert not found, "\n".join(found)


def test_the_pure_list_names_modules_there_are():
    assert sys.stdlib_module_names >= PURE
    assert not PURE & {"time", "os", "random", "socket", "secrets", "uuid", "pathlib", "datetime"}


@pytest.mark.parametrize(
    ("module", "line", "wrong"),
    [
        pytest.param("director.model.ids", "import time", True, id="clock"),
        pytest.param("director.plan.x", "from random import choice", True, id="chance"),
        pytest.param("director.plan.x", "from director import manifest", True, id="sideways"),
        pytest.param("director.model.x", "from director.plan import steps", True, id="upwards"),
        pytest.param(
            "director.model.x",
            "if TYPE_CHECKING:\n    from director.plan.steps import Plan",
            True,
            id="for types only",
        ),
        pytest.param("director.store.x", "import director.blobs.directory", True, id="adapters"),
        pytest.param("director.execute.x", "from director.plan.planner import plan", True, id="ex"),
        pytest.param("director.execute.x", "from director.plan.steps import Plan", False, id="ok"),
        pytest.param("cpis.local", "from cpis.memory import MemoryCpi", True, id="cpis"),
        pytest.param("director.cli.x", "from director.app import embedded", True, id="eager"),
        pytest.param(
            "director.cli.x",
            "def f():\n    from director.app import embedded",
            False,
            id="lazy",
        ),
        pytest.param("director.plan.x", "from . import steps", True, id="relative"),
        pytest.param("director.newcomer", "import re", True, id="no row"),
        pytest.param("director.modelling", "import re", True, id="a prefix is no row"),
    ],
)
def test_the_rules_themselves(module, line, wrong):
    assert any(problem(one) for one in imports_of(module, line)) is wrong
