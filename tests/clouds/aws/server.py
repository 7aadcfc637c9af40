"""The test cloud as a WSGI application: faults, a log of calls, EC2's XML, moto behind."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

# One image in place of moto's 650, which it looks through for every instance.
os.environ["MOTO_AMIS_PATH"] = str(Path(__file__).with_name("amis.json"))

from clouds.aws import strict
from clouds.aws.faults import Fault, FaultBook
from moto.ec2.models import ec2_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

REGION = "us-east-1"
ACCOUNT = "123456789012"
_SIGNED = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([a-z0-9-]+)/aws4_request")
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>bed</RequestID></Response>"
)


class Bed:
    """The application. One request at a time reaches moto, which was not made for threads."""

    def __init__(self) -> None:
        strict.install()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._faults = FaultBook()
        self._calls: list[dict[str, Any]] = []
        self._account: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if path.startswith("/_bed/"):
            answer = self._control(environ["REQUEST_METHOD"], path[6:], json.loads(body or b"null"))
            return _respond(start, 200, json.dumps(answer).encode(), "application/json")
        environ["wsgi.input"] = io.BytesIO(body)
        call = _call_of(environ, body)
        with self._lock:
            self._calls.append(call)
            fault = self._faults.strike(call["action"])
        if fault is not None:
            time.sleep(fault.delay_s)
            if not fault.acted and fault.fails:
                return _fail(environ, start, fault)
        status, headers, answer = self._ask_moto(environ)
        if fault is not None and fault.fails:
            return _fail(environ, start, fault)
        start(status, [*headers, ("Content-Length", str(len(answer)))])
        return [answer]

    def _ask_moto(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        got: dict[str, Any] = {}

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            got.update(status=status, headers=headers)
            return lambda data: None

        with self._lock:
            strict.WORLD.settle()
            answer = b"".join(self._moto(environ, start))
        headers = [(k, v) for k, v in got["headers"] if k.lower() != "content-length"]
        return got["status"], headers, _as_ec2(answer)

    def _control(self, method: str, path: str, body: Any) -> Any:
        with self._lock:
            match method, path:
                case "GET", "account":
                    return self._account or self._open_account()
                case "GET", "calls":
                    return self._calls
                case "DELETE", "calls":
                    self._calls = []
                case "PUT", "faults":
                    self._faults.order(body)
                case "PUT", "options":
                    for key, value in body.items():
                        setattr(strict.WORLD, key, float(value))
                case "POST", "machines":
                    self._fill(int(body["count"]))
                case _:
                    raise LookupError(f"{method} {path}")
        return None

    def _open_account(self) -> dict[str, str]:
        ec2 = ec2_backends[ACCOUNT][REGION]
        vpc = ec2.create_vpc("10.80.0.0/16")
        subnet = ec2.create_subnet(vpc.id, "10.80.0.0/20", availability_zone=f"{REGION}a")
        group = ec2.create_security_group("director", "VMs", vpc_id=vpc.id)
        image = next(one for one in ec2.describe_images() if one.root_device_name)
        self._account = {
            "region": REGION,
            "ami": image.id,
            "vpc": vpc.id,
            "subnet": subnet.id,
            "security_group": group.id,
        }
        return self._account

    def _fill(self, count: int) -> None:
        account = self._account or self._open_account()
        strict.WORLD.delay_s, kept = 0.0, strict.WORLD.delay_s
        ec2 = ec2_backends[ACCOUNT][REGION]
        for _ in range(count):
            ec2.run_instances(
                account["ami"],
                1,
                None,
                [],
                is_instance_type_default=True,
                subnet_id=account["subnet"],
                region_name=REGION,
                block_device_mappings=[],
                tags={"instance": {"Name": "other"}},
            )
        strict.WORLD.delay_s = kept


def _call_of(environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
    key, name = signed.groups() if signed else ("", "ec2")
    form = "urlencoded" in environ.get("CONTENT_TYPE", "")
    text = environ.get("QUERY_STRING", "") + ("&" + body.decode() if form else "")
    params = dict(parse_qsl(text))
    action = params.pop("Action", "")
    if name == "ebs":
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        action = "PutSnapshotBlock" if method == "PUT" else "StartSnapshot"
        action = "CompleteSnapshot" if "/completion/" in path else action
    return {
        "key": key,
        "service": name,
        "action": action,
        "params": params,
        "url": f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}",
    }


def _as_ec2(answer: bytes) -> bytes:
    """Return moto's XML as EC2 writes it."""
    space = b"http://ec2.amazonaws.com/doc/2016-11-15"
    answer = answer.replace(space + b'"', space + b'/"')
    answer = re.sub(rb'<Response xmlns="[^"]*">', b"<Response>", answer)
    void = rb'(<\w+Response xmlns="' + re.escape(space) + rb'/">\s*)(<requestId>)'
    return re.sub(void, rb"\1<return>true</return>\2", answer)


def _respond(
    start: Callable[..., Any], status: int, body: bytes, kind: str = "text/xml"
) -> Iterable[bytes]:
    start(f"{status} X", [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]


def _fail(environ: dict[str, Any], start: Callable[..., Any], fault: Fault) -> Iterable[bytes]:
    if fault.drop:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionResetError
    body = _ERROR.format(code=fault.code, message=fault.message)
    return _respond(start, fault.status, body.encode())


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args: Any, **kwargs: Any) -> None:
        return


def serve(port: int) -> None:
    """Serve until the process is ended."""
    run_simple("127.0.0.1", port, Bed(), threaded=True, request_handler=_Quiet)
