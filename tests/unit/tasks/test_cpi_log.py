"""Requests to the cloud are logged by name and id, never with what may be secret."""

from __future__ import annotations

import logging

import pytest

from cpis.contract import CloudError, Cpi
from cpis.memory import MemoryCpi
from director.model.ids import AgentId, StemcellCid, VmCid
from director.tasks.cpi_log import logged


def test_requests_are_logged_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    cpi = logged(MemoryCpi({}))
    assert isinstance(cpi, Cpi)
    with caplog.at_level(logging.INFO, "director.cpi"):
        assert cpi.has_vm(VmCid("nothing")) is False
        with pytest.raises(CloudError):
            cpi.create_vm(
                AgentId("agent"), StemcellCid("gone"), {}, {}, [], {"bosh": {"password": "s3cret"}}
            )
    assert "has_vm nothing -> False" in caplog.text
    assert "create_vm agent gone failed after" in caplog.text
    assert "s3cret" not in caplog.text


def test_what_is_no_request_is_passed_on() -> None:
    memory = MemoryCpi({})
    assert getattr(logged(memory), "vms") == memory.vms  # noqa: B009  # not in the protocol
