"""A whole deployment on OpenStack: its API is a real control plane's, its machines are real."""

from __future__ import annotations

import io
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import local_machines
import pytest
import yaml
from clouds.bridge import bridge
from clouds.openstack import bed, project
from clouds.openstack.layout import Layout
from clouds.openstack_servers import OpenStackServers
from clouds.whole_deployment import Site, deploy_change_and_delete
from real_director import Director

pytestmark = [pytest.mark.openstack, pytest.mark.machines, pytest.mark.slow]

SUBNET = "10.237.2"


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    """A control plane of its own, beside the one of the CPI's tests."""
    with bed.running(tmp_path / "cloud") as layout:
        yield layout


def test_redis_on_openstack(layout: Layout, tmp_path: Path) -> None:
    network = project.add_network(layout, f"{SUBNET}.0/24")
    own = project.api(layout)
    images = [_add_image(own, name) for name in ("debian-12.1", "debian-12.2")]
    director = Director(home=tmp_path / "home", subnet=SUBNET)
    director.home.mkdir(mode=0o700)
    settings = {"cpi": {"name": "openstack", "properties": project.properties(layout)}}
    (director.home / "director.yml").write_text(yaml.safe_dump(settings))

    def delete_server(cid: str) -> None:
        own.delete("compute", f"/servers/{cid}", "delete")

    servers = OpenStackServers(layout, IPv4Network(f"{SUBNET}.0/24"))
    with (
        local_machines.local_cpi("openstack-bridge") as cpi,
        bridge(servers, cpi, local_machines.stemcell_image()) as machines,
    ):
        site = Site(
            director=director,
            bridge=machines,
            cloud_config=_cloud_config(network),
            images=({"image_id": images[0]}, {"image_id": images[1]}),
            delete_server=delete_server,
            left=lambda: _left(layout, own),
        )
        deploy_change_and_delete(site, tmp_path)


def _add_image(own: Any, name: str) -> str:
    """Make an image in Glance; its content matters to nobody, because no guest boots from it."""
    wanted = {"name": name, "disk_format": "raw", "container_format": "bare"}
    image = str(own.send("POST", "image", "/images", wanted, "add")["id"])
    path, headers = f"/images/{image}/file", {"Content-Type": "application/octet-stream"}
    body = io.BytesIO(b"nothing that boots")
    own.calls.ask("fill", lambda d: d.send("image", "PUT", path, body=body, headers=headers))
    return image


def _cloud_config(network: str) -> dict[str, Any]:
    """Return a cloud config like that of manifests/openstack, with one subnet and small disks."""
    zones = ["z1", "z2", "z3"]
    with_ephemeral_disk = {"instance_type": "m1.medium"}
    return {
        "azs": [{"name": z, "cloud_properties": {"availability_zone": z}} for z in zones],
        "vm_types": [
            {"name": name, "cloud_properties": with_ephemeral_disk}
            for name in ("default", "compilation")
        ],
        "disk_types": [
            {"name": "default", "disk_size": 1024},
            {"name": "large", "disk_size": 2048},
        ],
        "networks": [
            {
                "name": "default",
                "type": "manual",
                "subnets": [
                    {
                        "azs": zones,
                        "range": f"{SUBNET}.0/24",
                        "gateway": f"{SUBNET}.1",
                        "reserved": [f"{SUBNET}.2-{SUBNET}.9"],
                        "dns": [],
                        "cloud_properties": {"net_id": network},
                    }
                ],
            }
        ],
        "compilation": {
            "workers": 1,
            "reuse_compilation_vms": True,
            "az": "z1",
            "vm_type": "compilation",
            "network": "default",
            "env": {"bosh": {"swap_size": 0}},
        },
    }


def _left(layout: Layout, own: Any) -> object:
    lists = {"security-groups": "security_groups", "floatingips": "floatingips"}
    return project.left(layout), {
        key: sorted(row["id"] for row in own.pages("network", f"/{path}", key, "look"))
        for path, key in lists.items()
    }
