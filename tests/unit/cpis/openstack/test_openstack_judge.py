"""What OpenStack's refusals mean, in the words each service uses."""

import pytest
import requests

from cpis.libcloud_base.calls import Meaning
from cpis.openstack.judge import ApiError, Refused, Unsent, judge

NOVA_QUOTA = (
    '{"forbidden": {"code": 403, "message": "Quota exceeded for cores: Requested 1, but already'
    ' used 20 of 20 cores"}}'
)
CINDER_QUOTA = (
    '{"overLimit": {"code": 413, "message": "VolumeSizeExceedsAvailableQuota: Requested volume or'
    ' snapshot exceeds allowed gigabytes quota.", "retryAfter": "0"}}'
)
NEUTRON_QUOTA = (
    '{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for resources:'
    ' [\'port\'].", "detail": ""}}'
)
TAKEN = (
    '{"NeutronError": {"type": "IpAddressAlreadyAllocated", "message": "IP address 10.0.0.5'
    ' already allocated in subnet x", "detail": ""}}'
)
NO_NETWORK = '{"NeutronError": {"type": "NetworkNotFound", "message": "no net", "detail": ""}}'
FORBIDDEN = '{"forbidden": {"code": 403, "message": "Policy does not allow it"}}'
HAPROXY = "<html><head><title>x</title></head><body><h1>504 Gateway Time-out</h1></body></html>"


@pytest.mark.parametrize(
    ("status", "body", "meaning", "quota", "told"),
    [
        pytest.param(413, "{}", Meaning.REFUSED_FOR_NOW, False, "busy", id="rate of old"),
        pytest.param(429, "{}", Meaning.REFUSED_FOR_NOW, False, "busy", id="rate"),
        pytest.param(503, HAPROXY, Meaning.REFUSED_FOR_NOW, False, "busy", id="unavailable"),
        pytest.param(413, CINDER_QUOTA, Meaning.FINAL, True, "gigabytes", id="cinder's quota"),
        pytest.param(403, NOVA_QUOTA, Meaning.FINAL, True, "cores", id="nova's quota"),
        pytest.param(409, NEUTRON_QUOTA, Meaning.FINAL, True, "port", id="neutron's quota"),
        pytest.param(409, TAKEN, Meaning.FINAL, False, "10.0.0.5", id="address taken"),
        pytest.param(404, NO_NETWORK, Meaning.FINAL, False, "no such thing", id="missing"),
        pytest.param(403, FORBIDDEN, Meaning.FINAL, False, "Policy", id="forbidden"),
        pytest.param(401, "", Meaning.FINAL, False, "token", id="token"),
        pytest.param(500, "{}", Meaning.UNKNOWN, False, "failed", id="failed"),
        pytest.param(502, "", Meaning.UNKNOWN, False, "failed", id="bad gateway"),
        pytest.param(504, HAPROXY, Meaning.UNKNOWN, False, "504 Gateway", id="gateway"),
        pytest.param(400, "[1]", Meaning.FINAL, False, "refuses", id="odd body"),
        pytest.param(400, '"text"', Meaning.FINAL, False, "refuses", id="odd text"),
        pytest.param(400, '{"a": {"message": 1}}', Meaning.FINAL, False, "refuses", id="number"),
    ],
)
def test_answers(status, body, meaning, quota, told):
    verdict = judge("make a thing", Refused(status, body, {}))
    assert verdict.meaning is meaning
    assert isinstance(verdict.error, ApiError)
    assert (verdict.error.http_status, verdict.error.quota) == (status, quota)
    assert verdict.error.unanswered is (meaning is Meaning.UNKNOWN)
    assert told in verdict.error.what
    assert not verdict.error.ok_to_retry
    assert "<" not in verdict.error.what


@pytest.mark.parametrize(
    ("given", "wait_s"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("999999", 60.0),
        ("soon", 0.0),
        ("-1", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 60.0),
        ("", 0.0),
    ],
)
def test_how_long_to_wait(given, wait_s):
    assert judge("x", Refused(429, "", {"retry-after": given})).wait_s == wait_s


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        pytest.param(requests.exceptions.ReadTimeout(), Meaning.UNKNOWN, id="slow"),
        pytest.param(requests.exceptions.ConnectionError("reset"), Meaning.UNKNOWN, id="broken"),
        pytest.param(
            requests.exceptions.ConnectionError("NewConnectionError(refused)"),
            Meaning.REFUSED_FOR_NOW,
            id="nobody listens",
        ),
        pytest.param(
            requests.exceptions.ConnectionError("NameResolutionError(x)"), Meaning.FINAL, id="name"
        ),
        pytest.param(requests.exceptions.SSLError(), Meaning.FINAL, id="certificate"),
        pytest.param(OSError("gone"), Meaning.UNKNOWN, id="socket"),
    ],
)
def test_silence(error, meaning):
    verdict = judge("create the server 'x'", error)
    assert verdict.meaning is meaning
    assert "create the server 'x'" in verdict.error.what


def test_what_was_never_sent_may_be_sent_again():
    def unsent(cause: Exception) -> Unsent:
        error = Unsent()
        error.__cause__ = cause
        return error

    busy = judge("x", unsent(Refused(503, "", {"retry-after": "2"})))
    assert (busy.meaning, busy.wait_s) == (Meaning.REFUSED_FOR_NOW, 2.0)
    broken = judge("x", unsent(requests.exceptions.ReadTimeout()))
    assert broken.meaning is Meaning.REFUSED_FOR_NOW
    assert judge("x", unsent(Refused(403, "", {}))).meaning is Meaning.FINAL


def test_a_mistake_of_ours_is_no_verdict():
    with pytest.raises(KeyError):
        judge("x", KeyError("bug"))


def test_the_text_of_a_broken_connection_is_not_shown():
    error = requests.exceptions.ConnectionError("https://u:password@cloud/")
    assert "password" not in str(judge("x", error).error)
