"""A secret by command used to become `***` from its second use on: a copy was encrypted with that.

Every consumer gets secrets that are resolved twice, and secrets that contain one another, and must
use the bytes that the command printed. People still never see them.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from drd import masking, process
from drd.errors import DrdError, SecretUnavailable, SourceError
from drd.kinds.postgres.address import address_of
from drd.kinds.postgres.connection import connect
from drd.kit.archive import unpack
from drd.kit.by_hand import KitPlaces, opening
from drd.kit.layout import LostHost, lay_out
from drd.kit.sealing import unseal
from drd.model.kit import Key
from drd.model.plan import Heartbeat, RepositorySpec, S3Access, SecretRef
from drd.notifiers.apprise import AppriseSettings, AppriseUrl
from drd.notifiers.heartbeat import HttpWatcher
from drd.notifiers.smtp import Smtp, SmtpSettings
from drd.notifiers.webhook import Webhook, WebhookSettings, signature
from drd.repositories.restic.session import Session
from drd.secrets import edges, resolve
from tests import light_repository
from tests.e2e.site import Site, make_sqlite, make_tree
from tests.notify_support import http_receiver, mail_server, make_certificate, message
from tests.servers import postgres_server

SHORT = "river-stone"
LONG = "river-stone-4711"
"""Contains the other one."""


@pytest.fixture
def short(tmp_path: Path) -> SecretRef:
    return _by_command(tmp_path / "short", SHORT)


@pytest.fixture
def long(tmp_path: Path) -> SecretRef:
    return _by_command(tmp_path / "long", LONG)


def _by_command(file: Path, value: str) -> SecretRef:
    file.write_text(f"{value}\n")
    return SecretRef("command", ("cat", str(file)))


def test_secret_by_command_is_the_same_each_time(short: SecretRef, long: SecretRef) -> None:
    assert [resolve(r) for r in (short, short, long, long, short)] == [
        SHORT, SHORT, LONG, LONG, SHORT,
    ]  # fmt: skip


def test_overlapping_secrets_are_masked(short: SecretRef, long: SecretRef) -> None:
    resolve(short), resolve(long)
    masking.mask("4711-xyz")
    assert masking.masked(f"<{LONG}-xyz> {SHORT}") == "<***> ***"
    told = process.run(process.Command(["sh", "-c", f"echo {LONG} >&2; exit 3"]))
    assert told.stderr == f"{LONG}\n"
    assert LONG not in told.complaint + told.failure + str(told.says)
    assert SHORT not in told.complaint + told.failure + str(told.says)
    error = DrdError(f"it said {LONG}", hint=f"not {SHORT}")
    assert (str(error), error.hint) == ("it said ***", "not ***")


@pytest.mark.parametrize("written", ["***", "***\n"])
def test_secret_that_reads_as_the_mask_is_refused(tmp_path: Path, written: str) -> None:
    (tmp_path / "s").write_text(written)
    for ref in (
        SecretRef("file", str(tmp_path / "s")),
        SecretRef("command", ("cat", str(tmp_path / "s"))),
    ):
        with pytest.raises(
            SecretUnavailable,
            match=r"contains \*\*\*, the text that drd writes instead of a secret",
        ) as caught:
            resolve(ref)
        assert "write the real secret there" in caught.value.hint


def test_pipe_in_the_place_of_a_secret_is_refused_at_once(tmp_path: Path) -> None:
    """A command in a terminal hung there and took no SIGTERM. A link to a file is the healthy
    twin."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SecretUnavailable, match="pipe: it is not a regular file"):
        resolve(SecretRef("file", str(tmp_path / "pipe")))
    (tmp_path / "file").write_text("healthy\n")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert resolve(SecretRef("file", str(tmp_path / "link"))) == "healthy"


@pytest.mark.parametrize("source", ["file", "command"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\0b", "contains a NUL byte"),
        (b"x" * 200_000, "is longer than 64 KiB"),
        (b"x" * (3 << 20), "is larger than 1 MiB|is longer than 64 KiB"),
        (b"x" * (64 << 10) + b"\n", None),
    ],
    ids=["NUL", "long", "huge", "healthy"],
)
def test_secret_that_no_program_can_be_given_is_refused_by_name(
    tmp_path: Path, source: str, content: bytes, said: str | None
) -> None:
    """It was an internal error, or an answer of restic that cannot be read."""
    file = tmp_path / "s"
    file.write_bytes(content)
    ref = SecretRef("file", str(file))
    if source == "command":
        ref = SecretRef("command", ("cat", str(file)))
    if said is None:
        done = subprocess.run(["true"], env={"SECRET": resolve(ref)}, check=False)
        assert done.returncode == 0
        return
    with pytest.raises(SecretUnavailable, match=said) as caught:
        resolve(ref)
    assert str(file) in caught.value.message or "cat" in caught.value.message
    assert caught.value.hint


