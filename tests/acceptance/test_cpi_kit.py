"""A CPI's package from the kit, filled in, checked, deployed on; and the walk-through."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from local_machines import stemcell_image
from real_director import ENDLESS_S, REPOSITORY
from worlds import manifest, memory_world

from cpis.conformance.suite import CHECKS, REAL_CHECKS
from cpis.contract import Cpi
from cpis.kit.new import check_name, write_package
from cpis.memory import MemoryCpi
from cpis.registry import load_cpi
from director.operations.delete_deployment import delete_deployment
from director.operations.deploy import deploy

BIN = Path(sys.executable).parent
WALK = REPOSITORY / "docs" / "writing-a-cpi.md"
BLOCK = re.compile(
    r"^<!-- kit: (\w+)(?: (\S+))? -->\n+(`{3,})\w+\n(.*?)^\3$", re.MULTILINE | re.DOTALL
)


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, code: int = 0
) -> str:
    """Run a command and return all it printed; it must end with this exit code."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=ENDLESS_S,
    )
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def environment(place: Path) -> dict[str, str]:
    """Return an environment in which pip asks nobody and writes nowhere else."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        # Not a slip: to pip's environment, 0 is what the option says.
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_ROOT_USER_ACTION": "ignore",
        "MYPYPATH": str(REPOSITORY),
        "DIRECTOR_HOME": str(place / "home"),
    }


def fill_in(file: Path, methods: str) -> None:
    """Replace methods of the class in a file by those in a text, and add those it lacks."""
    text = file.read_text()
    (kind,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    there = {node.name: node for node in kind.body if isinstance(node, ast.FunctionDef)}
    lines = text.splitlines()
    added = ast.parse(methods)
    source = methods.splitlines()
    new: dict[str, list[str]] = {}
    for node in added.body:
        assert isinstance(node, ast.FunctionDef)
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        new[node.name] = [
            "    " + line if line else "" for line in source[first - 1 : node.end_lineno]
        ]
    for name, node in sorted(there.items(), key=lambda item: -item[1].lineno):
        if name in new:
            lines[node.lineno - 1 : node.end_lineno] = new.pop(name)
    for text_lines in new.values():
        lines += ["", *text_lines]
    file.write_text("\n".join(lines).rstrip() + "\n")


# -- a package, filled in --------------------------------------------------------------------------


@dataclass(frozen=True)
class Plugin:
    """A package whose cloud is the memory CPI's, kept in the file ``state``."""

    source: Path
    installed: Path
    state: Path

    @property
    def env(self) -> dict[str, str]:
        return {**environment(self.source.parent), "PYTHONPATH": str(self.installed)}

    def left(self) -> list[str]:
        cloud = MemoryCpi({"state_file": str(self.state)})
        return [*cloud.vms, *cloud.disks, *cloud.stemcells]


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as ``director cpi new`` leaves it."""
    place = tmp_path_factory.mktemp("kit") / "new"
    write_package(check_name("kit-cloud"), place)
    return place


@pytest.fixture(scope="module")
def plugin(new: Path) -> Plugin:
    """The package with its methods filled in, installed in a directory."""
    source = new.parent / "filled"
    shutil.copytree(new, source)
    state = new.parent / "state"
    calls = []
    for name, method in vars(Cpi).items():
        if not name.startswith("_"):
            given = ast.parse(textwrap.dedent(_source(new, name))).body[0]
            assert isinstance(given, ast.FunctionDef)
            signature, _, _ = ast.unparse(given).partition("\n")
            names = [arg.arg for arg in given.args.args[1:]]
            names += [f"{arg.arg}={arg.arg}" for arg in given.args.kwonlyargs]
            calls.append(f"{signature}\n    return self._cloud.{name}({', '.join(names)})\n")
            assert method is not None
    made = """
def __init__(self, properties: Mapping[str, Any]) -> None:
    check_properties("the CPI 'kit-cloud'", CPI_SCHEMA, properties)
    self._cloud = MemoryCpi({"state_file": properties["endpoint"]})
