"""How the director gets into its machines over SSH: by which address, as whom, with which keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from director.home import Home, keep_key
from director.model.errors import MachineUnreachable
from director.model.ids import AgentId
from director.model.instances import Reach, RecordedVm

if TYPE_CHECKING:
    from director.machine.contract import Machine
    from director.machine.host_keys import LoginKey

NO_ADDRESS = "the VM has no address"


class SshWays:
    """The ways into recorded VMs; what is slow to import or read is so at first use."""

    def __init__(self, home: Home, reach: Reach) -> None:
        self._home = home
        self._reach = reach
        self._login: LoginKey | None = None
        self._turn = threading.Lock()

    def connect(self, vm: RecordedVm, cancelled: Callable[[], bool]) -> Machine:
        """Return a VM's machine, not connected yet."""
        from director.machine.become_root import become_root
        from director.machine.ssh_machine import SshMachine
        from director.machine.transport import Transport

        def open_transport() -> Transport:
            transport = Transport(
                self._address(vm),
                host_public_key=vm.host_public_key,
                login_key=self._login_key(),
                user=vm.login_user,
            )
            try:
                become_root(
                    transport, password=lambda: self.password(vm.agent_id), cancelled=cancelled
                )
            except BaseException:
                transport.close()
                raise
            return transport

        return SshMachine(open_transport, cancelled)

    def probe(self, vm: RecordedVm) -> str | None:
        """Return why a VM's sshd does not answer, or None."""
        from director.machine.reachable import probe

        address = vm.address(self._reach)
        return probe(address) if address else NO_ADDRESS

    def host_key(self, vm: RecordedVm) -> str:
        """Return the host key a VM shows now; raises MachineUnreachable."""
        from director.machine.transport import seen_host_key

        return seen_host_key(self._address(vm))

    def password(self, agent_id: AgentId) -> str:
        """Return the password of the user who logs in to a VM whose sudo may want one."""
        key = keep_key(self._home, "vm-passwords")
        digest = hmac.digest(key, agent_id.encode(), hashlib.sha256)
        return base64.b32encode(digest).decode().rstrip("=").lower()

    def login_public_key(self) -> str:
        """Return what lets the director in; kept beside the key, for it takes long to compute."""
        private, public = self._home.keys / "login", self._home.keys / "login.pub"
        if private.exists() and public.exists():
            return public.read_text()
        text = self._login_key().public_key
        descriptor = os.open(public, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return text

    def _address(self, vm: RecordedVm) -> str:
        address = vm.address(self._reach)
        if address is None:
            raise MachineUnreachable(f"cannot reach VM '{vm.cid}': {NO_ADDRESS}")
        return address

    def _login_key(self) -> LoginKey:
        with self._turn:
            if self._login is None:
                from director.machine.host_keys import load_or_make_login_key

                self._login = load_or_make_login_key(self._home.keys / "login")
            return self._login
