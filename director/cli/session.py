"""One run of the command line: its options, its output, and its director, opened at first use."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from director.cli.options import GlobalOptions
from director.cli.ui import Ui
from director.model.errors import DirectorError, UsageError

if TYPE_CHECKING:
    from director.cli.progress import Progress
    from director.client.http import Http
    from director.client.tasks import TaskInfo

_UUID_START = re.compile(r"[0-9a-f]{4,8}(-[0-9a-f-]*)?\Z")
_UUID_LENGTH = 36


class Session:
    """What commands act through. ``abandoned``: leave without ending the director in order.

    ``translate`` turns positions in what a director read into positions in the operator's files.
    """

    def __init__(self, options: GlobalOptions, ui: Ui) -> None:
        self.options = options
        self.ui = ui
        self.abandoned = False
        self.translate: Callable[[str], str] = str
        self._stack = ExitStack()
        self._http: Http | None = None
        self._deployment: str | None = None

    @property
    def http(self) -> Http:
        """The director: the one at ``-e``, or one in this process."""
        if self._http is None:
            self._http = (self.options.connect or connect)(self.options, self._stack)
            self._stack.callback(self._http.close)
        return self._http

    @property
    def embedded(self) -> bool:
        """Whether the director runs in this process."""
        return not self.options.environment

    def deployment(self) -> str:
        """Return the deployment to act on: that of ``-d``, or the only one there is."""
        if self.options.deployment:
            return self.options.deployment
        if self._deployment is None:
            self._deployment = self._only_deployment()
            self.ui.line(f"Using deployment '{self._deployment}'")
        return self._deployment

    def run(self, task_id: int, *, quiet: bool = False) -> TaskInfo:
        """Follow a task to its end; raises TaskFailed unless it is done.

        ``quiet`` shows nothing but errors: for tasks that only collect what is then shown.
        """
        from director.cli.track import expect_done

        progress = self._progress(quiet=quiet)
        task = self.follow(task_id, progress)
        return expect_done(task, progress.errors())

    def follow(self, task_id: int, progress: Progress, kind: str = "event") -> TaskInfo:
        """Follow a task to its end, whichever that is."""
        from director.cli.interrupts import Interrupts
        from director.cli.track import track

        with Interrupts() as interrupts:
            return track(
                self.http,
                task_id,
                progress=progress,
                interrupts=interrupts,
                say=self.ui.note,
                kind=kind,
            )

    def result(self, task_id: int) -> str:
        """Follow a task quietly and return its result output."""
        from director.client.tasks import read_result

        self.run(task_id, quiet=True)
        return read_result(self.http, task_id)

    def full_id(self, group: str | None, instance: str | None) -> str | None:
        """Return the whole id of an instance named by the beginning of it; others stay."""
        short = (
            group
            and instance
            and not instance.isdigit()
            and len(instance) < _UUID_LENGTH
            and _UUID_START.match(instance)
        )
        if not short:
            return instance
        from director.client.instances import list_brief

        known = list_brief(self.http, self.deployment())
        found = [id_ for job, id_ in known if job == group and id_.startswith(instance or "")]
        if len(found) > 1:
            raise UsageError(
                f"'{group}/{instance}' is the beginning of {len(found)} instances",
                fix="give more of the id",
            )
        return found[0] if found else instance

    def explain(self, error: DirectorError) -> str:
        """Return an error's text, with positions in the operator's own files."""
        return self.translate(str(error))

    def close(self) -> None:
        """Close the connection and end a director in this process, unless it is abandoned.

        An abandoned one is kept as it is: ending it would wait for its tasks.
        """
        if not self.abandoned:
            self._stack.close()

    def _only_deployment(self) -> str:
        from director.client.deployments import list_deployments

        names = [deployment.name for deployment in list_deployments(self.http)]
        if len(names) == 1:
            return names[0]
        if not names:
            raise UsageError("there is no deployment", fix="deploy one: director deploy MANIFEST")
        raise UsageError(
            f"there are {len(names)} deployments", fix=f"name one with -d: {', '.join(names)}"
        )

    def _progress(self, *, quiet: bool) -> Progress:
        from director.cli.progress import PlainProgress, SilentProgress

        if quiet:
            return SilentProgress(translate=self.translate)
        if self.ui.tty and sys.stdout.isatty():
            from director.cli.live_progress import LiveProgress

            return LiveProgress(
                sys.stdout, width=self.ui.width, color=self.ui.color, translate=self.translate
            )
        return PlainProgress(self.ui.growing_block(), translate=self.translate)


def connect(options: GlobalOptions, stack: ExitStack) -> Http:
    """Connect to the director at ``-e``, or start one in this process that ends with ``stack``."""
    from director.client.http import over_socket, to_url

    if options.environment:
        return to_url(
            options.environment,
            ca_cert=options.ca_cert,
            client=options.client or "",
            secret=options.client_secret,
        )
    from director.app import embedded

    home = Path(options.home or "~/.director").expanduser().absolute()
    return over_socket(Path(stack.enter_context(embedded(home))))


def open_session(options: GlobalOptions) -> Session:
    """Return a session that writes to this process's standard output."""
    terminal = sys.stdout.isatty()
    tty = options.tty or terminal
    color = terminal and not options.no_color and "NO_COLOR" not in os.environ
    ui = Ui(
        out=sys.stdout,
        err=sys.stderr,
        json_mode=options.json,
        tty=tty,
        color=color and os.environ.get("TERM") != "dumb",
        width=shutil.get_terminal_size((80, 24)).columns,
        columns=options.column,
        interactive=not options.non_interactive,
        ask=sys.stdin.readline if sys.stdin is not None and sys.stdin.isatty() else None,
    )
    return Session(options, ui)
