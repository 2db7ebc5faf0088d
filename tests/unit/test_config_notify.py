"""Channels in drd.yaml: what is understood, and mistakes with their lines and remedies."""

from __future__ import annotations

from pathlib import Path

import pytest

from drd.config.daemon import load_settings
from drd.errors import ConfigError
from drd.model.message import DEFAULT_EVENTS, ChannelSpec
from drd.model.plan import Heartbeat, SecretRef
from drd.notifiers.smtp import SmtpSettings
from drd.notifiers.webhook import WebhookSettings
from tests.config_support import GOOD, load, problems


def read(directory: Path, text: str) -> tuple[ChannelSpec, ...]:
    path = directory / "drd.yaml"
    path.write_text(text)
    return load_settings(path, explicit=True).channels


WHOLE = """\
notify:
  - {kind: webhook, url: {credential: hook}, secret: {file: /etc/k}, on: [firing], plans: orders-*}
  - {kind: webhook, name: webhook-2, url: {credential: b}, min_severity: warning}
  - {kind: webhook, url: {credential: c}, severity: [info, critical]}
  - kind: smtp
    host: mail.example.com
    user: drd
    password: {credential: mail}
    sender: drd@example.com
    to: [oncall@example.com]
    plans: [billing, shop]
  - {kind: exec, command: [/usr/local/bin/page, --now], timeout: 5s}
  - {kind: apprise, url: {credential: chat}}
  - {kind: heartbeat, url: {credential: beat}, every: 5m}
  - {kind: heartbeat, url: {credential: beat2}, plans: [billing], on: [drill]}
"""


def test_every_kind_is_understood_and_named(tmp_path: Path) -> None:
    found = read(tmp_path, WHOLE)
    assert [c.name for c in found] == [
        "webhook-1",
        "webhook-2",
        "webhook-3",
        "smtp-1",
        "exec-1",
        "apprise-1",
        "heartbeat-1",
        "heartbeat-2",
    ]
    first, second, third, mail, *_, own, of_billing = found
    assert (first.on, first.plans) == (("firing",), ("orders-*",))
    assert isinstance(first.settings, WebhookSettings)
    assert first.settings.secret == SecretRef("file", "/etc/k")
    assert (second.on, second.severities) == (DEFAULT_EVENTS, ("critical", "warning"))
    assert third.severities == ("critical", "info")
    assert isinstance(mail.settings, SmtpSettings)
    assert (mail.settings.tls, mail.plans) == ("starttls", ("billing", "shop"))
    assert own.settings == Heartbeat(SecretRef("credential", "beat"), every_s=300.0)
    assert of_billing.settings == Heartbeat(SecretRef("credential", "beat2"), on=("drill",))
    assert load_settings(tmp_path / "drd.yaml", explicit=True).warnings == ()


def test_without_channels_there_are_none(tmp_path: Path) -> None:
    assert read(tmp_path, "plans: p\n") == ()
    assert load_settings(tmp_path / "none.yaml", explicit=False).channels == ()


