"""What a new cloud holds before tests use it; run with the control plane's own Python.

python seed.py DIRECTORY identity|resources|neutron-tables
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parents[2])

from clouds.openstack.layout import PREFIXES, SECRET, ZONES, Layout, load  # noqa: E402

FLAVORS = (
    # name, CPUs, MiB of memory, GiB of root disk, GiB of ephemeral disk
    ("m1.tiny", 1, 512, 3, 0),
    ("m1.small", 1, 2048, 20, 0),
    ("m1.medium", 2, 4096, 40, 10),
    ("m1.large", 4, 8192, 80, 0),
    ("v1.small", 1, 1024, 0, 0),
)


def identity(layout: Layout) -> None:
    """Users, roles, projects and the catalog; its addresses are set at every start."""
    keystone = _connect(layout, "admin").identity
    roles = {role.name: role for role in keystone.roles()}
    for name in ("service", "member", "admin"):
        if name not in roles:
            roles[name] = keystone.create_role(name=name)
    for project, user, names in (
        ("service", "svc", ("admin", "service")),
        ("bosh", "bosh", ("member",)),
    ):
        made = keystone.create_project(name=project, domain_id="default")
        who = keystone.create_user(name=user, password=SECRET, domain_id="default")
        for name in names:
            keystone.assign_project_role_to_user(made, who, roles[name])
    for kind in PREFIXES:
        if kind != "identity":
            service = keystone.create_service(name=kind, type=kind)
            for interface in ("public", "internal", "admin"):
                keystone.create_endpoint(
                    service_id=service.id,
                    interface=interface,
                    url=layout.endpoint(kind, "internal"),
                    region_id="RegionOne",
                )


def resources(layout: Layout) -> None:
    """Default rules of security groups, quotas, an external network, flavors, zones."""
    admin = _connect(layout, "admin")
    for family in ("IPv4", "IPv6"):
        # The models make empty tables; Neutron's migrations would have filled this one.
        out = {"direction": "egress", "used_in_non_default_sg": True}
        inside = {"direction": "ingress", "remote_group_id": "PARENT"}
        for rule in (out, {**inside, "used_in_non_default_sg": False}):
            full = {"ethertype": family, "used_in_default_sg": True, **rule}
            body = {"default_security_group_rule": full}
            admin.network.post("/default-security-group-rules", json=body).raise_for_status()
    quotas = {"volumes": 500, "snapshots": 500, "gigabytes": 100000}
    path = "/os-quota-class-sets/default"
    admin.block_storage.put(path, json={"quota_class_set": quotas}).raise_for_status()
    external = admin.network.create_network(
        name="public",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network="ext",
    )
    admin.network.create_subnet(
        network_id=external.id, cidr="172.24.4.0/24", ip_version=4, is_dhcp_enabled=False
    )
    for name, cpus, ram, disk, ephemeral in FLAVORS:
        admin.compute.create_flavor(name=name, vcpus=cpus, ram=ram, disk=disk, ephemeral=ephemeral)
    for zone in ZONES:
        aggregate = admin.compute.create_aggregate(name=zone, availability_zone=zone)
        admin.compute.add_host_to_aggregate(aggregate, zone)
    admin.block_storage.create_type(name="fast")


def neutron_tables(layout: Layout) -> None:
    """Make Neutron's tables from its models: its migrations do not run on SQLite."""
    sys.argv = ["neutron", "--config-file", str(layout.path("etc", "neutron.conf"))]
    import sqlalchemy
    from neutron.db.migration.models import head

    engine = sqlalchemy.create_engine(f"sqlite:///{layout.path('db', 'neutron.sqlite')}")
    head.get_metadata().create_all(engine)


def _connect(layout: Layout, who: str) -> Any:
    import openstack

    return openstack.connect(
        auth_url=layout.url("keystone") + "/v3",
        username=who,
        password=SECRET,
        project_name=who,
        user_domain_id="default",
        project_domain_id="default",
        region_name="RegionOne",
        interface="internal",
    )


if __name__ == "__main__":
    {"identity": identity, "resources": resources, "neutron-tables": neutron_tables}[sys.argv[2]](
        load(sys.argv[1])
    )