def test_carriage_return_in_a_password_is_named(tmp_path: Path) -> None:
    """drd reads it as a line end of a file, and restic does not."""
    (tmp_path / "s").write_bytes(b"one\r\ntwo\r\n")
    ref = SecretRef("file", str(tmp_path / "s"))
    assert resolve(ref) == "one\ntwo"
    assert "carriage return" in str(edges(resolve(ref), ref))
    (tmp_path / "s").write_bytes(b"one\ntwo\r\n")
    assert edges(resolve(ref), ref) is None


@pytest.mark.parametrize("source", ["file", "command"])
def test_secret_that_is_not_text_is_refused_and_not_escaped(tmp_path: Path, source: str) -> None:
    """Escaped it was another password: all was green, and restic with the real bytes said "wrong
    password"."""
    file = tmp_path / "s"
    ref = SecretRef("command", ("cat", str(file))) if source == "command" else None
    ref = ref or SecretRef("file", str(file))
    file.write_bytes("pässwörd\n".encode("latin-1"))
    with pytest.raises(SecretUnavailable, match=r"(command cat|file /\S+).* is not UTF-8 text"):
        resolve(ref)
    file.write_bytes("pässwörd\n".encode())
    assert resolve(ref) == "pässwörd"


@pytest.mark.parametrize("password", ["line1\nline2\n\n", " pw ", "healthy"])
def test_printed_commands_and_a_host_from_a_kit_have_all_of_a_password(
    tmp_path: Path, password: str
) -> None:
    ref = SecretRef("file", "/etc/drd/credentials/pw")
    spec = RepositorySpec("primary", "/repo", ref)
    untrimmed = frozenset({ref} if edges(password) else ())
    (tmp_path / "pw").write_text(password)
    script = opening(spec, KitPlaces({ref: "pw"}, {}, untrimmed))
    script += 'printf %s "${RESTIC_PASSWORD-$(cat "$RESTIC_PASSWORD_FILE")}"'
    done = subprocess.run(
        ["bash", "-euc", script], env={"KIT": str(tmp_path)}, capture_output=True, check=True
    )
    assert done.stdout.decode() == password
    plan = (
        "plan: shop\nobjectives: {rpo: 15m, rto: 30m}\ncomponents: {conf: {kind: files, paths: "
        "[/x]}}\n"
        f"repositories: {{primary: {{url: /repo, password: {{file: {ref.value}}}}}}}\n"
    )
    placed = lay_out(
        LostHost({"shop": plan}, None, "/etc/drd/drd.yaml", {ref: password}), tmp_path / "root"
    )
    (file,) = (f for f in placed.files if f.mode == 0o600)
    (tmp_path / "there").write_bytes(file.content)
    assert resolve(SecretRef("file", str(tmp_path / "there"))) == password


# --- who uses them ------------------------------------------------------------------------------


def _session(name: str, password: SecretRef, keys: SecretRef, tmp_path: Path) -> Session:
    access = S3Access(access_key=keys, secret_key=password, session_token=keys)
    spec = RepositorySpec(name, "s3:http://localhost:1/bucket/x", password, s3=access)
    return Session(spec, cache_dir=tmp_path, resolve=resolve, program=None)


def test_repositories_and_buckets_get_passwords_and_keys(
    tmp_path: Path, short: SecretRef, long: SecretRef
) -> None:
    for _ in range(2):
        for password, keys, expected in (
            (short, long, (SHORT, LONG)),
            (long, short, (LONG, SHORT)),
        ):
            session = _session("primary", password, keys, tmp_path)
            around = {**session.environment(), **session.access()}
            assert around["RESTIC_PASSWORD"] == expected[0]
            assert around["AWS_SECRET_ACCESS_KEY"] == expected[0]
            assert around["AWS_ACCESS_KEY_ID"] == around["AWS_SESSION_TOKEN"] == expected[1]


def test_two_components_of_one_login_both_log_in(short_tmp: Path, short: SecretRef) -> None:
    with postgres_server(short_tmp / "pg", password=SHORT) as server:
        first = _by_command(short_tmp / "first", server.dsn())
        second = _by_command(short_tmp / "second", f"{server.dsn()}&application_name={LONG}")
        for ref in (first, second, first, second):
            resolve(short)  # known by itself before the dsn that holds it is read again
            address = address_of(ref)
            assert address.password == SHORT
            with closing(connect(address)) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
        wrong = _by_command(short_tmp / "wrong", server.dsn().replace(SHORT, "wrong"))
        with pytest.raises(SourceError, match="refuses the login"):
            connect(address_of(wrong))


