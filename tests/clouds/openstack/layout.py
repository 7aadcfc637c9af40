"""Where everything of one OpenStack test cloud is, and on which ports it listens.

Imported by the tests and, with the control plane's own Python, by the services: standard library
only.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
SERVICES = ("keystone", "placement", "glance", "neutron", "nova", "cinder")
ZONES = ("z1", "z2", "z3")
SECRET = "secret"  # of every user; the cloud is on loopback and holds nothing

PREFIXES = {
    "identity": ("keystone", "/v3"),
    "compute": ("nova", "/v2.1"),
    "block-storage": ("cinder", "/v3"),
    "volumev3": ("cinder", "/v3/$(project_id)s"),
    "image": ("glance", ""),
    "network": ("neutron", ""),
    "placement": ("placement", ""),
}
"""Service types of the catalog: the service behind each, and the path its endpoint ends in."""


def cache() -> Path:
    """Return where the control plane is installed and its pristine databases are."""
    base = os.environ.get("DIRECTOR_TEST_CACHE") or Path(__file__).parents[3] / ".cache"
    return Path(base).resolve() / "openstack"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One cloud: its directory, the control plane's Python, and its ports.

    ``front`` is the fault proxy's port, which the catalog gives as the public endpoints; 0 lets it
    give the services themselves.
    """

    root: str
    venv: str
    ports: dict[str, int] = field(default_factory=dict)
    front: int = 0

    def path(self, *parts: str) -> Path:
        return Path(self.root, *parts)

    def url(self, service: str) -> str:
        return f"http://{HOST}:{self.ports[service]}"

    def endpoint(self, kind: str, interface: str) -> str:
        """Return an endpoint of the catalog: the public one is the fault proxy's."""
        service, path = PREFIXES[kind]
        if interface == "public" and self.front:
            return f"http://{HOST}:{self.front}/{kind}{path}"
        return self.url(service) + path

    def save(self) -> None:
        """Write it where the services read it."""
        self.path("layout.json").write_text(json.dumps(asdict(self)))


def load(root: str | Path) -> Layout:
    """Return the layout of the cloud in a directory."""
    return Layout(**json.loads(Path(root, "layout.json").read_text()))


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()
