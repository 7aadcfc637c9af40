"""The program ``director``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence

import click

from director.cli.command import FAILED, Commands
from director.cli.interrupts import LEFT_EXIT_CODE, LeaveNow
from director.cli.options import Connect, GlobalOptions, global_options
from director.model.errors import DirectorError

HELP = """Deploy and keep alive clusters of stateful VMs, from BOSH's manifests and releases.

Without -e the director runs in this process and keeps its state in --home: there is no server
to set up.
"""

_OBJECTS_BETWEEN_COLLECTIONS = 50_000

_NEVER_USED = ("invoke",)
"""What paramiko imports where it is installed and works without: a runner of local commands."""


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"director {version('bosh-director-py')}")
        context.exit()


def _no_callback() -> None:
    """Do nothing: the options keep themselves, and the command does the work."""


def make_program() -> Commands:
    """Return the command line as a click command."""
    return Commands(
        "director",
        help=HELP,
        params=[
            *global_options(with_environment=True),
            click.Option(
                ("--version", "-v"),
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_version,
                help="Show the version.",
            ),
        ],
        callback=_no_callback,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        no_args_is_help=False,
        invoke_without_command=False,
    )


def run(
    args: Sequence[str],
    *,
    connect: Connect | None = None,
    leave: Callable[[int], None] = os._exit,
) -> int:
    """Run a command line and return its exit code; errors are shown, never raised.

    ``connect`` stands in for the usual way to a director. ``leave`` ends the process after a
    Ctrl-C without waiting for threads: the task of a director in this process ends half-way, the
    next director marks it, and the same command goes on from there.
    """
    options = GlobalOptions(connect=connect)
    program = make_program()
    if not args and "_DIRECTOR_COMPLETE" not in os.environ:
        args = ["--help"]
    try:
        code = program.main(
            args=list(args), prog_name="director", standalone_mode=False, obj=options
        )
    except click.exceptions.Exit as left:
        return left.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        # Click turns the interrupt into its Abort.
        hurried = isinstance(error.__cause__ or error, LeaveNow)
        _say("Left without waiting" if hurried else "Interrupted")
        sys.stdout.flush()
        leave(LEFT_EXIT_CODE)
        return LEFT_EXIT_CODE
    except click.ClickException as error:
        _say(_usage_text(error))
        return FAILED
    except DirectorError as error:
        _say(str(error))
        return FAILED
    except Exception as error:  # the edge: an operator gets one line, not a traceback
        if options.debug:
            raise
        _say(_internal_text(error))
        return FAILED
    return code if isinstance(code, int) else 0


def main() -> None:
    """Run the command line of this process and exit."""
    _start_fast()
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass  # Nobody reads on, and nobody needs to be told.
        except OSError as error:
            _say(f"the output could not be written: {error.strerror}")
            code = code or FAILED
    # All that was opened is closed. Taking the interpreter apart would cost a tenth of a second,
    # and would wait for threads that wait for silent machines.
    os._exit(code)


def _start_fast() -> None:
    """Do without what only costs time at every start; for a process of one's own."""
    # Importing makes a great many objects and next to no garbage to look for among them.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    for module in _NEVER_USED:
        sys.modules.setdefault(module, None)  # type: ignore[arg-type]


def _usage_text(error: click.ClickException) -> str:
    text = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    return f"{text}\n  Fix: see '{context.command_path} --help'"


def _internal_text(error: Exception) -> str:
    cause = " ".join(str(error).split()) or "no further text"
    return (
        f"internal error: {type(error).__name__}: {cause[:300]}\n"
        "  Fix: run the command again with --debug (or DIRECTOR_DEBUG=1) and report what it shows"
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
