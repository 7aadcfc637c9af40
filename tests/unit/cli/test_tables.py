"""Tables: aligned in a pipe, fitted to a terminal, and harmless."""

from __future__ import annotations

import io

import pytest

from director.cli.instance_table import Shown, columns, rows, size, uptime
from director.cli.listing import PROSE
from director.cli.table import Failing, Table, column_key, moment, version_order
from director.cli.terminal_table import draw, shorten_ids
from director.cli.ui import Ui, harmless
from director.client.instances import parse_full


@pytest.fixture
def listing(instance_row, as_lines):
    """Instances as a small deployment has them."""
    states = {"job_state": "failing", "ips": ["10.244.0.4", "10.255.0.4"], "index": 1}
    infos = parse_full(
        as_lines(
            [
                instance_row(),
                instance_row(**states),
                instance_row("redis-smoke-tests", index=2, job_state=None, ips=[], processes=[]),
            ]
        )
    )

    def table(shown: Shown) -> Table:
        header = [title for title, _, _ in columns(shown)]
        return Table(
            content="instances", header=header, rows=rows(shown, infos), prose=PROSE, counted=3
        )

    return table


SHOWN = {
    "instances": Shown(),
    "ps": Shown(processes=True),
    "details": Shown(details=True),
    "vitals": Shown(vitals=True),
    "vms": Shown(vm=True),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("width", [80, 132])
def test_in_a_terminal(name, width, listing, golden):
    text = draw(listing(SHOWN[name]), width=width, color=False)
    assert max(len(line) for line in text.splitlines()) <= width
    golden(f"cli/{name}-{width}.txt", text)


@pytest.mark.parametrize("name", SHOWN)
def test_in_a_pipe(name, listing, golden):
    text = listing(SHOWN[name]).to_text()
    assert len(text.splitlines()) == 4 if name != "ps" else 6
    golden(f"cli/{name}-pipe.txt", text + "\n")


def test_prose_is_folded_before_a_table_is_given_up():
    table = Table(
        content="tasks",
        header=["ID", "Result"],
        rows=[["1", "a long result that goes on and on " * 3]],
        prose=frozenset({"Result"}),
    )
    lines = draw(table, width=40, color=False).splitlines()
    assert lines[0].split() == ["ID", "Result"]
    assert max(map(len, lines)) <= 40
    assert sum("on and on" in line or "a long" in line for line in lines) >= 3


def test_no_letter_of_folded_prose_is_lost():
    text = "director-debian-12/12.20261120175822"
    for width in range(40, 90):
        table = Table(
            content="",
            header=["Instance", "A long Description", "VM CID", "Stemcell"],
            rows=[["web/0", "words " * 9, "vm-58dce89ca2d598bd", text]],
            prose=frozenset({"A long Description", "VM CID", "Stemcell"}),
        )
        lines = draw(table, width=width, color=False).splitlines()
        assert max(map(len, lines)) <= width
        if "Instance  A" in lines[0]:
            place = lines[0].index("Stemcell")
            assert "".join(line[place:].strip() for line in lines[1:]) == text
            assert "Description" in lines[0] + lines[1], "no word of a title is broken"


def test_failing_cells_are_red_only_with_colors():
    table = Table(content="", header=["State"], rows=[[Failing("failing")]])
    assert "\x1b[31mfailing" in draw(table, width=80, color=True)
    assert "\x1b" not in draw(table, width=80, color=False)


def test_repeated_names_are_a_tilde():
    table = Table(content="releases", header=["Name", "V"], rows=[["a", "2"], ["a", "1"]])
    assert draw(table, width=80, color=False).splitlines()[1:3] == ["a     2", "~     1"]
    assert table.to_text().splitlines()[1:] == ["a     2", "a     1"]


def test_text_of_others_does_nothing_to_a_terminal():
    out = io.StringIO()
    ui = Ui(out=out, err=io.StringIO(), tty=True)
    ui.table(Table(content="", header=["A"], rows=[["x\x1b]0;title\x07\rdone"]]))
    ui.block("\x1b[2Jgone")
    ui.diff([("evil\x1b[1A", "added")])
    assert "\x1b" not in out.getvalue()
    assert "\r" not in out.getvalue()
    assert harmless("a\tb\n") == "a\tb\n"


def test_a_reader_that_leaves_early_stops_nothing():
    class Closed(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    ui = Ui(out=Closed(), err=io.StringIO())
    ui.block("one")
    ui.block("two")
    assert ui.broken


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("YES\n", True), ("\n", False)])
def test_question(answer, goes_on):
    from director.model.errors import UsageError

    ui = Ui(out=io.StringIO(), err=io.StringIO(), tty=True, ask=lambda: answer)
    if goes_on:
        ui.confirm()
    else:
        with pytest.raises(UsageError, match="nothing was changed"):
            ui.confirm()


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("VM CID", "vm_cid"),
        ("Release(s)", "release_s"),
        ("Load\n(1m, 5m, 15m)", "load_1m_5m_15m"),
        ("", "_"),
    ],
)
def test_column_key(title, key):
    assert column_key(title) == key


def test_small_things():
    assert moment(1795179798) == "Fri Nov 20 13:03:18 UTC 2026"
    assert moment(None) == "-"
    assert uptime(90061) == "1d 1h 1m 1s"
    assert uptime(None) == ""
    assert [size(kb) for kb in (1, 2048, "1140704", "x")] == ["1.0 kB", "2.1 MB", "1.2 GB", ""]
    assert sorted(["1.10", "1.9", "1.2"], key=version_order) == ["1.2", "1.9", "1.10"]
    assert shorten_ids("redis/0d70bd1f-5f00-4f00-8f00-0123456789ab (0)") == "redis/0d70bd1f (0)"
