"""What is told of installed CPIs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cpis.contract import CloudError
from cpis.kit.installed import installed_cpis, properties_of, readme_of
from cpis.kit.new import check_name, write_package
from cpis.registry import known_cpis


def plugin(place: Path, name: str, entry: str = "") -> Path:
    """Write a new CPI's package, and what pip writes beside it."""
    names = check_name(name)
    write_package(names, place)
    about = place / "src" / f"{names.package}-0.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.3\n")
    where = entry or f"{names.package}:{names.class_name}"
    (about / "entry_points.txt").write_text(f"[director.cpis]\n{name} = {where}\n")
    return place / "src"


@pytest.fixture
def _forget() -> object:
    yield
    for name in [name for name in sys.modules if name.startswith("director_cpi_")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_forget")
def test_a_plugin_is_listed_with_the_others(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(plugin(tmp_path / "a", "kit-first"))
    monkeypatch.syspath_prepend(plugin(tmp_path / "b", "kit-second", "no_such_package:Cpi"))
    found = {cpi.name: cpi for cpi in installed_cpis()}
    assert list(found) == sorted(found)
    assert found["memory"].about == "A cloud in memory"
    assert found["kit-first"].source == "kit-first 0.3"
    assert found["kit-first"].about == "VMs and disks of kit-first"
    assert found["kit-second"].problem == "does not import: No module named 'no_such_package'"


@pytest.mark.usefixtures("_forget")
def test_a_plugins_properties(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(plugin(tmp_path / "c", "kit-third"))
    kinds = properties_of("kit-third")
    of_cpi, of_vms, _, _ = kinds
    endpoint, token = kinds[of_cpi]
    assert (endpoint.name, endpoint.type, endpoint.required) == ("endpoint", "string", True)
    assert token.description == "the secret it is asked with"
    assert [each.required for each in kinds[of_vms]] == [False, False]


def test_nested_properties_and_types(monkeypatch) -> None:
    import cpis.memory
    from cpis.properties import object_schema

    inner = object_schema({"type": {"enum": ["a", "b"]}}, required=("type",))
    either = {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]}
    schema = object_schema({"disk": inner, "nics": {"type": "array", "items": inner}, "x": either})
    module = type(sys)("cpis.memory.properties")
    module.TABLES = {"vm": schema}
    monkeypatch.setitem(sys.modules, "cpis.memory.properties", module)
    monkeypatch.setattr(cpis.memory, "properties", module, raising=False)
    kinds = properties_of("memory")
    assert list(kinds) == ["vm"]
    assert [(each.name, each.type, each.required) for each in kinds["vm"]] == [
        ("disk", "object", False),
        ("disk.type", "'a' or 'b'", True),
        ("nics", "list of object", False),
        ("nics[].type", "'a' or 'b'", True),
        ("x", "string or list of integer", False),
    ]


def test_each_of_ours_tells_something() -> None:
    told = {name: properties_of(name) for name in known_cpis()}
    assert {"aws", "cloudstack", "external", "gce", "openstack"} <= set(filter(told.get, told))
    assert all(tables or readme_of(name) for name, tables in told.items())
    assert all(each.description for row in told["aws"].values() for each in row)


def test_a_cpi_without_schemas_has_a_readme() -> None:
    assert properties_of("memory") == {}
    assert readme_of("memory").startswith("# The memory CPI")


def test_no_such_cpi() -> None:
    with pytest.raises(CloudError, match="there is no CPI 'memry'"):
        properties_of("memry")