"""
    cpi = source / "src" / "director_cpi_kit_cloud" / "cpi.py"
    fill_in(cpi, "\n".join([made, *calls]))
    text = cpi.read_text().replace("Networks, NotImplementedByCpi\n", "Networks\n")
    cpi.write_text(
        text.replace(
            "from cpis.properties", "from cpis.memory import MemoryCpi\nfrom cpis.properties"
        )
    )
    conftest = source / "tests" / "conftest.py"
    conftest.write_text(conftest.read_text().replace("http://127.0.0.1:1", str(state)))
    run(BIN / "ruff", "format", "--quiet", ".", cwd=source)
    installed = new.parent / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    run(*pip, "--target", installed, source, cwd=source, env=environment(source.parent))
    return Plugin(source, installed, state)


def _source(package: Path, name: str) -> str:
    text = (package / "src" / "director_cpi_kit_cloud" / "cpi.py").read_text()
    found = re.search(rf"^    def {name}\(.*?(?=^    def |^    # --|\Z)", text, re.M | re.S)
    assert found is not None
    return found[0]


def test_a_new_package_says_what_it_lacks(new: Path) -> None:
    said = run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=new, code=1)
    assert "not filled in yet: info, create_stemcell, delete_stemcell, create_vm" in said
    assert "create_stemcell is not filled in yet\n  Fix: upload the image" in said
    assert "test_properties" not in said


def test_new_and_filled_in_it_is_clean(new: Path, plugin: Plugin) -> None:
    for package in (new, plugin.source):
        run(BIN / "ruff", "check", "--no-cache", ".", cwd=package)
        run(BIN / "ruff", "format", "--no-cache", "--check", ".", cwd=package)
        cache = ["--cache-dir", new.parent / "mypy"]
        run(BIN / "mypy", *cache, cwd=package, env=environment(new.parent))


def test_filled_in_its_tests_pass(plugin: Plugin) -> None:
    said = run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", cwd=plugin.source)
    assert re.search(r"\d{2} passed, \d skipped", said), said
    assert plugin.left() == []


def trial(plugin: Plugin, place: Path) -> Path:
    """Write what ``cpi test`` is given for the plugin."""
    network = "{range: 10.0.0.0/24, gateway: 10.0.0.1, addresses: [10.0.0.5-10.0.0.10]}"
    (place / "image").write_text("")
    (place / "trial.yml").write_text(
        f"properties: {{endpoint: {plugin.state}, token: the-secret}}\n"
        f"test: {{stemcell: {{image: image}}, networks: {{default: {network}}}, disk_mb: 8}}\n"
    )
    return place / "trial.yml"


def test_installed_it_is_one_of_the_cpis(plugin: Plugin, tmp_path: Path) -> None:
    listed = run(BIN / "director", "cpi", "list", cwd=tmp_path, env=plugin.env)
    assert re.search(r"^kit-cloud +director-cpi-kit-cloud 0\.1\.0 ", listed, re.MULTILINE)
    shown = run(BIN / "director", "cpi", "show", "kit-cloud", cwd=tmp_path, env=plugin.env)
    assert re.search(r"^The CPI +endpoint +string +yes +where the API", shown, re.MULTILINE)
    file = trial(plugin, tmp_path)
    command = [BIN / "director", "-n", "cpi", "test", "kit-cloud", "--properties", file]
    said = run(*command, cwd=tmp_path, env=plugin.env)
    assert "makes_and_deletes_a_vm" in said
    assert "the-secret" not in said
    assert plugin.left() == []


def test_ctrl_c_ends_a_trial_that_cleans_up(plugin: Plugin, tmp_path: Path) -> None:
    file = trial(plugin, tmp_path)
    slow = tmp_path / "slow.yml"
    fault = "{method: has_vm, kind: delay, nth: null, delay_s: 3}"
    text = file.read_text().replace("token: the-secret", f"faults: [{fault}]")
    slow.write_text(text.replace("endpoint", "state_file"))
    command = [BIN / "director", "-n", "cpi", "test", "memory", "--properties", slow]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + ENDLESS_S
    while not MemoryCpi({"state_file": str(plugin.state)}).vms:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=ENDLESS_S)
    assert process.returncode == 130, said
    assert "Stopping: removing what was made" in said
    assert "Traceback" not in said
    assert plugin.left() == []


def test_a_deployment_on_it(plugin: Plugin, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(plugin.installed)
    cpi = load_cpi("kit-cloud", {"endpoint": str(plugin.state), "token": "t"})
    with memory_world(tmp_path) as lab:
        cid = cpi.create_stemcell("image", {})
        (stemcell,) = lab.world.store.stemcells.list()
        lab.world.store.stemcells.delete(stemcell.name, stemcell.version)
        lab.world.store.stemcells.add(replace(stemcell, cid=cid))
        lab.world = replace(
            lab.world,
            cpi=lambda _name: cpi,
            probe=lambda vm: None if vm.cid and cpi.has_vm(vm.cid) else "it is gone",
        )
        lab.run(deploy, manifest=manifest(instances=2))
        vms = MemoryCpi({"state_file": str(plugin.state)}).vms
        assert {i.vm.cid for i in lab.instances()} == set(vms)
        assert {vm["metadata"]["name"] for vm in vms.values()} == {i.name for i in lab.instances()}
        assert all(cpi.get_disks(cid) for cid in vms)
        lab.run(delete_deployment, name="d")
        assert MemoryCpi({"state_file": str(plugin.state)}).vms == {}
    state = MemoryCpi({"state_file": str(plugin.state)})
    for disk in state.disks:
        state.delete_disk(disk)
    state.delete_stemcell(cid)


# -- the walk-through ------------------------------------------------------------------------------


@pytest.fixture
def walk(homes: Path, stemcell_tarball: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A directory to walk through the document in; the machines and disks it leaves are removed."""
    place = homes / "kit"
    place.mkdir()
    root = place / "cabin"
    env = {
        **environment(place),
        "CABIN_ROOT": str(root),
        "CABIN_IMAGE": str(stemcell_image()),
        "STEMCELL": str(stemcell_tarball),
        "RELEASES": str(shutil.copytree(REPOSITORY / "releases", place / "releases")),
    }
    try:
        yield place, env
    finally:
        _end_machines(root)
        shutil.rmtree(place)


