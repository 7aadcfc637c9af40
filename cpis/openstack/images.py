"""Stemcells: images uploaded to Glance, or images that are there already."""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from cpis.contract import CloudError, Json
from cpis.openstack.api import Cloud, Row, at
from cpis.openstack.judge import ApiError
from director.model.ids import StemcellCid

FORMATS = ("openstack-qcow2", "openstack-raw", "openstack-light")
_LIGHT = " light"
_PROPERTIES = re.compile(r"(hw|os|img|vmware)_\w{1,60}|architecture|auto_disk_config|version")
_RENAMED = {"hypervisor": "hypervisor_type", "root_device_name": "root_device_name"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def image_id(cid: StemcellCid) -> str:
    """Return the id of a stemcell's image."""
    return cid.removesuffix(_LIGHT)


def create(cloud: Cloud, image_path: str, properties: Json) -> StemcellCid:
    """Return the stemcell: ``image_id`` or ``image_name`` names an image, else one is uploaded."""
    if properties.get("image_id") or properties.get("image_name"):
        return StemcellCid(_existing(cloud, properties)["id"] + _LIGHT)
    return StemcellCid(_upload(cloud, Path(image_path), properties))


def delete(cloud: Cloud, cid: StemcellCid) -> None:
    """Delete an uploaded image; one that was there before stays."""
    if cid.endswith(_LIGHT):
        return
    try:
        path = at("/images/{}", cid)
    except ApiError:
        return
    try:
        cloud.api.delete("image", path, f"delete the image '{cid}'")
    except ApiError as error:
        if error.http_status == 409:
            error.what = f"the image '{cid}' is in use: {error.what}"
        raise


def _existing(cloud: Cloud, properties: Json) -> Row:
    wanted = str(properties.get("image_id") or properties["image_name"])
    doing = f"look up the image '{wanted}'"
    found: list[Row] = []
    if properties.get("image_id"):
        image = cloud.api.look("image", "/images/{}", wanted, doing)
        found = [image] if image else []
    else:
        found = cloud.api.pages("image", "/images", "images", doing, name=wanted)
    active = [image for image in found if image.get("status") == "active"]
    if len(active) == 1:
        return active[0]
    if active:
        ids = ", ".join(f"'{image['id']}'" for image in active)
        raise CloudError(
            f"{len(active)} images have the name '{wanted}'", fix=f"set 'image_id' to one of {ids}"
        )
    state = f"is '{found[0].get('status')}', not active" if found else "does not exist"
    raise CloudError(
        f"the image '{wanted}' {state}", fix="use an image that this project can see and boot"
    )


def _upload(cloud: Cloud, path: Path, properties: Json) -> str:
    """Return the id of a new image with what ``path`` holds; deletes it where that fails."""
    with opened(path) as (source, _):
        head = source.read(4)
    about = {
        "name": f"{properties.get('name', 'stemcell')}/{properties.get('version', '0')}",
        "disk_format": properties.get("disk_format") or ("qcow2" if head == b"QFI\xfb" else "raw"),
        "container_format": properties.get("container_format") or "bare",
        "visibility": "public" if cloud.settings.public_images else "private",
        **_image_properties(properties),
        "director_upload": cloud.new_id(),
    }
    doing = f"create the image '{about['name']}'"
    # An image named here with the intent's id: found again where the answer to its creation is
    # lost.
    image = cloud.api.make(
        lambda: cloud.api.send("POST", "image", "/images", about, doing, repeatable=False),
        lambda: _by_mark(cloud, about["name"], about["director_upload"]),
    )
    cid = str(image["id"])
    try:
        _send_file(cloud, cid, path)
        cloud.api.calls.until(
            f"storing the image '{cid}'",
            lambda: _ready(cloud, cid),
            timeout_s=cloud.settings.state_timeout_s,
        )
    except BaseException:
        cloud.api.delete("image", at("/images/{}", cid), f"delete the image '{cid}'")
        raise
    return cid


def _image_properties(properties: Json) -> dict[str, str]:
    known = {_RENAMED.get(key, key): value for key, value in properties.items()}
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in known.items()
        if isinstance(value, (str, int, float, bool))
        and (_PROPERTIES.fullmatch(key) or key in _RENAMED.values())
    }


def _by_mark(cloud: Cloud, name: str, mark: str) -> Row | None:
    found = cloud.api.pages(
        "image", "/images", "images", "look for the image", name=name, director_upload=mark
    )
    return found[0] if found else None


def _send_file(cloud: Cloud, cid: str, path: Path) -> None:
    headers = {"Content-Type": "application/octet-stream"}

    def put(driver: Any) -> None:
        # Opened for each try: an upload that is refused begins anew.
        with opened(path) as (source, size):
            body = Sized(source, size)
            driver.send("image", "PUT", at("/images/{}/file", cid), body=body, headers=headers)

    try:
        cloud.api.calls.ask(f"upload the image '{cid}'", put, repeatable=False)
    except ApiError as error:
        if not error.unanswered:
            raise
        image = cloud.api.look("image", "/images/{}", cid, "look at the image")
        if image is None or image.get("status") not in ("saving", "importing", "active"):
            error.ok_to_retry = True
            raise


def _ready(cloud: Cloud, cid: str) -> Row | None:
    image = cloud.api.look("image", "/images/{}", cid, f"look at the image '{cid}'")
    status = image.get("status") if image else "gone"
    if status in ("gone", "killed", "deleted", "pending_delete", "deactivated"):
        raise CloudError(f"the image '{cid}' is '{status}' after its upload", ok_to_retry=True)
    return image if status == "active" else None


class Sized:
    """A stream whose length is known beforehand, as HTTP wants it; never all in memory."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self._left = self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read(1 << 16):
            yield piece

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, at most ``size`` and at most 1 MiB; raises where some lack."""
        wanted = min(self._left, 1 << 20, size if size >= 0 else 1 << 20)
        piece = self._source.read(wanted)
        self._left -= len(piece)
        if wanted and not piece:
            raise CloudError("the stemcell's image ends too early", fix="upload it anew")
        return piece


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Yield the disk image in ``path`` and its size: the file itself, or ``root.img`` in a tgz.

    BOSH ships it so. The archive is read from its beginning and nothing of it is written anywhere.
    """
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
    except OSError as error:
        raise CloudError(f"the stemcell's image cannot be read: {error.strerror}") from error
    if not packed:
        with path.open("rb") as source:
            yield source, path.stat().st_size
        return
    try:
        with gzip.open(path) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
            for member in archive:
                if member.name.removeprefix("./") == "root.img" and member.isreg():
                    inner = archive.extractfile(member)
                    assert inner is not None
                    yield inner, member.size
                    return
    except (tarfile.TarError, EOFError, OSError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise CloudError(f"the stemcell's image is no tar archive: {error}") from error
    raise CloudError("the stemcell's image holds no 'root.img'", fix="upload an OpenStack stemcell")


def looks_like_id(text: str) -> bool:
    """Tell whether a text is an OpenStack id rather than a name."""
    return bool(_UUID.fullmatch(text))
