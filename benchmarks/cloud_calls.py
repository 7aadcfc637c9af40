"""How many requests to a cloud each method of a CPI takes, and an instance in all.

Usage: benchmarks/cloud_calls.py [aws ...]      Without a name: every cloud that is listed here.
A cloud is a test cloud of ``tests/clouds`` that counts; its changes of state take a tenth of a
second, so that each wait is one look. A real cloud takes longer and is looked at more often.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from local_machines import Keys  # noqa: E402

from cpis.contract import Cpi, Networks  # noqa: E402
from director.model.ids import AgentId  # noqa: E402

PER_INSTANCE = ("create_vm", "set_vm_metadata", "create_disk", "set_disk_metadata", "attach_disk")
"""What a deployment asks of a CPI for a new instance with a disk."""


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """A test cloud and what to make in it. ``calls`` returns the calls since the last time."""

    cpi: Cpi
    calls: Callable[[], Counter[str]]
    stemcell: dict[str, Any]
    vm: dict[str, Any]
    network: Callable[[int], Networks]
    disk_mb: int = 1024


@contextmanager
def aws() -> Iterator[Cloud]:
    from clouds.aws.bed import AwsBed

    from cpis.aws import AwsCpi

    def calls() -> Counter[str]:
        found = bed.counts()
        bed.forget_calls()
        return found

    with AwsBed() as bed:
        bed.options(delay_s=0.1)
        yield Cloud(
            cpi=AwsCpi(bed.properties()),
            calls=calls,
            stemcell={"ami": {bed.account["region"]: bed.account["ami"]}},
            vm={"instance_type": "t3.small"},
            network=lambda n: {"default": bed.network(f"10.80.1.{10 + n}")},
        )


@contextmanager
def openstack() -> Iterator[Cloud]:
    """A real control plane; the first time it is installed, which takes minutes."""
    import tempfile

    from clouds.openstack import bed, project
    from clouds.openstack.proxy import aim, front

    def calls() -> Counter[str]:
        found = proxy.counted()
        proxy.reset()
        return found

    with front() as proxy, bed.running(front=proxy.port) as layout:
        aim(proxy, layout)
        net_id = project.add_network(layout, "10.10.0.0/16")
        cpi = project.cpi(layout, ignore_server_availability_zone=True)
        with tempfile.NamedTemporaryFile() as image:
            image.write(b"image")
            image.flush()
            cid = cpi.create_stemcell(image.name, {"disk_format": "raw"})

        def network(n: int) -> Networks:
            own = {"type": "manual", "ip": f"10.10.1.{10 + n}", "default": ["gateway"]}
            return {"default": {**own, "cloud_properties": {"net_id": net_id}}}

        yield Cloud(
            cpi=cpi,
            calls=calls,
            stemcell={"image_id": cid},
            vm={"instance_type": "m1.tiny"},
            network=network,
        )
        cpi.delete_stemcell(cid)


CLOUDS: dict[str, Callable[[], AbstractContextManager[Cloud]]] = {
    "aws": aws,
    "openstack": openstack,
}


def measure(cloud: Cloud) -> dict[str, Counter[str]]:
    """Return the calls of each method, of a CPI that has made one VM before."""
    cpi, found = cloud.cpi, {}

    def count(method: str, *arguments: Any, **named: Any) -> Any:
        cloud.calls()
        result = getattr(cpi, method)(*arguments, **named)
        found[method] = cloud.calls()
        return result

    def vm(n: int) -> tuple[Any, ...]:
        return (AgentId(f"counted-{n}"), stemcell, cloud.vm, cloud.network(n), [], Keys().env)

    count("info")
    stemcell = count("create_stemcell", "", cloud.stemcell)
    first, _ = cpi.create_vm(*vm(0))
    cid, _ = count("create_vm", *vm(1))
    count("find_vm", AgentId("counted-1"))
    count("has_vm", cid)
    count("set_vm_metadata", cid, {"name": "web/0"})
    disk = count("create_disk", cloud.disk_mb, {}, cid, token="counted")
    count("find_disk", "counted")
    count("has_disk", disk)
    count("set_disk_metadata", disk, {"deployment": "d"})
    count("attach_disk", cid, disk)
    count("get_disks", cid)
    count("reboot_vm", cid)
    count("console_output", cid)
    snapshot = count("snapshot_disk", disk, {})
    count("delete_snapshot", snapshot)
    count("detach_disk", cid, disk)
    count("resize_disk", disk, 2 * cloud.disk_mb)
    count("delete_vm", cid)
    count("delete_disk", disk)
    cpi.delete_vm(first)
    count("delete_stemcell", stemcell)
    return found


def show(name: str, found: dict[str, Counter[str]]) -> None:
    print(f"{name}\n")
    for method, calls in found.items():
        told = ", ".join(f"{n} {action}" for action, n in sorted(calls.items())) or "none"
        print(f"  {method:20}{calls.total():3}  {told}")
    total = sum(found[method].total() for method in PER_INSTANCE)
    print(f"\n  a new instance with a disk: {total} calls ({', '.join(PER_INSTANCE)})\n")


def main() -> None:
    for name in sys.argv[1:] or CLOUDS:
        with CLOUDS[name]() as cloud:
            show(name, measure(cloud))


if __name__ == "__main__":
    main()
