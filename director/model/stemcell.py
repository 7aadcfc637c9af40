"""Stemcells: the images VMs are made from."""

from __future__ import annotations

from dataclasses import dataclass

from director.model.ids import StemcellCid


@dataclass(frozen=True, slots=True, kw_only=True)
class Stemcell:
    """A stemcell as uploaded to one CPI (``cpi`` is empty where there is only the default one)."""

    name: str
    version: str
    operating_system: str
    cid: StemcellCid
    cpi: str = ""
    api_version: int | None = None

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"
