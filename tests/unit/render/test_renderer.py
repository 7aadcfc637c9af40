"""Rendering jobs: Ruby only where it is needed, once for equal input, in the order asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from director.model.errors import TemplateError
from director.render.renderer import Renderer


def no_programs(_name: str) -> None:
    return None


def test_texts_and_jinja_need_no_ruby(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer(find=no_programs)
    text = request_for({"a.erb": "plain {{ text }}\r\n"}, monit="check process x\n", job="text")
    jinja = request_for({"b.j2": "{{ p('port') }}"}, job="jinja")
    jobs = renderer.render([text, jinja, request_for(job="empty")])
    assert [(f.path, f.content) for f in jobs[0].files] == [
        (".bosh/links.json", b"[]"),
        ("out/a.erb", b"plain {{ text }}\r\n"),
    ]
    assert jobs[0].monit == b"check process x\n"
    assert jobs[1].files[1].content == b"80"
    assert [j.name for j in jobs] == ["text", "jinja", "empty"]


def test_a_missing_ruby_is_named(new_renderer: Any, request_for: Any) -> None:
    with pytest.raises(TemplateError, match="Ruby is not installed") as caught:
        new_renderer(find=no_programs).render([request_for({"a.erb": "<%= 1 %>"})])
    assert "apt-get install ruby" in str(caught.value.fix)


def test_a_broken_ruby_shows_its_words(new_renderer: Any, request_for: Any, tmp_path: Path) -> None:
    broken = tmp_path / "ruby"
    broken.write_text("#!/bin/sh\necho 'no such library' >&2; exit 1\n")
    broken.chmod(0o755)
    with pytest.raises(TemplateError, match="does not start: no such library"):
        new_renderer(ruby=str(broken)).render([request_for({"a.erb": "<%= 1 %>"})])


def test_equal_input_is_rendered_once(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer(workers=1)
    text = {"a.erb": "<%= rand %>", "b.j2": "{{ range(99999999) and 1 if false else p('port') }}"}
    first, same, other = renderer.render(
        [request_for(text), request_for(text), request_for(text, index=9)]
    )
    assert first == same
    assert first.digest != other.digest
    assert renderer.render([request_for(text)]) == [first]
    changed = request_for({**text, "a.erb": "<%= rand %> "})
    assert renderer.render([changed]) != [first]


def test_many_instances_and_threads(renderer: Renderer, request_for: Any) -> None:
    requests = [
        request_for({"a.erb": "<%= index %>", "b.j2": "{{ index }}"}, index=n) for n in range(70)
    ]

    def run(_: int) -> list[bytes]:
        return [f.content for job in renderer.render(requests) for f in job.files[1:]]

    expected = [str(n).encode() for n in range(70) for _ in "ab"]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(4))) == [expected] * 4
    assert len(renderer.worker_pids()) <= 4


def test_a_library_asked_for_later_is_there(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer(workers=1)
    plain = request_for({"a.erb": "<%= 1 %>"}, job="plain")
    needing = request_for({"a.erb": "<% require 'openssl' %><%= OpenSSL.name %>"}, job="needing")
    csv = request_for({"a.erb": "<% require 'csv' %><%= CSV.name %>"}, job="csv")
    jobs = [renderer.render([one])[0] for one in (plain, needing, csv, needing)]
    assert [job.files[1].content for job in jobs] == [b"1", b"OpenSSL", b"CSV", b"OpenSSL"]
    assert len(renderer.worker_pids()) == 1


def test_nothing_prints_content(renderer: Renderer, request_for: Any) -> None:
    request = request_for({"a.erb": "s3cret<%= 1 %>"}, properties={"password": "hunter22"})
    (job,) = renderer.render([request])
    assert "s3cret" not in repr(job)
    assert "hunter22" not in repr(request)


def test_a_worker_started_beforehand_is_used(new_renderer: Any, request_for: Any) -> None:
    renderer = new_renderer()
    renderer.warm_up(["a.erb", "b.erb"])
    renderer.warm_up(["c.erb"])
    renderer.render([request_for({"a.erb": "<%= 1 %>"})])
    assert len(renderer.worker_pids()) == 1
    renderer.warm_up(["a.erb"])
    renderer.close()
    assert renderer.worker_pids() == ()


def test_what_cannot_be_started_beforehand_is_told_when_needed(
    new_renderer: Any, request_for: Any
) -> None:
    renderer = new_renderer(find=no_programs)
    renderer.warm_up(["a.erb", "b.j2"])
    assert renderer.render([request_for({"b.j2": "{{ p('port') }}"})])[0].files[1].content == b"80"
    with pytest.raises(TemplateError, match="Ruby is not installed"):
        renderer.render([request_for({"a.erb": "<%= 1 %>"})])


def test_closing_ends_a_worker_that_is_being_started(new_renderer: Any) -> None:
    renderer = new_renderer()
    renderer.warm_up(["b.j2"])
    renderer.close()
    assert renderer.worker_pids() == ()
