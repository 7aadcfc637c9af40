"""The schemas of the AWS CPI's properties; a description is also the property's help and table row.

An id or name of AWS goes into requests as a value of its own and is never parsed here, so the
schemas ask for text only where AWS itself tells better what is wrong.
"""

from __future__ import annotations

from typing import Any

from cpis.properties import Schema, object_schema

DISK_TYPES = ("gp3", "gp2", "io1", "io2", "st1", "sc1", "standard")


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, **more}


def _flag(description: str) -> dict[str, Any]:
    return {"type": "boolean", "description": description}


def _count(description: str, *, minimum: int = 1, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": minimum, "description": description, **more}


def _texts(description: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "description": description,
    }


def _choice(description: str, *values: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(values), "description": description}


_TYPE = _choice("EBS volume type; gp3 if left out", *DISK_TYPES)
_IOPS = _count("provisioned I/O operations per second: gp3, io1, io2; io1 and io2 need it")
_THROUGHPUT = _count("MiB/s, gp3 only", minimum=125)
_ENCRYPTED = _flag("encrypt the volume; the CPI's own `encrypted` if left out")
_KMS = _text("ARN of the KMS key; the account's own EBS key if left out")
_GROUPS = "names or ids (`sg-...`) of security groups; a VM's own come before its network's"

METADATA_OPTIONS = {
    **object_schema(
        {
            "http_tokens": _choice(
                "`required`, the default here, allows IMDSv2 only", "required", "optional"
            ),
            "http_put_response_hop_limit": _count("hops a token may travel", maximum=64),
            "http_endpoint": _choice("whether there is a metadata service", "enabled", "disabled"),
            "http_protocol_ipv6": _choice("its IPv6 endpoint", "enabled", "disabled"),
            "instance_metadata_tags": _choice("whether it shows tags", "enabled", "disabled"),
        }
    ),
    "description": "the instance metadata service",
}

ROOT_DISK = {
    **object_schema(
        {
            "size": _count("MiB, rounded up to GiB; the image's own if left out"),
            "type": _TYPE,
            "iops": _IOPS,
            "throughput": _THROUGHPUT,
            "encrypted": _ENCRYPTED,
            "kms_key_arn": _KMS,
        }
    ),
    "description": "the disk with the system; as the image has it if left out",
}

EPHEMERAL = {
    **object_schema(
        {
            "size": _count("MiB, rounded up to GiB; 10 GiB if left out"),
            "type": _TYPE,
            "iops": _IOPS,
            "throughput": _THROUGHPUT,
            "encrypted": _ENCRYPTED,
            "kms_key_arn": _KMS,
            "use_instance_storage": _flag(
                "use the disks of the instance type itself and make no volume; stands alone"
            ),
        }
    ),
    "description": "the disk of `/var/vcap/data`; 10 GiB of gp3 if left out",
}

VM = object_schema(
    {
        "instance_type": _text("type of instance, such as `t3.small`"),
        "availability_zone": _text("availability zone, usually set by the AZ; that of the subnet"),
        "security_groups": _texts(_GROUPS),
        "key_name": _text("EC2 key pair for the image's own user; the director needs none"),
        "spot_bid_price": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "dollars an hour: ask for a spot instance at this price at most",
        },
        "spot_ondemand_fallback": _flag("take an instance at full price where no spot is left"),
        "elbs": _texts("names of classic load balancers the VM joins (needs boto3)"),
        "lb_target_groups": _texts("names of target groups the VM joins (needs boto3)"),
        "iam_instance_profile": _text("name or ARN of the instance profile the VM runs with"),
        "placement_group": _text("name of a placement group"),
        "tenancy": _choice("whose hardware it is", "default", "dedicated", "host"),
        "auto_assign_public_ip": _flag("a public address; as the subnet has it if left out"),
        "advertised_routes": {
            "type": "array",
            "items": object_schema(
                {
                    "table_id": _text("id of the route table"),
                    "destination": _text("CIDR that is routed through the VM"),
                },
                required=("table_id", "destination"),
            ),
            "description": "routes that point at the VM: a list of `table_id` and `destination`",
        },
        "raw_instance_storage": _flag("only `false` is taken: it serves BOSH's agent"),
        "source_dest_check": _flag("`false` lets the VM route what is not its own (NAT)"),
        "ephemeral_disk": EPHEMERAL,
        "root_disk": ROOT_DISK,
        "metadata_options": METADATA_OPTIONS,
    },
    required=("instance_type",),
)

NETWORK = object_schema(
    {
        "subnet": _text("id of the subnet, which decides the availability zone"),
        "security_groups": _texts(_GROUPS),
    },
    required=("subnet",),
)

DISK = object_schema(
    {
        "type": _TYPE,
        "iops": _IOPS,
        "throughput": _THROUGHPUT,
        "encrypted": _ENCRYPTED,
        "kms_key_arn": _KMS,
        "availability_zone": _text("only for disks made without a VM; else the VM's zone"),
    }
)

GLOBAL = object_schema(
    {
        "region": _text("AWS region, such as `eu-central-1`", pattern="^[a-z0-9-]+$"),
        "credentials_source": _choice(
            "`static`: the keys below. `env_or_profile`: `AWS_ACCESS_KEY_ID` and its like, else"
            " `~/.aws/credentials`, else the instance's role. `instance_profile`: the role of the"
            " instance the director runs on",
            *("static", "env_or_profile", "instance_profile"),
        ),
        "access_key_id": _text("key id, with `static`"),
        "secret_access_key": _text("secret key, with `static`"),
        "session_token": _text("token of temporary keys, with `static`"),
        "profile": _text("section of `~/.aws/credentials`; `AWS_PROFILE`, else `default`"),
        "default_key_name": _text("key pair of VMs that name none"),
        "default_security_groups": _texts("groups of VMs where neither VM nor network names any"),
        "default_iam_instance_profile": _text("instance profile of VMs that name none"),
        "max_retries": _count(
            "how often a request is sent at most when AWS throttles or fails; 12 if left out",
            maximum=100,
        ),
        "encrypted": _flag("encrypt all volumes; the account's default if left out"),
        "kms_key_arn": _text("key for all encrypted volumes"),
        "metadata_options": METADATA_OPTIONS,
        "ec2_endpoint": _text(
            "another EC2: `host`, `host:port` or a URL", pattern=r"^(https?://)?[^/\s]+/?$"
        ),
        "elb_endpoint": _text(
            "another load balancing endpoint: a URL, or `host`", pattern=r"^(https?://)?[^/\s]+/?$"
        ),
    },
    required=("region",),
)


TABLES: dict[str, Schema] = {
    "The CPI's own properties": GLOBAL,
    "VMs: `vm_types`, `vm_extensions`, `azs`": VM,
    "Networks: manual subnets and dynamic networks": NETWORK,
    "Disks: `disk_types`": DISK,
}
"""The README's tables by their headings; a vip network has no properties."""
