"""libcloud's connections to OpenStack's services, sharing one token.

libcloud's OpenStack driver lacks much of what is needed here (ports with addresses, servers on
ports, image uploads, extending volumes, pages beyond the first), so its connections are used and
not its methods. One :class:`Driver` belongs to one thread.
"""

# mypy: disallow-untyped-calls=False

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import urllib3
from libcloud.common.base import Connection
from libcloud.common.openstack import OpenStackBaseConnection, OpenStackResponse
from libcloud.http import LibcloudConnection

from cpis.openstack.judge import Refused
from cpis.openstack.properties import Settings
from cpis.openstack.session import Session

MICROVERSION = "2.72"
"""Nova's of the release Stein (2019): tags at creation, types of root volumes, a server's group."""

_VERSIONS = {"image": "/v2", "network": "/v2.0", "load-balancer": "/v2"}
"""What some catalogs have at the end of a service's URL and others have not."""


class Driver:
    """The services' APIs for one thread."""

    def __init__(self, session: Session, settings: Settings, ca_file: str | None) -> None:
        self._session = session
        self._settings = settings
        self._ca_file = ca_file
        self._connections: dict[str, _ServiceConnection] = {}

    def send(
        self,
        service: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return a service's answer, parsed if it is JSON; a token it refuses is renewed once.

        ``body`` is JSON, or a file-like object that is streamed. Raises Refused, Unsent, and
        whatever a broken connection raises.
        """
        connection = self._connections.get(service)
        if connection is None:
            connection = _ServiceConnection(service, self._session, self._settings, self._ca_file)
            self._connections[service] = connection
        position = body.tell() if hasattr(body, "tell") else None
        for last in (False, True):
            try:
                return connection.request(
                    path, params=params, data=body, headers=headers, method=method
                ).object
            except Refused as refused:
                if refused.status != 401 or last:
                    raise
                self._session.forget(str(connection.auth_token))
                if position is not None:
                    body.seek(position)
        raise AssertionError("unreachable")


class _Answer(OpenStackResponse):
    def parse_error(self) -> Any:
        # libcloud's own parsing trips over bodies that are not as it expects.
        raise Refused(int(self.status), str(self.body), self.headers)


class _ServiceConnection(OpenStackBaseConnection):
    """One service's API; takes token and address from the session instead of asking itself."""

    responseCls = _Answer  # noqa: N815 -- libcloud reads this name
    accept_format: Any = "application/json"
    default_content_type = "application/json"

    def __init__(
        self, service: str, session: Session, settings: Settings, ca_file: str | None
    ) -> None:
        # Who we are is the session's business: no secret is given to this object.
        super().__init__(
            "",
            "",
            timeout=settings.timeouts_s,
            ex_force_auth_url=settings.auth_url,
            ex_force_auth_version="3.x_password",
            ex_force_microversion=f"compute {MICROVERSION}",
        )
        self.service = service
        self.service_type: Any = service
        self.session = session
        self.conn_class = connection_class(settings, ca_file)

    def request(  # type: ignore[override]
        self,
        action: str,
        params: Mapping[str, Any] | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> Any:
        given = {"Content-Type": self.default_content_type, **(headers or {})}
        return Connection.request(
            self, action, params=params, data=data, headers=given, method=method
        )

    def encode_data(self, data: Any) -> Any:
        return json.dumps(data) if isinstance(data, (dict, list)) else data

    def _populate_hosts_and_request_paths(self) -> None:
        token = self.session.token()
        self.auth_token = token.value
        url = token.endpoint(self.service).rstrip("/")
        version = _VERSIONS.get(self.service, "")
        self._set_up_connection_info(url if not version else url.removesuffix(version) + version)


def connection_class(settings: Settings, ca_file: str | None) -> type[LibcloudConnection]:
    """Return libcloud's HTTP connection with these TLS options.

    libcloud's own switches for TLS are global; two clouds in one process may differ.
    """

    if not settings.tls.verify:
        # The operator was told in the README; urllib3 would tell every request again.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    class TlsConnection(LibcloudConnection):
        def _setup_verify(self) -> None:
            self.verify = settings.tls.verify

        def _setup_ca_cert(self, **_: Any) -> None:
            super()._setup_ca_cert()
            if self.verify and ca_file:
                self.ca_cert = ca_file
            elif not self.verify:
                self.ca_cert = None

    return TlsConnection