def _end_machines(root: Path) -> None:
    """End every process of a machine under ``root``, and free its disks, whatever went wrong."""
    for file in root.glob("vms/*/pid"):
        pid = int(file.read_text())
        try:
            if str(root) in Path(f"/proc/{pid}/mountinfo").read_text():
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    for image in root.glob("disks/*/image"):
        found = subprocess.run(
            ["losetup", "-j", image, "-n", "-O", "NAME"], capture_output=True, text=True
        ).stdout
        for device in found.split():
            subprocess.run(["losetup", "-d", device], check=False)


def test_every_block_of_the_walk_through_is_found() -> None:
    text = WALK.read_text()
    assert len(BLOCK.findall(text)) == text.count("<!-- kit:") > 10


def put(package: Path, kind: str, path: str, body: str) -> None:
    """Do with a block of code what its reader does with it."""
    file = package / path
    if kind == "file":
        file.write_text(body)
    elif kind == "head":
        _, mark, rest = file.read_text().partition("\nclass ")
        file.write_text(f"{body}\n{mark}{rest}")
    else:
        assert kind == "methods"
        fill_in(file, body)
    if path.endswith("boot.sh"):
        packed = 'director_cpi_cabin = ["py.typed", "boot.sh"]'
        assert packed in WALK.read_text()
        project = package / "pyproject.toml"
        before = project.read_text()
        project.write_text(before.replace('director_cpi_cabin = ["py.typed"]', packed))
        assert project.read_text() != before


def test_the_code_of_the_walk_through_is_clean_and_whole(new: Path, tmp_path: Path) -> None:
    write_package(check_name("cabin"), tmp_path)
    for kind, path, _, body in BLOCK.findall(WALK.read_text()):
        if kind != "sh":
            put(tmp_path, kind, path, body)
    assert "is not filled in yet" not in (tmp_path / "src/director_cpi_cabin/cpi.py").read_text()
    run(BIN / "ruff", "check", "--no-cache", ".", cwd=tmp_path)
    run(BIN / "ruff", "format", "--no-cache", "--check", ".", cwd=tmp_path)
    run(BIN / "mypy", "--cache-dir", new.parent / "mypy", cwd=tmp_path, env=environment(tmp_path))


@pytest.mark.machines
@pytest.mark.slow
def test_the_walk_through(walk: tuple[Path, dict[str, str]]) -> None:
    place, env = walk
    package = place / "director-cpi-cabin"
    said = ""
    for kind, path, _, body in BLOCK.findall(WALK.read_text()):
        if kind == "sh":
            kept = place / "env"
            script = f"[ ! -e {kept} ] || . {kept}\n{body}\nexport -p > {kept}\n"
            said += run("sh", "-eu", "-c", script, cwd=place, env=env)
        else:
            put(package, kind, path, body)
    assert re.search(r"^\d passed, \d{2} deselected", said, re.MULTILINE), said
    for check in (*CHECKS, *REAL_CHECKS):
        assert re.search(rf"^{check.__name__} +(passed|does not apply) ", said, re.MULTILINE), said
    skipped = re.findall(r"^(\w+) +does not apply ", said, re.MULTILINE)
    assert skipped == ["picks_dynamic_addresses"]
    assert len(re.findall(r"^greeter/\S+ +greeter +running\b", said, re.MULTILINE)) == 2, said
    assert re.search(r"^greeter/\S+: stdout \| /dev/", said, re.MULTILINE), said
    for kind in ("vms", "disks", "stemcells", "snapshots"):
        assert list((place / "cabin" / kind).iterdir()) == []
