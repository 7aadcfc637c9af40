"""Whose keys requests are signed with: given, from the environment or a file, or the instance's.

Keys of an instance's role come from the metadata service (IMDSv2) and expire; they are fetched
anew before that. Threads may fetch at once: both get keys that are good, so nothing is locked.
"""

from __future__ import annotations

import configparser
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cpis.aws.properties import Settings
from cpis.contract import CloudError

IMDS = "http://169.254.169.254"
REFRESH_BEFORE_S = 600.0
_TIMEOUT_S = 3.0
_ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys to sign with; ``expires_at`` in seconds since 1970, None for keys that stay."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: float | None = None


class CredentialsSource:
    """Gives the keys that are good now; asks anew before they expire."""

    def __init__(self, fetch: Callable[[], Credentials], now: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now = now
        self._held: Credentials | None = None

    def current(self) -> Credentials:
        """Return keys; raises CloudError where there are none."""
        held = self._held
        if held is not None and self._left_s(held) > REFRESH_BEFORE_S:
            return held
        try:
            held = self._held = self._fetch()
        except CloudError:
            # The old keys are good for minutes yet, and the next request asks again.
            if held is None or self._left_s(held) <= 0:
                raise
        return held

    def _left_s(self, held: Credentials) -> float:
        return float("inf") if held.expires_at is None else held.expires_at - self._now()


def credentials_source(
    settings: Settings, env: Mapping[str, str], home: Path, now: Callable[[], float]
) -> CredentialsSource:
    """Return where the settings take keys from; asks nobody yet."""
    imds = env.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", IMDS).rstrip("/")

    def static() -> Credentials:
        return Credentials(
            access_key_id=settings.access_key_id or "",
            secret_access_key=settings.secret_access_key or "",
            session_token=settings.session_token,
        )

    def searched() -> Credentials:
        return _from_environment(env) or _from_file(settings.profile, env, home) or _from_role(imds)

    fetches = {
        "static": static,
        "env_or_profile": searched,
        "instance_profile": lambda: _from_role(imds),
    }
    return CredentialsSource(fetches[settings.credentials_source], now)


def _from_environment(env: Mapping[str, str]) -> Credentials | None:
    key, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
    if not key or not secret:
        return None
    return Credentials(
        access_key_id=key,
        secret_access_key=secret,
        session_token=env.get("AWS_SESSION_TOKEN") or None,
    )


def _from_file(profile: str | None, env: Mapping[str, str], home: Path) -> Credentials | None:
    file = Path(env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials")
    name = profile or env.get("AWS_PROFILE")
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        # The parser's own text would show the line, and with it a key.
        raise CloudError(f"'{file}' is not a file of AWS credentials", fix="repair it") from error
    section = name or "default"
    if not parser.has_section(section):
        if name is None:
            return None
        raise CloudError(
            f"'{file}' has no profile '{name}'", fix=f"add the section [{name}] or name another"
        )
    values = dict(parser[section])
    if not values.get("aws_access_key_id") or not values.get("aws_secret_access_key"):
        raise CloudError(
            f"the profile '{section}' in '{file}' lacks keys",
            fix="set aws_access_key_id and aws_secret_access_key there",
        )
    return Credentials(
        access_key_id=values["aws_access_key_id"],
        secret_access_key=values["aws_secret_access_key"],
        session_token=values.get("aws_session_token") or None,
    )


def _from_role(imds: str) -> Credentials:
    try:
        token = _ask_imds(
            f"{imds}/latest/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        )
        header = {"X-aws-ec2-metadata-token": token}
        role = _ask_imds(imds + _ROLES, "GET", header).split("\n")[0].strip()
        found: Any = json.loads(_ask_imds(imds + _ROLES + role, "GET", header))
        return Credentials(
            access_key_id=str(found["AccessKeyId"]),
            secret_access_key=str(found["SecretAccessKey"]),
            session_token=str(found["Token"]),
            expires_at=datetime.fromisoformat(str(found["Expiration"])).timestamp(),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CloudError(
            "there are no AWS credentials: the instance metadata service gives none",
            fix="give the director's instance an IAM role, or set other credentials",
        ) from error


def _ask_imds(url: str, method: str, headers: dict[str, str]) -> str:
    # Never through a proxy: what answers there would hand out somebody else's keys.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 -- see IMDS
    with opener.open(request, timeout=_TIMEOUT_S) as answer:
        return str(answer.read(65536).decode())
