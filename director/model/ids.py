"""Names for identifiers, so that a VM's CID is not passed where a disk's is wanted."""

from __future__ import annotations

from typing import NewType

InstanceId = NewType("InstanceId", str)
"""The UUID of an instance; it lives as long as the instance, through every VM it has."""

AgentId = NewType("AgentId", str)
"""The director's own id for one VM, made before the VM: the intent a CPI tags the VM with."""

VmCid = NewType("VmCid", str)
"""A cloud's id of a VM."""

DiskCid = NewType("DiskCid", str)
"""A cloud's id of a disk."""

StemcellCid = NewType("StemcellCid", str)
"""A cloud's id of a stemcell's image."""

SnapshotCid = NewType("SnapshotCid", str)
"""A cloud's id of a disk snapshot."""

BlobId = NewType("BlobId", str)
"""The sha256 of a stored file, in hexadecimal."""
