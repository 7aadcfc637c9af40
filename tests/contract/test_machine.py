"""One suite for every machine: the one in memory, and real ones reached over SSH.

One of these lets root in, as ours do; one lets only ``vcap`` in, as BOSH's stemcells do.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import pytest
from machine_bench import (
    QUICK,
    Bench,
    LocalVm,
    bundle,
    foreign_vm,
    ignore,
    job,
    local_vm,
    memory_bench,
    names_in,
    never_running,
    package,
    script,
    served,
    ssh_bench,
    tgz,
)

from director.machine.contract import StopRequest
from director.model.amounts import WatchTime
from director.model.errors import BadRequest, InstanceNotRunning, MachineError, TaskCancelled
from director.model.rendered import RenderedFile, RenderedJob


@pytest.fixture(scope="module")
def vm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVm]:
    """One local machine for the module."""
    with local_vm(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVm]:
    """One machine with another login for the module."""
    with foreign_vm(tmp_path_factory.mktemp("foreign")) as made:
        yield made


REAL = {"ssh": "vm", "sudo": "foreign"}


@pytest.fixture(
    params=["memory", *(pytest.param(kind, marks=pytest.mark.machines) for kind in REAL)]
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Every kind of machine, empty."""
    if request.param == "memory":
        yield memory_bench()
        return
    with ssh_bench(request.getfixturevalue(REAL[request.param])) as found:
        yield found


# -- installing ------------------------------------------------------------------------------------


def test_an_empty_machine_says_so(bench: Bench) -> None:
    state = bench.machine.state()
    assert (state.spec_digest, state.job_state, state.processes) == ("", "stopped", ())
    assert state.disk is None


def test_apply_makes_exactly_the_bundle(bench: Bench) -> None:
    first = bundle(job("redis"), job("other"), packages=(package(), package("lib")))
    bench.machine.prepare(first, ignore)
    assert bench.machine.state().spec_digest == ""
    bench.machine.apply(first, ignore)
    bench.machine.apply(first, ignore)
    state = bench.machine.state()
    assert state.spec_digest == first.spec_digest
    assert set(state.jobs) == {"redis", "other"}
    assert state.packages == {p.name: p.digest for p in first.packages}
    second = bundle(job("redis", bin__run=script()), packages=(package("lib"),))
    bench.machine.apply(second, ignore)
    state = bench.machine.state()
    assert state.jobs == {"redis": second.jobs[0].digest}
    assert set(state.packages) == {"lib"}


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/passwd", "a/../../b", "", "a//b", "a\nb"], ids=repr
)
def test_a_path_that_leaves_the_job_is_refused(bench: Bench, path: str) -> None:
    bad = RenderedJob(
        name="redis", digest="d1", monit=b"", files=(RenderedFile(path=path, content=b""),)
    )
    with pytest.raises(MachineError):
        bench.machine.apply(bundle(bad), ignore)


@pytest.mark.parametrize("name", ["../x", "a b", "$(id)", "", "-rf"], ids=repr)
def test_a_name_that_is_no_directory_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(MachineError):
        bench.machine.apply(bundle(packages=(package(name),)), ignore)


# -- starting and stopping -------------------------------------------------------------------------


def test_jobs_run_between_start_and_stop(bench: Bench) -> None:
    bench.machine.apply(bundle(served()), ignore)
    told: list[str] = []
    bench.machine.start(QUICK, told.append)
    assert told == ["executing pre-start", "starting jobs", "executing post-start"]
    state = bench.machine.state(vitals=True)
    assert (state.job_state, [p.state for p in state.processes]) == ("running", ["running"])
    assert isinstance(state.vitals["uptime"]["secs"], int)
    assert isinstance(state.vitals["mem"]["percent"], str)
    told.clear()
    bench.machine.stop(StopRequest(), told.append)
    assert told == ["executing pre-stop", "executing drain", "stopping jobs", "executing post-stop"]
    assert bench.machine.state().job_state == "stopped"


def test_start_may_be_called_again(bench: Bench) -> None:
    bench.machine.apply(bundle(served()), ignore)
    bench.machine.start(QUICK, ignore)
    bench.machine.start(QUICK, ignore)
    assert bench.machine.state().job_state == "running"


def test_a_machine_without_processes_runs_once_started(bench: Bench) -> None:
    bench.machine.apply(bundle(job("empty")), ignore)
    assert bench.machine.state().job_state == "stopped"
    bench.machine.start(QUICK, ignore)
    assert bench.machine.state().job_state == "running"


def test_scripts_all_run_and_failures_name_every_job(bench: Bench) -> None:
    jobs = (
        job("bad", bin__pre_start=script('echo "no config" >&2', "exit 3")),
        job("good", bin__pre_start=script("echo fine")),
    )
    bench.machine.apply(bundle(*jobs), ignore)
    with pytest.raises(MachineError) as raised:
        bench.machine.start(QUICK, ignore)
    text = str(raised.value)
    assert "1 of 2 pre-start scripts failed. Failed Jobs: bad. Successful Jobs: good." in text
    assert "no config" in text
    assert bench.machine.state().job_state == "stopped"
    logs = io.BytesIO()
    bench.machine.fetch_logs(("**/pre-start.stdout.log",), logs)
    assert names_in(logs.getvalue()) == ["bad/pre-start.stdout.log", "good/pre-start.stdout.log"]


