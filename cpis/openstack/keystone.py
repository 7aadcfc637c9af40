"""Asking Keystone for a token, through libcloud's identity connection."""

# mypy: disallow-untyped-calls=False

from __future__ import annotations

import json
from typing import Any

from libcloud.common.openstack_identity import (
    OpenStackIdentity_3_0_Connection,
    OpenStackIdentityTokenScope,
)

from cpis.contract import CloudError
from cpis.openstack.judge import Refused
from cpis.openstack.properties import Settings
from cpis.openstack.session import Token, identity_request, read_token
from cpis.openstack.transport import connection_class


class _Identity(OpenStackIdentity_3_0_Connection):
    """libcloud's connection, with the domains as operators name them and errors as they came."""

    def __init__(self, settings: Settings, ca_file: str | None) -> None:
        who = settings.credentials
        super().__init__(
            auth_url=settings.auth_url,
            user_id=who.user or who.application_id,
            key="",
            token_scope=OpenStackIdentityTokenScope.UNSCOPED,
            timeout=settings.timeouts_s,
        )
        self.conn_class = connection_class(settings, ca_file)

    def ask(self, body: Any) -> tuple[str, Any]:
        """Return a token and Keystone's words with it."""
        answer = self.request("/v3/auth/tokens", data=json.dumps(body), method="POST")
        if answer.status not in (200, 201):
            raise Refused(int(answer.status), str(answer.body), answer.headers)
        return str(answer.headers.get("x-subject-token", "")), answer.object


def ask_keystone(settings: Settings, ca_file: str | None) -> Token:
    """Return a new token; raises CloudError where Keystone refuses, Refused where it is busy."""
    from libcloud.common.exceptions import BaseHTTPError

    try:
        value, told = _Identity(settings, ca_file).ask(identity_request(settings.credentials))
    except BaseHTTPError as error:
        raise Refused(int(error.code), str(error.message), dict(error.headers or {})) from error
    except Refused as refused:
        if refused.status != 401:
            raise
        raise CloudError(
            "Keystone refuses our credentials",
            fix="check user, password, project and domains, or the application credential",
        ) from refused
    return read_token(value, told, region=settings.region, interface=settings.interface)
