"""What an error of EC2 means: try again, look what happened, or tell the operator."""

from __future__ import annotations

import re
from collections.abc import Callable

from cpis.contract import CloudDiskNotFound, CloudError, NoDiskSpace, VmNotFound
from cpis.libcloud_base.calls import Meaning, Verdict


class Ec2Fault(Exception):
    """An answer of EC2 that is an error: AWS's code and words. ``code`` is empty where the answer
    is not EC2's, such as a proxy's page."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class AwsRefusal(CloudError):
    """AWS said no for a reason the contract has no type for; ``aws_code`` is its reason."""

    def __init__(self, what: str, *, aws_code: str, fix: str | None = None) -> None:
        super().__init__(what, fix=fix)
        self.aws_code = aws_code


THROTTLED = frozenset(
    {
        *("RequestLimitExceeded", "Throttling", "ThrottlingException", "ThrottledException"),
        *("RequestThrottled", "RequestThrottledException", "EC2ThrottledException"),
        *("TooManyRequestsException", "SlowDown", "PriorRequestNotComplete"),
        *("ConcurrentSnapshotLimitExceeded", "SnapshotCreationPerVolumeRateExceeded"),
    }
)
"""AWS did nothing and wants to be asked later."""

PERHAPS_DONE = frozenset(
    {"InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "RequestTimeout"}
)
"""AWS may have acted."""

CAPACITY = frozenset(
    {
        *("InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientCapacity"),
        *("InsufficientReservedInstanceCapacity", "InsufficientAddressCapacity"),
        *(
            "InsufficientFreeAddressesInSubnet",
            "UnfulfillableCapacity",
            "InsufficientVolumeCapacity",
        ),
    }
)
"""There is nothing left now; later there may be."""

QUOTAS = frozenset(
    {
        *("InstanceLimitExceeded", "VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"),
        *("VolumeLimitExceeded", "MaxIOPSLimitExceeded", "SnapshotLimitExceeded"),
        *("AddressLimitExceeded", "NetworkInterfaceLimitExceeded", "PendingSnapshotLimitExceeded"),
    }
)
"""The account may not have more."""

NO_SPOT = frozenset(
    {*CAPACITY, "SpotMaxPriceTooLow", "MaxSpotInstanceCountExceeded", "Unsupported"}
)
"""What a request for a spot instance fails with where one at full price may be had."""

NO_ROOM_FOR_DISK = frozenset(
    {"VolumeLimitExceeded", "MaxIOPSLimitExceeded", "InsufficientVolumeCapacity"}
)

_NO_VM = ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed", "InvalidInstanceId")
_NO_DISK = ("InvalidVolume.NotFound", "InvalidVolumeID.Malformed", "InvalidVolumeID.NotFound")
_DENIED = ("UnauthorizedOperation", "AccessDenied", "AccessDeniedException")
_BAD_KEYS = {
    *("AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "MissingAuthenticationToken"),
    *("ExpiredToken", "ExpiredTokenException", "RequestExpired", "OptInRequired", "Blocked"),
}
_ID = re.compile(r"\b(?:i|vol|snap|ami)-[0-9a-f]+\b")
_PERFORM = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z]+)")


def judge(is_new: Callable[[str], bool]) -> Callable[[str, Exception], Verdict]:
    """Return the judge for :class:`cpis.libcloud_base.calls.Calls`.

    ``is_new`` tells whether this process made the thing of that id a moment ago: EC2 may not know
    it everywhere yet, and is asked again.
    """

    def verdict(action: str, caught: Exception) -> Verdict:
        if isinstance(caught, Ec2Fault):
            return _of_fault(action, caught, is_new)
        if isinstance(caught, OSError):
            return Verdict(
                meaning=Meaning.UNKNOWN,
                error=AwsRefusal(
                    f"EC2 did not answer '{action}': {type(caught).__name__}",
                    aws_code="",
                    fix="look at the network between the director and EC2's endpoint",
                ),
            )
        raise caught

    return verdict


def _of_fault(action: str, fault: Ec2Fault, is_new: Callable[[str], bool]) -> Verdict:
    error = _error(action, fault)
    if fault.code in THROTTLED or fault.status == 429:
        return Verdict(meaning=Meaning.REFUSED_FOR_NOW, error=error)
    if "NotFound" in fault.code and any(map(is_new, _ID.findall(fault.message))):
        return Verdict(meaning=Meaning.REFUSED_FOR_NOW, error=error)
    # Capacity is told with status 500, and is an answer all the same.
    broken = fault.status >= 500 and fault.code not in CAPACITY and fault.code not in QUOTAS
    if fault.code in PERHAPS_DONE or broken:
        return Verdict(meaning=Meaning.UNKNOWN, error=error)
    return Verdict(meaning=Meaning.FINAL, error=error)


def _error(action: str, fault: Ec2Fault) -> CloudError:
    said = f"{fault.code or fault.status}: {_shortened(fault.message)}"
    if fault.code in _NO_VM:
        return VmNotFound(f"AWS has no such VM ({said})")
    if fault.code in _NO_DISK:
        return CloudDiskNotFound(f"AWS has no such disk ({said})")
    if fault.code in NO_ROOM_FOR_DISK and action in ("CreateVolume", "ModifyVolume"):
        return NoDiskSpace(f"AWS has no room for the disk ({said})", fix=_QUOTA_FIX)
    if fault.code in _DENIED:
        named = _PERFORM.search(fault.message)
        what = named[1] if named else (action if ":" in action else f"ec2:{action}")
        return AwsRefusal(
            f"the AWS credentials may not '{what}' ({said})",
            aws_code=fault.code,
            fix=f"allow '{what}' in their IAM policy: manifests/aws/iam-policy.json has it all",
        )
    return AwsRefusal(f"AWS refused '{action}' ({said})", aws_code=fault.code, fix=_fix(fault.code))


_QUOTA_FIX = "delete what is not needed, or have AWS raise this quota of the account"


def _fix(code: str) -> str | None:
    if code in _BAD_KEYS:
        return "check the keys, the session token, and the clock of the director's host"
    if code in QUOTAS:
        return _QUOTA_FIX
    if code in CAPACITY:
        return "try again later, or use another instance type or availability zone"
    return None


def _shortened(text: str) -> str:
    # UnauthorizedOperation appends kilobytes that only AWS can decode.
    text = " ".join(text.partition("Encoded authorization")[0].split())
    return text if len(text) <= 300 else text[:297] + "..."


def code_of(error: CloudError) -> str | None:
    """Return AWS's code of an error; empty where EC2 may have acted, None for other errors."""
    return error.aws_code if isinstance(error, AwsRefusal) else None
