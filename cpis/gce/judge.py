"""What Compute Engine's errors mean."""

from __future__ import annotations

from cpis.contract import CloudError, NoDiskSpace
from cpis.libcloud_base import judge as common
from cpis.libcloud_base.calls import Meaning, Verdict

_LATER = {
    *("rateLimitExceeded", "userRateLimitExceeded", "concurrentOperationQuotaExceeded"),
    *("resourceNotReady", "RESOURCE_NOT_READY", "RESOURCE_OPERATION_RATE_EXCEEDED"),
}
"""Throttled, or something else is being done to it: nothing was begun."""

_EXISTS = {"alreadyExists", "RESOURCE_ALREADY_EXISTS"}
_ABSENT = {"notFound", "RESOURCE_NOT_FOUND"}
_QUOTA = {"quotaExceeded", "QUOTA_EXCEEDED", "LIMIT_EXCEEDED"}
_FULL = ("ZONE_RESOURCE_POOL_EXHAUSTED", "insufficientCapacity", "resourceNotAvailable")


def judge(action: str, error: Exception) -> Verdict:
    """Return what an error of GCE means, also one an operation ended with."""
    code = getattr(error, "code", None)
    text = f"{action}: {common.text_of(error)}"
    if not isinstance(code, str):
        return common.judge(action, error)
    if code in _LATER:
        return Verdict(meaning=Meaning.REFUSED_FOR_NOW, error=CloudError(text))
    if code in _EXISTS:
        return common.final(common.TakenAlready(text))
    if code in _ABSENT:
        return common.final(common.NotThere(text))
    if code.startswith(_FULL):
        return common.final(
            CloudError(text, ok_to_retry=True, fix="use another zone or machine type, or wait")
        )
    if code in _QUOTA:
        kind = NoDiskSpace if "disk" in action else CloudError
        return common.final(kind(text, fix="ask Google for more quota, or delete what is unused"))
    return common.judge(action, error)
