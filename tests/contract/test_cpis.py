"""Every CPI passes the conformance suite."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from local_machines import Keys, local_cpi, manual_network, stemcell_image

from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, REAL_CHECKS, run_all, run_check
from cpis.contract import Cpi, Networks
from cpis.local import LocalCpi
from cpis.memory import MemoryCpi
from director.model.ids import StemcellCid

DYNAMIC = {"default": {"type": "dynamic", "cloud_properties": {}, "default": ["dns", "gateway"]}}
RANGES = {"lxc": "10.231.1", "unshare": "10.231.2", "memory": "10.231.3"}
DYNAMIC_RANGES = {"lxc": "10.231.4.0/24", "unshare": "10.231.5.0/24"}


@dataclass(frozen=True)
class Subject:
    cpi: Cpi
    given: Given
    stemcell: StemcellCid


def networks_of(prefix: str) -> Callable[[int], Networks]:
    return lambda n: {"default": manual_network(f"{prefix}.{10 + n}", gateway=f"{prefix}.1")}


@pytest.fixture(scope="module", params=["in memory", "in a file"])
def memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    properties = {}
    if request.param == "in a file":
        properties["state_file"] = str(tmp_path_factory.mktemp("cloud") / "cloud.jsonl")
    cpi = MemoryCpi(properties)
    given = Given(
        image_path="image",
        networks=networks_of(RANGES["memory"]),
        env={},
        dynamic=DYNAMIC,
        again=(lambda: MemoryCpi(properties)) if properties else None,
    )
    return Subject(cpi, given, cpi.create_stemcell("image", {}))


@pytest.fixture(scope="module", params=["lxc", "unshare"])
def local(request: pytest.FixtureRequest) -> Iterator[Subject]:
    runtime = request.param
    if not shutil.which("lxc-start" if runtime == "lxc" else "unshare"):
        pytest.skip(f"{runtime} is not installed")
    keys = Keys()

    def run(networks: Networks, user: str, command: str) -> str:
        return keys.run(next(iter(networks.values()))["ip"], user, command)

    with local_cpi(f"contract-{runtime}", runtime=runtime) as cpi:
        dynamic = dict(DYNAMIC["default"], cloud_properties={"range": DYNAMIC_RANGES[runtime]})
        given = Given(
            image_path=str(stemcell_image()),
            networks=networks_of(RANGES[runtime]),
            env=keys.env,
            cloud_properties={"memory": 256, "cpu": 1},
            dynamic={"default": dynamic},
            again=lambda: LocalCpi(cpi.properties),
            run=run,
        )
        yield Subject(cpi, given, cpi.create_stemcell(given.image_path, {}))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(memory: Subject, check: Callable) -> None:
    run_check(check, memory.cpi, memory.given, memory.stemcell)
    assert memory.cpi.vms == {}
    assert memory.cpi.disks == {}


@pytest.mark.machines
@pytest.mark.parametrize("check", [*CHECKS, *REAL_CHECKS], ids=lambda check: check.__name__)
def test_local(local: Subject, check: Callable) -> None:
    run_check(check, local.cpi, local.given, local.stemcell)


def test_the_whole_suite_reports_each_broken_promise() -> None:
    class Forgetful(MemoryCpi):
        def has_vm(self, cid):
            return False

    given = Given(image_path="image", networks=networks_of(RANGES["memory"]), env={})
    outcomes = {o.name: o for o in run_all(Forgetful({}), given)}
    assert outcomes["makes_and_deletes_a_vm"].problem == "has_vm is true for a new VM"
    assert outcomes["makes_and_deletes_a_disk"].problem == ""
    assert len(outcomes) == len(CHECKS)
