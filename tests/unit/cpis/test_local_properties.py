"""What the local CPI accepts of its own properties and of cloud properties."""

from __future__ import annotations

import pytest

from cpis.contract import CloudError
from cpis.local import LocalCpi
from cpis.local.properties import read_settings, read_vm_properties

GOOD = {"root": "/var/lib/x", "director_id": "d1"}


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"director_id": "d"}, "'root'"),
        ({"root": "/x"}, "'director_id'"),
        ({**GOOD, "runtime": "docker"}, "auto, lxc, unshare"),
        ({**GOOD, "rooot": "/y"}, "did you mean 'root'"),
        ({**GOOD, "root": "/a,b"}, "cannot keep its state"),
        ({**GOOD, "root": "/a:b"}, "cannot keep its state"),
        ({**GOOD, "root": "/a\nlxc.hook.start = /evil"}, "cannot keep its state"),
    ],
)
def test_own_properties_that_are_refused(properties: dict, says: str) -> None:
    with pytest.raises(CloudError) as caught:
        read_settings(properties)
    assert says in str(caught.value)


def test_building_the_cpi_touches_nothing(tmp_path) -> None:
    LocalCpi({"root": str(tmp_path / "state"), "director_id": "d"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"memmory": 1}, "did you mean 'memory'"),
        ({"instance_type": "m1.small"}, "known: 'cpu', 'ephemeral_disk', 'memory'"),
        ({"memory": "512M"}, "number of MiB"),
        ({"memory": 0}, "number of MiB"),
        ({"memory": True}, "number of MiB"),
        ({"cpu": -1}, "above 0"),
        ({"cpu": "2"}, "above 0"),
    ],
)
def test_cloud_properties_that_are_refused(properties: dict, says: str) -> None:
    with pytest.raises(CloudError) as caught:
        read_vm_properties(properties)
    assert says in str(caught.value)


def test_cloud_properties_that_are_taken() -> None:
    read = read_vm_properties({"memory": 512, "cpu": 0.5, "ephemeral_disk": 1024})
    assert (read.memory_mb, read.cpu, read.ephemeral_disk_mb) == (512, 0.5, 1024)
