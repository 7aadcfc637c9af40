"""Certificates: self-signed authorities, chains of them, and what they sign."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from director.model.errors import VariableError
from director.model.manifest import Variable
from director.variables.keys import KEY_LENGTHS, Defaults, new_key, private_pem
from director.variables.options import choice, flag, number, refuse_unknown, text, texts

_SUBJECT = {
    "country": NameOID.COUNTRY_NAME,
    "state": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organization_unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "common_name": NameOID.COMMON_NAME,
}
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)
_EXTENDED_USAGES = {
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
}
# Machines' clocks differ; a certificate is good a little before it is made.
_EARLIER = datetime.timedelta(minutes=10)
_MAX_DAYS = 36500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Issuer:
    """Who signs; ``certificate`` is None where a certificate signs itself."""

    name: x509.Name
    key: RSAPrivateKey
    certificate: x509.Certificate | None = None


def certificate(
    variable: Variable, *, defaults: Defaults, now: float, ca: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return a new key and a certificate for it, signed by ``ca`` or by itself."""
    refuse_unknown(variable)
    is_ca = flag(variable, "is_ca")
    if ca is None and not is_ca and not flag(variable, "self_sign"):
        raise VariableError(
            f"certificate '{variable.name}' has nobody to sign it",
            fix="set option 'ca' to a certificate with 'is_ca: true', or set 'self_sign: true'",
        )
    days = number(variable, "duration", defaults.certificate_days, low=1, high=_MAX_DAYS)
    length = choice(variable, "key_length", defaults.key_length, of=KEY_LENGTHS)
    begin = datetime.datetime.fromtimestamp(now, datetime.UTC).replace(microsecond=0)
    try:
        subject = _subject(variable)
        names = [_general_name(name) for name in texts(variable, "alternative_names")]
        key = new_key(length)
        issuer = _Issuer(name=subject, key=key) if ca is None else _issuer(variable, ca)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - _EARLIER)
            .not_valid_after(begin + datetime.timedelta(days=days))
        )
        for extension, critical in _extensions(variable, key, issuer, names, is_ca=is_ca):
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(issuer.key, hashes.SHA256())
    except ValueError as error:
        raise VariableError(
            f"the names of certificate '{variable.name}' cannot stand in a certificate: {error}",
            fix="correct its options",
        ) from error
    pem = _pem(signed)
    return {
        "ca": _pem(issuer.certificate) if issuer.certificate else pem,
        "certificate": pem,
        "private_key": private_pem(key),
    }


def _subject(variable: Variable) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(oid, value)
            for option, oid in _SUBJECT.items()
            if (value := text(variable, option)) is not None
        ]
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if "://" in name:
            return x509.UniformResourceIdentifier(name)
        return x509.DNSName(name)


def _issuer(variable: Variable, ca: Mapping[str, Any]) -> _Issuer:
    named = variable.options.get("ca")
    try:
        signer = x509.load_pem_x509_certificate(str(ca["certificate"]).encode())
        key = serialization.load_pem_private_key(str(ca["private_key"]).encode(), None)
        constraints = signer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (KeyError, TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise _not_an_authority(variable, named) from error
    except x509.ExtensionNotFound as error:
        raise _not_an_authority(variable, named) from error
    if not constraints.ca or not isinstance(key, RSAPrivateKey):
        raise _not_an_authority(variable, named)
    return _Issuer(name=signer.subject, key=key, certificate=signer)


def _not_an_authority(variable: Variable, named: Any) -> VariableError:
    return VariableError(
        f"certificate '{variable.name}' is to be signed by '{named}', which is no certificate "
        "authority with an RSA key",
        fix=f"give '{named}' the option 'is_ca: true', or name another one in 'ca'",
    )


def _extensions(
    variable: Variable,
    key: RSAPrivateKey,
    issuer: _Issuer,
    names: list[x509.GeneralName],
    *,
    is_ca: bool,
) -> list[tuple[x509.ExtensionType, bool]]:
    usages = _chosen(variable, "key_usage", _USAGES)
    if not usages:
        usages = (
            ["key_cert_sign", "crl_sign"] if is_ca else ["digital_signature", "key_encipherment"]
        )
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=is_ca, path_length=None), True),
        (x509.KeyUsage(**{usage: usage in usages for usage in _USAGES}), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
            False,
        ),
    ]
    extended = _chosen(variable, "extended_key_usage", _EXTENDED_USAGES)
    if extended:
        found.append((x509.ExtendedKeyUsage([_EXTENDED_USAGES[u] for u in extended]), False))
    if names:
        found.append((x509.SubjectAlternativeName(names), False))
    return found


def _chosen(variable: Variable, key: str, known: Any) -> list[str]:
    chosen = ["content_commitment" if u == "non_repudiation" else u for u in texts(variable, key)]
    for usage in chosen:
        if usage not in known:
            raise VariableError(
                f"option '{key}' of certificate '{variable.name}' has the unknown value '{usage}'",
                fix=f"use {', '.join(known)}",
            )
    return chosen


def _pem(signed: x509.Certificate) -> str:
    return signed.public_bytes(serialization.Encoding.PEM).decode()
