"""The tables of instances and VMs: which columns, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from director.cli.table import Failing, several
from director.client.instances import RUNNING, InstanceInfo, ProcessInfo

Column = tuple[str, Callable[[InstanceInfo], str], Callable[[ProcessInfo], str]]
"""A title, the cell of an instance, and the cell of one of its processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a listing shows beside instance, state, AZ and addresses."""

    processes: bool = False
    details: bool = False
    vitals: bool = False
    vm: bool = False
    cloud_properties: bool = False


def columns(shown: Shown) -> list[Column]:
    """Return the columns, in the bosh CLI's order."""
    found: list[Column] = [("Instance", lambda info: info.name, _nothing)]
    if shown.processes:
        found.append(("Process", lambda _: "", lambda process: process.name))
    found += [
        ("Process State", _instance_state, _process_state),
        ("AZ", lambda info: info.az, _nothing),
        ("IPs", lambda info: several(info.ips), _nothing),
    ]
    if shown.details:
        found += _DETAILS
    if shown.vm:
        found += _VM
    if shown.vitals:
        found += _VITALS
    if shown.cloud_properties:
        found.append(("Cloud Properties", lambda i: _yaml(i.cloud_properties), _nothing))
    return found


def rows(shown: Shown, infos: list[InstanceInfo], *, failing_only: bool = False) -> list[list[str]]:
    """Return a row for each instance and, where wanted, one for each of its (failing) processes."""
    wanted = columns(shown)
    found: list[list[str]] = []
    for info in infos:
        found.append([of_instance(info) for _, of_instance, _ in wanted])
        for process in info.processes if shown.processes else ():
            if failing_only and process.state == RUNNING:
                continue
            cells = [of_process(process) for _, _, of_process in wanted]
            found.append([info.name, *cells[1:]])
    return found


def uptime(seconds: Any) -> str:
    """Return an uptime as ``3d 4h 5m 6s``."""
    if not isinstance(seconds, int):
        return ""
    days, rest = divmod(seconds, 86400)
    return f"{days}d {rest // 3600}h {rest // 60 % 60}m {rest % 60}s"


def size(kilobytes: Any) -> str:
    """Return an amount of memory with a unit of a thousand bytes, as BOSH does."""
    try:
        amount = float(kilobytes) * 1024
    except (TypeError, ValueError):
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _nothing(_: ProcessInfo) -> str:
    return ""


def _instance_state(info: InstanceInfo) -> str:
    state = info.shown_state
    expected = info.state in ("stopped", "detached")
    return state if info.is_running or expected else Failing(state or "-")


def _process_state(process: ProcessInfo) -> str:
    return process.state if process.state == RUNNING else Failing(process.state)


def _at(data: Any, *keys: str) -> Any:
    for key in keys:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _percent(value: Any) -> str:
    return "" if value in (None, "") else f"{value}%"


def _vital(*keys: str) -> Callable[[InstanceInfo], str]:
    return lambda info: _percent(_at(info.vitals, *keys))


def _memory(key: str) -> Callable[[InstanceInfo], str]:
    def cell(info: InstanceInfo) -> str:
        used = _at(info.vitals, key)
        percent, amount = _percent(_at(used, "percent")), size(_at(used, "kb"))
        return f"{percent} ({amount})" if percent and amount else percent or amount

    return cell


def _disk(kind: str) -> Callable[[InstanceInfo], str]:
    def cell(info: InstanceInfo) -> str:
        used = _at(info.vitals, "disk", kind)
        if not used:
            return ""
        inodes = _percent(_at(used, "inode_percent")) or "?"
        return f"{_percent(_at(used, 'percent')) or '?'} ({inodes}i)".replace("%i", "i%")

    return cell


def _load(info: InstanceInfo) -> str:
    load = _at(info.vitals, "load")
    return ", ".join(str(part) for part in load) if isinstance(load, list) else ""


def _process_memory(process: ProcessInfo) -> str:
    if process.memory_percent is None:
        return ""
    return f"{process.memory_percent:.1f}% ({size(process.memory_kb)})"


def _yaml(data: Any) -> str:
    if not data:
        return ""
    import yaml

    return str(yaml.safe_dump(data, default_flow_style=False)).strip()


def _flag(value: bool | None) -> str:
    return "" if value is None else "true" if value else "false"


_DETAILS: list[Column] = [
    ("State", lambda info: info.state, _nothing),
    ("VM CID", lambda info: info.vm_cid, _nothing),
    ("VM Type", lambda info: info.vm_type, _nothing),
    ("Disk CIDs", lambda info: several(info.disk_cids), _nothing),
    ("Agent ID", lambda info: info.agent_id, _nothing),
    ("Index", lambda info: "" if info.index is None else str(info.index), _nothing),
    ("Bootstrap", lambda info: _flag(info.bootstrap), _nothing),
    ("Ignore", lambda info: _flag(info.ignore), _nothing),
]

_VM: list[Column] = [
    ("VM CID", lambda info: info.vm_cid, _nothing),
    ("VM Type", lambda info: info.vm_type, _nothing),
    ("Active", lambda info: _flag(info.active), _nothing),
    ("Stemcell", lambda info: info.stemcell, _nothing),
]

_VITALS: list[Column] = [
    ("VM Created At", lambda info: info.created_at, _nothing),
    (
        "Uptime",
        lambda info: uptime(_at(info.vitals, "uptime", "secs")),
        lambda process: uptime(process.uptime_s),
    ),
    ("Load\n(1m, 5m, 15m)", _load, _nothing),
    (
        "CPU\nTotal",
        lambda _: "",
        lambda process: "" if process.cpu_total is None else f"{process.cpu_total:.1f}%",
    ),
    ("CPU\nUser", _vital("cpu", "user"), _nothing),
    ("CPU\nSys", _vital("cpu", "sys"), _nothing),
    ("CPU\nWait", _vital("cpu", "wait"), _nothing),
    ("Memory\nUsage", _memory("mem"), _process_memory),
    ("Swap\nUsage", _memory("swap"), _nothing),
    ("System\nDisk Usage", _disk("system"), _nothing),
    ("Ephemeral\nDisk Usage", _disk("ephemeral"), _nothing),
    ("Persistent\nDisk Usage", _disk("persistent"), _nothing),
]
