"""One Keystone token for all threads: fetched once, renewed before it expires or when refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cpis.contract import CloudError
from cpis.openstack.judge import Unsent
from cpis.openstack.properties import Credentials

_TYPES = {"volume": ("block-storage", "volumev3", "block-store", "volume")}
"""Other names a service has in catalogs, the best first."""

_RENEW_BEFORE_S = 300.0
_USELESS_BEFORE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token and the addresses that came with it; ``expires_at`` in seconds since the epoch."""

    value: str = field(repr=False)
    expires_at: float
    project_id: str
    endpoints: Mapping[str, str]

    def endpoint(self, service: str) -> str:
        """Return the URL of a service; raises CloudError where the catalog has none."""
        for kind in _TYPES.get(service, (service,)):
            if kind in self.endpoints:
                return self.endpoints[kind]
        raise CloudError(
            f"the catalog of this OpenStack has no endpoint for the service '{service}'",
            fix="check 'region' and 'endpoint_type'; the catalog has: "
            + (", ".join(f"'{kind}'" for kind in sorted(self.endpoints)) or "none"),
        )


class Session:
    """Who we are for all drivers of one CPI.

    ``authenticate`` asks Keystone. While a token is good nobody waits: the one thread that renews
    it does so while the others go on with the old one.
    """

    def __init__(self, authenticate: Callable[[], Token], clock: Callable[[], float]) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._token: Token | None = None
        self._renewing = threading.Lock()

    def token(self) -> Token:
        """Return a token that is good for a while; raises Unsent where Keystone gives none."""
        held = self._token
        left_s = held.expires_at - self._clock() if held else 0.0
        if held is not None and left_s > _RENEW_BEFORE_S:
            return held
        if held is not None and left_s > _USELESS_BEFORE_S:
            if not self._renewing.acquire(blocking=False):
                return held
        else:
            self._renewing.acquire()
        try:
            if self._token is not held and self._token is not None:
                return self._token
            self._token = self._asked()
            return self._token
        finally:
            self._renewing.release()

    def forget(self, value: str) -> None:
        """Drop a token that a service refused, unless another thread has renewed it already."""
        with self._renewing:
            if self._token is not None and self._token.value == value:
                self._token = None

    def _asked(self) -> Token:
        try:
            return self._authenticate()
        except CloudError:
            raise
        except Exception as error:
            # Whatever went wrong: the request that needs the token was not sent.
            raise Unsent from error


def read_token(value: str, body: Any, *, region: str | None, interface: str) -> Token:
    """Return the token in Keystone's answer; raises CloudError where it is not as it must be."""
    try:
        told = body["token"]
        expires_at = datetime.fromisoformat(told["expires_at"]).timestamp()
        project_id = str(told.get("project", {}).get("id", ""))
        catalog = told.get("catalog") or ()
        endpoints: dict[str, str] = {}
        regions: set[str] = set()
        for entry in catalog:
            for one in entry["endpoints"]:
                place = one.get("region_id") or one.get("region")
                if one["interface"] == interface:
                    regions.add(str(place))
                    if region in (None, place):
                        endpoints.setdefault(str(entry["type"]), str(one["url"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CloudError("Keystone's answer is not one of Keystone version 3") from error
    if not project_id:
        raise CloudError(
            "Keystone gave a token without a project", fix="set 'project' and its domain"
        )
    if region is None and len(regions) > 1:
        raise CloudError(
            f"this OpenStack has several regions: {', '.join(sorted(regions))}", fix="set 'region'"
        )
    return Token(value=value, expires_at=expires_at, project_id=project_id, endpoints=endpoints)


def identity_request(who: Credentials) -> Mapping[str, Any]:
    """Return the body of the request for a token."""
    if who.application_id:
        credential = {"id": who.application_id, "secret": who.application_secret}
        identity: dict[str, Any] = {
            "methods": ["application_credential"],
            "application_credential": credential,
        }
        return {"auth": {"identity": identity}}
    user = {"name": who.user, "domain": {"name": who.user_domain}, "password": who.password}
    project: dict[str, Any] = {"id": who.project_id}
    if not who.project_id:
        project = {"name": who.project, "domain": {"name": who.project_domain}}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": {"project": project}}}
