"""libcloud's EC2 driver as a wire: it signs, sends and reads XML. Imported on first use only.

Its methods for nodes and volumes are not used: they put user data into URLs, know no private
addresses and drop all but the first page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element, ParseError
from xml.etree.ElementTree import fromstring as parse_xml

from libcloud.common.types import LibcloudError
from libcloud.compute.drivers.ec2 import EC2Connection, EC2NodeDriver, EC2Response

from cpis.aws.credentials import Credentials
from cpis.aws.errors import Ec2Fault
from cpis.aws.properties import Settings

TIMEOUT_S = 60
_FORM = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
_KNOWN_REGION = "us-east-1"


class _Response(EC2Response):
    def parse_error(self) -> NoReturn:
        raise fault_of(int(self.status), str(self.body))


class _Connection(EC2Connection):
    responseCls = _Response  # noqa: N815 -- libcloud's name


class _Driver(EC2NodeDriver):
    connectionCls = _Connection  # noqa: N815 -- libcloud's name


class Wire:
    """One thread's connection to EC2. Keys that were renewed make a new driver."""

    def __init__(self, settings: Settings, credentials: Callable[[], Credentials]) -> None:
        self._settings = settings
        self._credentials = credentials
        self._keys: Credentials | None = None
        self._driver: Any = None

    def request(self, action: str, params: Mapping[str, str]) -> Element:
        """Return EC2's answer, its tags without namespace; raises Ec2Fault or OSError.

        The parameters travel in the body, so that user data gets into no log of URLs.
        """
        driver = self._ready()
        body = urlencode({"Action": action, "Version": driver.connection.version, **params})
        try:
            answer = driver.connection.request("/", data=body, headers=_FORM, method="POST")
        except LibcloudError as error:
            raise Ec2Fault("", "the answer is not EC2's", 500) from error
        root: Element = answer.object
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root

    def _ready(self) -> Any:
        keys = self._credentials()
        if self._driver is None or keys is not self._keys:
            self._driver, self._keys = make_driver(self._settings, keys), keys
        return self._driver


def make_driver(settings: Settings, keys: Credentials) -> Any:
    """Return libcloud's driver, signing with these keys."""
    make: Any = _Driver
    # libcloud refuses regions that are younger than it is; only their names matter here.
    known = settings.region in make.list_regions()
    secure, host, port = endpoint(settings)
    driver = make(
        keys.access_key_id,
        keys.secret_access_key,
        region=settings.region if known else _KNOWN_REGION,
        token=keys.session_token,
        signature_version="4",
        secure=secure,
        host=host,
        port=port,
        timeout=TIMEOUT_S,
    )
    driver.region_name = settings.region
    return driver


def endpoint(settings: Settings) -> tuple[bool, str, int]:
    """Return whether EC2 is asked over TLS, its host and its port."""
    if settings.ec2_endpoint is None:
        tail = ".cn" if settings.region.startswith("cn-") else ""
        return True, f"ec2.{settings.region}.amazonaws.com{tail}", 443
    given = settings.ec2_endpoint
    parts = urlsplit(given if "://" in given else f"https://{given}")
    secure = parts.scheme == "https"
    return secure, parts.hostname or "", parts.port or (443 if secure else 80)


def fault_of(status: int, body: str) -> Ec2Fault:
    """Return what an error answer says."""
    try:
        root = parse_xml(body)  # noqa: S314 -- expat bounds the growth of entities
    except ParseError:
        return Ec2Fault("", f"HTTP {status}", status)
    texts = {
        element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root.iter()
    }
    return Ec2Fault(texts.get("Code", ""), texts.get("Message", ""), status)
