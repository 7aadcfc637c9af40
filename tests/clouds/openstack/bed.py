"""A real OpenStack control plane on loopback: install, start and stop it.

    python tests/clouds/openstack/bed.py install
    python tests/clouds/openstack/bed.py up|down [--cidr 10.10.0.0/16] [--directory DIR]

Keystone, Placement, Glance, Neutron, Nova and Cinder come from PyPI into a virtual environment of
their own, once. Their databases are initialised once too, kept, and copied at each start. Nothing
is written outside of the cache and the cloud's own directory. No guest boots: Nova's computes are
its fake ones, Neutron binds every port, Cinder only keeps books.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from clouds.openstack import configs  # noqa: E402
from clouds.openstack.layout import HOST, PREFIXES, SERVICES, Layout, cache, free_ports  # noqa: E402

PACKAGES = ("nova", "keystone", "glance", "neutron", "cinder", "openstack-placement", "waitress")
CONSTRAINTS = HERE / "constraints.txt"
_DATA = ("db", "fernet", "cred")
_START_TIMEOUT_S = 180.0


class BedFailed(Exception):
    """The control plane did not start; the text holds the end of the log that says why."""


# -- installing ----------------------------------------------------------------------------------


def install() -> Path:
    """Return the control plane's virtual environment, made if need be (about two minutes)."""
    if given := os.environ.get("DIRECTOR_TEST_OPENSTACK"):
        return Path(given)
    stamp = hashlib.sha256(CONSTRAINTS.read_bytes()).hexdigest()
    venv = cache() / "venv"
    with _alone(cache()):
        done = venv / "installed"
        if not done.exists() or done.read_text() != stamp:
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
            pip = [str(venv / "bin" / "pip"), "install", "-q", "--no-warn-script-location"]
            done_pip = subprocess.run(
                [*pip, "-c", str(CONSTRAINTS), *PACKAGES], text=True, capture_output=True
            )
            if done_pip.returncode:
                raise BedFailed(f"the control plane was not installed:\n{done_pip.stderr[-3000:]}")
            done.write_text(stamp)
    return venv


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep other processes out of a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "bed.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- starting and stopping -----------------------------------------------------------------------


@contextmanager
def running(directory: Path | None = None, *, front: int = 0) -> Iterator[Layout]:
    """Yield a cloud that ends with the context, or with this process if that is killed.

    ``front`` is the port of a proxy that the catalog gives as public endpoints. Other processes
    that want a cloud in the same directory wait meanwhile.
    """
    root = directory or cache() / "cloud"
    with _alone(root):
        layout = _up(root, front=front, parent=os.getpid())
        try:
            yield layout
        finally:
            stop(root)


def up(directory: Path | None = None) -> Layout:
    """Return a cloud that goes on when this process ends, until :func:`stop`."""
    root = directory or cache() / "cloud"
    with _alone(root):
        return _up(root, front=0, parent=None)


