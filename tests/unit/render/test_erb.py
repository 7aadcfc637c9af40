"""ERB templates see what BOSH shows them. Source: BOSH's documentation of job templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Render = Callable[..., dict[str, str]]

CASES: list[tuple[str, str]] = [
    # p
    ("<%= p('port') %>", "80"),
    ("<%= p('off') %>", "false"),
    ("<%= p('off', true) %>", "false"),
    ("<%= p('nix', 5) %>", "5"),
    ("<%= p('nothing', nil).inspect %>", "nil"),
    ("<%= p(['nix', 'tls.cert']) %>", "C"),
    ("<%= p(['nix', 'nothing'], 'd') %>", "d"),
    ("<%= p('tls')['names'].join(',') %>", "a,b"),
    ("<%= p('tls.names').to_json %>", '["a","b"]'),
    # if_p
    ("<% if_p('port', 'off') do |a, b| %><%= a %><%= b %><% end %>", "80false"),
    ("<% if_p('nix') do %>x<% end.else do %>y<% end %>", "y"),
    ("<% if_p('nix') do %>x<% end.else_if_p('port') do |v| %><%= v %><% end %>", "80"),
    ("<% if_p('port') do %>x<% end.else_if_p('port') do %>y<% end.else do %>z<% end %>", "x"),
    ("<% if_p('nix') do %><% end.else_if_p('nix') do %>y<% end.else do %>z<% end %>", "z"),
    ("<% if_p('nix') do %><% end.else_if_link('db') do |l| %><%= l.p('port') %><% end %>", "5432"),
    # spec
    ("<%= spec.deployment %> <%= spec.name %>/<%= spec.index %> <%= spec.az %>", "dep web/3 z1"),
    ("<%= spec.nix.inspect %> <%= spec.networks.nix.inspect %>", "nil nil"),
    ("<%= spec.networks.default.ip %> <%= spec.networks.default.dns[0] %>", "10.0.0.3 1.1.1.1"),
    ("<%= spec.networks.methods(false).grep(/other/).first %>", "other"),
    ("<%= spec.networks.send(spec.networks.methods(false).first).ip %>", "10.0.0.3"),
    ("<%= spec.properties.tls.cert %> <%= spec.to_h.key?(:id) %>", "C true"),
    # legacy
    (
        "<%= name %>/<%= index %> <%= properties.tls.cert %> <%= properties.nix.inspect %>",
        "web/3 C nil",
    ),
    ("<%= properties.list.map(&:name).join %> <%= properties.tls.names.last %>", "x b"),
    ("<%= raw_properties['port'] %>", "80"),
    # links
    ("<%= link('db').instances.map(&:address).join(',') %>", "9.0,9.1"),
    ("<%= link('db').instances[1].az %><%= link('db').instances[1].bootstrap.inspect %>", "z2nil"),
    ("<%= link('db').p('user.name') %> <%= link('db').properties['port'] %>", "me 5432"),
    ("<%= link('db').p('nix', 'd') %>", "d"),
    ("<% link('db').if_p('nix') { }.else do %>none<% end %>", "none"),
    ("<%= link('db').instances.first.p('port') %>", "5432"),
    (
        "<%= link('db').address %> <%= link('db').address(azs: ['z2'], status: 'healthy') %>",
        "9.0 9.1",
    ),
    (
        "<%= link('manual').address %> <%= link('manual').instances[0].index.inspect %>",
        "literal nil",
    ),
    ("<% if_link('db') do |l| %><%= l.instances.size %><% end.else do %>no<% end %>", "2"),
    ("<% if_link('nix') do |l| %>x<% end.else_if_p('port') do |v| %><%= v %><% end %>", "80"),
    ("<% if_link('nix') do |l| %>x<% end.else do %>no<% end %>", "no"),
    # the language
    ("<%- if true -%>\n  a\n  <%- end -%>\nb\n", "  a\nb\n"),
    ("a\n<% 1 %>\nb\n", "a\n\nb\n"),
    ("<%% a %%> <%# c %>é", "<% a %%> é"),
    (
        "<%= [nil, '', ' ', [], 0, 'a'].map(&:blank?).join(' ') %>",
        "true true true true false false",
    ),
    ("<%= 'a'.present? %> <%= ''.presence.inspect %>", "true nil"),
    ('<%= Shellwords.escape("it\'s") %> <%= [1, 2].shelljoin %>', "it\\'s 1 2"),
    ("<%= JSON.dump('a' => 1) %> <%= { 'a' => 1 }.to_yaml %>", '{"a":1} ---\na: 1\n'),
    ("<%= YAML.load('a: [1]')['a'] %> <%= Base64.strict_encode64('a') %>", "[1] YQ=="),
    ("<% require 'json'; require 'digest' %><%= Digest::SHA256.hexdigest('')[0, 4] %>", "e3b0"),
    ("<% require 'openssl' %><%= OpenSSL::Digest.hexdigest('SHA1', '')[0, 4] %>", "da39"),
    ('<% require "socket" %><%= Socket.name %>', "Socket"),
    ("<%= IPAddr.new('10.0.0.0/8').include?('10.1.1.1') %>", "true"),
    ("<%= Struct.new(:a).new(1).a %> <% Link = 1 %><%= Link %>", "1 1"),
    ("<% def twice(x) = x * 2 %><%= twice(2) %>", "4"),
    ("<% puts 'x'; warn 'y'; $stdout.write('z') %>a", "a"),
    ("<%= 'a'.encode('UTF-16LE').bytesize %> <%= Time.now.zone %>", "2 UTC"),
]


def test_what_templates_see(outputs: Render) -> None:
    """All in one job, so that one process start serves them; the table reads as one case a row."""
    templates = {f"{n:02}.erb": text for n, (text, _) in enumerate(CASES)}
    shown = outputs(templates)
    found = {CASES[n][0]: shown[f"{n:02}.erb"] for n in range(len(CASES))}
    assert found == dict(CASES)


def test_monit_sees_the_same(outputs: Render) -> None:
    shown = outputs({}, monit="check process <%= name %>-<%= p('port') %>\n")
    assert shown["monit"] == "check process web-80\n"


def test_what_one_template_changes_another_does_not_see(outputs: Render) -> None:
    shown = outputs(
        {
            "a.erb": "<% p('tls')['names'] << 'x'; spec.az = 'y'; @seen = 1 %>",
            "b.erb": "<%= p('tls.names').size %><%= spec.az %><%= @seen.inspect %>",
        }
    )
    assert shown["b.erb"] == "2z1nil"


def test_bytes_that_are_no_utf_8_stay(request_for: Any, renderer: Any) -> None:
    (job,) = renderer.render([request_for({"a.erb": b"\xff\r\n<%= p('port') %>", "b": b"\xfe\0"})])
    assert [f.content for f in job.files if f.path.startswith("out/")] == [b"\xff\r\n80", b"\xfe\0"]


@pytest.mark.parametrize("value", ["x" * 300_000, {"k" * 50: [1] * 1000}, "line\u2028\u0000é"])
def test_large_and_odd_values_arrive(outputs: Render, value: object) -> None:
    shown = outputs(
        {"a.erb": "<%= p('v') == JSON.parse(p('v').to_json) %><%= p('v').size %>"},
        properties={"v": value},
    )
    assert shown["a.erb"] == f"true{len(value)}"  # type: ignore[arg-type]