def test_dsn_with_the_mask_for_a_password_is_refused(tmp_path: Path) -> None:
    dsn = _by_command(tmp_path / "dsn", "postgresql://drd:***@db1/orders")
    with pytest.raises(
        SecretUnavailable, match=r"is \*\*\*, the text that drd writes instead of a secret"
    ):
        address_of(dsn)


def test_channels_and_heartbeats_work_for_the_second_message(
    tmp_path: Path, short: SecretRef, long: SecretRef
) -> None:
    with http_receiver() as receiver:
        url = _by_command(tmp_path / "url", receiver.url(f"/hooks/{LONG}"))
        words = {"command": list(url.value)}
        by = {"token": {"command": list(short.value)}, "secret": {"command": list(long.value)}}
        hook = Webhook(
            WebhookSettings.model_validate({"kind": "webhook", "url": words, **by}), resolve
        )
        heart = HttpWatcher(Heartbeat(url, ("backup",)), resolve)
        json_url = _by_command(tmp_path / "json", receiver.url(f"/{LONG}").replace("http", "json"))
        service = AppriseUrl(
            AppriseSettings.model_validate(
                {"kind": "apprise", "url": {"command": list(json_url.value)}}
            ),
            resolve,
        )
        for _ in range(2):
            receiver.got.clear()
            hook.deliver(message())
            heart.ping("start", "begun")
            service.deliver(message())
            assert [g.path for g in receiver.got] == [
                f"/hooks/{LONG}", f"/hooks/{LONG}/start", f"/{LONG}",
            ]  # fmt: skip
            first = receiver.got[0]
            assert first.headers["Authorization"] == f"Bearer {SHORT}"
            assert first.headers["X-Drd-Signature"] == signature(LONG, first.body)


def test_mail_logs_in_for_the_second_message(tmp_path: Path, short: SecretRef) -> None:
    certificate = make_certificate(tmp_path)
    with mail_server(certificate=certificate, tls="starttls", password=SHORT) as post:
        settings = SmtpSettings.model_validate(
            {"kind": "smtp", "host": "localhost", "port": post.port, "to": ["a@example.com"],
             "ca_cert": str(certificate), "user": "drd", "password": {"command": list(short.value)}}
        )  # fmt: skip
        mail = Smtp("mail", settings, resolve)
        mail.deliver(message())
        mail.deliver(message())
        assert post.logins == [("drd", SHORT)] * 2


# --- a whole site -------------------------------------------------------------------------------

_PLAN = """plan: shop
owner: tests
objectives: {{rpo: 15m, rto: 30m}}
repositories:
  primary:
    url: {base}/repo
    password: {{command: [cat, {base}/secrets/first]}}
  offsite:
    url: {base}/offsite
    password: {{command: [cat, {base}/secrets/{second}]}}
    copy_of: primary
components:
  db: {{kind: sqlite, path: {base}/shop.db}}
  conf: {{kind: files, paths: [{base}/etc]}}
checks:
  - {{name: row counts, kind: rows, component: db}}
targets:
  standby: {{db: {{path: {base}/back/shop.db}}, conf: {{path: {base}/back/etc}}}}
erasures:
  component: db
  register: {{command: [cat, {base}/register]}}
  replay:
    sql: delete from people where id in (select id from drd_erased)
  check:
    sql: select count(*) from people where id in (select id from drd_erased)
"""


def command_site(base: Path, *, second: str = "second", made: bool = True) -> Site:
    """Nobody has made the repositories yet, unless they are `made`."""
    site = Site(base)
    site.without_repository()
    if made:
        light_repository.begin(base / "repo", SHORT)
        light_repository.begin(base / "offsite", LONG if second == "second" else SHORT)
    make_sqlite(base / "shop.db", rows=20)
    with sqlite3.connect(base / "shop.db") as database:
        database.execute("create table people(id text primary key)")
        database.executemany("insert into people values (?)", [(LONG,), (f"x{SHORT}",), ("ada",)])
    make_tree(base / "etc")
    (base / "back").mkdir()
    (base / "register").write_text(f"{LONG}\nx{SHORT}\n")
    site.secret("first", SHORT)
    site.secret("second", LONG)
    (base / "plans" / "shop.yaml").write_text(_PLAN.format(base=base, second=second))
    return site


def opens(repository: Path, password: str) -> bool:
    done = subprocess.run(
        ["restic", "-r", repository, "--no-cache", "cat", "config"],
        capture_output=True,
        env={**os.environ, "RESTIC_PASSWORD": password},
        check=False,
    )
    assert done.returncode in (0, 12), done
    return done.returncode == 0


