"""CPIs by name: made once, from properties that are filled in, and anew when these change."""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from cpis.memory import MemoryCpi
from director.app import make_world
from director.execute.world import World
from director.home import open_home
from director.model.errors import CpiError, VariableError
from director.model.instances import RecordedVm
from director.model.manifest import Variable
from director.settings import Settings
from director.store.store import open_store
from director.tasks.local_queue import LocalQueue
from director.tasks.log import TaskLog

made: list[dict[str, Any]] = []
slow = threading.Event()


class Probe(MemoryCpi):
    """A cloud that says what it was made with."""

    def __init__(self, properties: dict[str, Any]) -> None:
        made.append(properties)
        if properties.get("slow"):
            slow.wait(10)
        super().__init__({})


def make_probe(name: str, properties: str = "{}") -> str:
    return f'{{name: {name}, type: "{__name__}:Probe", properties: {properties}}}'


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made.clear()
    slow.clear()
    with ExitStack() as stack:

        def start(settings: Settings | None = None) -> World:
            home = open_home(tmp_path / "home")
            store = open_store(f"sqlite:///{home.database}", home.tasks)
            stack.callback(store.close)
            return make_world(home, settings or Settings(cpi="memory"), store, tmp_path, stack)

        yield start


@pytest.fixture
def world(start: Callable[..., World]) -> World:
    return start()


def use(world: World, *entries: str, name: str = "default") -> None:
    world.store.configs.create("cpi", name, f"cpis: [{', '.join(entries)}]")


def test_one_cpi_for_all_threads_until_its_entry_changes(world: World) -> None:
    use(world, make_probe("a", "{x: 1}"), make_probe("b"))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(world.cpi, ["a"] * 8))
    assert made == [{"x": 1}]
    assert len({id(cpi) for cpi in found}) == 1
    use(world, make_probe("a", "{x: 1}"), make_probe("b", "{y: 1}"))
    assert world.cpi("a") is found[0], "another entry changed"
    use(world, make_probe("a", "{x: 2}"))
    assert world.cpi("a") is not found[0]
    assert made == [{"x": 1}, {"x": 2}]
    assert world.cpi("") is world.cpi("")


def test_a_cpi_that_takes_long_to_make_holds_up_nobody_else(world: World) -> None:
    use(world, make_probe("a", "{slow: true}"), make_probe("b"))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(world.cpi, "a")
        assert world.cpi("b")
        assert world.cpi("")
        assert not waiting.done()
        slow.set()
        assert waiting.result(10)


def test_several_configs_are_one(world: World) -> None:
    use(world, make_probe("a"))
    use(world, make_probe("b"), name="more")
    assert world.cpi_config().names == ("a", "b")
    assert world.cpi("b").info()
    world.store.configs.delete("cpi", "more")
    assert world.cpi_config().names == ("a",)
    world.store.configs.delete("cpi", "default")
    assert world.cpi_config().names == ("",)


def test_an_unknown_name_lists_the_known_ones(world: World) -> None:
    with pytest.raises(CpiError, match="there is no CPI 'c'") as unknown:
        world.cpi("c")
    assert "the CPI config has none" in str(unknown.value.fix)
    use(world, make_probe("a"), make_probe("b"))
    with pytest.raises(CpiError) as unknown:
        world.cpi("c")
    assert "'a', 'b'" in str(unknown.value.fix)
    with pytest.raises(CpiError):
        world.cpi("memory")  # the type of the default one is no name of one


def test_a_former_name_leads_to_the_same_cpi(world: World) -> None:
    default = world.cpi("")
    use(world, "{name: a, type: memory, migrated_from: [{name: ''}, {name: old}]}")
    assert world.cpi("") is world.cpi("old") is world.cpi("a")
    assert world.cpi("") is not default


def test_what_is_wrong_with_a_cpi_names_it(world: World) -> None:
    use(world, "{name: a, type: memory, properties: {statefile: x}}", "{name: b, type: nope}")
    with pytest.raises(CpiError, match=r"CPI 'a' cannot be used: .*'statefile'"):
        world.cpi("a")
    with pytest.raises(CpiError, match="CPI 'b' cannot be used: there is no CPI 'nope'"):
        world.cpi("b")


def credential(world: World, name: str) -> str:
    variable = Variable(name=name, type="password", options={}, update_mode="overwrite")
    return str(world.credentials().ensure("d", [variable], set())[name])


def test_variables_are_filled_in_and_a_new_value_makes_a_new_cpi(world: World) -> None:
    use(world, make_probe("a", '{key: ((/key)), url: "x:((/key))@y"}'))
    with pytest.raises(VariableError) as missing:
        world.cpi("a")
    assert str(missing.value).startswith("cpi-config:1:")
    assert "'/key' has no value" in str(missing.value)
    assert made == []
    first = credential(world, "/key")
    cpi = world.cpi("a")
    assert made == [{"key": first, "url": f"x:{first}@y"}]
    assert world.cpi("a") is cpi
    second = credential(world, "/key")
    assert second != first
    assert world.cpi("a") is not cpi
    assert made[1]["key"] == second


