"""Generated credentials: shapes, lengths, chains, and options that are wrong."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding

from director.model.errors import DirectorError, NotSupported, VariableError
from director.model.manifest import Variable
from director.variables.generate import COMMAND_LINE, DIRECTOR, generate

NOW = 1_700_000_000.0


def variable(type_: str, **options: Any) -> Variable:
    return Variable(name="v", type=type_, options=options)


def made(type_: str, signer: Mapping[str, Any] | None = None, **options: Any) -> Any:
    return generate(variable(type_, **options), defaults=DIRECTOR, now=NOW, ca=signer)


@pytest.mark.parametrize(
    ("defaults", "options", "pattern"),
    [
        (DIRECTOR, {}, r"[A-Za-z0-9]{30}"),
        (COMMAND_LINE, {}, r"[a-z0-9]{20}"),
        (DIRECTOR, {"length": 7}, r"[A-Za-z0-9]{7}"),
        (DIRECTOR, {"exclude_upper": True, "exclude_number": True}, r"[a-z]{30}"),
    ],
)
def test_password(defaults: Any, options: Any, pattern: str) -> None:
    one, other = (
        generate(variable("password", **options), defaults=defaults, now=NOW) for _ in "12"
    )
    assert re.fullmatch(pattern, one)
    assert one != other


def test_rsa() -> None:
    value = made("rsa")
    assert set(value) == {"private_key", "public_key"}
    key: Any = serialization.load_pem_private_key(value["private_key"].encode(), None)
    assert key.key_size == 2048
    assert value["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----\n")
    assert serialization.load_pem_public_key(value["public_key"].encode()) == key.public_key()


def test_ssh() -> None:
    value = made("ssh")
    assert set(value) == {"private_key", "public_key", "public_key_fingerprint"}
    assert value["public_key"].startswith("ssh-rsa AAAA")
    assert re.fullmatch(r"([0-9a-f]{2}:){15}[0-9a-f]{2}", value["public_key_fingerprint"])


@pytest.fixture(scope="module")
def root() -> Any:
    return made("certificate", is_ca=True, common_name="root")


def load(pem: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem.encode())


def test_a_chain_of_certificates(root: Any) -> None:
    middle = made("certificate", root, ca="root", is_ca=True, common_name="middle")
    leaf = made(
        "certificate",
        middle,
        ca="middle",
        common_name="leaf",
        organization="Us",
        alternative_names=["a.example", "*.b.example", "10.0.0.1", "::1"],
        key_usage=["digital_signature"],
        extended_key_usage=["client_auth", "server_auth"],
        duration=30,
        key_length=3072,
    )
    assert root["ca"] == root["certificate"]
    assert leaf["ca"] == middle["certificate"]
    signed, signer = load(leaf["certificate"]), load(middle["certificate"])
    signed.verify_directly_issued_by(signer)
    signer.verify_directly_issued_by(load(root["certificate"]))
    key: Any = serialization.load_pem_private_key(leaf["private_key"].encode(), None)
    assert key.key_size == 3072
    message = key.sign(b"x", padding.PKCS1v15(), signed.signature_hash_algorithm)
    public: Any = signed.public_key()
    public.verify(message, b"x", padding.PKCS1v15(), signed.signature_hash_algorithm)
    names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example", "*.b.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1", "::1"]
    assert not signed.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    made_at = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    assert signed.not_valid_after_utc == made_at + datetime.timedelta(days=30)
    assert signed.not_valid_before_utc < made_at
    year = load(root["certificate"]).not_valid_after_utc - made_at
    assert year == datetime.timedelta(days=365)


def test_an_authority_may_sign_certificates_and_lists(root: Any) -> None:
    usage = load(root["certificate"]).extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign
    assert usage.crl_sign
    assert not usage.digital_signature


@pytest.mark.parametrize(
    ("type_", "options", "error", "says"),
    [
        ("password", {"lenght": 3}, VariableError, "did you mean 'length'"),
        ("password", {"length": "3"}, VariableError, "an integer"),
        ("password", {"length": True}, VariableError, "an integer"),
        (
            "password",
            {"exclude_upper": True, "exclude_lower": True, "exclude_number": True},
            VariableError,
            "no character",
        ),
        ("rsa", {"key_length": 512}, VariableError, "2048"),
        ("certificate", {"common_name": "x"}, VariableError, "nobody to sign it"),
        ("certificate", {"is_ca": "yes"}, VariableError, "true or false"),
        ("certificate", {"is_ca": True, "common_name": "x" * 65}, VariableError, "cannot stand"),
        ("certificate", {"is_ca": True, "country": "Germany"}, VariableError, "cannot stand"),
        ("certificate", {"is_ca": True, "key_usage": ["sing"]}, VariableError, "'sing'"),
        ("certificate", {"is_ca": True, "alternative_names": "a"}, VariableError, "list of texts"),
        ("certificate", {"is_ca": True, "duration": 0}, VariableError, "36500"),
        ("certificate", {"consumes": {}}, NotSupported, "common_name"),
        ("user", {}, NotSupported, "password"),
    ],
)
def test_wrong_options(type_: str, options: Any, error: type[DirectorError], says: str) -> None:
    with pytest.raises(error) as caught:
        made(type_, **options)
    assert says in str(caught.value)
    assert caught.value.fix


def test_only_an_authority_signs(root: Any) -> None:
    leaf = made("certificate", root, ca="root", common_name="leaf")
    for signer in (leaf, {"certificate": "x"}, {}, {**root, "private_key": "x"}):
        with pytest.raises(VariableError, match="no certificate authority"):
            made("certificate", signer, ca="leaf", common_name="x")
