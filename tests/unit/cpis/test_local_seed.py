"""The files a machine gets before its first start; the image is not trusted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cpis.local.seed import Identity, seed_root
from director.model.errors import CpiError

IDENTITY = Identity(hostname="vm-1", agent_id="a", address="10.0.0.5", dns=("9.9.9.9",))
ENV = {
    "bosh": {
        "authorized_keys": ["ssh-ed25519 AAAA one\n", "ssh-ed25519 BBBB two"],
        "ssh_host_key": {"private_key": "PRIVATE", "public_key": "ssh-ed25519 CCCC"},
    }
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    etc = tmp_path / "image" / "etc"
    etc.mkdir(parents=True)
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (etc / "group").write_text("root:x:0:\nshadow:x:42:\n")
    (etc / "shadow").write_text("root:!:1:0:99999:7:::\n")
    return tmp_path / "image"


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


def test_writes_identity_keys_and_users(image: Path, upper: Path) -> None:
    seed_root(upper, image, IDENTITY, ENV)
    assert (upper / "etc/hostname").read_text() == "vm-1\n"
    assert (upper / "etc/resolv.conf").read_text() == "nameserver 9.9.9.9\n"
    for home in ("root", "home/vcap"):
        keys = upper / home / ".ssh/authorized_keys"
        assert keys.read_text() == "ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n"
    assert stat.S_IMODE((upper / "etc/director/ssh_host_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((upper / "etc/shadow").stat().st_mode) == 0o640
    assert "vcap:x:1000:1000" in (upper / "etc/passwd").read_text()
    # A locked password would lock keys out too.
    assert [line.split(":")[1] for line in (upper / "etc/shadow").read_text().splitlines()] == [
        "*",
        "*",
    ]


def test_keeps_the_images_vcap(image: Path, upper: Path) -> None:
    with (image / "etc/passwd").open("a") as passwd:
        passwd.write("vcap:x:0:0::/srv/../../var/vcap-home:/bin/sh\n")
    seed_root(upper, image, IDENTITY, {"bosh": {**ENV["bosh"], "password": "$6$hash"}})
    assert not (upper / "etc/passwd").exists()
    assert (upper / "var/vcap-home/.ssh/authorized_keys").exists()
    assert "vcap:$6$hash:" in (upper / "etc/shadow").read_text()


def test_follows_no_link_out_of_the_image(image: Path, upper: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host:secret:1:\n")
    (image / "etc/shadow").unlink()
    (image / "etc/shadow").symlink_to(secret)
    seed_root(upper, image, IDENTITY, ENV)
    assert "secret" not in (upper / "etc/shadow").read_text()


def test_needs_a_host_key(image: Path, upper: Path) -> None:
    with pytest.raises(CpiError, match="ssh_host_key"):
        seed_root(upper, image, IDENTITY, {"bosh": {"authorized_keys": []}})
