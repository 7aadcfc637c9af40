"""What EC2's own API does not have, through boto3: load balancers, and writing snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from cpis.aws.credentials import Credentials
from cpis.aws.errors import Ec2Fault, judge
from cpis.aws.properties import Settings
from cpis.contract import CloudError
from director.model.ids import VmCid


def client(settings: Settings, keys: Credentials, service: str) -> Any:
    """Return a client of boto3, which retries by itself; raises CloudError without boto3."""
    try:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
    except ImportError as error:
        raise CloudError(
            f"'{service}' needs boto3, which is not installed",
            fix="install the extra 'aws' of this director: pip install 'bosh-director-py[aws]'",
        ) from error
    given = settings.ec2_endpoint if service == "ebs" else settings.elb_endpoint
    return boto3.session.Session().client(
        service,
        region_name=settings.region,
        endpoint_url=given if given is None or "://" in given else f"https://{given}",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        aws_session_token=keys.session_token,
        config=Config(retries={"mode": "standard", "max_attempts": settings.max_retries}),
    )


def asked(service: str, action: str, call: Callable[[], Any]) -> Any:
    """Return what a call of boto3 returns, its errors as CloudError."""
    from botocore.exceptions import (  # type: ignore[import-untyped]
        BotoCoreError,
        ClientError,
    )

    try:
        return call()
    except ClientError as error:
        said = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        fault = Ec2Fault(str(said.get("Code", "")), str(said.get("Message", "")), int(status))
        raise judge(lambda _: False)(f"{service}:{action}", fault).error from error
    except BotoCoreError as error:
        raise CloudError(f"AWS did not answer '{service}:{action}': {error}") from error


def join_balancers(
    make: Callable[[str], Any], cid: VmCid, *, elbs: Iterable[str], target_groups: Iterable[str]
) -> None:
    """Register a VM with classic load balancers and target groups by their names.

    May be called again. AWS takes a VM out by itself when it is terminated.
    """
    for name in elbs:
        _ask(
            "RegisterInstancesWithLoadBalancer",
            make("elb").register_instances_with_load_balancer,
            LoadBalancerName=name,
            Instances=[{"InstanceId": cid}],
        )
    groups = list(target_groups)
    if not groups:
        return
    elb = make("elbv2")
    found = _ask("DescribeTargetGroups", elb.describe_target_groups, Names=groups)
    for group in found["TargetGroups"]:
        arn = group["TargetGroupArn"]
        _ask("RegisterTargets", elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": cid}])


def _ask(action: str, call: Callable[..., Any], **params: Any) -> Any:
    return asked("elasticloadbalancing", action, lambda: call(**params))
