"""CloudStack's API through libcloud's driver: commands, jobs, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cpis.contract import CloudError
from cpis.libcloud_base import judge as common
from cpis.libcloud_base.calls import Calls, Meaning, Verdict

Thing = Mapping[str, Any]

_JOB_TIMEOUT_S = 900.0
_REQUEST_TIMEOUT_S = 60
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FULL, _NO_QUOTA, _INTERNAL = 533, 535, 530


def make_driver(endpoint: str, api_key: str, secret_access_key: str) -> Any:
    """Return libcloud's driver, for one thread.

    It sends everything in the body of a POST: user data is too long for a URL, and keys and
    signatures do not belong in the logs of proxies.
    """
    from libcloud.compute.drivers.cloudstack import CloudStackNodeDriver

    made: Callable[..., Any] = CloudStackNodeDriver
    driver = made(api_key, secret_access_key, url=endpoint, secure=endpoint.startswith("https:"))
    driver.connection.timeout = _REQUEST_TIMEOUT_S
    driver.connection.connect()
    sender = driver.connection.connection
    send, form = sender.request, {"Content-Type": "application/x-www-form-urlencoded"}

    def post(*, url: str, headers: Mapping[str, str], **more: Any) -> None:
        path, _, query = url.partition("?")
        send(**{**more, "url": path, "headers": {**headers, **form}, "body": query})

    sender.request = post
    return driver


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """Commands of CloudStack's API; ids that were looked up by name are kept."""

    calls: Calls[Any]
    ids: dict[tuple[str, str], str] = field(default_factory=dict)

    def command(
        self,
        action: str,
        command: str,
        parameters: Mapping[str, object] = MappingProxyType({}),
        *,
        repeatable: bool = True,
    ) -> Thing:
        """Return a command's answer; parameters that are None or empty are not sent."""
        given = {k: str(v) for k, v in parameters.items() if v is not None and v != ""}
        answer = self.calls.ask(
            action,
            lambda d: d.connection._sync_request(command, params=given, method="POST"),
            repeatable=repeatable,
        )
        return dict(answer)

    def job(
        self,
        action: str,
        command: str,
        parameters: Mapping[str, object] = MappingProxyType({}),
        *,
        repeatable: bool = True,
    ) -> Thing:
        """Return the result of a command that CloudStack does as a job, once it is done."""
        try:
            began = self.command(action, command, parameters, repeatable=repeatable)
        except common.NotThere:
            # Perhaps an offering or a network was made anew under its name.
            self.ids.clear()
            raise

        def look() -> Thing | None:
            job = self.command(action, "queryAsyncJobResult", {"jobid": began["jobid"]})
            if job.get("jobstatus") == 2:
                result = job.get("jobresult") or {}
                raise meaning(
                    f"{action}: {result.get('errortext') or 'the job failed'}",
                    int(result.get("errorcode") or 0),
                ).error
            return (job.get("jobresult") or {}) if job.get("jobstatus") == 1 else None

        return self.calls.until(action, look, timeout_s=_JOB_TIMEOUT_S)

    def one(self, command: str, key: str, **parameters: object) -> Thing | None:
        """Return the one thing of a list with exactly these parameters; None if there is none."""
        try:
            answer = self.command(f"reading the {key}", command, parameters)
        except common.NotThere:
            return None
        wanted = {k: v for k, v in parameters.items() if k in ("id", "name")}
        for thing in answer.get(key) or ():
            if all(thing.get(k) == v for k, v in wanted.items()):
                return dict(thing)
        return None

    def id_of(self, command: str, key: str, given: str, **parameters: object) -> str:
        """Return the id of what an operator named by its name or id, and keep it."""
        known = self.ids.get((command, given))
        if known is None:
            known = self.ids[command, given] = self.fresh_id_of(command, key, given, **parameters)
        return known

    def fresh_id_of(self, command: str, key: str, given: str, **parameters: object) -> str:
        """Return the id of what an operator named; raises CloudError where there is none."""
        by = {"id": given} if _UUID.fullmatch(given) else {"name": given}
        found = self.one(command, key, **by, **parameters)
        if found is None:
            raise CloudError(
                f"CloudStack has no {key} '{given}' for this account",
                fix=f"use the name or id of one that {command} lists",
            )
        return str(found["id"])


def judge(action: str, error: Exception) -> Verdict:
    """Return what an error of CloudStack means."""
    status = common.status_of(error)
    if status in (431, _FULL, _NO_QUOTA, _INTERNAL):
        return meaning(f"{action}: {common.text_of(error)}", status)
    return common.judge(action, error)


def meaning(text: str, code: int) -> Verdict:
    """Return what one of CloudStack's own error codes means, of a request or of a job."""
    if code == 431 and ("does not exist" in text or "Unable to find" in text):
        return common.final(common.NotThere(text))
    if code == _FULL:
        return common.final(
            CloudError(text, ok_to_retry=True, fix="use another zone or offering, or wait")
        )
    if code == _NO_QUOTA:
        return common.final(CloudError(text, fix="raise the account's limits, or delete things"))
    if code == _INTERNAL:
        return Verdict(meaning=Meaning.UNKNOWN, error=common.Uncertain(text))
    return common.final(CloudError(text))
