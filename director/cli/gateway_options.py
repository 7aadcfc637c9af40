"""The options of the gateway to instances, shared by ssh, scp and logs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from director.cli.ssh import Gateway


def gateway_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the ``--gw-*`` options, as one argument ``gateway``."""

    @functools.wraps(function)
    def with_gateway(*args: Any, **kwargs: Any) -> Any:
        gateway = Gateway(
            user=kwargs.pop("gw_user"),
            host=kwargs.pop("gw_host"),
            key=kwargs.pop("gw_private_key"),
            disabled=kwargs.pop("gw_disable"),
        )
        return function(*args, gateway=gateway, **kwargs)

    options = (
        click.option("--gw-user", envvar="BOSH_GW_USER", help="The user on the gateway."),
        click.option("--gw-host", envvar="BOSH_GW_HOST", help="A gateway to go through."),
        click.option(
            "--gw-private-key",
            envvar="BOSH_GW_PRIVATE_KEY",
            metavar="PATH",
            help="The key for the gateway.",
        ),
        click.option(
            "--gw-disable", envvar="BOSH_GW_DISABLE", is_flag=True, help="Use no gateway."
        ),
    )
    for option in reversed(options):
        with_gateway = option(with_gateway)
    return with_gateway
