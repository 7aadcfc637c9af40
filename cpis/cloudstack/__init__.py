"""VMs on Apache CloudStack."""

from cpis.cloudstack.cpi import CloudStackCpi

__all__ = ["CloudStackCpi"]
