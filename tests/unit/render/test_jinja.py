"""Jinja2 templates see the same data as ERB ones, and nothing behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from director.model.errors import DirectorError

Render = Callable[..., dict[str, str]]

CASES: list[tuple[str, str]] = [
    ("{{ p('port') }} {{ p('off') }} {{ p('nix', 5) }}", "80 False 5"),
    ("{{ p(['nix', 'tls.cert']) }} {{ p('nothing', none) }}", "C None"),
    ("{% set v = if_p('port', 'tls.cert') %}{% if v %}{{ v[0] }}{{ v[1] }}{% endif %}", "80C"),
    ("{% if if_p('nix') %}x{% else %}y{% endif %}", "y"),
    ("{{ spec.networks.default.ip }} {{ spec.name }}/{{ index }} {{ name }}", "10.0.0.3 web/3 web"),
    ("{{ properties.tls.update }} {{ properties.list[0].name }}", "u x"),
    (
        "{% for i in link('db').instances %}{{ i.address }},{{ i.az }} {% endfor %}",
        "9.0,z1 9.1,z2 ",
    ),
    ("{{ link('db').p('user.name') }} {{ link('db').properties.port }}", "me 5432"),
    ("{{ link('db').address() }} {{ link('db').address(azs=['z2']) }}", "9.0 9.1"),
    ("{{ link('manual').address() }}", "literal"),
    ("{% if if_link('nix') %}x{% else %}none{% endif %}", "none"),
    ("{{ p('tls.names') | to_json }} {{ \"it's\" | shell_quote }}", '["a", "b"] \'it\'"\'"\'s\''),
    ("<b>{{ '<&>' }}</b>\n", "<b><&></b>\n"),
    ("{% include '00.j2' %}", "80 False 5"),
]


def test_what_templates_see(outputs: Render) -> None:
    shown = outputs({f"{n:02}.j2": text for n, (text, _) in enumerate(CASES)})
    found = {CASES[n][0]: shown[f"{n:02}.j2"] for n in range(len(CASES))}
    assert found == dict(CASES)


def test_monit_may_be_jinja(outputs: Render) -> None:
    shown = outputs({}, monit="check {{ name }}\n", monit_name="monit.j2")
    assert shown["monit"] == "check web\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\n{{ p('redis.password') }}", 2, "needs property 'redis.password', which has no value"),
        ("\n\n{{ nix }}", 3, "uses what is not there: 'nix' is undefined"),
        ("{{ spec.nix.more }}", 1, "uses what is not there"),
        ("{{ link('nix') }}", 1, "needs link 'nix'"),
        ("\n{% if %}", 2, "is not valid"),
        ("{{ 1 / 0 }}", 1, "raises ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("{{ p.__globals__ }}", 1, "unsafe"),
        ("{{ spec.update({}) }}", 1, "unsafe"),
        ("{{ p('tls.names').append(1) }}", 1, "unsafe"),
        ("{% include '/etc/passwd' %}", 1, "raises TemplateNotFound"),
        ("{% for a in range(9999999) %}{% endfor %}", 1, "raises OverflowError"),
        ("{{ 'x' * 10 ** 9 }}", 1, "more than the 256 MB"),
    ],
)
def test_failures(outputs: Render, text: str, line: int, says: str) -> None:
    with pytest.raises(DirectorError) as caught:
        outputs({"a.j2": text})
    assert str(caught.value.where) == f"rel/redis/a.j2:{line}:1"
    assert says in str(caught.value)
    assert caught.value.fix


def test_a_loop_without_end_is_ended(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer(timeout_s=1)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    request = request_for({"a.j2": endless, "b.j2": "{{ p('nix') }}"})
    with pytest.raises(DirectorError) as caught:
        renderer.render([request])
    assert "is not done after 1 seconds" in str(caught.value)
    assert "needs property 'nix'" in str(caught.value)
