"""Everything an operation acts through: made once by the app, handed to every operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from director.model.instances import Reach

if TYPE_CHECKING:
    from cpis.contract import Cpi
    from director.blobs.directory import DirectoryBlobs
    from director.machine.contract import Machine
    from director.machine.host_keys import HostKey
    from director.model.configs import CpiConfig
    from director.model.ids import AgentId
    from director.model.instances import RecordedVm
    from director.render.renderer import Renderer
    from director.store.store import Store
    from director.variables.credentials import Credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The director's ports to the world.

    ``cpi`` takes a CPI's name from the CPI config, or the empty string for the default one; raises
    CpiError for one there is not. ``cpi_config`` reads the latest CPI config, ``cpi_types`` names
    the installed CPIs.
    ``connect`` yields a machine for a recorded VM, without connecting yet. ``renderer`` and
    ``credentials`` are made at first use; ``dry_credentials`` generate what is missing without
    keeping it. ``probe`` says why a VM's sshd does not answer, or None.
    ``host_key_of`` asks a VM for the host key it shows (MachineUnreachable where it does not);
    ``vm_password`` is that of the user who logs in where a VM lets only vcap in. ``reach`` tells by
    which of its addresses a VM is reached.
    ``resize_disks`` and ``update_disks`` let a cloud change disks in place rather than copy them.
    ``new_pool`` makes a pool of that many threads, never more than ``max_threads``.
    """

    director_uuid: str
    name: str
    store: Store
    blobs: DirectoryBlobs
    cpi: Callable[[str], Cpi]
    cpi_config: Callable[[], CpiConfig]
    cpi_types: Callable[[], Sequence[str]]
    connect: Callable[[RecordedVm, Callable[[], bool]], Machine]
    probe: Callable[[RecordedVm], str | None]
    renderer: Callable[[], Renderer]
    credentials: Callable[[], Credentials]
    dry_credentials: Callable[[], Credentials]
    new_host_key: Callable[[], HostKey]
    login_public_key: str
    host_key_of: Callable[[RecordedVm], str]
    vm_password: Callable[[AgentId], str]
    digest_key: bytes = field(repr=False)
    now: Callable[[], float]
    new_id: Callable[[], str]
    work_dir: Path
    new_pool: Callable[[int], Executor]
    reach: Reach = Reach.PRIVATE
    resize_disks: bool = False
    update_disks: bool = False
    max_threads: int = 32
    boot_timeout_s: float = 600.0
