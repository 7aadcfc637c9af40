"""Keys: their form, their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from director.machine.host_keys import KeyFileError, load_or_make_login_key, new_host_key


def test_host_keys_are_ed25519_differ_and_do_not_print() -> None:
    one, other = new_host_key(), new_host_key()
    assert one.public_key.startswith("ssh-ed25519 ")
    assert one.private_key.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert one != other
    assert "PRIVATE" not in repr(one)


def test_the_login_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    first = load_or_make_login_key(tmp_path / "login")
    assert (tmp_path / "login").stat().st_mode & 0o777 == 0o600
    assert load_or_make_login_key(tmp_path / "login") == first
    assert [p.name for p in tmp_path.iterdir()] == ["login"]
    assert "PRIVATE" not in repr(first)


def test_a_damaged_login_key_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("garbage")
    with pytest.raises(KeyFileError):
        load_or_make_login_key(tmp_path / "login")
    assert (tmp_path / "login").read_text() == "garbage"
