"""A new CPI's package: its names, its files, and that each method says what to do."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from cpis.conformance.suite import unfilled_methods
from cpis.contract import Cpi, NotImplementedByCpi
from cpis.kit.new import check_name, write_package
from cpis.memory import MemoryCpi
from director.model.errors import UsageError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write_package(check_name("my-cloud2"), tmp_path / "new")
    return tmp_path / "new"


def load(package: Path) -> type:
    """Return the class in the package, leaving no module behind."""
    source = package / "src" / "director_cpi_my_cloud2"
    before = set(sys.modules)
    sys.path.insert(0, str(package / "src"))
    try:
        spec = importlib.util.spec_from_file_location("filled_later", source / "cpi.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(package / "src"))
        for name in set(sys.modules) - before:
            if name.startswith("director_cpi_"):
                del sys.modules[name]
    found = module.MyCloud2Cpi
    assert isinstance(found, type)
    return found


@pytest.mark.parametrize(
    ("name", "package", "class_name"),
    [
        ("nova", "director_cpi_nova", "NovaCpi"),
        ("my-cloud2", "director_cpi_my_cloud2", "MyCloud2Cpi"),
    ],
)
def test_names(name: str, package: str, class_name: str) -> None:
    names = check_name(name)
    assert (names.package, names.class_name) == (package, class_name)
    assert names.package.isidentifier()


@pytest.mark.parametrize(
    "name",
    ["", "Nova", "9lives", "a_b", "a--b", "-a", "a-", "a/b", "../x", "ä", "a\n", "x" * 31, "$name"],
)
def test_impossible_names(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_name(name)
    assert "Fix: use lower-case letters" in str(caught.value)


def test_a_name_that_is_taken() -> None:
    with pytest.raises(UsageError, match="there is a CPI 'memory' already"):
        check_name("memory")


def test_what_is_written(package: Path) -> None:
    written = {str(file.relative_to(package)) for file in package.rglob("*") if file.is_file()}
    source = "src/director_cpi_my_cloud2"
    assert written == {
        *(".gitignore", "README.md", "pyproject.toml"),
        *(f"{source}/{name}" for name in ("__init__.py", "cpi.py", "properties.py", "py.typed")),
        *(f"tests/{name}.py" for name in ("conftest", "test_conformance", "test_properties")),
    }
    project = tomllib.loads((package / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["director.cpis"] == {
        "my-cloud2": "director_cpi_my_cloud2:MyCloud2Cpi"
    }
    for file in package.rglob("*"):
        if file.is_file():
            assert not re.search(r"\$\w|_package_|\.tmpl", f"{file} {file.read_text()}"), file


def test_its_class_has_every_method_as_the_contract_has_it(package: Path) -> None:
    made = load(package)
    for name, method in vars(Cpi).items():
        if not name.startswith("_"):
            assert inspect.signature(getattr(made, name)) == inspect.signature(method), name


def test_every_method_says_what_to_do(package: Path) -> None:
    made = load(package)
    names = [name for name in vars(Cpi) if not name.startswith("_")]
    assert sorted(unfilled_methods(made)) == sorted(names)
    cpi = made({"endpoint": "e", "token": "t"})
    assert isinstance(cpi, Cpi)
    for name in names:
        arguments = [None] * (len(inspect.signature(getattr(cpi, name)).parameters))
        if name == "create_disk":
            arguments = arguments[:3]
        with pytest.raises(NotImplementedByCpi) as caught:
            getattr(cpi, name)(*arguments)
        assert caught.value.what == f"{name} is not filled in yet"
        assert caught.value.fix


def test_a_method_is_filled_in_once_it_does_something() -> None:
    assert unfilled_methods(MemoryCpi) == ()

    class Half(MemoryCpi):
        def get_disks(self, vm_cid):
            raise NotImplementedByCpi("get_disks is not filled in yet", fix="do")

        def snapshot_disk(self, cid, metadata):
            raise NotImplementedByCpi("this cloud has no snapshots")

    assert unfilled_methods(Half) == ("get_disks",)


def test_nothing_is_overwritten(package: Path) -> None:
    kept = package / "README.md"
    kept.write_text("mine")
    (package / "pyproject.toml").unlink()
    os.symlink("nowhere", package / "pyproject.toml")
    for file in package.rglob("*.py"):
        file.unlink()
    with pytest.raises(UsageError) as caught:
        write_package(check_name("my-cloud2"), package)
    assert "README.md" in str(caught.value)
    assert "pyproject.toml" in str(caught.value)
    assert kept.read_text() == "mine"
    assert list(package.rglob("*.py")) == []


def test_a_directory_that_is_there_is_used(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("mine")
    assert tmp_path / "README.md" in write_package(check_name("nova"), tmp_path)


def test_a_directory_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_package(check_name("nova"), tmp_path / "file" / "under")


def test_the_longest_name_fits_the_lines(tmp_path: Path) -> None:
    for file in write_package(check_name("a-b-" + "c" * 26), tmp_path):
        text = file.read_text()
        assert file.suffix != ".py" or max(map(len, text.splitlines()), default=0) <= 100, file
        if file.suffix == ".py":
            ast.parse(text)
