"""The services' configuration files.

What is unusual, and why:

- ``transport_url = fake://``: Nova and Cinder run as one process each, API and workers as threads,
  so that oslo.messaging's in-process transport is enough and no broker is needed.
- SQLite with one connection a pool and ``synchronous`` off: writers wait for the lock up to 60 s.
- ``vif_plugging_timeout = 0``: nobody plugs a card in, so nobody would tell Nova that it is done.
- ``service_down_time`` of days: after a start from pristine databases the services' last heartbeat
  is old, and the scheduler would take every host for dead.
- ``password_hash_rounds = 4`` and tokens of a day: the tests check no passwords' strength.
- Quotas are what the tests of quotas and of many servers need.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from typing import Any

from clouds.openstack.layout import SECRET, Layout

Sections = dict[str, dict[str, Any]]
_ZEROES = "0" * 64


def write(layout: Layout) -> None:
    """Write every service's file, and what Neutron and Cinder load as plug-ins."""
    made = {
        "keystone": _keystone(layout),
        "placement": _placement(layout),
        "glance-api": _glance(layout),
        "neutron": _neutron(layout),
        "nova": _nova(layout),
        "cinder": _cinder(layout),
    }
    for directory in ("etc", "db", "log", "fernet", "cred", "images", "staging", "tasks", "lock"):
        layout.path(directory).mkdir(parents=True, exist_ok=True)
    for directory in ("glance", "neutron", "cinder", "nova/instances"):
        layout.path("state", directory).mkdir(parents=True, exist_ok=True)
    # Nova refuses to start on a database that knows its host unless the host has this id of old.
    identity = "00000000-0000-4000-8000-000000000001"
    layout.path("state", "nova", "compute_id").write_text(identity)
    for name, sections in made.items():
        parser = configparser.RawConfigParser(default_section="")
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_dict({key: _texts(values) for key, values in sections.items()})
        with layout.path("etc", f"{name}.conf").open("w") as file:
            parser.write(file)
    info = layout.path("plugins", "director_bed-1.dist-info")
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: director-bed\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[neutron.ml2.mechanism_drivers]\ndirector_bed = bed_ml2:BindsEveryPort\n"
    )


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in values.items()
    }


def _database(layout: Layout, name: str) -> dict[str, Any]:
    return {
        "connection": f"sqlite:///{layout.path('db', name)}.sqlite?timeout=60",
        "sqlite_synchronous": False,
        "max_pool_size": 1,
    }


def _credentials(layout: Layout) -> dict[str, Any]:
    """How one service speaks to another: directly, never through the fault proxy."""
    return {
        "auth_type": "password",
        "auth_url": layout.url("keystone") + "/v3",
        "username": "svc",
        "password": SECRET,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": "RegionOne",
        "valid_interfaces": "internal",
    }


def _log(layout: Layout, name: str) -> dict[str, Any]:
    return {"log_file": layout.path("log", f"{name}.log"), "use_stderr": False}


def _worker(layout: Layout, name: str) -> dict[str, Any]:
    state = {"state_path": layout.path("state", name), "transport_url": "fake://"}
    return {**_log(layout, name), **state}


def _shared(layout: Layout) -> Sections:
    who = _credentials(layout)
    return {
        "keystone_authtoken": {
            **who,
            "www_authenticate_uri": layout.url("keystone") + "/v3",
            "service_token_roles": "service",
            "service_token_roles_required": True,
            "interface": "internal",
            "token_cache_time": 300,
        },
        "service_user": {**who, "send_service_user_token": True},
        "oslo_messaging_notifications": {"driver": "noop"},
        "oslo_concurrency": {"lock_path": layout.path("lock")},
    }


def _keystone(layout: Layout) -> Sections:
    return {
        "DEFAULT": _log(layout, "keystone"),
        "database": _database(layout, "keystone"),
        "token": {"provider": "fernet", "expiration": 86400},
        "fernet_tokens": {"key_repository": layout.path("fernet")},
        "credential": {"key_repository": layout.path("cred")},
        "identity": {"password_hash_rounds": 4},
        "cache": {"enabled": True, "backend": "oslo_cache.dict"},
    }


def _placement(layout: Layout) -> Sections:
    return {
        "DEFAULT": _log(layout, "placement"),
        "api": {"auth_strategy": "keystone"},
        "placement_database": _database(layout, "placement"),
        **_shared(layout),
    }


