"""Our CPIs through the protocol: every call is a director-cpi process of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_machines import Keys, local_cpi, manual_network, stemcell_image

from cpis.conformance import real_vms, vms
from cpis.conformance.lab import Given
from cpis.conformance.suite import CHECKS, run_check
from cpis.contract import Cpi, Networks
from cpis.external import ExternalCpi
from director.model.ids import StemcellCid

DIRECTOR_CPI = Path(sys.executable).with_name("director-cpi")
IN_MEMORY = "cpis.memory:MemoryCpi"
"""A class's path starts faster than a name, which is looked up among all installed packages."""

DYNAMIC = {"default": {"type": "dynamic", "cloud_properties": {}, "default": ["dns", "gateway"]}}
Subject = tuple[Cpi, Given, StemcellCid]


def over_rpc(name: str, properties: Mapping[str, Any]) -> ExternalCpi:
    """Return an installed CPI as a BOSH director would use it."""
    return ExternalCpi(
        {
            "exec_path": str(DIRECTOR_CPI),
            "arguments": [name],
            "director_uuid": "contract",
            "properties": properties,
            "timeout": 120,
        }
    )


def networks_of(prefix: str) -> Callable[[int], Networks]:
    return lambda n: {"default": manual_network(f"{prefix}.{10 + n}", gateway=f"{prefix}.1")}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    properties = {"state_file": str(tmp_path_factory.mktemp("cloud") / "cloud.jsonl")}
    cpi = over_rpc(IN_MEMORY, properties)
    given = Given(
        image_path="image",
        networks=networks_of("10.241.1"),
        env={},
        dynamic=DYNAMIC,
        again=lambda: over_rpc(IN_MEMORY, properties),
    )
    return cpi, given, cpi.create_stemcell("image", {})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_memory(memory: Subject, check: Callable) -> None:
    cpi, given, stemcell = memory
    run_check(check, cpi, given, stemcell)


LOCAL_CHECKS = (
    *(vms.makes_and_deletes_a_vm, real_vms.lets_keys_in),
    *(real_vms.keeps_files_over_a_reboot, real_vms.frees_disks_in_use),
)
"""Those that a process per call could change: VMs, disks and reboots outlive the process."""


@pytest.fixture(scope="module")
def local() -> Iterator[Subject]:
    if not shutil.which("lxc-start"):
        pytest.skip("lxc is not installed")
    keys = Keys()

    def run(networks: Networks, user: str, command: str) -> str:
        return keys.run(next(iter(networks.values()))["ip"], user, command)

    with local_cpi("contract-rpc", runtime="lxc") as inside:
        cpi = over_rpc("local", inside.properties)
        given = Given(
            image_path=str(stemcell_image()),
            networks=networks_of("10.241.2"),
            env=keys.env,
            cloud_properties={"memory": 256, "cpu": 1},
            again=lambda: over_rpc("local", inside.properties),
            run=run,
        )
        yield cpi, given, cpi.create_stemcell(given.image_path, {})


@pytest.mark.machines
@pytest.mark.parametrize("check", LOCAL_CHECKS, ids=lambda check: check.__name__)
def test_local(local: Subject, check: Callable) -> None:
    cpi, given, stemcell = local
    run_check(check, cpi, given, stemcell)
