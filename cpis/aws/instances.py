"""Instances that are there: found by id or by tag, waited for, started, ended."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from cpis.aws.ec2 import Ec2, filters, tag_filter, text
from cpis.aws.errors import code_of
from cpis.aws.tags import AGENT, tags_of
from cpis.contract import CloudError, VmNotFound
from director.model.ids import AgentId, DiskCid, VmCid

ALIVE = ("pending", "running", "stopping", "stopped")
GONE = ("shutting-down", "terminated")
RUNS_WITHIN_S = 600.0
ENDS_WITHIN_S = 900.0
_STATES_TAKE_S = 1.0
_PATH = "reservationSet/item/instancesSet/item"
_CID = re.compile(r"i-[0-9a-f]{8,17}")


def state(instance: Element) -> str:
    """Return an instance's state by AWS's name."""
    return text(instance, "instanceState/name")


def find(ec2: Ec2, agent_id: AgentId) -> Element | None:
    """Return the living instance with this agent id, or None: one filtered request."""
    asked = [tag_filter(AGENT, agent_id), *filters(instance_state_name=ALIVE)]
    return next(ec2.items("DescribeInstances", {"Filter": asked}, _PATH), None)


def get(ec2: Ec2, cid: VmCid) -> Element:
    """Return an instance that is not gone; raises VmNotFound."""
    require_cid(cid)
    found = next(ec2.items("DescribeInstances", {"InstanceId": [cid]}, _PATH), None)
    if found is None or state(found) in GONE:
        raise VmNotFound(f"there is no VM '{cid}'")
    return found


def has(ec2: Ec2, cid: VmCid) -> bool:
    """Tell whether an instance is there; one that is stopped is."""
    try:
        get(ec2, cid)
    except VmNotFound:
        return False
    return True


def require_cid(cid: VmCid) -> None:
    """Raise VmNotFound for what cannot be an instance's id, without asking."""
    if not _CID.fullmatch(cid):
        raise VmNotFound(f"there is no VM '{cid}'")


def wait_until_running(ec2: Ec2, cid: VmCid) -> Element:
    """Return an instance once it runs; raises CloudError with AWS's reason where it will not."""

    def look() -> Element | None:
        found = _describe(ec2, cid)
        if found is None or state(found) not in ("pending", "running"):
            raise CloudError(f"AWS ended the VM '{cid}' as it started: {_reason(found)}")
        return found if state(found) == "running" else None

    return ec2.wait(
        f"starting the VM '{cid}'", look, timeout_s=RUNS_WITHIN_S, first_s=_STATES_TAKE_S
    )


def terminate(ec2: Ec2, cid: VmCid) -> None:
    """End an instance and return once it is terminated: only then are its addresses free.

    Its system is shut down first, so mounted disks are written out; those attached by
    ``attach_disk`` stay and are free. May be called again; one that never was is no error.
    """
    try:
        require_cid(cid)
        ended = ec2.ask("TerminateInstances", {"InstanceId": [cid]})
    except VmNotFound:
        return
    except CloudError as error:
        if code_of(error) == "OperationNotPermitted":
            error.fix = f"switch the termination protection of '{cid}' off"
        raise
    ec2.recent.forget(cid)
    ec2.known.zones.pop(cid, None)
    if text(ended, "instancesSet/item/previousState/name") == "terminated":
        return

    def look() -> bool | None:
        found = _describe(ec2, cid)
        return True if found is None or state(found) == "terminated" else None

    ec2.wait(f"ending the VM '{cid}'", look, timeout_s=ENDS_WITHIN_S, first_s=_STATES_TAKE_S)


def await_end_at(ec2: Ec2, subnet: str, ip: str) -> bool:
    """Wait for an instance that is ending at this address; returns whether there was one."""
    asked = filters(subnet_id=subnet, private_ip_address=ip, instance_state_name="shutting-down")
    found = next(ec2.items("DescribeInstances", {"Filter": asked}, _PATH), None)
    if found is not None:
        terminate(ec2, VmCid(text(found, "instanceId")))
    return found is not None


def reboot(ec2: Ec2, cid: VmCid) -> None:
    """Reboot an instance; one that is stopped is started."""
    require_cid(cid)
    try:
        ec2.ask("RebootInstances", {"InstanceId": [cid]})
    except CloudError as error:
        if code_of(error) not in ("IncorrectInstanceState", "IncorrectState"):
            raise
        get(ec2, cid)
        ec2.ask("StartInstances", {"InstanceId": [cid]})
        wait_until_running(ec2, cid)


def set_metadata(ec2: Ec2, cid: VmCid, metadata: Mapping[str, str]) -> None:
    """Add tags to an instance, or change those it has."""
    require_cid(cid)
    tags = tags_of(metadata)
    if tags:
        ec2.ask("CreateTags", {"ResourceId": [cid], "Tag": tags})
    else:
        get(ec2, cid)


def persistent_disks(ec2: Ec2, cid: VmCid) -> Sequence[DiskCid]:
    """Return the volumes that were attached and would outlive the instance."""
    instance = get(ec2, cid)
    root = text(instance, "rootDeviceName")
    return [
        DiskCid(text(one, "ebs/volumeId"))
        for one in instance.iterfind("blockDeviceMapping/item")
        if text(one, "deviceName") != root and text(one, "ebs/deleteOnTermination") == "false"
    ]


def console(ec2: Ec2, cid: VmCid) -> str:
    """Return what the instance printed; older types show it only now and then."""
    require_cid(cid)
    try:
        answer = ec2.ask("GetConsoleOutput", {"InstanceId": cid, "Latest": True})
    except CloudError as error:
        if code_of(error) not in ("UnsupportedOperation", "InvalidParameterCombination"):
            raise
        answer = ec2.ask("GetConsoleOutput", {"InstanceId": cid})
    try:
        return base64.b64decode(text(answer, "output")).decode(errors="replace")
    except ValueError:
        return ""


def zone(ec2: Ec2, cid: VmCid) -> str:
    """Return the availability zone of an instance."""
    known = ec2.known.zones
    if cid not in known:
        known[cid] = text(get(ec2, cid), "placement/availabilityZone")
    return known[cid]


def _describe(ec2: Ec2, cid: VmCid) -> Element | None:
    try:
        return next(ec2.items("DescribeInstances", {"InstanceId": [cid]}, _PATH), None)
    except VmNotFound:
        return None


def _reason(instance: Element | None) -> str:
    found = "" if instance is None else text(instance, "stateReason/message")
    return found or "it gives no reason"
