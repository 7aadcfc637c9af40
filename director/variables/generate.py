"""Making a credential: passwords and keys here, certificates in their own module.

Values have BOSH's shapes: a text for ``password``; ``{private_key, public_key}`` for ``rsa``, and
``public_key_fingerprint`` besides for ``ssh``; ``{ca, certificate, private_key}`` for
``certificate``.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from collections.abc import Mapping
from typing import Any

from director.model.errors import NotSupported, VariableError
from director.model.manifest import VARIABLE_OPTIONS, Variable
from director.variables.keys import KEY_LENGTHS, Defaults, new_key, private_pem
from director.variables.options import choice, flag, number, refuse_unknown

DIRECTOR = Defaults(password_length=30, password_alphabet=string.ascii_letters + string.digits)
"""For variables the director generates."""

COMMAND_LINE = Defaults(
    password_length=20,
    password_alphabet=string.ascii_lowercase + string.digits,
    key_length=3072,
)
"""For variables a client generates into its own file."""


def generate(
    variable: Variable, *, defaults: Defaults, now: float, ca: Mapping[str, Any] | None = None
) -> Any:
    """Return a new value for ``variable``, whose options have no placeholders left.

    ``ca`` is the value of the certificate its option ``ca`` names. ``now`` is in epoch seconds.
    Raises VariableError for options that are wrong, NotSupported for a type there is not.
    """
    match variable.type:
        case "password":
            return _password(variable, defaults)
        case "rsa":
            return _rsa(variable, defaults)
        case "ssh":
            return _ssh(variable, defaults)
        case "certificate":
            from director.variables.certificate import certificate

            return certificate(variable, defaults=defaults, now=now, ca=ca)
        case _:
            raise NotSupported(
                f"variable '{variable.name}' has the type '{variable.type}', which cannot be "
                "generated",
                fix=f"use one of {', '.join(VARIABLE_OPTIONS)}, or give the value with -v",
            )


def _password(variable: Variable, defaults: Defaults) -> str:
    refuse_unknown(variable)
    length = number(variable, "length", defaults.password_length, low=1, high=4096)
    excluded = ""
    for key, characters in (
        ("exclude_lower", string.ascii_lowercase),
        ("exclude_number", string.digits),
        ("exclude_upper", string.ascii_uppercase),
    ):
        if flag(variable, key):
            excluded += characters
    alphabet = "".join(c for c in defaults.password_alphabet if c not in excluded)
    if not alphabet:
        raise VariableError(
            f"the options of variable '{variable.name}' leave no character to make it of",
            fix="drop one of 'exclude_lower', 'exclude_number' and 'exclude_upper'",
        )
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _rsa(variable: Variable, defaults: Defaults) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization

    refuse_unknown(variable)
    key = new_key(choice(variable, "key_length", defaults.key_length, of=KEY_LENGTHS))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {"private_key": private_pem(key), "public_key": public.decode()}


def _ssh(variable: Variable, defaults: Defaults) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization

    refuse_unknown(variable)
    key = new_key(choice(variable, "key_length", defaults.key_length, of=KEY_LENGTHS))
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    blob = base64.b64decode(public.split()[1])
    return {
        "private_key": private_pem(key),
        "public_key": public.decode() + "\n",
        "public_key_fingerprint": hashlib.md5(blob, usedforsecurity=False).digest().hex(":"),
    }
