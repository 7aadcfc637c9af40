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
from director.model.errors import MachineError, MachineUnreachable, TaskCancelled

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


def test_a_file_system_grows_with_its_disk(bench: Bench, vm: LocalVm) -> None:
    disk = vm.cpi.create_disk(64, {}, vm.cid)
    try:
        bench.machine.mount_disk(vm.cpi.attach_disk(vm.cid, disk))
        told(bench, "echo kept >/var/vcap/store/file")
        bench.machine.unmount_disk()
        vm.cpi.detach_disk(vm.cid, disk)
        vm.cpi.resize_disk(disk, 128)
        bench.machine.mount_disk(vm.cpi.attach_disk(vm.cid, disk))
        for _ in range(2):
            bench.machine.grow_disk()
        size = told(bench, "df -Pm /var/vcap/store | tail -n 1 | awk '{print $2}'")
        assert 64 < int(size) <= 128
        assert told(bench, "cat /var/vcap/store/file") == "kept"
    finally:
        bench.machine.unmount_disk()
        vm.cpi.detach_disk(vm.cid, disk)
        vm.cpi.delete_disk(disk)
    with pytest.raises(MachineError, match="no persistent disk is mounted that could grow"):
        bench.machine.grow_disk()


def test_a_disk_with_something_on_it_is_not_formatted(bench: Bench) -> None:
    device = bench.new_disk()
    # A partition table with one Linux partition.
    entry = r"\0\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0"
    told(bench, f"printf '{entry}' | dd of={device} bs=1 seek=446 conv=notrunc")
    told(bench, rf"printf '\125\252' | dd of={device} bs=1 seek=510 conv=notrunc")
    with pytest.raises(MachineError, match="is not formatted"):
        bench.machine.mount_disk(device)


def test_a_disk_found_by_a_star_is_found_again_after_a_reboot(bench: Bench) -> None:
    device = bench.new_disk()
    hint = f"/dev/nowhere {device[:-2]}*"
    bench.machine.mount_disk(hint)
    told(bench, "echo kept >/var/vcap/store/file")
    assert bench.machine.state().disk == hint
    bench.machine.mount_disk(device)
    assert bench.machine.state().disk == device, "the same disk by another name"
    with pytest.raises(MachineError, match="another disk"):
        bench.machine.mount_disk(bench.new_disk())
    bench.machine.mount_disk(hint)
    bench.machine.apply(bundle(), ignore)
    bench.reboot()
    deadline = time.monotonic() + 10
    while bench.machine.state().disk != hint:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert told(bench, "cat /var/vcap/store/file") == "kept"


def test_a_machine_with_systemd_gets_a_unit_and_no_other_monit(bench: Bench) -> None:
    unit = "/etc/systemd/system/director-boot.service"
    fake = script('echo "$@" >>/tmp/seen')
    told(bench, f"mkdir -p /run/systemd/system && printf %s '{fake}' >/usr/sbin/systemctl")
    told(bench, "chmod 0755 /usr/sbin/systemctl")
    try:
        bench.machine.apply(bundle(job("one")), ignore)
        bench.machine.apply(bundle(job("two")), ignore)
        assert told(bench, "cat /tmp/seen").splitlines() == [
            "-q mask --now monit.service",
            "daemon-reload",
            "-q enable director-boot.service",
        ]
        assert told(bench, f"stat -c '%a %U' {unit}") == "644 root"
        told(bench, f"echo '# older' >>{unit}")
        bench.machine.apply(bundle(job("one")), ignore)
        assert "# older" not in told(bench, f"cat {unit}")
        told(bench, "printf '#!/bin/sh\\nexit 1\\n' >/usr/sbin/systemctl; rm " + unit)
        with pytest.raises(MachineError, match="could not be enabled"):
            bench.machine.apply(bundle(job("two")), ignore)
    finally:
        told(bench, f"rm -rf /run/systemd /usr/sbin/systemctl {unit}")


def test_the_first_boot_is_waited_for(bench: Bench) -> None:
    told(bench, "mkdir -p /run/director && : >/run/director/booting")
    device = bench.new_disk()
    waiting = threading.Thread(target=bench.machine.mount_disk, args=(device,))
    waiting.start()
    waiting.join(2.5)
    assert waiting.is_alive()
    assert told(bench, "grep -c ' /var/vcap/store ' /proc/mounts || :") == "0"
    told(bench, "rm /run/director/booting")
    waiting.join(5)
    assert bench.machine.state().disk == device


def test_waiting_for_the_first_boot_ends_when_the_task_does(bench: Bench) -> None:
    told(bench, "mkdir -p /run/director && : >/run/director/booting")
    threading.Timer(0.3, bench.cancelled.set).start()
    begin = time.monotonic()
    with pytest.raises(TaskCancelled, match="first boot"):
        bench.machine.state()
    assert time.monotonic() - begin < 5
    bench.cancelled.clear()
    told(bench, "rm /run/director/booting")


def test_a_first_boot_that_failed_tells_its_last_lines(bench: Bench) -> None:
    lines = "; ".join(f"echo line {n}" for n in range(40))
    told(bench, f"mkdir -p /run/director && {{ {lines}; }} >/run/director/failed")
    for ask in (bench.machine.state, lambda: bench.machine.mount_disk("/dev/nowhere")):
        with pytest.raises(MachineError, match=r"first boot of .* failed: line 28\n") as raised:
            ask()
        assert raised.value.what.endswith("line 39")
    told(bench, "rm /run/director/failed")


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