def test_an_executable_is_told_what_it_needs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    import cpis.registry

    loaded: list[tuple[str, Any]] = []

    def load(name: str, properties: Any) -> MemoryCpi:
        loaded.append((name, properties))
        return MemoryCpi({})

    monkeypatch.setattr(cpis.registry, "load_cpi", load)
    use(world, "{name: v, type: vsphere, exec_path: /opt/cpi, properties: {host: h}}")
    world.cpi("v")
    told = {
        "exec_path": "/opt/cpi",
        "type": "vsphere",
        "director_uuid": world.director_uuid,
        "properties": {"host": "h"},
    }
    assert loaded == [("external", told)]
    # A type that is called like one of ours is the executable's all the same.
    use(world, "{name: v, type: memory, exec_path: /opt/cpi}")
    world.cpi("v")
    assert loaded[1][0] == "external"


SCRIPT = """\
#!/bin/sh
request=$(cat)
echo "asked: $request" >&2
echo '{"result": {"api_version": 2, "stemcell_formats": ["x"]}, "error": null, "log": ""}'
"""


def test_a_real_executable_is_asked_and_its_words_are_logged_without_secrets(
    world: World, tmp_path: Path
) -> None:
    script = tmp_path / "cpi"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    value = credential(world, "/name")
    use(world, f"{{name: v, type: vsphere, exec_path: {script}, properties: {{n: ((/name))}}}}")
    handler = TaskLog(world.store.outputs)
    logger = logging.getLogger("cpis")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        find = lambda _: lambda world, _run: str(world.cpi("v").info().stemcell_formats)  # noqa: E731
        queue = LocalQueue(world, owner="me", find=find)
        task = queue.enqueue("t", "t")
        assert queue.close(timeout_s=30)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    assert world.store.tasks.get(task.id).result == "('x',)"
    told = world.store.outputs.read(task.id, "cpi").decode()
    assert "asked: " in told
    assert '"n": "<redacted>"' in told
    assert value not in told


def test_the_default_one_may_be_an_executable(
    start: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    import cpis.registry

    loaded: list[tuple[str, Any]] = []
    monkeypatch.setattr(
        cpis.registry, "load_cpi", lambda name, given: loaded.append((name, given)) or MemoryCpi({})
    )
    world = start(Settings(cpi="x", cpi_exec_path="/opt/x", cpi_properties={"k": 1}))
    world.cpi("")
    ((name, told),) = loaded
    assert (name, told["exec_path"], told["properties"]) == ("external", "/opt/x", {"k": 1})


def test_each_local_cpi_has_a_place_of_its_own(
    start: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    import cpis.registry

    told: dict[str, Any] = {}

    def load(_name: str, properties: Any) -> MemoryCpi:
        told[properties["director_id"]] = Path(properties["root"])
        return MemoryCpi({})

    monkeypatch.setattr(cpis.registry, "load_cpi", load)
    world = start(Settings(cpi="local"))
    uuid = world.director_uuid
    use(
        world,
        "{name: a, type: local}",
        "{name: b, type: local, migrated_from: [{name: old}, {name: older}]}",
        "{name: c, type: local, properties: {root: /elsewhere}}",
    )
    for name in ("", "a", "b", "c"):
        world.cpi(name)
    home = told[uuid].parent
    assert told == {
        uuid: home / "local",
        f"{uuid}-a": home / "cpis" / "a",
        f"{uuid}-old": home / "cpis" / "old",
        f"{uuid}-c": Path("/elsewhere"),
    }
    for place in (home / "local", home / "cpis", home / "cpis" / "a"):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not (home / "cpis" / "c").exists()
    # A default CPI that gets a name stays where it is.
    use(world, "{name: new, type: local, migrated_from: [{name: ''}]}")
    world.cpi("new")
    assert told[uuid] == home / "local"


def test_the_kind_of_machine_is_the_vms_own(start: Callable[..., World]) -> None:
    world = start(Settings(cpi="local"))
    use(world, "{name: m, type: memory}")
    vm = RecordedVm(agent_id="agent", deployment="d", cid="vm-1", cpi="m")  # type: ignore[arg-type]
    assert world.probe(vm) == "the VM is gone"
    assert type(world.connect(vm, lambda: False)).__name__ == "MemoryMachine"
    ssh = RecordedVm(agent_id="agent", deployment="d", cid="vm-1")  # type: ignore[arg-type]
    assert world.probe(ssh) == "the VM has no address"
