"""What may be shown of what goes to and comes from a CPI."""

from __future__ import annotations

import json

import pytest

from cpis.rpc.redaction import REDACTED, hide, redacted, secrets_in

BEGIN, END = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
KEY = f"{BEGIN}\nb3BlbnNzaC1rZXk\nAAAAline2==\n{END}\n"
RANDOM = "aB3/" * 10


@pytest.mark.parametrize(
    "key",
    [
        *("password", "admin_passwd", "Password", "db_pwd", "passphrase", "client-secret"),
        *("access_key_id", "secret_access_key", "private_key", "privateKey", "api_key", "key"),
        *("token", "session_token", "credentials", "json_key", "account_key", "encryption_key"),
        "user_data",
    ],
)
def test_secret_keys(key: str) -> None:
    assert redacted({key: "hunter22"}) == {key: REDACTED}
    assert redacted({key: {"deep": ["hunter22", 4242, None, True]}}) == {
        key: {"deep": [REDACTED, REDACTED, None, True]}
    }
    assert {"hunter22", "4242"} <= secrets_in({key: {"deep": ["hunter22", 4242]}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("public_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh0 x"),
        ("authorized_keys", ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh0 x"]),
        ("default_key_name", "bosh"),
        ("key_name", "bosh"),
        ("kms_key_arn", "arn:aws:kms:us-east-1:123456789012:key/1-2"),
        ("kms_key", "projects/p/locations/l"),
        ("credentials_source", "static"),
        ("http_tokens", "required"),
        ("region", "us-east-1"),
        ("cid", "i-0123456789abcdef0"),
        ("agent_id", "4149ba0f-38d9-4485-476f-1581be36f290"),
        ("monkeys", "three"),
        ("size", 4096),
    ],
)
def test_shown_keys(key: str, value: object) -> None:
    assert redacted({key: value}) == {key: value}
    assert secrets_in({key: value}) == frozenset()


def test_values_that_look_secret_are_secret_under_any_key() -> None:
    assert redacted(["a", KEY, RANDOM]) == ["a", REDACTED, REDACTED]
    assert redacted("nats://me:pass@10.0.0.1:4222") == f"nats://{REDACTED}@10.0.0.1:4222"


def test_secrets_are_hidden_as_they_are_by_line_and_as_json_writes_them() -> None:
    secrets = secrets_in({"a": {"private_key": KEY, "password": 'q"uo\\te'}})
    for text in (KEY, json.dumps(KEY), 'it is q"uo\\te', json.dumps({"p": 'q"uo\\te'})):
        shown = hide(text, secrets)
        assert "b3Blbn" not in shown
        assert "line2" not in shown
        assert "uo" not in shown
        assert REDACTED in shown


def test_the_longer_secret_is_hidden_first() -> None:
    assert hide("longer-secret", frozenset({"secret", "longer-secret"})) == REDACTED


def test_what_is_nested_too_deep_is_not_shown() -> None:
    deep: object = "bottom"
    for _ in range(100_000):
        deep = [deep]
    assert "bottom" not in str(redacted(deep))
    assert secrets_in(deep) == frozenset()
