"""What is written reads back as the same, and places lead back to the operator's files."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from director.manifest.emit import emit, line_map
from director.manifest.located_yaml import load_located
from director.manifest.ops_files import patch
from director.model.source import Source

TRICKY = (
    *("y", "no", "~", "", "010", "1.10", "12:30", "2020-01-01", "=", "<<", "a: b", "a\nb\n"),
    *("- x", "#", " x ", "\tx", "x\n\n", "\n", "1_000", "0x1f", "null", ".inf", "%", "'", "é"),
)
texts = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
)
keys = texts.filter(lambda text: text != "<<" and text not in ("", "~", "null"))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(documents)
def test_reads_back_as_the_same(data):
    assert load_located(emit(data), "m").data == data


def test_order_versions_and_blocks_are_kept():
    data = load_located("z: 1\na: 1.10\nc: |\n  one\n  two\n", "m").data
    assert emit(data) == "z: 1\na: 1.10\nc: |\n  one\n  two\n"


def test_no_anchors_are_written():
    shared = {"x": 1}
    assert "&" not in emit([shared, shared])


def test_places_in_the_sent_text_lead_back():
    manifest = load_located("# comment\n\nname:   a\ng:\n- n: web\n  i: 1\n", "m.yml")
    ops = load_located("- {type: replace, path: '/g/0:before', value: {n: mid}}\n", "ops.yml")
    changed = patch(manifest, ops)
    sent = emit(changed.data)
    assert sent == "name: a\ng:\n- 'n': mid\n- 'n': web\n  i: 1\n"
    back = line_map(sent, changed.sources)
    assert back(1, 7) == Source("m.yml", 3, 9)
    assert back(3, 8) == Source("ops.yml", 1, 51)
    assert back(5, 6) == Source("m.yml", 6, 6)
    assert back(99, 1) == Source("m.yml", 6, 6)