def test_a_process_that_never_runs_is_named(bench: Bench) -> None:
    bench.machine.apply(bundle(never_running()), ignore)
    with pytest.raises(InstanceNotRunning, match="'redis'"):
        bench.machine.start(WatchTime(0, 600), ignore)
    assert bench.machine.state().job_state in ("failing", "starting")


def test_a_monit_file_that_does_not_parse_names_its_job(bench: Bench) -> None:
    bench.machine.apply(bundle(job("broken", "what is this\n")), ignore)
    with pytest.raises(MachineError, match="job 'broken'"):
        bench.machine.start(QUICK, ignore)


def test_a_failing_drain_stops_the_stop_unless_skipped(bench: Bench) -> None:
    bench.machine.apply(bundle(job("redis", bin__drain=script("exit 1"))), ignore)
    bench.machine.start(QUICK, ignore)
    with pytest.raises(MachineError, match="1 of 1 drain scripts failed"):
        bench.machine.stop(StopRequest(), ignore)
    bench.machine.stop(StopRequest(skip_drain=True), ignore)
    assert bench.machine.state().job_state == "stopped"


# -- disks -----------------------------------------------------------------------------------------


def test_disk_is_mounted_moved_and_unmounted(bench: Bench) -> None:
    old, new = bench.new_disk(), bench.new_disk()
    bench.machine.mount_disk(old)
    bench.machine.mount_disk(old)
    assert bench.machine.state().disk == old
    with pytest.raises(MachineError, match="another disk"):
        bench.machine.mount_disk(new)
    bench.machine.migrate_disk(new)
    bench.machine.migrate_disk(new)
    assert bench.machine.state().disk == new
    bench.machine.unmount_disk()
    bench.machine.unmount_disk()
    assert bench.machine.state().disk is None
    with pytest.raises(MachineError, match="no persistent disk"):
        bench.machine.migrate_disk(old)


# -- compiling and the rest ------------------------------------------------------------------------


def test_compiling_returns_what_was_installed(bench: Bench) -> None:
    source = tgz({"packaging": "cp server ${BOSH_INSTALL_TARGET}/\n", "server": "x"})
    output = io.BytesIO()
    bench.machine.compile_package(
        name="redis-server",
        version="fp1",
        source=io.BytesIO(source),
        dependencies=(package("lib"),),
        output=output,
    )
    assert names_in(output.getvalue()) == ["server"]


def test_a_failing_packaging_script_shows_its_end(bench: Bench) -> None:
    source = tgz({"packaging": 'echo "no such library" >&2\nexit 2\n'})
    with pytest.raises(MachineError, match="no such library"):
        bench.machine.compile_package(
            name="p", version="1", source=io.BytesIO(source), dependencies=(), output=io.BytesIO()
        )


def test_errand_tells_exit_code_and_output(bench: Bench) -> None:
    run = script("echo out", "echo err >&2", "exit 4")
    bench.machine.apply(bundle(job("smoke", bin__run=run)), ignore)
    result = bench.machine.run_errand("smoke")
    assert (result.exit_code, result.stdout, result.stderr) == (4, "out\n", "err\n")
    assert bench.machine.run_errand("nope").exit_code == 127
    with pytest.raises(MachineError):
        bench.machine.run_errand("a b; id")


def test_commands_tell_exit_code_and_output(bench: Bench) -> None:
    result = bench.machine.run_command("echo a; exit 3")
    assert (result.exit_code, result.stdout) == (3, "a\n")


def test_temporary_users_come_and_go(bench: Bench) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVZMTuRl2v0MLJfnsiYSRLDcRJNYW2xmsfOJbSDQXzD x"
    bench.machine.add_ssh_user("bosh_abc", key)
    bench.machine.add_ssh_user("bosh_abc", key)
    bench.machine.remove_ssh_users("^bosh_abc")
    bench.machine.remove_ssh_users("^bosh_abc")


@pytest.mark.parametrize("user", ["root", "bosh_A", "bosh_x;id", "bosh_" + "a" * 40])
def test_other_user_names_are_refused(bench: Bench, user: str) -> None:
    with pytest.raises(MachineError):
        bench.machine.add_ssh_user(user, "ssh-ed25519 AAAA x")


@pytest.mark.parametrize("pattern", [".*", "^root", "bosh_x", "^(bosh_a+)+$", "^bosh_|root"])
def test_patterns_for_other_users_are_refused(bench: Bench, pattern: str) -> None:
    with pytest.raises(MachineError):
        bench.machine.remove_ssh_users(pattern)


def test_unknown_kinds_of_logs_are_refused(bench: Bench) -> None:
    with pytest.raises(BadRequest):
        bench.machine.fetch_logs((), io.BytesIO(), kinds=("secrets",))


def test_a_cancelled_task_ends_what_runs(bench: Bench) -> None:
    slow = script("sleep 60")
    bench.machine.apply(bundle(job("redis", bin__pre_start=slow)), ignore)
    begin = time.monotonic()
    timer = threading.Timer(0.3 if bench.real else 0, bench.cancelled.set)
    timer.start()
    if not bench.real:
        timer.join()
    with pytest.raises(TaskCancelled):
        bench.machine.start(QUICK, ignore)
    timer.join()
    assert time.monotonic() - begin < 5
