"""Light stemcells: an empty image, and the name of one that a cloud has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from director.model.errors import StemcellInvalid
from director.stemcell.build import build_stemcell
from director.stemcell.open_stemcell import open_stemcell

DEFINITION = Path(__file__).parents[3] / "stemcells" / "debian-12-cloud"


def test_a_light_stemcell(tmp_path: Path) -> None:
    amis = {"eu-central-1": "ami-1", "us-east-1": "ami-2"}
    built = build_stemcell(
        DEFINITION, tmp_path, cloud_properties={"ami": amis}, version="12.20240701"
    )
    assert built.name == "director-debian-12-cloud-12.20240701.tgz"
    opened = open_stemcell(built, tmp_path)
    assert (opened.operating_system, opened.version) == ("debian-12", "12.20240701")
    assert opened.formats == ("aws-light",)
    assert opened.cloud_properties["ami"] == amis
    assert opened.cloud_properties["architecture"] == "amd64"
    assert opened.image.stat().st_size == 0


def test_the_version_is_the_time(tmp_path: Path) -> None:
    image = {"image_id": "x"}
    built = build_stemcell(DEFINITION, tmp_path, cloud_properties=image, now=lambda: 0.0)
    assert built.name == "director-debian-12-cloud-12.19700101000000.tgz"


@pytest.mark.parametrize(
    ("properties", "formats"),
    [
        ({"image_name": "debian"}, ("openstack-light",)),
        ({"image_id": "x", "ami": {"r": "ami-1"}}, ("aws-light", "openstack-light")),
        ({"template": "debian"}, ("cloudstack-light",)),
    ],
)
def test_formats_follow_the_properties(
    tmp_path: Path, properties: dict[str, Any], formats: tuple[str, ...]
) -> None:
    built = build_stemcell(DEFINITION, tmp_path, cloud_properties=properties, version="1")
    assert open_stemcell(built, tmp_path).formats == formats


def test_without_an_image_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StemcellInvalid, match="names no image") as caught:
        build_stemcell(DEFINITION, tmp_path, version="1")
    assert "'ami' (aws-light)" in str(caught.value.fix)
    assert not list(tmp_path.iterdir())


def test_a_version_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(StemcellInvalid, match="cannot be a version"):
        build_stemcell(DEFINITION, tmp_path, cloud_properties={"ami": {}}, version="../1")
