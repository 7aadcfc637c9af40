"""What a new VM of a plain cloud image is told: cloud-init's user data, carrying its keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def user_data(*, hostname: str, env: Mapping[str, Any], swap_mb: int | None = None) -> str:
    """Return a VM's user data (``#cloud-config``, UTF-8 text) from the ``env`` of ``create_vm``.

    It carries the SSH host key, the keys that may log in as root and as vcap, the host name, and a
    script that runs at the first boot: monit is installed where the image lacks it, and the
    ephemeral disk (the one disk that is blank then) becomes swap and ``/var/vcap/data``. Below
    10 KiB for BOSH's usual ``env``. Raises CloudError where ``env`` lacks the keys.
    """
    raise NotImplementedError


def host_name(agent_id: str) -> str:
    """Return the host name of a VM: ``vm-`` and the agent id, as DNS allows."""
    raise NotImplementedError
