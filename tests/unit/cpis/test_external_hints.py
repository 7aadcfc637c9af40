"""Disk hints of all clouds, as places where the disk may be."""

from __future__ import annotations

import pytest

from cpis.contract import NotSupportedByCpi
from cpis.external.disk_hints import device_hint

EBS = "vol-0a1b2c3d4e5f67890"
UUID = "0f1d6c84-7c9f-4b4e-9c1e-0a1b2c3d4e5f"
BY_ID = "/dev/disk/by-id"


@pytest.mark.parametrize(
    ("hint", "cid", "first", "others"),
    [
        pytest.param(
            "/dev/sdf",
            EBS,
            f"{BY_ID}/*{EBS}",
            {f"{BY_ID}/*vol0a1b2c3d4e5f67890", "/dev/xvdf", "/dev/vdf", "/dev/sdf"},
            id="AWS: NVMe and Xen",
        ),
        pytest.param(
            "/dev/vdc",
            UUID,
            f"{BY_ID}/*{UUID}",
            {f"{BY_ID}/virtio-0f1d6c84-7c9f-4b4e-9", "/dev/vdc", "/dev/sdc"},
            id="OpenStack: virtio shows twenty letters",
        ),
        pytest.param({"path": "/dev/sdb"}, "disk-1", "/dev/xvdb", {"/dev/sdb"}, id="short CID"),
        pytest.param(
            {"id": UUID, "path": "/dev/sdb"},
            "disk-x",
            f"{BY_ID}/*{UUID}",
            {f"{BY_ID}/*{UUID.replace('-', '')}", "/dev/sdb"},
            id="vSphere: SCSI serial without dashes",
        ),
        pytest.param(
            {"volume_id": "3"}, "disk-x", "/dev/disk/by-path/*-scsi-0:0:3:0", set(), id="SCSI unit"
        ),
        pytest.param("3", "disk-x", "/dev/disk/by-path/*-scsi-0:0:3:0", set(), id="old SCSI unit"),
        pytest.param({"volume_id": 3}, "d", "/dev/disk/by-path/*-scsi-0:0:3:0", set(), id="number"),
        pytest.param(
            {"lun": "2", "host_device_id": "{f8b3781b-1e82-4818-a1c3-63d806ec15bb}"},
            "disk-x",
            "/dev/disk/azure/scsi1/lun2",
            {"/dev/disk/azure/data/by-lun/2"},
            id="Azure",
        ),
        pytest.param("/dev/director/d-1", "d-1", "/dev/director/d-1", set(), id="our local CPI"),
        pytest.param(
            f"{BY_ID}/*vol1 /dev/sdf", EBS, f"{BY_ID}/*vol1", {"/dev/sdf"}, id="ours: candidates"
        ),
        pytest.param(None, EBS, f"{BY_ID}/*{EBS}", set(), id="version 1 says nothing"),
    ],
)
def test_hints(hint: object, cid: str, first: str, others: set[str]) -> None:
    candidates = device_hint(hint, cid).split(" ")
    assert candidates[0] == first
    assert others <= set(candidates)
    assert len(candidates) == len(set(candidates))


@pytest.mark.parametrize(
    "hint",
    [
        *("", "/etc/passwd", "/dev/../etc/passwd", "/dev/sd$(id)", "/dev/sdb; reboot", "/dev/a\nb"),
        *({}, {"path": None}, {"path": ["/dev/sda"]}, {"id": "short"}, {"id": "a b c d e f g h"}),
        *({"lun": "-1"}, {"volume_id": True}, {"iscsi_settings": {"password": "hunter22"}}, None),
    ],
)
def test_hints_that_lead_nowhere(hint: object) -> None:
    with pytest.raises(NotSupportedByCpi) as caught:
        device_hint(hint, "disk-1")
    assert "hunter22" not in str(caught.value)
    assert "'disk-1' is attached" in caught.value.what
