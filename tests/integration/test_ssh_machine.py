"""What only a real machine can show: modes, owners, signals, reboots, full disks."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Iterator

import pytest
from machine_bench import (
    QUICK,
    Bench,
    LocalVm,
    bundle,
    ignore,
    job,
    local_vm,
    names_in,
    package,
    script,
    served,
    ssh_bench,
    tgz,
)

from director.machine.contract import InstalledPackage, StopRequest
from director.model.errors import MachineError, MachineUnreachable

pytestmark = pytest.mark.machines


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVm]:
    with local_vm(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture
def bench(vm: LocalVm) -> Iterator[Bench]:
    with ssh_bench(vm) as found:
        yield found


def told(bench: Bench, command: str) -> str:
    result = bench.machine.run_command(command)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        ("/var/vcap/jobs/redis/", "750 root vcap"),
        ("/var/vcap/jobs/redis/bin/ctl", "750 root vcap"),
        ("/var/vcap/jobs/redis/config/deep/redis.conf", "640 root vcap"),
        ("/var/vcap/sys/log/redis", "770 root vcap"),
        ("/var/vcap/sys/run/redis", "770 root vcap"),
        ("/var/vcap/data/redis", "770 root vcap"),
        ("/var/vcap/bosh/etc/monitrc", "600 root root"),
        ("/var/vcap/packages/redis-server/bin/server", "755 root root"),
    ],
)
def test_modes_and_owners(bench: Bench, path: str, mode: str) -> None:
    files = {"bin__ctl": script(), "config__deep__redis.conf": "a"}
    bench.machine.apply(bundle(job("redis", "", **files), packages=(package(),)), ignore)
    assert told(bench, f"stat -c '%a %U %G' {path}") == mode


def test_links_lead_to_content_by_digest(bench: Bench) -> None:
    applied = bundle(job("redis"), packages=(package(),))
    bench.machine.apply(applied, ignore)
    assert told(bench, "readlink /var/vcap/jobs/redis").endswith(applied.jobs[0].digest)
    assert told(bench, "cat /var/vcap/instance/name /var/vcap/instance/index") == "redis0"
    bench.machine.apply(bundle(), ignore)
    assert told(bench, "ls /var/vcap/data/jobs /var/vcap/data/packages /var/vcap/jobs | wc -w") in (
        "3"
    )


def test_what_was_lost_since_it_was_sent_is_sent_again(bench: Bench) -> None:
    wanted = bundle(job("redis"), packages=(package(),))
    bench.machine.prepare(wanted, ignore)
    told(bench, "rm -rf /var/vcap/data/packages/* /var/vcap/data/jobs/*")
    bench.machine.apply(wanted, ignore)
    assert told(bench, "/var/vcap/packages/redis-server/bin/server") == "served"


def test_scripts_see_the_states_and_nothing_else(bench: Bench) -> None:
    seen = script("env | sort >/tmp/seen")
    bench.machine.apply(bundle(job("redis", bin__pre_stop=seen)), ignore)
    bench.machine.stop(StopRequest(deployment_next="delete"), ignore)
    lines = told(bench, "cat /tmp/seen").splitlines()
    assert [line for line in lines if not re.match("PWD=|_=|SHLVL=|OLDPWD=", line)] == [
        "BOSH_DEPLOYMENT_NEXT_STATE=delete",
        "BOSH_INSTANCE_NEXT_STATE=delete",
        "BOSH_VM_NEXT_STATE=delete",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    ]


def test_dynamic_drain_is_asked_until_it_is_done(bench: Bench) -> None:
    drain = script(
        'echo "$@ next=${BOSH_JOB_NEXT_STATE-}" >>/tmp/seen',
        "[ $(wc -l </tmp/seen) -gt 1 ] && echo 0 || echo -1",
    )
    request = StopRequest(
        changed_jobs=frozenset({"redis"}),
        changed_packages=frozenset({"redis-server"}),
        persistent_disk_mb=10,
    )
    bench.machine.apply(bundle(job("redis", bin__drain=drain)), ignore)
    begin = time.monotonic()
    bench.machine.stop(request, ignore)
    assert time.monotonic() - begin >= 1
    assert told(bench, "cat /tmp/seen").splitlines() == [
        'job_changed hash_changed redis-server next={"persistent_disk": 0}',
        "job_check_status hash_unchanged next=",
    ]


def test_drain_that_prints_no_number_fails(bench: Bench) -> None:
    bench.machine.apply(bundle(job("redis", bin__drain=script("echo soon"))), ignore)
    with pytest.raises(MachineError, match="one whole number, and printed 'soon'"):
        bench.machine.stop(StopRequest(), ignore)


def test_a_killed_process_comes_back(bench: Bench) -> None:
    bench.machine.apply(bundle(served()), ignore)
    bench.machine.start(QUICK, ignore)
    before = told(bench, "cat /var/vcap/sys/run/redis/pid")
    told(bench, f"kill -9 {before}")
    deadline = time.monotonic() + 10
    while told(bench, "cat /var/vcap/sys/run/redis/pid") == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_stop_ends_processes_and_a_reboot_brings_started_ones_back(bench: Bench) -> None:
    bench.machine.mount_disk(bench.new_disk())
    told(bench, "echo kept >/var/vcap/store/file")
    bench.machine.apply(bundle(served()), ignore)
    bench.machine.start(QUICK, ignore)
    bench.reboot()
    deadline = time.monotonic() + 10
    while (state := bench.machine.state()).job_state != "running":
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    assert state.disk is not None
    assert told(bench, "cat /var/vcap/store/file") == "kept"
    pid = told(bench, "cat /var/vcap/sys/run/redis/pid")
    bench.machine.stop(StopRequest(), ignore)
    assert bench.machine.run_command(f"kill -0 {pid}").exit_code != 0
    bench.reboot()
    assert bench.machine.state().job_state == "stopped"


def test_migrating_a_disk_keeps_its_files(bench: Bench) -> None:
    bench.machine.mount_disk(bench.new_disk())
    told(
        bench,
        "mkdir /var/vcap/store/d && echo x >/var/vcap/store/d/f && chown vcap /var/vcap/store/d",
    )
    bench.machine.migrate_disk(bench.new_disk())
    assert told(bench, "cat /var/vcap/store/d/f; stat -c %U /var/vcap/store/d") == "x\nvcap"
    assert told(bench, "ls -A /var/vcap/store").split() == ["d", "lost+found"]


def test_a_disk_with_something_on_it_is_not_formatted(bench: Bench) -> None:
    device = bench.new_disk()
    # A partition table with one Linux partition.
    entry = r"\0\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0"
    told(bench, f"printf '{entry}' | dd of={device} bs=1 seek=446 conv=notrunc")
    told(bench, rf"printf '\125\252' | dd of={device} bs=1 seek=510 conv=notrunc")
    with pytest.raises(MachineError, match="is not formatted"):
        bench.machine.mount_disk(device)


def test_a_full_disk_is_said_to_be_full(bench: Bench) -> None:
    told(bench, "mount -t tmpfs -o size=1m none /var/vcap/data")
    content = tgz({"blob": "x" * 3_000_000})
    big = InstalledPackage(name="big", digest="d1", open=lambda: io.BytesIO(content))
    try:
        with pytest.raises(MachineError, match="its disk is full"):
            bench.machine.apply(bundle(packages=(big,)), ignore)
    finally:
        told(bench, "umount /var/vcap/data")


def test_a_lost_connection_is_opened_again_and_ends_what_ran(bench: Bench) -> None:
    slow = script("sleep 1000 & echo $! >/tmp/seen; wait")
    bench.machine.apply(bundle(job("redis", bin__pre_start=slow)), ignore)
    errors: list[Exception] = []

    def start() -> None:
        try:
            bench.machine.start(QUICK, ignore)
        except MachineUnreachable as error:
            errors.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    deadline = time.monotonic() + 10
    while bench.machine.run_command("cat /tmp/seen").exit_code != 0:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bench.machine.close()
    thread.join(10)
    assert "connection lost" in str(errors[0])
    deadline = time.monotonic() + 10
    while bench.machine.run_command("kill -0 $(cat /tmp/seen)").exit_code == 0:
        assert time.monotonic() < deadline, "the script outlived the connection"
        time.sleep(0.1)


def test_a_cancelled_errand_tells_how_it_ended(bench: Bench) -> None:
    run = script("trap 'echo bye; exit 9' TERM", "echo hi", "sleep 60 & wait")
    bench.machine.apply(bundle(job("smoke", bin__run=run)), ignore)
    threading.Timer(0.5, bench.cancelled.set).start()
    result = bench.machine.run_errand("smoke")
    assert (result.exit_code, result.stdout) == (9, "hi\nbye\n")


def test_a_command_has_a_time_limit(bench: Bench) -> None:
    with pytest.raises(MachineError, match=r"did not end within 0\.3 s"):
        bench.machine.run_command("sleep 60", timeout_s=0.3)


def test_output_is_cut_keeping_its_end(bench: Bench) -> None:
    result = bench.machine.run_command("head -c 3000000 /dev/zero | tr '\\0' x; echo end")
    assert len(result.stdout) == 1024 * 1024
    assert result.stdout.endswith("xend\n")


def test_log_names_cannot_be_options_and_secrets_stay_off_command_lines(bench: Bench) -> None:
    peek = script("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' >/tmp/seen")
    conf = {"bin__pre_start": peek, "config__secret": "swordfish"}
    bench.machine.apply(bundle(job("redis", "", **conf)), ignore)
    bench.machine.start(QUICK, ignore)
    assert "swordfish" not in told(bench, "cat /tmp/seen")
    told(
        bench, "cd /var/vcap/sys/log/redis && touch -- '--checkpoint=1' 'a b' \"$(printf 'x\\ny')\""
    )
    output = io.BytesIO()
    bench.machine.fetch_logs(("redis/*",), output)
    assert {"redis/--checkpoint=1", "redis/a b", "redis/x\ny"} <= set(names_in(output.getvalue()))


def test_a_temporary_user_may_log_in_and_become_root(bench: Bench, vm: LocalVm) -> None:
    from machine_bench import ADDRESS

    from director.machine.session import run_on
    from director.machine.transport import Transport

    bench.machine.add_ssh_user("bosh_guest", vm.login_key.public_key)
    guest = Transport(
        ADDRESS, host_public_key=vm.host_key.public_key, login_key=vm.login_key, user="bosh_guest"
    )
    try:
        outcome = run_on(
            guest.open_session(), "sudo id -u; pwd", name="guest", cancelled=lambda: False
        )
    finally:
        guest.close()
    assert outcome.text == "0\n/var/vcap/bosh_ssh/bosh_guest\n"
    bench.machine.remove_ssh_users("^bosh_guest")
    assert bench.machine.run_command("id bosh_guest").exit_code != 0
    with pytest.raises(MachineUnreachable, match="authentication failed"):
        Transport(
            ADDRESS,
            host_public_key=vm.host_key.public_key,
            login_key=vm.login_key,
            user="bosh_guest",
        )


def test_compiling_sees_its_dependencies_only(bench: Bench) -> None:
    packaging = (
        "ls /var/vcap/packages >${BOSH_INSTALL_TARGET}/seen\n"
        "/var/vcap/packages/lib/bin/server >>${BOSH_INSTALL_TARGET}/seen\n"
        'echo "$BOSH_PACKAGE_NAME $BOSH_PACKAGE_VERSION $PWD $BOSH_COMPILE_TARGET"'
        " >>${BOSH_INSTALL_TARGET}/seen\n"
    )
    for dependencies in ((package("lib"), package("other")), (package("lib"),)):
        output = io.BytesIO()
        bench.machine.compile_package(
            name="p",
            version="fp",
            source=io.BytesIO(tgz({"packaging": packaging})),
            dependencies=dependencies,
            output=output,
        )
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(output.getvalue())) as tar:
        member = tar.extractfile("./seen")
        assert member is not None
        assert member.read().decode().split("\n") == [
            "lib",
            "p",
            "served",
            "p fp /var/vcap/data/compile/p /var/vcap/data/compile/p",
            "",
        ]
