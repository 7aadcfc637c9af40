"""How the director gets into a VM it makes: what the VM is told before, what is learned after.

Where the cloud takes a host key, the VM presents the one the director made, and root logs in.
BOSH's own CPIs take none: their VMs let ``vcap`` in, and the first host key seen is the one that
counts from then on.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

from director.execute.run import TaskRun
from director.execute.world import World
from director.machine.host_keys import fingerprint
from director.machine.password import sha512_crypt
from director.model.errors import MachineUnreachable
from director.model.instances import RecordedVm
from director.model.manifest import Json

FOREIGN_USER = "vcap"
_PAUSE_S = 1.0


def give_access(
    world: World, vm: RecordedVm, env: Json, *, host_keys: bool
) -> tuple[RecordedVm, dict[str, Any]]:
    """Return the VM's record with who logs in, and what ``env.bosh`` must carry for that.

    ``host_keys``: the cloud can make the VM present a host key. What the operator's own ``env``
    says of keys and passwords stays.
    """
    bosh = env.get("bosh")
    given = bosh if isinstance(bosh, dict) else {}
    keys = given.get("authorized_keys", [])
    own = [str(key) for key in keys] if isinstance(keys, list) else []
    access: dict[str, Any] = {"authorized_keys": [*own, world.login_public_key]}
    if host_keys:
        host_key = world.new_host_key()
        access["ssh_host_key"] = {
            "private_key": host_key.private_key,
            "public_key": host_key.public_key,
        }
        return replace(vm, host_public_key=host_key.public_key), access
    if not given.get("password"):
        access["password"] = sha512_crypt(world.vm_password(vm.agent_id), secrets.token_hex(8))
    return replace(vm, login_user=FOREIGN_USER), access


def meet(world: World, run: TaskRun, vm: RecordedVm) -> RecordedVm:
    """Return the VM with the host key by which it is known from now on.

    Of a VM that has none yet the first one seen is pinned, with a warning, and the director waits
    until it is let in, which the VM's agent may take a while to see to. Raises MachineUnreachable.
    """
    if vm.host_public_key:
        return vm
    key = world.store.vms.pin(vm.agent_id, world.host_key_of(vm))
    run.warn(
        f"VM '{vm.cid}' at {vm.address(world.reach)} could not be given a host key: the one it "
        f"shows now, {fingerprint(key)}, is taken for its own and no other will be accepted"
    )
    known = replace(vm, host_public_key=key)
    _wait_until_let_in(world, run, known)
    return known


def _wait_until_let_in(world: World, run: TaskRun, vm: RecordedVm) -> None:
    deadline = time.monotonic() + world.boot_timeout_s
    machine = world.connect(vm, run.cancelled)
    try:
        while True:
            try:
                machine.state()
            except MachineUnreachable:
                run.checkpoint()
                if time.monotonic() > deadline:
                    raise
            else:
                return
            time.sleep(_PAUSE_S)
    finally:
        machine.close()
