"""The local CPI: isolated machines on this host, made from stemcells with LXC or unshare."""

from cpis.local.cpi import LocalCpi

__all__ = ["LocalCpi"]