def _glance(layout: Layout) -> Sections:
    return {
        "DEFAULT": {
            **_worker(layout, "glance"),
            "node_staging_uri": f"file://{layout.path('staging')}",
            "worker_self_reference_url": layout.url("glance"),
            "enabled_backends": "fs:file",
        },
        "os_glance_staging_store": {"filesystem_store_datadir": layout.path("staging")},
        "os_glance_tasks_store": {"filesystem_store_datadir": layout.path("tasks")},
        "glance_store": {"default_backend": "fs"},
        "fs": {"filesystem_store_datadir": layout.path("images")},
        "database": _database(layout, "glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": f"{layout.venv}/etc/glance/glance-api-paste.ini",
        },
        **_shared(layout),
    }


def _neutron(layout: Layout) -> Sections:
    return {
        "DEFAULT": {
            **_worker(layout, "neutron"),
            "api_paste_config": f"{layout.venv}/etc/neutron/api-paste.ini",
            "core_plugin": "ml2",
            "service_plugins": "router",
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
            "dhcp_agent_notification": False,
        },
        "quotas": {"quota_port": 2000, "quota_floatingip": 50},
        "database": _database(layout, "neutron"),
        "nova": {**_credentials(layout), "endpoint_type": "internal"},
        "ml2": {
            "type_drivers": "vxlan,flat,local",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "director_bed",
            "extension_drivers": "port_security",
        },
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
        "ml2_type_flat": {"flat_networks": "*"},
        "securitygroup": {"enable_security_group": True},
        **_shared(layout),
    }


def _nova(layout: Layout) -> Sections:
    who = _credentials(layout)
    filters = ("Compute", "ComputeCapabilities", "ImageProperties")
    groups = ("ServerGroupAntiAffinity", "ServerGroupAffinity")
    return {
        "DEFAULT": {
            **_worker(layout, "nova"),
            "compute_driver": "fake.FakeDriver",
            "host": "z1",
            "vif_plugging_is_fatal": False,
            "vif_plugging_timeout": 0,
            "heal_instance_info_cache_interval": 5,
            "allow_resize_to_same_host": True,
            "use_cow_images": False,
            "service_down_time": 360000,
            "report_interval": 60,
            "instances_path": layout.path("state", "nova", "instances"),
        },
        "quota": {"instances": 2000, "cores": 4000, "ram": -1},
        "api_database": _database(layout, "nova_api"),
        "database": _database(layout, "nova_cell1"),
        "api": {"auth_strategy": "keystone"},
        "wsgi": {"api_paste_config": f"{layout.venv}/etc/nova/api-paste.ini"},
        "glance": who,
        "placement": who,
        "neutron": {
            **who,
            "service_metadata_proxy": True,
            "metadata_proxy_shared_secret": SECRET,
        },
        "cinder": {
            **who,
            "catalog_info": "block-storage::internalURL",
            "os_region_name": "RegionOne",
            "cross_az_attach": True,
        },
        "keystone": who,
        "scheduler": {"discover_hosts_in_cells_interval": -1},
        "filter_scheduler": {
            "enabled_filters": ",".join(f"{name}Filter" for name in (*filters, *groups)),
            "track_instance_changes": False,
        },
        "key_manager": {
            "backend": "nova.keymgr.conf_key_mgr.ConfKeyManager",
            "fixed_key": _ZEROES,
        },
        **_shared(layout),
    }


def _cinder(layout: Layout) -> Sections:
    return {
        "DEFAULT": {
            **_worker(layout, "cinder"),
            "host": "z1",
            "auth_strategy": "keystone",
            "api_paste_config": f"{layout.venv}/etc/cinder/api-paste.ini",
            "enabled_backends": "bed",
            "service_down_time": 360000,
            "scheduler_driver_init_wait_time": 1,
            "default_volume_type": "__DEFAULT__",
            "resource_query_filters_file": f"{layout.venv}/etc/cinder/resource_filters.json",
            "glance_api_servers": layout.url("glance"),
            "storage_availability_zone": "nova",
            "allow_availability_zone_fallback": True,
        },
        "bed": {
            "volume_driver": "bed_cinder.KeepsBooks",
            "volume_backend_name": "bed",
        },
        "database": _database(layout, "cinder"),
        "key_manager": {
            "backend": "cinder.keymgr.conf_key_mgr.ConfKeyManager",
            "fixed_key": _ZEROES,
        },
        "nova": _credentials(layout),
        "coordination": {"backend_url": f"file://{layout.path('state', 'cinder')}"},
        **_shared(layout),
    }
