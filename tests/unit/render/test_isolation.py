"""What a hostile template can do: nothing but yield text."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from director.model.errors import DirectorError, ErrorList
from director.render import engines
from director.render.worker import Worker, start

ATTEMPTS = {
    "read": "File.read('/etc/passwd')",
    "list": "Dir.children('/').size.zero? ? raise('empty') : 'listed'",
    "write": "File.write('MARK', 'x')",
    "mkdir": "Dir.mkdir('/x')",
    "unlink": "File.unlink('MARK.keep')",
    "chmod": "File.chmod(0o777, 'MARK.keep')",
    "stat": "File.stat('/etc/passwd')",
    "proc": "File.read('/proc/self/environ')",
    "spawn": "`id`",
    "system": "system('id') ? 'ran' : raise('refused')",
    "exec": "exec('/bin/sh', '-c', 'touch MARK')",
    "fork": "fork { exit! }",
    "thread": "Thread.new { 1 }.value",
    "tcp": "require 'socket'; TCPSocket.new('127.0.0.1', 22)",
    "udp": "require 'socket'; UDPSocket.new",
    "unix": "require 'socket'; UNIXServer.new(\"\\0x\")",
    "reopen": "$stdin.close; File.open('/etc/passwd')",
    "for_fd": "(3..9).filter_map { |n| IO.for_fd(n).read(1) rescue nil }.first || raise('none')",
    "limits": "Process.setrlimit(:NOFILE, 100)",
    "root": "Process::Sys.setuid(0)",
    "chroot": "Dir.chroot('/')",
    "kill": "Process.kill(:KILL, -1)",
    "unshare": "syscall(272, 0x10000000)",
    "ptrace": "syscall(101, 16, Process.ppid, 0, 0)",
    "env": "ENV.to_h.empty? ? raise('empty') : ENV.to_h.inspect",
    "require": "require '/etc/passwd'",
    "stdout": "$stdout.write('x'); $stdout.fcntl(1); raise('nowhere')",
}


@pytest.mark.parametrize("find", [shutil.which, lambda _name: None], ids=["namespaces", "without"])
def test_a_template_gets_nowhere(
    new_renderer: Any, request_for: Any, tmp_path: Path, find: Callable[[str], str | None]
) -> None:
    mark = tmp_path / "mark"
    keep = tmp_path / "mark.keep"
    keep.write_text("kept")
    keep.chmod(0o640)
    tmp_path.chmod(0o777)
    before = keep.stat()
    templates = {
        f"{name}.erb": "<%= begin; X; rescue SystemCallError, ThreadError, RuntimeError, LoadError,"
        ' IOError => e; "denied #{e.class}"; end %>'.replace("X", code.replace("MARK", str(mark)))
        for name, code in ATTEMPTS.items()
    }
    renderer = new_renderer(ruby=shutil.which("ruby"), find=find, timeout_s=1)
    shown = {}
    for name, text in templates.items():
        try:
            (job,) = renderer.render([request_for({name: text}, job=f"j-{name}")])
            shown[name] = next(f.content.decode() for f in job.files if f.path[0] == "o")
        except DirectorError as error:
            shown[name] = f"denied {error.what}"
    assert {n: s for n, s in shown.items() if not s.startswith("denied")} == {}
    assert not mark.exists()
    assert (keep.read_text(), keep.stat().st_mode) == ("kept", before.st_mode)


def worker_for(engine: engines.Engine, find: Callable[[str], str | None]) -> Worker:
    return start(engine.command(frozenset()), find=find)


@pytest.mark.parametrize("name", ["erb", "jinja2"])
def test_the_layers_a_worker_has(name: str) -> None:
    engine = engines.erb(None, 256, shutil.which) if name == "erb" else engines.jinja(256)
    worker = worker_for(engine, shutil.which)
    try:
        status = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
        inner = status[0] if status else str(worker.pid)
        lines = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{inner}/status").read_text().splitlines()
        )
        assert lines["CapEff"].strip() == "0000000000000000"
        assert lines["NoNewPrivs"].strip() == "1"
        if os.geteuid() == 0:
            assert worker.layers == {"root", "uid", "privileges", "landlock"}
            assert lines["Uid"].split() == ["65534"] * 4
            assert lines["Groups"].strip() == ""
            assert os.readlink(f"/proc/{inner}/root").endswith("(deleted)")
            for space in ("net", "pid", "ipc"):
                own, its = (os.readlink(f"/proc/{p}/ns/{space}") for p in ("self", inner))
                assert own != its
    finally:
        worker.kill()
    assert not worker.alive


def test_secrets_of_one_job_are_not_in_reach_of_the_next(
    new_renderer: Any, request_for: Any
) -> None:
    renderer = new_renderer(workers=1)
    spy = request_for(
        {
            "a.erb": "<% JSON.singleton_class.class_eval { alias old parse; "
            "def parse(*a, **o) = ($seen = a; old(*a, **o)) }; $mark = 1 %><%= p('port') %>"
        },
        job="spy",
        properties={"port": "spys-111111111"},
    )
    reader = request_for(
        {
            "a.erb": "<%= [$mark, $seen, JSON.respond_to?(:old)].inspect %>"
            "<%= ObjectSpace.each_object(String).any? { |s| s.b.match?(/spys-1{9}/n) } %>"
        },
        job="reader",
    )
    renderer.render([spy])
    pids = renderer.worker_pids()
    (job,) = renderer.render([reader])
    assert renderer.worker_pids() == pids
    assert next(f for f in job.files if f.path == "out/a.erb").content == b"[nil, nil, false]false"


@pytest.mark.parametrize(
    "code",
    [
        "sleep",
        "loop { }",
        "trap(:TERM, 'IGNORE'); sleep",
        "IO.for_fd(1).close; sleep",
        "gets; sleep",
    ],
)
def test_a_template_that_hangs_is_ended_and_the_rest_rendered(
    new_renderer: Any, request_for: Any, code: str
) -> None:
    renderer = new_renderer(timeout_s=0.7, workers=1)
    with pytest.raises(ErrorList) as caught:
        renderer.render(
            [
                request_for({"a.erb": f"<% {code} %>", "b.erb": "<%= p('nix') %>"}, index=n)
                for n in range(3)
            ]
        )
    assert len(caught.value.errors) == 2
    assert "is not done after 0.7 seconds" in str(caught.value)
    (job,) = renderer.render([request_for({"a.erb": "<%= p('port') %>"}, job="good")])
    assert job.files[-1].content == b"80"


def test_a_worker_killed_from_outside_is_replaced(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer(workers=1)
    renderer.render([request_for({"a.erb": "<%= 1 %>"})])
    (pid,) = renderer.worker_pids()
    os.kill(pid, signal.SIGKILL)
    (job,) = renderer.render([request_for({"a.erb": "<%= 2 %>"})])
    assert job.files[-1].content == b"2"
    assert renderer.worker_pids() != (pid,)
    renderer.close()
    assert renderer.worker_pids() == ()


def test_workers_leave_no_directory_and_no_process(
    new_renderer: Any, request_for: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    renderer = new_renderer()
    renderer.render([request_for({"a.erb": "<%= 1 %>", "b.j2": "{{ 1 }}"})])
    assert [p.name for p in tmp_path.iterdir() if p.is_dir()] == []
    pids = renderer.worker_pids()
    renderer.close()
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
