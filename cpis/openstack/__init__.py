"""The OpenStack CPI: any OpenStack since Stein, by Keystone version 3; see README.md."""

from cpis.openstack.cpi import OpenStackCpi

__all__ = ["OpenStackCpi"]
