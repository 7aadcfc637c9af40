"""Every error of every template at once: where, what, how to fix it, and no secret in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from director.model.errors import DirectorError, ErrorList, ReleaseInvalid, TemplateError
from director.render.failures import redacted
from director.render.renderer import Renderer


@pytest.mark.parametrize(
    ("text", "line", "what", "fix"),
    [
        (
            "\n\n<%= p('redis.password') %>",
            3,
            "needs property 'redis.password', which has no value",
            "in the manifest, or give it a default in the job's spec",
        ),
        ("<%= p('nothing') %>", 1, "needs property 'nothing', which has no value", "manifest"),
        (
            "<%= p(['prt', 'nix']) %>",
            1,
            "needs property 'prt' or 'nix', which the job's spec does not declare",
            "did you mean 'port'?",
        ),
        (
            "\n<%= link('db').p('pasword') %>",
            2,
            "needs property 'pasword' of link 'db'",
            "in the providing job's spec",
        ),
        ("<%= link('nix') %>", 1, "needs link 'nix', which is not provided", "if_link"),
        ("a\n<% if true %>\nb", 3, "is not valid: syntax error", "correct the template"),
        ("\n<%= p('port').nix %>", 2, "raises NoMethodError: undefined method 'nix' for an", ""),
        ("<%= nix %>", 1, "undefined local variable or method 'nix'", ""),
        ("<%= Nix %>", 1, "uninitialized constant 'Nix'", ""),
        ("<%= spec.nix.more %>", 1, "undefined method 'more' for nil", ""),
        ("<% raise ArgumentError, \"no\\nway\" %>", 1, "raises ArgumentError: no", ""),
        ("<% require 'active_support' %>", 1, "Ruby library 'active_support'", "standard library"),
        ("\n<% exit 1 %>", 2, "ends the program", "raise"),
        ("<% exit! %>", 1, "ended the process it is rendered in", ""),
        ("<% Process.kill(:SEGV, $$) %>", 1, "ended the process it is rendered in (signal ", ""),
        ("<% def f = f; f %>", 1, "raises SystemStackError", ""),
        ("<% x = 'a' * 999_999_999 %>", 1, "more than the 256 MB of memory", ""),
        ("<%= 'a' * 20_000_000 %>", 1, "yields more text than a template may", ""),
        ("<% class E < IOError; def message = raise('x'); end; raise E %>", 1, "raises E:", ""),
        ("<% o = Object.new; def o.to_s = 1; _erbout = o %>", 1, "raises TypeError", ""),
    ],
)  # fmt: skip
def test_one_error(
    renderer: Renderer, request_for: Any, text: str, line: int, what: str, fix: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        renderer.render([request_for({"a.erb": text, "b.erb": "<%= p('port') %>"})])
    assert str(caught.value.where) == f"rel/redis/a.erb:{line}:1"
    assert what in caught.value.what
    assert caught.value.what.endswith("(for web/3)")
    assert fix in (caught.value.fix or "")
    assert "\n" not in caught.value.what


def test_all_errors_of_all_jobs_and_instances(renderer: Renderer, request_for: Any) -> None:
    jobs = {
        "one": {"a.erb": "<%= p('nix') %>", "b.erb": "<%= p('port') %>", "c.j2": "{{ nix }}"},
        "two": {"d.erb": "<% exit! %>", "e.erb": "<%= link('nix') %>"},
    }
    requests = [
        request_for(templates, job=job, index=i, monit="<%= p('monit') %>" if job == "one" else "")
        for i in range(5)
        for job, templates in jobs.items()
    ]
    requests.append(request_for({"f.erb": "x"}, job="three", paths={"f.erb": "../x"}))
    with pytest.raises(ErrorList) as caught:
        renderer.render(requests)
    found = sorted(str(e.where) for e in caught.value.errors)
    assert found == [
        "rel/one/a.erb:1:1",
        "rel/one/c.j2:1:1",
        "rel/one/monit:1:1",
        "rel/three/spec:1:1",
        "rel/two/d.erb:1:1",
        "rel/two/e.erb:1:1",
    ]
    assert "(for web/0, web/1, web/2 and 2 more)" in str(caught.value)


SECRET = "s3cret-Value-of-the-database"


@pytest.mark.parametrize(
    "text",
    [
        "<% raise \"bad #{p('tls')}\" %>",
        "<% raise p('tls.cert')[3..15] %>",
        "<% p('tls').fetch(p('tls.cert')) %>",
        "<% Integer(p('tls.cert')) %>",
        "<% JSON.parse('{' + p('tls.cert')) %>",
        "<% send(p('tls.cert')) %>",
        "<% p('tls.cert').nix %>",
        "<% p(p('tls.cert')) %>",
    ],
)
def test_no_error_shows_a_secret(renderer: Renderer, request_for: Any, text: str) -> None:
    request = request_for(
        {"a.erb": text}, properties={"tls": {"cert": SECRET}}, extra={"secrets": (SECRET,)}
    )
    with pytest.raises(DirectorError) as caught:
        renderer.render([request])
    shown = f"{caught.value!r} {caught.value}"
    assert not any(SECRET[i : i + 8] in shown for i in range(len(SECRET) - 7))
    assert SECRET not in repr(request)


@pytest.mark.parametrize(
    ("message", "secrets", "shown"),
    [
        ("a 12345678 b", ["12345678"], "a <redacted> b"),
        ("a 12345678 b", ["0123456789"], "a <redacted> b"),
        ("pw=abcd.", ["abcd"], "pw=<redacted>."),
        ("pw=abc.", ["abc"], "pw=abc."),
        ("x", [], "x"),
        ("12345678ABCDEFGH", ["12345678", "ABCDEFGH"], "<redacted>"),
    ],
)
def test_redaction(message: str, secrets: list[str], shown: str) -> None:
    assert redacted(message, secrets) == shown


def test_what_the_manifest_gave_is_not_shown_as_a_whole() -> None:
    assert redacted("a s3cret-1 or s3cre", [], ["s3cret-1", "s3"]) == "a <redacted> or s3cre"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a/", "a\nb", "monit", "monit/x",
     ".bosh/links.json", ".bosh", "x" * 300],
)  # fmt: skip
def test_output_paths(request_for: Any, path: str) -> None:
    with pytest.raises(TemplateError, match="is to become") as caught:
        Renderer().render([request_for({"a": "x"}, paths={"a": path})])
    assert caught.value.fix


@pytest.mark.parametrize("paths", [{"a": "x", "b": "x"}, {"a": "x", "b": "x/y"}])
def test_output_paths_that_collide(request_for: Any, paths: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match="template 'b'"):
        Renderer().render([request_for({"a": "x", "b": "y"}, paths=paths)])


def test_archives_that_cannot_be_used(request_for: Any, tmp_path: Path) -> None:
    request = request_for({"a": "x"}, paths={"a": "x", "gone.erb": "y"})
    with pytest.raises(ReleaseInvalid, match=r"lacks the templates gone\.erb"):
        Renderer().render([request])
    for content in (b"", b"\x1f\x8bnonsense", b"nonsense" * 100):
        Path(request.archive).write_bytes(content)
        with pytest.raises(ReleaseInvalid):
            Renderer().render([request])
    Path(request.archive).unlink()
    with pytest.raises(ReleaseInvalid, match="No such file"):
        Renderer().render([request])


def test_an_archive_of_zeroes_is_not_unpacked(request_for: Any) -> None:
    request = request_for({"a": b"\0" * (70 << 20)})
    assert Path(request.archive).stat().st_size < 1 << 20
    with pytest.raises(ReleaseInvalid, match="more than 64 MB"):
        Renderer().render([request])


def test_links_in_an_archive_are_passed_over(request_for: Any) -> None:
    import io
    import tarfile

    request = request_for({"a": "x"})
    with tarfile.open(request.archive, "w:gz") as tar:
        member = tarfile.TarInfo("templates/a")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    with pytest.raises(ReleaseInvalid, match="lacks the templates a"):
        Renderer().render([request])
