"""Writing a disk image into an EBS snapshot with EBS's direct API; blocks of zeros are left out."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import IO, Any

from cpis.aws.boto import asked
from cpis.aws.images import RawImage
from cpis.contract import CloudError
from director.model.ids import SnapshotCid

BLOCK = 512 * 1024
_WRITERS = 8
_GIB = 1024**3


def start_snapshot(ebs: Any, size: int, *, description: str, token: str) -> SnapshotCid:
    """Return a new snapshot of ``size`` bytes, rounded up to GiB, to be written."""
    started = asked(
        "ebs",
        "StartSnapshot",
        lambda: ebs.start_snapshot(
            VolumeSize=-(-size // _GIB),
            Description=description[:255],
            ClientToken=token,
            Timeout=60,
        ),
    )
    return SnapshotCid(str(started["SnapshotId"]))


def write_snapshot(ebs: Any, snapshot: SnapshotCid, image: RawImage) -> None:
    """Write an image into a snapshot that was started, which AWS then completes.

    ``ebs`` is boto3's client. Never holds more than a few blocks in memory.
    """

    def put(index: int, block: bytes) -> None:
        digest = base64.b64encode(hashlib.sha256(block).digest()).decode()
        asked(
            "ebs",
            "PutSnapshotBlock",
            lambda: ebs.put_snapshot_block(
                SnapshotId=snapshot,
                BlockIndex=index,
                BlockData=block,
                DataLength=BLOCK,
                Checksum=digest,
                ChecksumAlgorithm="SHA256",
            ),
        )

    changed = 0
    with ThreadPoolExecutor(_WRITERS) as threads:
        running: set[Future[None]] = set()
        for index, block in _blocks(image.stream, image.size):
            running.add(threads.submit(put, index, block))
            changed += 1
            if len(running) >= 2 * _WRITERS:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    one.result()
        for one in running:
            one.result()
    asked(
        "ebs",
        "CompleteSnapshot",
        lambda: ebs.complete_snapshot(SnapshotId=snapshot, ChangedBlocksCount=changed),
    )


def _blocks(stream: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the blocks that are not all zeros, the last one filled up with zeros."""
    zeros = bytes(BLOCK)
    for index in range(-(-size // BLOCK)):
        wanted = min(BLOCK, size - index * BLOCK)
        block = stream.read(wanted)
        if len(block) != wanted:
            raise CloudError("the stemcell's image ends early", fix="fetch the stemcell again")
        block = block.ljust(BLOCK, b"\0")
        if block != zeros:
            yield index, block
