"""The life of a VM: recorded before anything is made, made, booted, stopped, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cpis.contract import CloudError, VmNotFound
from cpis.local.addresses import Card, Subnet, dns_servers, filled_networks, plan_cards, to_json
from cpis.local.bridges import Bridges, wait_until_forwarding
from cpis.local.disks import Disks
from cpis.local.processes import ProgramFailed, run
from cpis.local.properties import VmProperties
from cpis.local.runtime import Box, Device, Runtime
from cpis.local.seed import Identity, seed_root
from cpis.local.state import locked, read_json, remove_tree, write_json
from director.model.ids import AgentId, DiskCid, VmCid

_CONSOLE_BYTES = 16_384
CREATING, CREATED, DELETING = "creating", "created", "deleting"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmRecord:
    """What is kept of a VM; it holds no key and no other secret."""

    state: str
    agent_id: str
    stemcell: str
    limits: VmProperties
    networks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cards: tuple[Card, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VmRecord:
        """Return the record that :meth:`to_json` made ``data`` of."""
        cards = tuple(Card.from_json(card) for card in data["cards"])
        return cls(**{**data, "limits": VmProperties(**data["limits"]), "cards": cards})

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return {**asdict(self), "cards": to_json(self.cards)}


class Machines:
    """The VMs of one director. Thread-safe, and safe beside other processes."""

    def __init__(
        self, root: Path, director_id: str, runtime: Runtime, bridges: Bridges, disks: Disks
    ) -> None:
        self._root = root
        self._directory = root / "vms"
        self._director_id = director_id
        self._runtime = runtime
        self._bridges = bridges
        self._disks = disks

    def cid_of(self, agent_id: AgentId) -> VmCid:
        """Return the CID of the VM that has or would have this agent id."""
        digest = hashlib.sha256(f"{self._director_id} {agent_id}".encode()).hexdigest()
        return VmCid(f"vm-{digest[:16]}")

    def lock(self, cid: VmCid) -> AbstractContextManager[None]:
        """Hold a VM against everybody else."""
        return locked(self._root / "locks" / f"{cid}.lock")

    def forget_lock(self, cid: VmCid) -> None:
        """Remove the lock's file: the last thing its holder does, as it guards nothing after."""
        (self._root / "locks" / f"{cid}.lock").unlink(missing_ok=True)

    def get(self, cid: VmCid) -> VmRecord:
        """Return a VM's record; raises VmNotFound."""
        data = read_json(self._directory / cid / "vm.json") if _is_plain(cid) else None
        if data is None or data["state"] != CREATED:
            raise VmNotFound(f"there is no VM '{cid}'")
        return VmRecord.from_json(data)

    def settle(self, cid: VmCid) -> VmRecord | None:
        """Return a whole VM's record; a half-made or half-deleted one is removed and gives None.

        The caller holds the VM's lock.
        """
        directory = self._directory / cid
        data = read_json(directory / "vm.json")
        if data is not None and data["state"] == CREATED:
            return VmRecord.from_json(data)
        if directory.exists():
            self.remove(cid)
        return None

    def create(
        self,
        cid: VmCid,
        record: VmRecord,
        networks: Mapping[str, Mapping[str, Any]],
        env: Mapping[str, Any],
    ) -> Mapping[str, Mapping[str, Any]]:
        """Make and boot a VM; returns the networks filled in. On failure nothing is left.

        The caller holds the VM's lock.
        """
        directory = self._directory / cid
        directory.mkdir(mode=0o700, parents=True)
        write_json(directory / "vm.json", record.to_json())
        try:

            def pick(subnet: Subnet) -> str:
                return self._bridges.pick(cid, subnet)

            cards = plan_cards(self._director_id, cid, networks, pick)
            filled = filled_networks(networks, cards)
            planned = replace(record, networks=filled, cards=cards)
            write_json(directory / "vm.json", planned.to_json())
            upper = directory / "upper"
            upper.mkdir(mode=0o755)
            address = next((card.address for card in cards if card.default_route), None)
            identity = Identity(
                hostname=cid, agent_id=record.agent_id, address=address, dns=dns_servers(networks)
            )
            seed_root(upper, self.image(record.stemcell), identity, env)
            self.boot(cid, planned)
            write_json(directory / "vm.json", replace(planned, state=CREATED).to_json())
        except BaseException:
            self.remove(cid)
            raise
        return filled

    def boot(self, cid: VmCid, record: VmRecord) -> None:
        """Start a VM that does not run, with its networks and disks. The caller holds the lock."""
        self._bridges.join(cid, record.cards)
        devices = tuple(self._disks.open_device(disk) for disk in self._disks.of_vm(cid))
        self._runtime.start(
            Box(
                cid=cid,
                hostname=cid,
                directory=self._directory / cid,
                image=self.image(record.stemcell),
                cards=record.cards,
                limits=record.limits,
                devices=devices,
            )
        )
        init_pid = self.init_pid(cid)
        if init_pid is None:
            raise CloudError(
                f"the machine '{cid}' ended as soon as it was started: {self.console(cid)[-500:]}"
            )
        wait_until_forwarding(record.cards, init_pid)

    def halt(self, cid: VmCid, *, clean: bool) -> None:
        """Take a VM down. The caller holds the lock."""
        directory = self._directory / cid
        self._runtime.stop(cid, directory, clean=clean)
        # A machine's network goes some time after it; its names and addresses must be free now.
        data = read_json(directory / "vm.json") or {}
        delete_links([card["link"] for card in data.get("cards", ())])

    def remove(self, cid: VmCid) -> None:
        """Take a VM down and remove all that was made for it. The caller holds the lock."""
        directory = self._directory / cid
        data = read_json(directory / "vm.json")
        if data is not None:
            write_json(directory / "vm.json", {**data, "state": DELETING})
        self.halt(cid, clean=False)
        for disk in self._disks.of_vm(cid):
            self.let_go(disk)
        self._bridges.leave(cid)
        remove_tree(directory)

    def let_go(self, disk: DiskCid) -> None:
        """Detach a disk from a VM that does not run or does not use it."""
        self._disks.close_device(disk)
        self._disks.save(disk, vm=None)

    def init_pid(self, cid: VmCid) -> int | None:
        """Return the host's id of a VM's first process, or None when it does not run."""
        return self._runtime.init_pid(cid, self._directory / cid)

    def allow(self, cid: VmCid, device: Device) -> None:
        self._runtime.allow(cid, self._directory / cid, device)

    def deny(self, cid: VmCid, device: Device) -> None:
        self._runtime.deny(cid, self._directory / cid, device)

    def set_metadata(self, cid: VmCid, metadata: Mapping[str, str]) -> None:
        """Replace a VM's metadata. The caller holds the lock."""
        path = self._directory / cid / "vm.json"
        write_json(path, {**(read_json(path) or {}), "metadata": dict(metadata)})

    def console(self, cid: VmCid) -> str:
        """Return the last of what a VM printed."""
        try:
            with (self._directory / cid / "console.log").open("rb") as stream:
                stream.seek(0, 2)
                stream.seek(max(0, stream.tell() - _CONSOLE_BYTES))
                return stream.read().decode(errors="replace").replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    def all(self) -> list[VmCid]:
        """Return every VM there is, whole or not."""
        return [VmCid(path.name) for path in sorted(self._directory.glob("vm-*"))]

    def of_stemcell(self, stemcell: str) -> list[VmCid]:
        """Return the VMs made from a stemcell."""
        records = {cid: read_json(self._directory / cid / "vm.json") for cid in self.all()}
        return [cid for cid, data in records.items() if data and data["stemcell"] == stemcell]

    def image(self, stemcell: str) -> Path:
        """Return the unpacked image of a stemcell; raises CloudError."""
        path = self._root / "stemcells" / stemcell / "rootfs"
        if not _is_plain(stemcell) or not path.is_dir():
            raise CloudError(
                f"there is no stemcell '{stemcell}'", fix="upload the stemcell again with --fix"
            )
        return path


def delete_links(links: list[str]) -> None:
    """Remove the host's ends of network cards that are still there."""
    for link in links:
        path = Path("/sys/class/net", link)
        if not path.exists():
            continue
        try:
            run(["ip", "link", "delete", "dev", link])
        except ProgramFailed:
            # The kernel takes the links of an ended machine away too, and may have been faster.
            if path.exists():
                raise


def _is_plain(cid: str) -> bool:
    return bool(cid) and "/" not in cid and not cid.startswith(".")
