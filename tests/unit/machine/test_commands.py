"""Shell text: quoting and refusals, tried in a real shell."""

from __future__ import annotations

import subprocess

import pytest

from director.machine import commands
from director.machine.contract import StopRequest
from director.machine.failures import monit_failure
from director.machine.lifecycle import drain_arguments, next_states, read_later, read_results
from director.machine.log_files import choose_logs
from director.model.errors import MachineError

EVIL = ["'; touch /tmp/evil; '", "$(id)", "`id`", "a\nb", '"', "\\", "*", "--help", "é"]


def test_arguments_arrive_as_they_are() -> None:
    line = commands.script("errand", *EVIL)
    # The script itself is put aside: what counts is how its arguments reach it.
    shown = 'exec /bin/sh -c \'printf "%s\\0" "$@"\' errand ' + line.rpartition(" errand ")[2]
    done = subprocess.run(["/bin/sh", "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == EVIL


@pytest.mark.parametrize(
    "name", ["state", "install", "lifecycle", "drain", "monit", "disk", "compile", "users", "logs"]
)
def test_every_script_is_one_a_shell_can_read(name: str) -> None:
    line = commands.script(name)
    subprocess.run(["/bin/sh", "-n", "-c", line], check=True)
    subprocess.run(["/bin/sh", "-n"], input=commands._text(name), text=True, check=True)


def supervised(command: str, stdin: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["/bin/sh", "-c", commands.supervised_shell(command)],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_supervised_passes_output_and_exit_code_on() -> None:
    with supervised("echo out; echo err >&2; exit 5", subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == ("out\n", "err\n")
        assert process.wait(5) == 5


def test_supervised_ends_its_command_when_input_ends() -> None:
    command = "trap 'echo ended; exit 3' TERM; echo begun; sleep 30 & wait"
    with supervised(command, subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.stdin.close()
        assert process.stdout.readline() == "ended\n"
        assert process.wait(5) == 3


def test_supervised_ends_its_command_even_if_input_never_was() -> None:
    with supervised("sleep 30", subprocess.DEVNULL) as process:
        assert process.wait(5) == 143


@pytest.mark.parametrize(
    ("device", "filesystem", "options"),
    [
        ("sdb", "ext4", ""),
        ("/dev/../etc", "ext4", ""),
        ("/dev/sdb; id", "ext4", ""),
        ("/dev/sdb", "btrfs", ""),
        ("/dev/sdb", "ext4", "noatime -o suid"),
    ],
)
def test_disks_mount_must_not_be_told_of(device: str, filesystem: str, options: str) -> None:
    with pytest.raises(MachineError):
        commands.disk_arguments(device, filesystem, options)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        ("ssh-ed25519 AAAAC3Nza me@host", True),
        ("ssh-rsa AAAAB3Nza==\n", True),
        ("ecdsa-sha2-nistp256 AAAA", True),
        ('command="id" ssh-rsa AAAA', False),
        ("ssh-rsa AAAA\nssh-rsa BBBB", False),
        ("", False),
    ],
)
def test_public_keys(key: str, good: bool) -> None:
    if good:
        assert commands.check_public_key(key) == key.strip()
    else:
        with pytest.raises(MachineError):
            commands.check_public_key(key)


def test_users_are_compared_not_searched() -> None:
    users = ["bosh_a", "bosh_ab", "root", "bosh_B"]
    assert commands.users_matching("^bosh_a", users) == ["bosh_a", "bosh_ab"]
    assert commands.users_matching("^bosh_a$", users) == ["bosh_a"]
    assert commands.users_matching("^bosh_.*", users) == ["bosh_a", "bosh_ab"]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ((), ["a.log", "redis/x.log", "redis/y.txt"]),
        (("*.log",), ["a.log"]),
        (("**/*.log",), ["a.log", "redis/x.log"]),
        (("redis/*",), ["redis/x.log", "redis/y.txt"]),
        (("redis/?.txt", "a*"), ["a.log", "redis/y.txt"]),
        (("*" * 400 + "x",), []),
        (("../*",), []),
    ],
)
def test_log_filters(filters: tuple[str, ...], names: list[str]) -> None:
    base = "/var/vcap/sys/log"
    listed = b"".join(f"{base}//{n}\0".encode() for n in ("a.log", "redis/x.log", "redis/y.txt"))
    chosen = choose_logs(listed + b"/etc/passwd\0", base, filters)
    assert [n.removeprefix("./") for n in chosen.decode().split("\0") if n] == names


def test_what_is_deleted_takes_the_smaller_with_it() -> None:
    assert next_states(StopRequest(instance_next="delete")) == [
        "BOSH_VM_NEXT_STATE=delete",
        "BOSH_INSTANCE_NEXT_STATE=delete",
        "BOSH_DEPLOYMENT_NEXT_STATE=keep",
    ]


def test_drain_of_a_machine_without_a_spec_is_of_new_jobs() -> None:
    assert drain_arguments(StopRequest(changed_jobs=frozenset("ba")), new=False)[3] == " a b "
    assert drain_arguments(StopRequest(), new=True)[3] == " :all "


def test_results_belong_to_the_job_before_them() -> None:
    text = "b 1\n|no\n|such\na 0\n|\ngarbage\n|+drain\n+post-stop\n"
    assert read_later(text) == {"post-stop"}
    found = read_results(text)
    assert [(r.job, r.exit_code, r.said) for r in found] == [
        ("a", 0, "\n+drain"),
        ("b", 1, "no\nsuch"),
    ]


def test_monit_names_the_job_and_the_line() -> None:
    said = "/var/vcap/monit/job.new/0000_redis.monitrc:3: syntax error 'foo'\nother"
    text = str(monit_failure("m", said))
    assert "job 'redis', monit file, line 3: syntax error 'foo'" in text
