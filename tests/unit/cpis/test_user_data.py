"""User data: what it carries, what it refuses, and that cloud-init's own schema takes it."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from local_machines import Keys, cache

from cpis.contract import CloudError
from cpis.libcloud_base.user_data import host_name, user_data

SCHEMA = "usr/lib/python3/dist-packages/cloudinit/config/schemas/schema-cloud-config-v1.json"


def env(**more: Any) -> dict[str, Any]:
    return {"bosh": {**Keys().env["bosh"], **more}}


def written(text: str) -> dict[str, str]:
    """Return the files that user data writes, by their paths."""
    found = {}
    for file in yaml.safe_load(text)["write_files"]:
        content = file["content"]
        if file.get("encoding") == "gz+b64":
            content = gzip.decompress(base64.b64decode(content)).decode()
        found[file["path"]] = content
    return found


def first_boot(text: str) -> str:
    return written(text)["/var/lib/cloud/scripts/per-boot/director-first-boot"]


def test_it_carries_the_keys() -> None:
    given = env()
    text = user_data(hostname="vm-1", env=given)
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    assert config["hostname"] == "vm-1"
    keys = given["bosh"]["ssh_host_key"]
    assert config["ssh_keys"]["ed25519_private"].strip() == keys["private_key"].strip()
    assert config["ssh_keys"]["ed25519_public"].strip() == keys["public_key"].strip()
    (root,) = config["users"]
    assert (root["name"], root["ssh_authorized_keys"]) == ("root", given["bosh"]["authorized_keys"])
    assert config["disable_root"] is False
    assert config["ssh_deletekeys"] is True


def test_its_files_are_for_root_only() -> None:
    config = yaml.safe_load(user_data(hostname="vm-1", env=env(password="$6$salt$hash")))
    open_to_all = [f["path"] for f in config["write_files"] if f["permissions"][-2:] != "00"]
    assert open_to_all == ["/etc/ssh/sshd_config.d/00-director.conf"]


def test_it_is_short() -> None:
    keys = ["ssh-rsa " + "A" * 540] * 3
    assert len(user_data(hostname="v" * 63, env=env(authorized_keys=keys))) < 10 * 1024


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({}, "swap_mb='' toolchain=yes"),
        ({"swap_size": 0}, "swap_mb='0' toolchain=yes"),
        ({"swap_size": 2048, "remove_dev_tools": True}, "swap_mb='2048' toolchain=no"),
    ],
)
def test_what_the_first_boot_is_told(more: dict[str, Any], line: str) -> None:
    assert first_boot(user_data(hostname="vm-1", env=env(**more))).splitlines()[1] == line


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ssh_host_key": None}, "no bosh.ssh_host_key"),
        ({"authorized_keys": []}, "nobody could log in"),
        ({"authorized_keys": ["ssh-rsa A\nroot::0"]}, "each one line"),
        ({"swap_size": "1; reboot"}, "swap_size is"),
        ({"swap_size": True}, "swap_size is"),
        ({"password": "a\nroot:b"}, "not a password's hash"),
    ],
)
def test_what_it_refuses(more: dict[str, Any], words: str) -> None:
    with pytest.raises(CloudError, match=words):
        user_data(hostname="vm-1", env=env(**more))


@pytest.mark.parametrize(
    ("agent_id", "name"),
    [
        ("0b1c-22", "vm-0b1c-22"),
        ("A_b.c--", "vm-a-b-c"),
        ("x" * 80, "vm-" + "x" * 60),
    ],
)
def test_host_name(agent_id: str, name: str) -> None:
    assert host_name(agent_id) == name


def test_the_script_is_posix_shell(tmp_path: Path) -> None:
    script = tmp_path / "first-boot"
    script.write_text(first_boot(user_data(hostname="vm-1", env=env())))
    subprocess.run(["dash", "-n", str(script)], check=True)
    assert "\n#" not in script.read_text().removeprefix("#!/bin/sh"), "comments cost bytes"


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="cloud-init comes as a Debian package")
def test_cloud_inits_schema_takes_it() -> None:
    """The schema is what ``cloud-init schema -c`` checks with, of this host's distribution."""
    schema = json.loads(_schema().read_text())
    config = yaml.safe_load(
        user_data(hostname="vm-1", env=env(password="$6$salt$hash", swap_size=1))
    )
    checker = jsonschema.Draft4Validator(schema)
    assert [error.message for error in checker.iter_errors(config)] == []
    assert list(checker.iter_errors({**config, "ssh_keys": {"none": 1}})), "the schema is in use"


def _schema() -> Path:
    kept = cache() / "cloud-init-schema.json"
    if not kept.exists():
        directory = cache() / "cloud-init"
        directory.mkdir(exist_ok=True)
        apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "cloud-init"]
        subprocess.run(apt, cwd=directory, check=True, capture_output=True)
        (package,) = directory.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package.name, "."], cwd=directory, check=True)
        shutil.copy(directory / SCHEMA, kept)
        shutil.rmtree(directory)
    return kept
