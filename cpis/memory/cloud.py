"""The memory cloud's things: rows in tables, found fast, and kept in a file if one is named.

The file is a journal of changed rows. Every operation holds its lock, reads what other processes
appended and appends its own changes, so that a cloud outlives the process that filled it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cpis.contract import CloudDiskNotFound, VmCreationFailed, VmNotFound

Row = Mapping[str, Any]
_FIRST_DYNAMIC = int(IPv4Address("10.251.0.2"))
TABLES = ("stemcells", "vms", "disks", "snapshots", "counters")


class Cloud:
    """Tables of rows by CID. Everything happens inside :meth:`held`."""

    def __init__(self, state_file: Path | None) -> None:
        self._file = state_file
        self._read_to = 0
        self._lock = threading.RLock()
        self._depth = 0
        self._unwritten: list[str] = []
        self.rows: dict[str, dict[str, Row]] = {table: {} for table in TABLES}
        self.vm_of_agent: dict[str, str] = {}
        self.vm_of_address: dict[tuple[str, str], str] = {}
        self.disk_of_token: dict[str, str] = {}
        self.disks_of_vm: dict[str, dict[str, None]] = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the cloud against other threads and, where it has a file, other processes."""
        with self._lock:
            if self._file is None or self._depth:
                yield
                return
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._depth += 1
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._catch_up(handle)
                try:
                    yield
                finally:
                    self._append(handle)
            finally:
                self._depth -= 1
                os.close(handle)

    def next_number(self, kind: str) -> int:
        """Return 1, 2, 3 and so on for each kind of thing."""
        number = int(self.rows["counters"].get(kind, {"value": 0})["value"]) + 1
        self.put("counters", kind, {"value": number})
        return number

    def put(self, table: str, cid: str, row: Row) -> None:
        """Add or replace a row."""
        self._note(table, cid, row)
        self._apply(table, cid, row)

    def drop(self, table: str, cid: str) -> None:
        """Remove a row, if it is there."""
        if cid in self.rows[table]:
            self._note(table, cid, None)
            self._apply(table, cid, None)

    def vm(self, cid: str) -> Row:
        """Return a VM's row; raises VmNotFound."""
        if cid not in self.rows["vms"]:
            raise VmNotFound(f"there is no VM '{cid}'")
        return self.rows["vms"][cid]

    def disk(self, cid: str) -> Row:
        """Return a disk's row; raises CloudDiskNotFound."""
        if cid not in self.rows["disks"]:
            raise CloudDiskNotFound(f"there is no disk '{cid}'")
        return self.rows["disks"][cid]

    def remove_vm(self, cid: str) -> None:
        """Remove a VM, if it is there; its disks are free."""
        for disk in list(self.disks_of_vm.get(cid, ())):
            self.put("disks", disk, {**self.disk(disk), "vm": None})
        self.drop("vms", cid)

    def addressed(self, name: str, network: Mapping[str, Any]) -> dict[str, Any]:
        """Return a network with an address that is free; raises VmCreationFailed."""
        given = dict(network)
        if given.get("type") == "dynamic" and not given.get("ip"):
            given["ip"] = str(IPv4Address(_FIRST_DYNAMIC + self.next_number("address")))
            given["netmask"] = "255.255.0.0"
            given["gateway"] = "10.251.0.1"
        holder = self.vm_of_address.get((name, given.get("ip", "")))
        if holder is not None:
            raise VmCreationFailed(f"the address {given['ip']} is taken by the VM '{holder}'")
        return given

    def _note(self, table: str, cid: str, row: Row | None) -> None:
        if self._file is not None:
            self._unwritten.append(json.dumps([table, cid, row]) + "\n")

    def _apply(self, table: str, cid: str, row: Row | None) -> None:
        old = self.rows[table].pop(cid, None)
        if old is not None:
            self._index(table, cid, old, there=False)
        if row is not None:
            self.rows[table][cid] = row
            self._index(table, cid, row, there=True)

    def _index(self, table: str, cid: str, row: Row, *, there: bool) -> None:
        if table == "vms":
            _set(self.vm_of_agent, row["agent_id"], cid, there=there)
            for name, network in row["networks"].items():
                if network.get("ip"):
                    _set(self.vm_of_address, (name, network["ip"]), cid, there=there)
        elif table == "disks":
            if row["token"]:
                _set(self.disk_of_token, row["token"], cid, there=there)
            if row["vm"] and there:
                self.disks_of_vm.setdefault(row["vm"], {})[cid] = None
            elif row["vm"]:
                self.disks_of_vm.get(row["vm"], {}).pop(cid, None)

    def _catch_up(self, handle: int) -> None:
        size = os.fstat(handle).st_size
        if size <= self._read_to:
            return
        text = os.pread(handle, size - self._read_to, self._read_to)
        # A process that was killed while it wrote leaves a part of a line: it never happened.
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.ftruncate(handle, self._read_to + whole)
        for line in text[:whole].splitlines():
            self._apply(*json.loads(line))
        self._read_to += whole

    def _append(self, handle: int) -> None:
        if not self._unwritten:
            return
        data = "".join(self._unwritten).encode()
        self._unwritten.clear()
        os.write(handle, data)
        self._read_to += len(data)


def _set(index: dict[Any, str], key: Any, cid: str, *, there: bool) -> None:
    if there:
        index[key] = cid
    elif index.get(key) == cid:
        del index[key]
