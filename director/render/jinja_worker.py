"""The process that renders Jinja2 templates: it reads requests and writes records, like ERB's.

See ``erb_worker.rb`` for the protocol and the layers of the sandbox, which are the same here. The
process has no files, no network and no identity once it said ``ready``; each request is rendered
in a child of its own.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import json
import os
import platform
import resource
import select
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import BinaryIO

import jinja2
import jinja2.debug
import jinja2.ext

from director.render.jinja_context import Missing, environment, names_for

_NOBODY = 65534
_CAPSET = {"x86_64": 126, "aarch64": 91}
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38


def main(memory_mb: int) -> None:
    """Give up everything, say so, and serve requests until standard input ends."""
    _warm_up()
    libc = ctypes.CDLL(None, use_errno=True)
    null = os.open("/dev/null", os.O_RDWR)
    layers = _enter_sandbox(libc, memory_mb)
    os.write(1, f"ready {' '.join(layers)}\n".encode())
    requests = os.fdopen(0, "rb")
    while header := requests.readline():
        size, cpu_s = map(int, header.split())
        _serve(libc, requests.read(size), cpu_s=cpu_s, null=null)


def _warm_up() -> None:
    """Use whatever loads its code late, while there are files to load from."""
    sample = environment({"a": "{{ p('x') | to_json | shell_quote }}", "b": "\n{{ nothing.x }}"})
    context = {"spec": {}, "properties": {"x": [1]}, "links": {}}
    sample.get_template("a").render(names_for(context))
    try:
        sample.get_template("b").render()
    except jinja2.UndefinedError as error:
        traceback.extract_tb(error.__traceback__)


# -- the sandbox --------------------------------------------------------------------------------


def _enter_sandbox(libc: ctypes.CDLL, memory_mb: int) -> list[str]:
    steps: dict[str, Callable[[], None]] = {
        "root": _empty_root,
        "uid": _become_nobody,
        "privileges": lambda: _drop_privileges(libc),
        "landlock": lambda: _landlock(libc),
    }
    layers = []
    for name, step in steps.items():
        with contextlib.suppress(OSError):
            step()
            layers.append(name)
    for kind, limit in (
        (resource.RLIMIT_AS, memory_mb * 1024 * 1024),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    return layers


def _empty_root() -> None:
    os.chroot(".")
    os.chdir("/")


def _become_nobody() -> None:
    if os.geteuid() != 0:
        raise PermissionError
    os.setgroups([])
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _drop_privileges(libc: ctypes.CDLL) -> None:
    _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    number = _CAPSET.get(platform.machine())
    if number is not None:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        _checked(libc.syscall(number, header, (ctypes.c_uint32 * 6)()))
    _checked(libc.prctl(_DUMPABLE, 0, 0, 0, 0))
    if os.getpid() == 1:
        # Losing an identity cleared the wish to die with the parent.
        _checked(libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def _landlock(libc: ctypes.CDLL) -> None:
    version = _checked(libc.syscall(444, None, 0, 1))
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    size = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}.get(version, 24)
    rules = _checked(libc.syscall(444, (ctypes.c_uint64 * 3)(files, 3, 3), size, 0))
    _checked(libc.syscall(446, rules, 0))
    os.close(rules)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "not permitted")
    return result


# -- one request --------------------------------------------------------------------------------


def _serve(libc: ctypes.CDLL, payload: bytes, *, cpu_s: int, null: int) -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.close(null)
            libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            for kind, limit in (
                (resource.RLIMIT_CPU, cpu_s),
                (resource.RLIMIT_NOFILE, 0),
                (resource.RLIMIT_NPROC, 0),
            ):
                resource.setrlimit(kind, (limit, limit))
            with os.fdopen(writer, "wb") as out:
                for record in _render(payload):
                    out.write(record)
                    out.flush()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as records:
        _relay(records, child)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    _write_all(f"end signal {-code}\n" if code < 0 else f"end exit {code}\n")


def _relay(records: BinaryIO, child: int) -> None:
    while True:
        if (
            0 in select.select([records.fileno(), 0], [], [])[0]
        ):  # Nothing is sent during a request, so the director is gone.
            os.kill(child, signal.SIGKILL)
            os._exit(0)
        chunk = records.read(65536)
        if not chunk:
            return
        _write_all(b"data %d\n%b" % (len(chunk), chunk))


def _write_all(data: str | bytes) -> None:
    left = memoryview(data.encode() if isinstance(data, str) else data)
    while left:
        left = left[os.write(1, left) :]


def _render(payload: bytes) -> Iterator[bytes]:
    request = json.loads(payload)
    sources = {}
    for template in request["templates"]:
        raw = base64.b64decode(template["source"])
        sources[template["name"]] = raw.decode("utf-8", "surrogateescape")
    made = environment(sources)
    for c, context in enumerate(request["contexts"]):
        for t, name in enumerate(sources):
            try:
                # Parsed anew each time: a template that changes a list changes it for itself only.
                text = made.get_template(name).render(names_for(json.loads(context)))
                content = base64.b64encode(text.encode("utf-8", "surrogateescape"))
                yield b"ok %d %d %b\n" % (c, t, content)
            except Exception as error:  # noqa: BLE001 - a template may raise anything
                yield _failure(c, t, name, error)


def _failure(context: int, number: int, name: str, error: Exception) -> bytes:
    fields = (_kind(error), str(error)[:2000], "\0".join(getattr(error, "names", ())))
    encoded = b" ".join(base64.b64encode(f.encode("utf-8", "replace")) for f in fields)
    return b"error %d %d %d %b\n" % (context, number, _line(error, name), encoded)


def _kind(error: Exception) -> str:
    if isinstance(error, Missing):
        return error.kind
    if isinstance(error, jinja2.TemplateSyntaxError):
        return "syntax"
    if isinstance(error, jinja2.UndefinedError):
        return "undefined"
    if isinstance(error, MemoryError):
        return "memory"
    return f"raised {type(error).__name__}"


def _line(error: Exception, name: str) -> int:
    if isinstance(error, jinja2.TemplateSyntaxError):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__, limit=-200)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename == name), 0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
