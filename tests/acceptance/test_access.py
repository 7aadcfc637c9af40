"""Getting at instances: ssh, scp and logs, with a temporary user that is gone afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tarfile
import termios
import time
from pathlib import Path

import pytest
from diary_release import Diary

pytestmark = pytest.mark.machines

LEFT = (
    "ls /var/vcap/bosh_ssh /etc/sudoers.d 2>/dev/null | grep bosh_ | sort -u; getent passwd |"
    " grep -c ^bosh_"
)
"""Prints the temporary users of an instance and how many there are: one, while it is asked."""


def users(diary: Diary) -> int:
    """Return how many temporary users there are beside those who ask."""
    told = diary.shell("diary", LEFT).split()
    return sum(int(word) for word in told if word.isdigit()) - 2


def files(tarball: Path) -> set[str]:
    """Return the names of the files in a tarball."""
    with tarfile.open(tarball) as opened:
        return {member.name.removeprefix("./") for member in opened if member.isfile()}


def test_ssh_with_a_command(diary: Diary) -> None:
    names = [row["instance"] for row in diary.instances()]
    told = diary.run("ssh", "diary/0", "-c", "whoami; pwd; sudo -n id -un").stdout.splitlines()
    assert all(line.startswith(f"{names[0]}: stdout | ") for line in told)
    user, home, root = (line.rpartition("| ")[2] for line in told)
    assert re.fullmatch(r"bosh_[0-9a-f]{15}", user)
    assert home.endswith(user)
    assert root == "root"

    both = diary.run("ssh", "-c", "cat /var/vcap/instance/id; echo").stdout
    assert {line.partition(":")[0] for line in both.splitlines()} == set(names)
    assert all(f"stdout | {name.partition('/')[2]}" in both for name in names)

    rows = diary.rows("ssh", "diary", "-r", "-c", "echo out; echo err >&2")
    assert [row["instance"] for row in rows] == sorted(names)
    assert {(r["stdout"], r["stderr"], r["exit_code"]) for r in rows} == {("out", "err", "0")}

    failed = diary.run("ssh", "diary/1", "-c", "exit 3", ok=False)
    assert failed.returncode == 1
    assert f"'{names[1]}' (3)" in failed.stderr
    assert users(diary) == 0


def test_an_interactive_shell(diary: Diary) -> None:
    """A terminal's shell: its size, its echo, Ctrl-C belongs to it, and the user goes with it."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = [*diary.director.command, "-d", diary.name, "ssh", "diary/0"]
        os.execve(command[0], command, diary.director.environment)
    seen = b""

    def expect(pattern: str, timeout_s: float = 30) -> str:
        nonlocal seen
        deadline = time.monotonic() + timeout_s
        while not (found := re.search(pattern.encode(), seen)):
            ready, _, _ = select.select([terminal], [], [], deadline - time.monotonic())
            assert ready, f"no {pattern!r} in {seen!r}"
            seen += os.read(terminal, 65536)
        seen = seen[found.end() :]
        return found.group().decode()

    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 99, 0, 0))
        expect(r"\$ ")
        os.write(terminal, b"stty size; id -un; tty\n")
        expect(r"33 99\r\n")
        expect(r"bosh_[0-9a-f]{15}\r\n")
        expect(r"/dev/pts/\d+\r\n")
        os.write(terminal, b"sleep 60\n")
        expect("sleep 60")
        time.sleep(0.3)
        os.write(terminal, b"\x03")
        os.write(terminal, b"echo still-$((40 + 2))\n")
        expect("still-42")
        os.write(terminal, b"exit\n")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                if not os.read(terminal, 65536):
                    break
            except OSError:
                break
        _, status = os.waitpid(pid, 0)
        pid = 0
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    assert users(diary) == 0


def test_scp_both_ways(diary: Diary, tmp_path: Path) -> None:
    names = [row["instance"].partition("/")[2] for row in diary.instances()]
    source = tmp_path / "a file.txt"
    source.write_text("there and back\n")
    diary.run("scp", source, "diary:/tmp/a-file.txt")
    back = tmp_path / "back"
    back.mkdir()
    diary.run("scp", "diary:/tmp/a-file.txt", back / "((instance_id)).txt")
    assert {p.name for p in back.iterdir()} == {f"{name}.txt" for name in names}
    assert {p.read_text() for p in back.iterdir()} == {"there and back\n"}
    diary.run("scp", "-r", "diary/0:/var/vcap/instance", tmp_path)
    assert (tmp_path / "instance" / "id").read_text().strip() == names[0]
    failed = diary.run("scp", "diary/0:/nowhere", tmp_path, ok=False)
    assert failed.returncode == 1
    assert "No such file" in failed.stderr


def test_download_logs(diary: Diary, tmp_path: Path) -> None:
    told = diary.run("logs", "--dir", tmp_path, cwd=tmp_path)
    (tarball,) = tmp_path.glob("diary-*.tgz")
    assert str(tarball) in told.stdout
    inner = files(tarball)
    assert len(inner) == 2, "one tarball an instance"
    for filters, wanted in [
        (
            ["--only", "diary/*.stdout.log"],
            {"diary/diary.stdout.log", "diary/post-start.stdout.log"},
        ),
        (["--only", "nobody/*"], set()),
    ]:
        directory = tmp_path / "some"
        directory.mkdir()
        diary.run("logs", "diary/0", *filters, "--dir", directory)
        (tarball,) = directory.iterdir()
        found = files(tarball)
        assert wanted <= found if wanted else not found
        assert not {name for name in found if not name.endswith(".stdout.log")}
        tarball.unlink()
        directory.rmdir()
    every = tmp_path / "every"
    every.mkdir()
    diary.run("logs", "diary/1", "--all-logs", "--dir", every)
    (tarball,) = every.iterdir()
    assert any("diary.stdout.log" in name for name in files(tarball))


def test_last_lines_and_follow(diary: Diary) -> None:
    name = diary.instances()[0]["instance"]
    told = diary.run("logs", "diary/0", "--num", "2", "--job", "diary", "-q").stdout
    lines = [line for line in told.splitlines() if re.search(r"\| \w+ \d{10}$", line)]
    assert len(lines) == 2
    assert all(line.startswith(f"{name}: stdout | ") for line in lines)

    process = diary.director.start("-d", diary.name, "logs", "diary/0", "-f", "--job", "diary")
    try:
        assert process.stdout is not None
        stamps: list[int] = []
        while len(set(stamps)) < 3:
            line = process.stdout.readline()
            assert line, "it ended by itself"
            stamps += [int(stamp) for stamp in re.findall(r"\| \w+ (\d{10})$", line.strip())]
        assert stamps == sorted(stamps)
        assert time.time() - stamps[-1] < 5, "lines are shown as they are written"
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert "Traceback" not in rest
        assert process.returncode == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert users(diary) == 0
    assert not subprocess.run(
        ["pgrep", "-f", f"{diary.director.home}.*tail"], capture_output=True, check=False
    ).stdout