@pytest.mark.parametrize("second", ["first", "second"])
def test_copy_opens_with_its_own_password_and_not_with_the_mask(
    short_tmp: Path, second: str
) -> None:
    site = command_site(short_tmp, second=second, made=False)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    for name, password in (("repo", SHORT), ("offsite", SHORT if second == "first" else LONG)):
        assert opens(short_tmp / name, password)
        assert not opens(short_tmp / name, masking.MASK)
    told = site.drd("doctor", "shop").out
    assert "FAILED" not in told
    site.assert_clean()


def test_erased_people_stay_erased_although_their_ids_hold_a_secret(short_tmp: Path) -> None:
    site = command_site(short_tmp)
    site.drd("backup", "shop")
    told = site.drd("recover", "shop", "--target", "standby", "--yes").out
    assert "2 erasures since " in told
    with sqlite3.connect(short_tmp / "back/shop.db") as database:
        assert database.execute("select id from people").fetchall() == [("ada",)]


def test_kit_holds_the_passwords_and_opens_both_repositories(short_tmp: Path) -> None:
    site = command_site(short_tmp)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    phrase = site.base / "secrets/phrase"
    phrase.write_text("five words for a kit\n")
    phrase.chmod(0o600)
    kit = short_tmp / "shop.kit"
    by = ("--passphrase-file", str(phrase))
    site.drd("kit", "export", "shop", "--to", str(kit), *by)
    site.drd("kit", "verify", str(kit), *by)
    opened = unpack(
        unseal(kit.read_bytes(), Key(passphrase="five words for a kit"), name="kit"), name="kit"
    )
    held = sorted(opened.text(s.file) for s in opened.index.secrets)
    assert held == [SHORT, LONG]


_STEPS = """runbook:
  - {{name: data, restore: [db, conf]}}
  - {{name: look, check: all}}
  - {{name: find, command: {{run: [echo, "{secret}.internal"]}}}}
  - {{name: other, command: {{run: [echo, plain.internal]}}}}
  - name: point
    command: {{run: [{base}/point, "${{steps.find.output}}"]}}
    rollback: [{base}/point, "back ${{steps.find.output}}"]
  - name: point-other
    command: {{run: [{base}/point, "${{steps.other.output}}"]}}
    rollback: [{base}/point, "back ${{steps.other.output}}"]
"""


def test_later_steps_get_what_a_step_printed_and_never_the_mask(short_tmp: Path) -> None:
    """What reads like a secret was `***` for the next step, in a real recovery as well. After a
    restart only that is known, and the step says so; what holds no secret is the healthy twin."""
    site = command_site(short_tmp)
    script, pointed = short_tmp / "point", short_tmp / "pointed"
    script.write_text(f'#!/bin/sh\necho "$1" >>{pointed}\necho "$1"\n')
    script.chmod(0o755)
    plan = short_tmp / "plans/shop.yaml"
    text = plan.read_text()
    steps = _STEPS.format(base=short_tmp, secret=SHORT)
    plan.write_text(text[: text.index("erasures:")] + steps)
    site.drd("backup", "shop")
    site.drd("recover", "shop", "--target", "standby", "--yes")
    assert pointed.read_text().splitlines() == [f"{SHORT}.internal", "plain.internal"]
    run = site.runs()[0]["run"]
    stored = str(site.catalogue("select result from steps where name in ('find', 'point')"))
    shown = site.drd("run", "show", run, "--json").out
    assert stored.count("***.internal") == 2  # of find and of point, which repeats it
    assert SHORT not in stored + shown
    pointed.unlink()
    told = site.drd("rollback", run, code=None)
    assert told.code != 0
    assert "the output of step find contains a secret that drd knows only as ***" in told.err
    assert pointed.read_text().splitlines() == ["back plain.internal"]


def test_records_and_reports_hold_no_secret(short_tmp: Path) -> None:
    site = command_site(short_tmp)
    script = short_tmp / "check"
    script.write_text(f"#!/bin/sh\necho 'password {SHORT} at work' >&2\nexit 1\n")
    script.chmod(0o755)
    plan = short_tmp / "plans/shop.yaml"
    hooked = plan.read_text().replace(
        "shop.db}\n", f"shop.db, after: {{command: [{script}]}}}}\n", 1
    )
    checked = plan.read_text().replace(
        "checks:\n", f"checks:\n  - {{name: own, kind: command, run: [{script}]}}\n"
    )
    plan.write_text(hooked)
    told = [site.drd("backup", "shop", code=None)]
    plan.write_text(checked)
    site.drd("backup", "shop")
    site.drd("copy", "shop")
    told.append(site.drd("drill", "shop", "--json", code=4))
    told.append(site.drd("runs", "--json"))
    told.append(site.drd("status", "--json", code=None))
    text = "".join(r.out + r.err for r in told)
    assert "password *** at work" in text
    assert SHORT not in text
    for file in (short_tmp / "state").rglob("*"):
        if file.is_file():
            assert SHORT.encode() not in file.read_bytes(), file
