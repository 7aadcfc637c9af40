"""The test cloud for tests: a process of its own, and what tests ask and order."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
PORTS = range(15555, 15600)


class AwsBed:
    """A running test cloud; ends with the ``with`` block."""

    def __init__(self) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> AwsBed:
        env = {**os.environ, "AWS_ACCESS_KEY_ID": "bed", "AWS_SECRET_ACCESS_KEY": "bed"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE), str(self.port), str(os.getpid())],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait()
            self.account: dict[str, str] = self._control("GET", "account")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def properties(self, **more: Any) -> dict[str, Any]:
        """Return the properties of an AwsCpi that uses this cloud."""
        return {
            "region": self.account["region"],
            "access_key_id": "bed",
            "secret_access_key": "bed-secret",
            "default_security_groups": [self.account["security_group"]],
            "ec2_endpoint": self.url,
            "elb_endpoint": self.url,
            **more,
        }

    def network(self, ip: str | None = None, **properties: Any) -> dict[str, Any]:
        """Return a network: manual with an address, else dynamic."""
        cloud = {"subnet": self.account["subnet"], **properties}
        if ip is None:
            return {"type": "dynamic", "default": ["dns", "gateway"], "cloud_properties": cloud}
        return {
            "type": "manual",
            "ip": ip,
            "netmask": "255.255.240.0",
            "gateway": "10.80.0.1",
            "default": ["dns", "gateway"],
            "cloud_properties": cloud,
        }

    def client(self, service: str = "ec2") -> Any:
        """Return boto3's client, to look at the cloud with other eyes than the CPI's."""
        import boto3

        if service not in self._clients:
            self._clients[service] = boto3.session.Session().client(
                service,
                region_name=self.account["region"],
                endpoint_url=self.url,
                aws_access_key_id="looker",
                aws_secret_access_key="looker",
            )
        return self._clients[service]

    def calls(self) -> list[dict[str, Any]]:
        """Return the calls since they were forgotten, those of ``client`` too."""
        found: list[dict[str, Any]] = self._control("GET", "calls")
        return found

    def forget_calls(self) -> None:
        self._control("DELETE", "calls")

    def counts(self) -> Counter[str]:
        """Return how often each action was called since the calls were forgotten."""
        return Counter(call["action"] for call in self.calls())

    def fault(self, *faults: dict[str, Any]) -> None:
        """Order faults, replacing those before; none orders all off."""
        self._control("PUT", "faults", list(faults))

    def options(self, **options: float) -> None:
        self._control("PUT", "options", options)

    def add_machines(self, count: int) -> None:
        """Let other people have instances in the account."""
        self._control("POST", "machines", {"count": count})

    def alive(self) -> list[dict[str, Any]]:
        """Return the instances that are not ended, other people's left out."""
        there = {
            "Name": "instance-state-name",
            "Values": ["pending", "running", "stopping", "stopped"],
        }
        pages = self.client().get_paginator("describe_instances").paginate(Filters=[there])
        found = [i for p in pages for r in p["Reservations"] for i in r["Instances"]]
        return [i for i in found if not any(t["Value"] == "other" for t in i.get("Tags", ()))]

    def volumes(self) -> list[dict[str, Any]]:
        """Return the volumes of instances that are not other people's, and the free ones."""
        found: list[dict[str, Any]] = self.client().describe_volumes()["Volumes"]
        return found

    def snapshots(self) -> list[str]:
        """Return the account's own snapshots; those of public images belong to others."""
        found = self.client().describe_snapshots()["Snapshots"]
        return [one["SnapshotId"] for one in found if one["OwnerId"] == "123456789012"]

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        wire = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            wire.request(method, f"/_bed/{path}", json.dumps(body))
            answer = wire.getresponse()
            data = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path}: {answer.status} {data[:200]!r}")
            return json.loads(data)
        finally:
            wire.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
        raise RuntimeError("the test cloud does not start")


def _free_port() -> int:
    for port in PORTS:
        with socket.socket() as tried:
            # As the server will: an address that others left a moment ago may be taken.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no port is free for the test cloud")
