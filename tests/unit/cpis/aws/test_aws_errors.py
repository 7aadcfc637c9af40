"""What EC2's errors mean."""

from __future__ import annotations

import pytest

from cpis.aws.ec2 import NEW_FOR_S, Recent
from cpis.aws.errors import Ec2Fault, code_of, judge
from cpis.contract import CloudDiskNotFound, CloudError, NoDiskSpace, VmNotFound
from cpis.libcloud_base.calls import Meaning, Verdict


def verdict(
    code: str, *, status: int = 400, action: str = "RunInstances", text: str = ""
) -> Verdict:
    return judge(lambda cid: cid == "i-0000000000000new".replace("new", "abc"))(
        action, Ec2Fault(code, text, status)
    )


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("RequestLimitExceeded", 503, Meaning.REFUSED_FOR_NOW),
        ("Throttling", 400, Meaning.REFUSED_FOR_NOW),
        ("ThrottlingException", 400, Meaning.REFUSED_FOR_NOW),
        ("EC2ThrottledException", 400, Meaning.REFUSED_FOR_NOW),
        ("", 429, Meaning.REFUSED_FOR_NOW),
        ("InternalError", 500, Meaning.UNKNOWN),
        ("Unavailable", 503, Meaning.UNKNOWN),
        ("", 502, Meaning.UNKNOWN),
        ("InsufficientInstanceCapacity", 500, Meaning.FINAL),
        ("InstanceLimitExceeded", 400, Meaning.FINAL),
        ("InvalidParameterValue", 400, Meaning.FINAL),
        ("", 404, Meaning.FINAL),
    ],
)
def test_what_is_tried_again(code: str, status: int, meaning: Meaning) -> None:
    assert verdict(code, status=status).meaning is meaning


@pytest.mark.parametrize(
    ("code", "action", "kind"),
    [
        ("InvalidInstanceID.NotFound", "AttachVolume", VmNotFound),
        ("InvalidInstanceID.Malformed", "DescribeInstances", VmNotFound),
        ("InvalidVolume.NotFound", "AttachVolume", CloudDiskNotFound),
        ("VolumeLimitExceeded", "CreateVolume", NoDiskSpace),
        ("MaxIOPSLimitExceeded", "ModifyVolume", NoDiskSpace),
    ],
)
def test_types_of_the_contract(code: str, action: str, kind: type[CloudError]) -> None:
    error = verdict(code, action=action).error
    assert type(error) is kind
    assert code_of(error) is None


def test_a_lost_connection_may_have_done_something() -> None:
    found = judge(lambda _: False)("RunInstances", ConnectionResetError("secret=in-url"))
    assert found.meaning is Meaning.UNKNOWN
    assert "secret" not in str(found.error)
    with pytest.raises(ZeroDivisionError):
        judge(lambda _: False)("RunInstances", ZeroDivisionError())


def test_what_was_made_a_moment_ago_is_asked_for_again() -> None:
    text = "The instance ID 'i-0000000000000abc' does not exist"
    assert verdict("InvalidInstanceID.NotFound", text=text).meaning is Meaning.REFUSED_FOR_NOW
    old = "The instance ID 'i-0000000000000abd' does not exist"
    assert verdict("InvalidInstanceID.NotFound", text=old).meaning is Meaning.FINAL


def test_recent_forgets() -> None:
    now = [0.0]
    recent = Recent(lambda: now[0])
    recent.note("i-1")
    recent.note("i-2")
    recent.forget("i-2")
    assert "i-1" in recent
    assert "i-2" not in recent
    now[0] = NEW_FOR_S
    assert "i-1" not in recent
    for n in range(3000):
        recent.note(f"i-{n}")
    assert "i-2999" in recent


@pytest.mark.parametrize(
    ("code", "action", "text", "says"),
    [
        ("UnauthorizedOperation", "RunInstances", "no", "'ec2:RunInstances'"),
        (
            "UnauthorizedOperation",
            "RunInstances",
            "not authorized to perform: iam:PassRole on r. Encoded authorization failure "
            "message: " + "x" * 9000,
            "'iam:PassRole'",
        ),
        ("AccessDenied", "elasticloadbalancing:RegisterTargets", "no", "g:RegisterTargets'"),
        ("AuthFailure", "DescribeInstances", "no", "check the keys"),
        ("RequestExpired", "DescribeInstances", "no", "clock"),
        ("VcpuLimitExceeded", "RunInstances", "no", "raise this quota"),
        ("InsufficientInstanceCapacity", "RunInstances", "no", "another instance type"),
    ],
)
def test_errors_say_what_to_do(code: str, action: str, text: str, says: str) -> None:
    error = verdict(code, action=action, text=text).error
    assert says in str(error)
    assert code in str(error)
    assert len(str(error)) < 800