BROKEN = [
    ("{url: {env: X}}", "notify[0].kind", "kind is missing", "write its kind, for example `kind: webhook`."),
    ("{kind: mail}", "notify[0].kind", 'unknown kind "mail"', "use one of: webhook, smtp, exec, apprise, heartbeat."),
    ("{kind: webhook}", "notify[0].url", "url is missing", "add the key `url`: the URL that drd sends messages to."),
    ("{kind: webhook, url: 'https://x/y'}", "notify[0].url", "a secret must be a reference", "use {file: PATH}, {env: NAME}, {credential: NAME} or {command: [WORD, …]}."),
    ("{kind: webhook, url: {env: X}, secrets: {env: Y}}", "notify[0].secrets", 'unknown key "secrets"', 'did you mean "secret"?'),
    ("{kind: webhook, url: {env: X}, on: [fired]}", "notify[0].on[0]", '"fired" is not allowed here', "write firing, acknowledged, resolved, incident, letter, backup, drill, recovery, copy, retention, prune or verification."),
    ("{kind: webhook, url: {env: X}, on: []}", "notify[0].on", "is empty", "give the key a value, or remove the line."),
    ("{kind: webhook, url: {env: X}, name: My Hook}", "notify[0].name", '"My Hook" is not a valid name', 'use lower-case letters, digits and hyphens, at most 40. "my-hook" is allowed.'),
    ("{kind: webhook, url: {env: X}, severity: [info], min_severity: info}", "notify[0].min_severity", "cannot be combined with `severity`", "keep only one of the two keys."),
    ("{kind: webhook, url: {env: X}, min_severity: fatal}", "notify[0].min_severity", '"fatal" is not allowed here', "write critical, warning or info."),
    ("{kind: webhook, url: {env: X}, timeout: 10}", "notify[0].timeout", "10 is not a duration", "write a number and a unit, like 15m or 7d."),
    ("{kind: smtp, host: m, to: []}", "notify[0].to", "is empty", "give the key a value, or remove the line."),
    ("{kind: smtp, host: m, to: [On Call <a@b.c>]}", "notify[0].to[0]", '"On Call <a@b.c>" is not a mail address', "write only the address, like oncall@example.com."),
    ("{kind: smtp, host: m, to: [a@b], user: x}", "notify[0].user", "also needs `password`", "add the missing key, or remove both keys."),
    ("{kind: smtp, host: m, to: [a@b], password: {env: X}}", "notify[0].password", "also needs `user`", "add the missing key, or remove both keys."),
    ("{kind: smtp, host: m, to: [a@b], user: x, password: {env: X}, tls: none}", "notify[0].tls", "would send the password unencrypted", "use `tls: starttls` or `tls: tls`."),
    ("{kind: smtp, host: m, to: [a@b], tls: none, ca_cert: /x}", "notify[0].ca_cert", "has no effect with `tls: none`", "remove `ca_cert`, or use `tls: starttls` or `tls: tls`."),
    ("{kind: smtp, host: m, to: [a@b], tls: ssl}", "notify[0].tls", '"ssl" is not allowed here', "write starttls, tls or none."),
    ("{kind: exec, command: [bin/page]}", "notify[0].command[0]", '"bin/page" is a relative path', "write its whole path, or the name of a program on PATH."),
    ("{kind: heartbeat, url: {env: X}, on: [firing]}", "notify[0].on[0]", '"firing" is not allowed here', "write backup, drill, recovery, copy, retention, prune or verification."),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "path", "text", "hint"), BROKEN)
def test_a_mistake_is_named_with_line_and_remedy(
    tmp_path: Path, *, entry: str, path: str, text: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"plans: p\nnotify:\n  - {entry}\n")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path, problem.message) == (3, path, text)
    assert problem.hint == hint


def test_a_login_on_this_host_may_go_without_tls(tmp_path: Path) -> None:
    for host in ("localhost", "127.0.0.1", "'::1'"):
        entry = f"{{kind: smtp, host: {host}, to: [a@b], tls: none, user: x, password: {{env: X}}}}"
        assert read(tmp_path, f"notify: [{entry}]")[0].kind == "smtp"


def test_two_channels_of_one_name_are_refused_with_both_lines(tmp_path: Path) -> None:
    text = """\
notify:
  - {kind: webhook, name: page, url: {env: X}}
  - kind: exec
    command: [page]
    name: page
"""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (5, "notify[1].name")
    assert problem.message == 'line 2 already has a channel called "page"'


def test_a_name_that_was_given_is_not_given_again_by_default(tmp_path: Path) -> None:
    text = """\
notify:
  - {kind: webhook, url: {env: X}}
  - {kind: webhook, name: webhook-1, url: {env: X}}
"""
    assert [c.name for c in read(tmp_path, text)] == ["webhook-2", "webhook-1"]


# --- the plan's own heartbeat -------------------------------------------------------------------


def test_a_plan_names_its_watcher_without_becoming_another_plan(tmp_path: Path) -> None:
    plain = load(tmp_path, GOOD).plan
    watched = load(tmp_path, GOOD + "heartbeat: {url: {credential: beat}, on: [backup, drill]}\n")
    assert plain.heartbeat is None
    assert watched.plan.heartbeat == Heartbeat(
        SecretRef("credential", "beat"), on=("backup", "drill")
    )
    assert watched.plan.digest == plain.digest
    assert watched.as_written["heartbeat"] == {
        "url": {"credential": "beat"},
        "on": ["backup", "drill"],
    }


def test_a_mistake_in_a_plans_heartbeat_is_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, GOOD + "heartbeat: {ulr: {credential: beat}}\n")
    assert (problem.path, problem.hint) == ("heartbeat.ulr", 'did you mean "url"?')
