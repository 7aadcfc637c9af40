"""What operators write: BOSH's names, flat or nested; and the README that tells of them."""

import re
from pathlib import Path

import pytest

import cpis.openstack
from cpis.contract import CloudError
from cpis.openstack.properties import (
    CPI_SCHEMA,
    DISK_SCHEMA,
    NETWORK_SCHEMA,
    VM_SCHEMA,
    address_pairs,
    read_settings,
)

USER = {
    "auth_url": "https://cloud.example:5000/v3",
    "username": "bosh",
    "api_key": "hidden",
    "project": "p",
}
README = Path(cpis.openstack.__file__).with_name("README.md")


def test_boshs_own_properties_nested_as_its_manifests_have_them():
    given = {
        "openstack": {
            **USER,
            "domain": "corp",
            "region": "R",
            "default_key_name": "key",
            "default_security_groups": ["bosh"],
            "default_volume_type": "SSD",
            "human_readable_vm_names": True,
            "boot_from_volume": True,
            "config_drive": "cdrom",
            "ignore_server_availability_zone": True,
            "stemcell_public_visibility": False,
            "state_timeout": 600,
            "endpoint_type": "internalURL",
            "connection_options": {"ssl_verify_peer": False, "read_timeout": 360},
        },
        "agent": {"mbus": "nats://"},
        "registry": {},
        "ntp": [],
    }
    settings = read_settings(given)
    assert settings.auth_url == "https://cloud.example:5000"
    assert (settings.credentials.user_domain, settings.credentials.project_domain) == (
        "corp",
        "corp",
    )
    assert (settings.interface, settings.region, settings.config_drive) == ("internal", "R", True)
    assert (settings.tls.verify, settings.timeouts_s) == (False, (10.0, 360.0))
    assert settings.ignore_server_zone
    assert settings.readable_names
    assert settings.boot_from_volume
    assert read_settings(given["openstack"]) == settings
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://k:5000/v3", "http://k:5000"),
        ("http://k:5000", "http://k:5000"),
        ("https://k/identity/v3/", "https://k/identity"),
    ],
)
def test_keystones_url(url, base):
    assert read_settings({**USER, "auth_url": url}).auth_url == base


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"auth_url": "http://k:5000/v2.0"}, "version 2"),
        ({"auth_url": "k:5000"}, "no URL"),
        ({"auth_url": None}, "lacks the property 'auth_url'"),
        ({"api_key": None}, "lacks the property 'api_key'"),
        ({"project": None}, "lacks the property 'project'"),
        ({"usernam": "x"}, "did you mean 'username'"),
        ({"state_timeout": "long"}, "'state_timeout' that is not number"),
        ({"connection_options": {"ca_certs": "x"}}, "connection_options.ca_certs"),
        ({"application_credential_id": "x"}, "application_credential_secret"),
        ({"use_nova_networking": True}, "use_nova_networking"),
        ({"openstack": {}, "auth": {}}, "unknown property"),
    ],
)
def test_what_is_wrong_is_named(change, text):
    with pytest.raises(CloudError) as caught:
        read_settings({**USER, **change})
    assert text in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_an_application_credential_needs_no_user():
    settings = read_settings(
        {
            "auth_url": "http://k/v3",
            "application_credential_id": "id",
            "application_credential_secret": "hidden",
        }
    )
    assert settings.credentials.application_id == "id"
    assert "hidden" not in repr(settings)


def test_no_dhcp_means_config_drive():
    assert read_settings({**USER, "use_dhcp": False}).config_drive
    assert not read_settings({**USER, "use_dhcp": True}).config_drive


@pytest.mark.parametrize(
    ("given", "pairs"),
    [
        ("10.0.0.9", [{"ip_address": "10.0.0.9"}]),
        ("10.0.0.9, 10.0.0.10", [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.10"}]),
        (["10.0.0.9"], [{"ip_address": "10.0.0.9"}]),
        ([{"ip_address": "a", "mac_address": "b"}], [{"ip_address": "a", "mac_address": "b"}]),
        (None, []),
    ],
)
def test_allowed_address_pairs(given, pairs):
    assert address_pairs({"allowed_address_pairs": given}) == pairs


@pytest.mark.parametrize(
    ("heading", "schema"),
    [
        ("Properties of the CPI", CPI_SCHEMA),
        ("Connection options", CPI_SCHEMA["properties"]["connection_options"]),
        ("VMs", VM_SCHEMA),
        ("Networks", NETWORK_SCHEMA),
        ("Disks", DISK_SCHEMA),
    ],
)
def test_the_readme_says_what_the_schema_says(heading, schema):
    part = README.read_text(encoding="utf-8").partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|$", part, flags=re.M))
    assert rows == {key: one["description"] for key, one in schema["properties"].items()}