def _up(root: Path, *, front: int, parent: int | None) -> Layout:
    stop(root)
    venv = install()
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    layout = Layout(root=str(root), venv=str(venv), ports=ports, front=front)
    pristine = _pristine(venv)
    for name in (*_DATA, "images", "log", "state", "etc"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name in _DATA:
        shutil.copytree(pristine / name, root / name)
    _write(layout)
    _move_in(layout)
    try:
        _start(layout, SERVICES, parent)
    except BaseException:
        stop(root)
        raise
    return layout


def stop(root: Path) -> None:
    """End the services of a directory, also those that a killed run left."""
    for file in root.glob("*.pid"):
        pid, started = (int(part) for part in file.read_text().split())
        if _started_at(pid) == started:
            os.kill(pid, signal.SIGKILL)
            for child in [one for one in _CHILDREN if one.pid == pid]:
                child.wait()
                _CHILDREN.remove(child)
            while _started_at(pid) == started:
                time.sleep(0.02)
        file.unlink()


def _started_at(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot; a pid alone may be another's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def _write(layout: Layout) -> None:
    layout.path().mkdir(parents=True, exist_ok=True)
    layout.save()
    configs.write(layout)


def _start(layout: Layout, services: Sequence[str], parent: int | None) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(layout.path("state")),
        "PYTHONWARNINGS": "ignore",
        "LANG": "C.UTF-8",
    }
    for service in services:
        command = [f"{layout.venv}/bin/python", str(HERE / "serve.py"), layout.root, service]
        with layout.path("log", f"{service}.out").open("w") as out:
            process = subprocess.Popen(
                [*command, *([str(parent)] if parent else [])],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environment,
                start_new_session=True,
            )
        _CHILDREN.append(process)
        layout.path(f"{service}.pid").write_text(f"{process.pid} {_started_at(process.pid)}")
    for service in services:
        _await(layout, service)


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Kept: a Popen object that is dropped while its process runs warns."""


def _await(layout: Layout, service: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    pid = int(layout.path(f"{service}.pid").read_text().split()[0])
    while True:
        connection = http.client.HTTPConnection(HOST, layout.ports[service], timeout=10)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            return
        except OSError:
            pass
        finally:
            connection.close()
        if _started_at(pid) is None or time.monotonic() > deadline:
            log = layout.path("log", f"{service}.out").read_text()[-2000:]
            raise BedFailed(f"{service} did not start:\n{log}")
        time.sleep(0.1)


def _move_in(layout: Layout) -> None:
    """Let restored databases say where this cloud is: its addresses, and its other databases."""
    with sqlite3.connect(layout.path("db", "keystone.sqlite")) as keystone:
        rows = keystone.execute(
            "SELECT e.id, s.type, e.interface FROM endpoint e JOIN service s ON e.service_id = s.id"
        ).fetchall()
        for one, kind, interface in rows:
            if kind in PREFIXES:
                url = layout.endpoint(kind, interface)
                keystone.execute("UPDATE endpoint SET url = ? WHERE id = ?", (url, one))
    keystone.close()
    with sqlite3.connect(layout.path("db", "nova_api.sqlite")) as nova:
        for name, database in (("cell0", "nova_cell0"), ("cell1", "nova_cell1")):
            url = f"sqlite:///{layout.path('db', database)}.sqlite?timeout=60"
            change = "UPDATE cell_mappings SET database_connection = ? WHERE name = ?"
            nova.execute(change, (url, name))
    nova.close()


# -- the first time ------------------------------------------------------------------------------


def _pristine(venv: Path) -> Path:
    """Return initialised databases, made the first time (about one minute)."""
    digest = hashlib.sha256(CONSTRAINTS.read_bytes())
    for file in (HERE / "seed.py", HERE / "configs.py"):
        digest.update(file.read_bytes())
    kept = cache() / f"pristine-{digest.hexdigest()[:12]}"
    with _alone(cache()):
        if not kept.exists():
            for old in cache().glob("pristine-*"):
                shutil.rmtree(old)
            _initialise(venv, cache() / "initialising")
            (cache() / "initialising").rename(kept)
    return kept


def _initialise(venv: Path, root: Path) -> None:
    if root.exists():
        stop(root)
        shutil.rmtree(root)
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    layout = Layout(root=str(root), venv=str(venv), ports=ports)
    _write(layout)
    try:
        jobs = (_keystone_tables, _nova_tables, _other_tables)
        with ThreadPoolExecutor(len(jobs)) as threads:
            for done in [threads.submit(job, layout) for job in jobs]:
                done.result()
        _start(layout, ("keystone",), os.getpid())
        _run(layout, "python", str(HERE / "seed.py"), layout.root, "identity")
        _start(layout, ("placement", "glance", "neutron"), os.getpid())
        _start(layout, ("nova", "cinder"), os.getpid())
        _discover_hosts(layout)
        _run(layout, "python", str(HERE / "seed.py"), layout.root, "resources")
    finally:
        stop(root)
    for path in root.iterdir():
        if path.is_dir() and path.name not in _DATA:
            shutil.rmtree(path)


def _discover_hosts(layout: Layout) -> None:
    # This program reads before it writes, in one transaction: SQLite refuses that at once, without
    # waiting, whenever a running service wrote in between. Asking again does no harm.
    for tries_left in reversed(range(10)):
        try:
            _run(layout, "nova-manage", *_config(layout, "nova"), "cell_v2", "discover_hosts")
        except BedFailed as error:
            if "database is locked" not in str(error) or not tries_left:
                raise
            time.sleep(0.5)
        else:
            return


def _keystone_tables(layout: Layout) -> None:
    import getpass

    who = ("--keystone-user", getpass.getuser(), "--keystone-group", getpass.getuser())
    manage: Callable[..., None] = lambda *words: _run(  # noqa: E731 -- a shorter name
        layout, "keystone-manage", *_config(layout, "keystone"), *words
    )
    manage("db_sync")
    manage("fernet_setup", *who)
    manage("credential_setup", *who)
    urls = [f"--bootstrap-{kind}-url={layout.url('keystone')}/v3" for kind in _INTERFACES]
    manage(
        "bootstrap", "--bootstrap-password", "secret", "--bootstrap-region-id", "RegionOne", *urls
    )


_INTERFACES = ("public", "internal", "admin")


def _nova_tables(layout: Layout) -> None:
    config = _config(layout, "nova")
    cell0 = f"sqlite:///{layout.path('db', 'nova_cell0.sqlite')}?timeout=60"
    _run(layout, "nova-manage", *config, "api_db", "sync")
    _run(layout, "nova-manage", *config, "cell_v2", "map_cell0", "--database_connection", cell0)
    _run(layout, "nova-manage", *config, "db", "sync")
    _run(layout, "nova-manage", *config, "cell_v2", "create_cell", "--name", "cell1")


def _other_tables(layout: Layout) -> None:
    _run(layout, "placement-manage", *_config(layout, "placement"), "db", "sync")
    _run(layout, "glance-manage", *_config(layout, "glance-api"), "db_sync")
    _run(layout, "cinder-manage", *_config(layout, "cinder"), "db", "sync")
    _run(layout, "python", str(HERE / "seed.py"), layout.root, "neutron-tables")


def _config(layout: Layout, name: str) -> tuple[str, str]:
    return "--config-file", str(layout.path("etc", f"{name}.conf"))


def _run(layout: Layout, program: str, *words: str) -> None:
    command = [f"{layout.venv}/bin/{program}", *words]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise BedFailed(f"{program} {' '.join(words[:4])} failed:\n{done.stdout[-3000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=("install", "up", "down"))
    parser.add_argument("--cidr", default="10.10.0.0/16", help="range of the network 'bosh'")
    parser.add_argument("--directory", type=Path, default=cache() / "cloud")
    given = parser.parse_args()
    if given.command == "install":
        print(install())
    elif given.command == "down":
        stop(given.directory)
    else:
        from clouds.openstack.project import add_network

        layout = up(given.directory)
        network = add_network(layout, given.cidr)
        print(f"{layout.url('keystone')}/v3  user bosh, project bosh, password secret")
        print(f"network 'bosh' {given.cidr}: {network}; admin's password is the same")


__all__ = ["BedFailed", "install", "running", "stop", "up"]

if __name__ == "__main__":
    main()
