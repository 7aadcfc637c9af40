"""Running a CPI's executable once: a request in, an answer out, bounded in time and memory."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from cpis.contract import CloudError

_MOST_OUTPUT = 16 << 20
_PIECE = 1 << 16
_LOOK_S = 0.2
_LINGER_S = 5.0

_PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "BOSH_PACKAGES_DIR", "BOSH_JOBS_DIR"),
)
"""All that an executable sees of this process's environment: BOSH_CLIENT_SECRET is not for it."""


def run(
    command: Sequence[str], request: bytes, *, timeout_s: float, hear: Callable[[bytes], None]
) -> bytes:
    """Return all that ``command`` wrote to standard output; standard error goes to ``hear``.

    Its exit code means nothing. Raises CloudError when it cannot be started, takes longer than
    ``timeout_s`` or answers with more than 16 MiB; its whole process group is killed then.
    """
    process = _start(command)
    try:
        output = _exchange(process, request, time.monotonic() + timeout_s, hear)
        if output is None:
            raise CloudError(
                f"the CPI '{command[0]}' did not answer within {timeout_s:g} s",
                fix="look at the cloud for what it left behind; the CPI's property 'timeout' (in "
                "seconds) gives it longer",
            )
        _wait(process)
        return output
    except BaseException:
        _kill(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return what an executable is given of an environment."""
    return {name: given[name] for name in _PASSED_ON if name in given}


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=environment(os.environ),
            # Its own group, to be killed as a whole, and out of reach of a terminal's Ctrl-C.
            start_new_session=True,
        )
    except FileNotFoundError as error:
        there = os.path.exists(command[0])
        raise CloudError(
            f"the CPI '{command[0]}' "
            + ("names an interpreter that does not exist" if there else "does not exist"),
            fix="correct its first line" if there else "correct 'exec_path', or install the CPI",
        ) from error
    except PermissionError as error:
        folder = os.path.isdir(command[0])
        raise CloudError(
            f"the CPI '{command[0]}' is {'a directory' if folder else 'not executable'}",
            fix="let 'exec_path' name the executable" if folder else f"chmod +x {command[0]}",
        ) from error
    except (OSError, ValueError) as error:
        raise CloudError(
            f"the CPI '{command[0]}' cannot be started: {error}",
            fix="see that it is a program of this machine, or a script whose first line names one",
        ) from error


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, until: float, hear: Callable[[bytes], None]
) -> bytes | None:
    """Return standard output, or None when time ran out."""
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None
    assert stdout is not None
    assert stderr is not None
    output, unsent, unread = bytearray(), memoryview(request), 2
    with selectors.DefaultSelector() as pipes:
        for pipe in (stdin, stdout, stderr):
            os.set_blocking(pipe.fileno(), False)
            pipes.register(pipe, selectors.EVENT_WRITE if pipe is stdin else selectors.EVENT_READ)
        while unread:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return None
            # Asked before looking into the pipes: once it has ended, all it said is in there.
            ended = _has_ended(process)
            ready = [key.fileobj for key, _ in pipes.select(min(left_s, _LOOK_S))]
            if ended and not ready:
                # What it left in the background holds the pipes, and the answer is complete.
                break
            if stdin in ready:
                unsent = _send(stdin, unsent)
                if not unsent:
                    pipes.unregister(stdin)
                    stdin.close()
            for pipe, take in ((stdout, output.extend), (stderr, hear)):
                if pipe in ready and not _receive(pipe, take):
                    pipes.unregister(pipe)
                    unread -= 1
            if len(output) > _MOST_OUTPUT:
                raise CloudError(f"the CPI's answer is larger than {_MOST_OUTPUT >> 20} MiB")
    return bytes(output)


def _send(pipe: IO[bytes], data: memoryview) -> memoryview:
    """Write what fits; returns what is left, which is nothing when nobody reads any more."""
    try:
        return data[os.write(pipe.fileno(), data[:_PIECE]) :]
    except BlockingIOError:
        return data
    except BrokenPipeError:
        return data[:0]


def _receive(pipe: IO[bytes], take: Callable[[bytes], None]) -> bool:
    """Read what is there; false at its end."""
    try:
        data = os.read(pipe.fileno(), _PIECE)
    except BlockingIOError:
        return True
    take(data)
    return bool(data)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether the process ended, leaving its id taken so that its group can be killed."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that has answered; one that lingers is killed."""
    try:
        process.wait(_LINGER_S)
    except subprocess.TimeoutExpired:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
