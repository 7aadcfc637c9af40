"""A machine that lets only ``vcap`` in, with a real sshd and a real sudo: how it becomes ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_machines import wait_for_sshd
from machine_bench import PASSWORD, LocalVm, bundle, foreign_vm, ignore

from director.machine.become_root import become_root
from director.machine.host_keys import new_host_key
from director.machine.session import run_on
from director.machine.ssh_machine import SshMachine
from director.machine.transport import Transport, seen_host_key
from director.model.errors import MachineError, MachineUnreachable

pytestmark = pytest.mark.machines

PEEK = (
    "until [ -e /tmp/enough ]; do cat /proc/[0-9]*/cmdline 2>/dev/null; done "
    "</dev/null 2>/dev/null | tr '\\0' ' ' >/tmp/peeked 2>/dev/null &"
)


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVm]:
    with foreign_vm(tmp_path_factory.mktemp("foreign"), "10.239.2.10") as made:
        yield made


def transport(vm: LocalVm, user: str = "vcap", key: str = "") -> Transport:
    return Transport(
        vm.address,
        host_public_key=key or seen_host_key(vm.address),
        login_key=vm.login_key,
        user=user,
    )


def told(link: Transport, command: str) -> tuple[int, str]:
    done = run_on(link.open_session(), command, name="m", cancelled=lambda: False, timeout_s=20)
    return done.exit_code, done.text.strip()


def test_nobody_gets_in_but_vcap_and_only_by_the_pinned_key(vm: LocalVm) -> None:
    with pytest.raises(MachineUnreachable, match="authentication failed"):
        transport(vm, "root")
    with pytest.raises(MachineUnreachable, match="no host key of the kind"):
        transport(vm, key=new_host_key().public_key)
    link = transport(vm)
    try:
        assert told(link, "id -un") == (0, "vcap")
        assert told(link, "sudo -n id -un")[0] != 0
    finally:
        link.close()


def test_a_wrong_password_is_an_error_and_changes_nothing(vm: LocalVm) -> None:
    link = transport(vm)
    try:
        with pytest.raises(MachineError, match=r"'vcap' cannot become root .* incorrect password"):
            become_root(link, password=lambda: "wrong", cancelled=lambda: False)
        assert told(link, "sudo -n id -un")[0] != 0
        assert told(link, "ls /etc/sudoers.d") == (0, "vcap")
    finally:
        link.close()


def test_the_password_is_sent_once_and_seen_by_nobody(vm: LocalVm) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append(PASSWORD)
        return PASSWORD

    link = transport(vm)
    try:
        told(link, PEEK)
        for _ in range(2):
            become_root(link, password=password, cancelled=lambda: False)
        told(link, ": >/tmp/enough; sleep 0.5")
        assert asked == [PASSWORD]
        code, text = told(link, "cat /tmp/peeked")
        assert code == 0
        assert "adopt vcap nopasswd" in text, "it looked while it happened"
        assert PASSWORD not in text
        assert told(link, "sudo -n stat -c '%a %U' /etc/sudoers.d/zz-director") == (0, "440 root")
    finally:
        link.close()


def test_the_agent_and_its_monit_are_down_for_good(vm: LocalVm) -> None:
    machine = SshMachine(vm.connect)
    machine.apply(bundle(), ignore)
    machine.close()
    log = machine.run_command("cat /var/vcap/bosh/sv.log; ls /etc/sv/*/down").stdout.split("\n")
    assert [line for line in log if line and not line.startswith("status")] == [
        *("stop agent", "stop monit"),
        *("/etc/sv/agent/down", "/etc/sv/monit/down"),
    ]
    assert log.index("stop agent") > 0, "it was waited for"
    machine.close()


def test_the_machine_is_the_same_after_a_reboot(vm: LocalVm) -> None:
    vm.cpi.reboot_vm(vm.cid)
    wait_for_sshd(vm.address).close()
    machine = SshMachine(vm.connect)
    assert machine.run_command("id -un; echo $HOME").stdout == "root\n/root\n"
    assert machine.state().job_state == "stopped"
    machine.close()
