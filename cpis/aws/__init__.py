"""The AWS CPI: VMs as EC2 instances, disks as EBS volumes, in one region."""

from cpis.aws.cpi import AwsCpi

__all__ = ["AwsCpi"]
