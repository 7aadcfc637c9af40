"""VMs on Google Compute Engine."""

from cpis.gce.cpi import GceCpi

__all__ = ["GceCpi"]
