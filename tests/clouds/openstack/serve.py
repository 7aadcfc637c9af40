"""Run one service of the control plane in the foreground, with the control plane's own Python.

    python serve.py DIRECTORY SERVICE [PARENT-PID]

With a parent's id it ends when that process does. Nova and Cinder run their API and all their
workers here, as threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Not the directory of this file: OpenStack imports a package called "fixtures".
sys.path[0] = str(Path(__file__).parent / "plugins")
sys.path.append(str(Path(__file__).parents[2]))

from clouds.openstack.layout import HOST, ZONES, Layout, load  # noqa: E402


def main() -> None:
    layout, service = load(sys.argv[1]), sys.argv[2]
    if len(sys.argv) > 3:
        _end_with(int(sys.argv[3]))
    sys.path.insert(0, str(layout.path("plugins")))
    if service != "placement":
        _lock_when_a_transaction_begins()
    application = _SERVICES[service](layout)
    # Placement retries conflicting allocations badly on SQLite: its requests go one by one.
    import waitress

    threads = 1 if service == "placement" else 8
    waitress.serve(application, host=HOST, port=layout.ports[service], threads=threads, _quiet=True)


def _end_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _lock_when_a_transaction_begins() -> None:
    """Let SQLite take the write lock at BEGIN.

    A transaction that reads first and writes later fails at once with "database is locked" when
    another has written in between, however long it may wait; oslo.db says a plain BEGIN.
    """
    import sqlalchemy

    @sqlalchemy.event.listens_for(
        sqlalchemy.engine.Engine, "before_cursor_execute", named=True, retval=True
    )
    def immediate(**call: Any) -> tuple[str, Any]:
        statement = call["statement"]
        return ("BEGIN IMMEDIATE" if statement == "BEGIN" else statement), call["parameters"]


def _keystone(layout: Layout) -> Any:
    os.environ["OS_KEYSTONE_CONFIG_FILES"] = str(layout.path("etc", "keystone.conf"))
    sys.argv = ["keystone"]
    from keystone.wsgi.api import application

    return application


def _placement(layout: Layout) -> Any:
    os.environ["OS_PLACEMENT_CONFIG_DIR"] = str(layout.path("etc"))
    sys.argv = ["placement"]
    from placement.wsgi.api import application

    return application


def _glance(layout: Layout) -> Any:
    os.environ["OS_GLANCE_CONFIG_DIR"] = str(layout.path("etc"))
    sys.argv = ["glance-api"]
    from glance.wsgi.api import application

    return application


def _neutron(layout: Layout) -> Any:
    sys.argv = ["neutron", "--config-file", str(layout.path("etc", "neutron.conf"))]
    from neutron.wsgi.api import application

    return application


def _nova(layout: Layout) -> Any:
    config = layout.path("etc", "nova.conf")
    sys.argv = ["nova", "--config-file", str(config)]
    os.environ["OS_NOVA_CONFIG_FILES"] = f"{layout.venv}/etc/nova/api-paste.ini;{config}"
    from nova import monkey_patch

    monkey_patch.patch(backend="threading")
    import os_vif
    from nova import service
    from nova.api.openstack import wsgi_app

    application = wsgi_app.init_application("osapi_compute", "nova-api-os-compute")
    os_vif.initialize()
    _keep_node_ids()
    for binary, hosts in (
        ("nova-conductor", ("ctl",)),
        ("nova-scheduler", ("ctl",)),
        ("nova-compute", ZONES),
    ):
        for host in hosts:
            topic = binary.removeprefix("nova-")
            _KEPT.append(service.Service.create(host=host, binary=binary, topic=topic))
            _KEPT[-1].start()
    return application


def _keep_node_ids() -> None:
    """The fake driver draws its node's id anew at each start; a restored database knows the old."""
    import uuid

    from nova.virt import fake

    class Ids:
        def __getattr__(self, name: str) -> str:
            return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))

    fake.uuids = Ids()


def _cinder(layout: Layout) -> Any:
    sys.argv = ["cinder", "--config-file", str(layout.path("etc", "cinder.conf"))]
    os.environ["OS_CINDER_DISABLE_EVENTLET_PATCHING"] = "1"
    from cinder import monkey_patch

    monkey_patch.patch(backend="threading")
    from cinder import service
    from cinder.wsgi.api import application
    from oslo_config import cfg

    # Otherwise the option is registered by the command that starts cinder-volume.
    cfg.CONF.register_opt(cfg.StrOpt("backend_host"), group="bed")
    _KEPT.append(
        service.Service.create(
            host="z1@bed", service_name="bed", binary="cinder-volume", coordination=True
        )
    )
    _KEPT.append(service.Service.create(host="z1", binary="cinder-scheduler"))
    for one in _KEPT:
        one.start()
    return application


_KEPT: list[Any] = []
_SERVICES: dict[str, Callable[[Layout], Any]] = {
    "keystone": _keystone,
    "placement": _placement,
    "glance": _glance,
    "neutron": _neutron,
    "nova": _nova,
    "cinder": _cinder,
}

if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 -- told, and then the end
        # The workers' threads would keep a process alive that serves nothing.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
