"""Finds the CPI of each AZ, and there the copy of a stemcell that VMs are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from director.manifest.lookup import Lookup
from director.manifest.suggest import did_you_mean, quoted
from director.model.configs import CloudConfig, CpiConfig, called
from director.model.errors import CloudConfigError, StemcellNotFound
from director.model.manifest import InstanceGroup
from director.model.source import Path
from director.model.stemcell import Stemcell


def cpi_of_az(cloud: CloudConfig, cpis: CpiConfig, az: str | None) -> str:
    """Return the name of the CPI that makes what is in an AZ (None: in none).

    Raises CloudConfigError for a name that the CPI config does not have.
    """
    wanted = cloud.azs[az].cpi or "" if az is not None else ""
    name = cpis.current(wanted)
    if name and name not in cpis.entries:
        otherwise = "add it to the CPI config: director update-cpi-config"
        if not cpis.entries:
            otherwise = f"remove 'cpi', or set a CPI config that has '{name}'"
        raise CloudConfigError(
            f"AZ '{az}' uses unknown CPI '{name}'",
            where=cloud.sources.get(("azs", list(cloud.azs).index(str(az)), "cpi")),
            fix=did_you_mean(name, cpis.entries, otherwise) if cpis.entries else otherwise,
        )
    return name


def copy_on(copies: Iterable[Stemcell], cpi: str) -> Stemcell | None:
    """Return the copy of a stemcell that is on a CPI."""
    return next((copy for copy in copies if copy.cpi == cpi), None)


def resolve_copies(
    lookup: Lookup,
    group: InstanceGroup,
    cloud: CloudConfig,
    copies: Sequence[Stemcell],
    cpis: CpiConfig,
) -> dict[str | None, Stemcell]:
    """Return the copy of a group's stemcell for each of its AZs.

    An AZ whose CPI is unknown or has no copy is noted and left out.
    """
    found: dict[str | None, Stemcell] = {}
    azs: tuple[str | None, ...] = group.azs or (None,)
    for n, az in enumerate(azs):
        try:
            cpi = cpi_of_az(cloud, cpis, az)
        except CloudConfigError as error:
            if str(error) not in map(str, lookup.errors):  # other groups use the AZ too
                lookup.errors.append(error)
            continue
        copy = copy_on(copies, cpi)
        if copy is not None:
            found[az] = copy
            continue
        path: Path = (*group.path, "stemcell") if az is None else (*group.path, "azs", n)
        of_az = f", which is that of AZ '{az}'" if az is not None else ""
        what = f"stemcell '{copies[0]}' is not uploaded to {called(cpi)}{of_az}"
        lookup.add(what, path, missing_copy_fix(cpis, cpi, az, copies[0]), kind=StemcellNotFound)
    return found


def missing_copy_fix(cpis: CpiConfig, cpi: str, az: str | None, stemcell: Stemcell) -> str:
    """Return what an operator does about a CPI that lacks a stemcell other CPIs have."""
    if cpi not in cpis.names:
        # Stemcells go to the named CPIs, once there are any.
        names = quoted(cpis.entries)
        if az is None:
            return f"use AZs that have one of the CPIs {names} in the cloud config"
        return f"give AZ '{az}' a 'cpi' in the cloud config, one of {names}"
    return (
        f"upload it again, what is there stays: director upload-stemcell, with '{stemcell}' or"
        " that CPI's own image of the same operating system and version"
    )
