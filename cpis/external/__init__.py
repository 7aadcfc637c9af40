"""Any executable that speaks BOSH's CPI protocol, as a CPI of the director."""

from cpis.external.cpi import ExternalCpi

__all__ = ["ExternalCpi"]
