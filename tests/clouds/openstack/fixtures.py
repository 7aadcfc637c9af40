"""Fixtures of the tests that need the OpenStack control plane: ``from ... import cloud, front``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from clouds.openstack import bed, project
from clouds.openstack.layout import Layout
from clouds.openstack.proxy import Front, aim, front

CIDR = "10.10.0.0/16"


@dataclass(frozen=True)
class TestCloud:
    """A running control plane, the proxy before it, and its project's network."""

    __test__ = False

    layout: Layout
    front: Front
    net_id: str
    floating_ip: str


@pytest.fixture(scope="session")
def running_cloud() -> Iterator[TestCloud]:
    """One control plane for all tests of a run; about ten seconds to start."""
    with front() as proxy, bed.running(front=proxy.port) as layout:
        aim(proxy, layout)
        net_id = project.add_network(layout, CIDR)
        yield TestCloud(layout, proxy, net_id, project.add_floating_ip(layout))


@pytest.fixture
def cloud(running_cloud: TestCloud) -> Iterator[TestCloud]:
    """The control plane without faults; a test that leaves something in it fails."""
    running_cloud.front.reset()
    yield running_cloud
    running_cloud.front.reset()
    left = project.left(running_cloud.layout)
    if left:
        project.purge(running_cloud.layout)
    assert not left, left
