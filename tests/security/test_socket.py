"""Attack: a member of the group `drd` writes what the daemon carries out, or holds the daemon up.

The state was open to the group, rows were orders. Now it is closed, and people ask through a socket
where the kernel says who they are, one table says what they may, and no client can stall anybody.
"""

from __future__ import annotations

import grp
import json
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from drd.api import server as api_server
from drd.api.caller import Caller, Peer
from drd.api.requests import LONGEST_TEXT
from drd.api.rights import ENDPOINTS, OPERATOR, Right
from drd.api.server import ApiServer
from drd.errors import ApiUnserved
from drd.model.actor import Actor
from drd.model.run import RunKind, RunState
from drd.model.run_details import AskedOptions
from tests.api_support import (
    ANNA,
    BERT,
    GROUPS,
    MAIL,
    OPERATORS,
    READERS,
    STRANGER,
    House,
    as_user,
    ask,
    connected,
)
from tests.e2e.daemons import daemon, quick_plan, rows, until
from tests.e2e.site import Site, make_tree
from tests.user_support import as_root

pytestmark = as_root


def actor(uid: int) -> Actor:
    return Actor(uid, f"u{uid}", uid, "db1", "terminal")


# --- who may what ---------------------------------------------------------------------------


def test_healthy_twin_reader_reads_by_a_supplementary_group(house: House) -> None:
    status, found = ask(house.path, STRANGER, [MAIL, READERS], "/v1/runs")
    assert (status, found) == (200, {"schema": 1, "runs": []})


def test_status_is_the_document_of_the_verb(house: House) -> None:
    status, found = ask(house.path, STRANGER, [READERS], "/v1/status?plan=shop")
    assert (status, [p["plan"] for p in found["plans"]]) == (200, ["shop"])
    assert ask(house.path, STRANGER, [READERS], "/v1/status?plan=none")[0] == 404


def test_reader_cannot_act(house: House) -> None:
    for address in ("/v1/plans/shop/backup", "/v1/plans/shop/drill", "/v1/runs/1234/cancel"):
        status, found = ask(house.path, STRANGER, [READERS], address, {})
        assert status == 403, address
        assert "group news" in found["error"]["hint"]
    assert house.app.catalogue.queue.open_runs() == []


def test_reader_reports_a_suspicion_that_opens_nothing(house: House) -> None:
    text = {"text": "strange logins\x1b[2J", "plans": ["shop"]}
    status, found = ask(house.path, STRANGER, [READERS], "/v1/incidents/report", text)
    assert (status, found["incident"], found["state"]) == (200, 1, "reported")
    assert found["plans"] == ["shop"]
    stranger = {"text": "strange logins", "plans": ["none"]}
    status, told = ask(house.path, STRANGER, [READERS], "/v1/incidents/report", stranger)
    assert (status, told["error"]["message"]) == (404, 'there is no plan "none"')
    catalogue = house.app.catalogue
    assert catalogue.incidents.open_numbers() == []
    [entry] = catalogue.records.read()
    assert (entry.header.actor_name, entry.header.came) == ("sys", "socket")


def test_healthy_twin_operator_acts_and_is_recorded(house: House) -> None:
    status, found = ask(house.path, STRANGER, [OPERATORS], "/v1/plans/shop/backup", {})
    assert status == 200
    [run] = house.app.catalogue.queue.open_runs()
    assert (run.id, run.kind, run.state) == (found["run"], RunKind.BACKUP, RunState.PENDING)
    assert run.actor is not None
    assert (run.actor.uid, run.actor.user, run.actor.came) == (STRANGER, "sys", "socket")
    assert house.woken == 1
    again, joined = ask(house.path, BERT, [OPERATORS], "/v1/plans/shop/backup", {})
    assert (again, joined["joined"], joined["run"]) == (200, True, run.id)


def test_mapped_person_goes_by_roles_not_by_groups(peopled: House) -> None:
    refused, found = ask(peopled.path, ANNA, [OPERATORS], "/v1/plans/shop/backup", {})
    assert refused == 403
    assert "give Anna a role with this right in drd.yaml" in found["error"]["hint"]
    assert ask(peopled.path, BERT, [], "/v1/plans/shop/backup", {})[0] == 200
    _, who = ask(peopled.path, ANNA, [], "/v1/whoami")
    assert (who["person"], who["roles"]) == ("Anna", ["commander"])
    assert "approve" in who["may"]
    assert "backup" not in who["may"]


OF_INCIDENTS = {"incidents", "incident", "incident-reach", "incident-page", "obligations"}
OF_INCIDENTS |= {"messages", "message", "incident-postmortem", "actions", "incident-clean-points"}
OF_INCIDENTS |= {"exercises", "exercise", "exercise-text"}
"""What operators alone read: what people wrote while they respond, or practise it."""


def test_every_endpoint_is_judged_by_the_one_table() -> None:
    def who(roles: tuple[str, ...] | None, *, reads: bool, operates: bool) -> Caller:
        person = "Anna" if roles is not None else ""
        return Caller(Peer(1, ANNA, frozenset()), "daemon", person, roles, reads, operates)

    for endpoint in ENDPOINTS:
        reading = endpoint.right is Right.READ or endpoint.name in OF_INCIDENTS
        assert not who(None, reads=False, operates=False).may(endpoint.right)
        of_readers = endpoint.right in (Right.READ, Right.REPORT)
        assert who(None, reads=True, operates=False).may(endpoint.right) is of_readers
        assert who(None, reads=False, operates=True).may(endpoint.right)
        by_role = endpoint.right is not Right.OPERATE
        assert who((), reads=True, operates=True).may(endpoint.right) is by_role
        assert who((OPERATOR,), reads=False, operates=False).may(endpoint.right)
        assert endpoint.method == ("GET" if reading else "POST")


# --- approvals ------------------------------------------------------------------------------


def test_approval_of_the_starter_is_refused_whatever_name_he_gives(peopled: House) -> None:
    run = peopled.waiting_recovery(actor(ANNA))
    status, found = ask(
        peopled.path, ANNA, [], f"/v1/runs/{run}/steps/go-ahead/approve", {"by": "Carl"}
    )
    assert status == 400
    assert "needs the approval of a second person" in found["error"]["message"]
    assert peopled.app.catalogue.decisions.of_run(run) == []


def test_healthy_twin_second_person_approves_through_the_socket(peopled: House) -> None:
    run = peopled.waiting_recovery(actor(STRANGER))
    address = f"/v1/runs/{run}/steps/go-ahead/approve"
    status, found = ask(peopled.path, ANNA, [], address, {"comment": "seen"})
    assert (status, found["by"], found["started_the_run"]) == (200, "Anna", "other")
    [said] = peopled.app.catalogue.decisions.of_run(run)
    assert said.actor is not None
    assert (said.by, said.actor.uid, said.actor.came) == ("Anna", ANNA, "socket")


ASKER = r"""
import os, socket, sys
path, login, uid, address, *how = sys.argv[1:]
with open("/proc/self/loginuid", "w") as own:
    own.write(login)
os.setgroups([])
os.setgid(65534)
os.setuid(int(uid))
connects = os.fork()
if connects:
    os.waitpid(connects, 0)
    sys.exit()
connects = os.getpid()
one = socket.socket(socket.AF_UNIX)
one.connect(path)
if how and os.fork():
    os._exit(0)
while how and os.getppid() in (connects, 0):
    pass
one.sendall(f"POST {address} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
print(one.makefile().read())
"""


def test_the_starter_is_recognised_by_login_behind_sudo(
    peopled: House,
) -> None:
    """`sudo -u` of the approver's user; the process that connected ends before its child asks."""
    run = peopled.waiting_recovery(Actor(0, "root", STRANGER, "db1", "terminal", "sys"))

    def approve(login: int, *how: str) -> str:
        words = [str(peopled.path), str(login), str(ANNA), f"/v1/runs/{run}/steps/go-ahead/approve"]
        asker = [sys.executable, "-c", ASKER, *words, *how]
        done = subprocess.run(asker, capture_output=True, text=True, timeout=30, check=False)
        assert done.stdout, done.stderr
        return done.stdout

    assert "needs the approval of a second person" in approve(STRANGER)
    assert "needs the approval of a second person" in approve(STRANGER, "from a child")
    assert peopled.app.catalogue.decisions.of_run(run) == []
    assert '"started_the_run": "other"' in approve(ANNA), "the healthy twin"


def test_a_peer_that_ended_early_may_be_anybody(short_tmp: Path) -> None:
    with socket.socket(socket.AF_UNIX) as runner:
        runner.bind(str(short_tmp / "door"))
        runner.listen()
        code = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
        subprocess.run([sys.executable, "-c", code, str(short_tmp / "door")], check=True)
        with socket.socket(socket.AF_UNIX) as alive:
            alive.connect(str(short_tmp / "door"))
            (gone, _), (here, _) = runner.accept(), runner.accept()
            with gone, here:
                assert not Peer.of(gone).login.known
                assert Peer.of(here).login.known, "the healthy twin"


def test_nobody_answers_as_a_person_who_is_mapped_to_another_user(peopled: House) -> None:
    run = peopled.waiting_recovery(actor(BERT))
    address = f"/v1/runs/{run}/steps/go-ahead/approve"
    status, found = ask(peopled.path, STRANGER, [OPERATORS], address, {"by": "anna"})
    assert (status, found["error"]["message"]) == (
        400, "drd.yaml maps anna to the user daemon, but you are the user sys",
    )  # fmt: skip
    status, found = ask(peopled.path, STRANGER, [OPERATORS], address, {})
    assert "sys does not have the role commander" in found["error"]["message"]
    status, _ = ask(peopled.path, STRANGER, [OPERATORS], address, {"by": "Carl"})
    [said] = peopled.app.catalogue.decisions.of_run(run)
    assert (status, said.by) == (200, "Carl")
    assert said.actor is not None
    assert (said.actor.user, said.actor.claimed_by) == ("sys", "Carl")


def test_role_of_the_step_is_asked_for(peopled: House) -> None:
    run = peopled.waiting_recovery(actor(STRANGER))
    status, found = ask(peopled.path, BERT, [], f"/v1/runs/{run}/steps/go-ahead/approve", {})
    assert (status, "Bert does not have the role" in found["error"]["message"]) == (400, True)
    assert ask(peopled.path, BERT, [], f"/v1/runs/{run}/steps/plug/done", {})[0] == 200


# --- what a request may hold ----------------------------------------------------------------


REFUSED: list[tuple[str, Any]] = [
    ("/v1/plans/shop/backup", {"hook": "id"}),
    ("/v1/plans/shop/backup", {"components": ["../../etc"]}),
    ("/v1/plans/shop/backup", {"components": "conf"}),
    ("/v1/plans/shop/backup", {"accept_size": "yes"}),
    ("/v1/plans/shop/backup", ["conf"]),
    ("/v1/plans/..%2f..%2fevil.yaml/backup", {}),
    ("/v1/plans/shop%0a/backup", {}),
    ("/v1/plans/shop/drill", {"point": "--password-command=id"}),
    ("/v1/plans/shop/drill", {"scenario": "rm -rf"}),
    ("/v1/plans/shop/drill", {"repository": "/srv/evil"}),
    ("/v1/runs/zz/cancel", {}),
    ("/v1/runs/1234%27/cancel", {}),
    ("/v1/runs/1234/steps/a%2fb/done", {}),
    ("/v1/alerts/1234/ack", {"reason": "x" * (LONGEST_TEXT + 1)}),
    ("/v1/alerts/1234/ack", {"until": "9999-12-31T23:59:59-23:59"}),
]


@pytest.mark.parametrize(("address", "body"), REFUSED)
def test_nothing_but_names_options_and_bounded_text_is_taken(
    house: House, address: str, body: Any
) -> None:
    status, found = ask(house.path, STRANGER, [OPERATORS], address, body)
    assert status == 400, found
    assert found["error"]["exit"] in (1, 2)
    assert house.app.catalogue.queue.open_runs() == []


def test_healthy_twin_declared_options_reach_the_run(house: House) -> None:
    body = {"scenario": "region-loss", "point": "latest", "components": ["conf"]}
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/plans/shop/drill", body)[0] == 200
    [run] = house.app.catalogue.queue.open_runs()
    assert run.detail.asked == AskedOptions.from_json(body)
    assert run.detail.to_json()["asked"] == body


def test_control_characters_of_a_comment_are_data(peopled: House) -> None:
    run = peopled.waiting_recovery(actor(STRANGER))
    evil = "all well\x1b[2J\r\n\u202egnp.exe\x00"
    address = f"/v1/runs/{run}/steps/plug/done"
    assert ask(peopled.path, ANNA, [], address, {"comment": evil})[0] == 200
    [said] = peopled.app.catalogue.decisions.of_run(run)
    assert said.comment == evil.replace("\x00", "\\x00")
    from drd.flows.runbook.decisions import _agreed
    from drd.model.actor import Sameness

    shown = _agreed("plug", said, Sameness.OTHER, RunKind.RECOVERY).why
    assert shown.isprintable()
    assert "all well\\x1b[2J\\r\\n\\u202egnp.exe" in shown


def test_oversized_requests_are_refused(house: House) -> None:
    address = "/v1/alerts/1234/ack"
    status, _ = ask(house.path, STRANGER, [OPERATORS], address, raw=b"x" * 50_000)
    assert status == 413
    for raw in (b"{", b'{"a":' * 2000, b"\xff\xfe", b'{"by": "Anna", "by": "Carl"}'):
        assert ask(house.path, STRANGER, [OPERATORS], address, raw=raw)[0] == 400
    with connected(house.path, STRANGER, [READERS]) as endless, suppress(OSError):
        endless.sendall(b"GET /v1/runs HTTP/1.1\r\n" + b"X: y\r\n" * 100_000)
    assert ask(house.path, STRANGER, [READERS], "/v1/runs")[0] == 200


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: " + b"9" * 5000, 413),
        (b"Content-Length: 2\r\nContent-Length: 2", 400),
        (b"X: " + b"y" * 70_000 + b"\r\nContent-Length: 2", 431),
        (b"X: y\r\n" * 90 + b"X: " + b"y" * 16_000 + b"\r\nContent-Length: 2", 431),
        (b"Content-Length: 2\r\nX: ends here", 400),
        (b"X: " + b"y" * 15_000 + b"\r\nContent-Length: 002", 200),
    ],
    ids=["absurd length", "two lengths", "long header", "long head", "cut short", "healthy twin"],
)
def test_head_is_whole_and_says_one_thing(house: House, head: bytes, status: int) -> None:
    whole = b"" if head.endswith(b"here") else b"\r\n\r\n{}"
    with connected(house.path, STRANGER, [OPERATORS]) as client:
        client.sendall(b"POST /v1/plans/shop/backup HTTP/1.1\r\n" + head + whole)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()
    assert int(answer.split()[1]) == status, answer
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert bool(told["error"]) is (status != 200)
    assert len(house.app.catalogue.queue.open_runs()) == (status == 200)


def test_unknown_methods_and_paths_are_refused(house: House) -> None:
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/nothing")[0] == 404
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/runs", {})[0] == 405
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/runs", method="DELETE")[0] == 405
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/runs?limit=5&limit=6")[0] == 400
    assert ask(house.path, STRANGER, [OPERATORS], "/v1/runs?limit=100000")[0] == 400
    with connected(house.path, STRANGER, [READERS]) as odd:
        odd.sendall(b"GET http://[::1/v1/whoami HTTP/1.1\r\n\r\n")
        assert odd.recv(1 << 16).startswith(b"HTTP/1.1 400 ")


# --- clients that would hold it up -----------------------------------------------------------


def test_slow_clients_are_cut_and_others_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "DEADLINE_S", 1.0)
    slow = [connected(house.path, BERT, [READERS]) for _ in range(api_server.OF_A_USER)]
    for one in slow:
        one.sendall(b"GET /v1/ru")
    began = time.monotonic()
    assert ask(house.path, STRANGER, [READERS], "/v1/runs")[0] == 200
    assert time.monotonic() - began < 20
    for one in slow:
        with one:
            assert one.recv(1) in (b"", b"H")  # cut, with or without a word
    assert time.monotonic() - began < 30


def test_flooding_user_is_slowed_and_others_answered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "RATE", 0.1)  # a busy machine sends few requests in a second
    statuses = []
    for _ in range(int(api_server.BURST) + 40):
        with suppress(OSError):
            statuses.append(ask(house.path, BERT, [READERS], "/v1/whoami")[0])
    assert 429 in statuses
    assert ask(house.path, STRANGER, [READERS], "/v1/runs")[0] == 200


def test_client_that_never_reads_holds_nobody_up(house: House) -> None:
    with connected(house.path, BERT, [READERS]) as deaf:
        deaf.sendall(b"GET /v1/runs HTTP/1.1\r\n\r\n")
        done = threading.Event()

        def others() -> None:
            assert ask_in_process(house.path) == 403 or True
            done.set()

        threading.Thread(target=others, daemon=True).start()
        assert done.wait(10)
        assert deaf.recv(1), "answered before the house is closed"


def ask_in_process(path: Path) -> int:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(path))
        one.sendall(b"GET /v1/runs HTTP/1.1\r\n\r\n")
        return int(one.recv(20).split()[1])


# --- the socket's file -----------------------------------------------------------------------


def test_stale_socket_is_replaced_and_a_live_one_is_not(house: House) -> None:
    mode = house.path.lstat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) & 0o007 == 0
    assert stat.S_IMODE(house.path.parent.stat().st_mode) == 0o751
    with pytest.raises(ApiUnserved, match="another daemon answers at this socket"):
        ApiServer.start(house.app, lambda: None)
    house.server.close()
    assert house.path.exists()
    with closing(ApiServer.start(house.app, lambda: None)):
        assert ask(house.path, STRANGER, [READERS], "/v1/runs")[0] == 200


def test_directory_that_others_can_write_gets_no_socket(house: House) -> None:
    house.server.close()
    house.path.parent.chmod(0o777)
    with pytest.raises(
        ApiUnserved, match="users other than root and drd's own user can write to this directory"
    ):
        ApiServer.start(house.app, lambda: None)


# --- the whole of it -------------------------------------------------------------------------


@pytest.fixture
def site(short_tmp: Path) -> Site:
    short_tmp.chmod(0o755)
    site = Site(short_tmp)
    make_tree(site.base / "etc")
    quick_plan(site, "every: 1h, jitter: none")
    config = site.base / "drd.yaml"
    config.write_text(
        config.read_text() + f"public_dir: {site.base}/public\n{GROUPS}"
        "people: [{name: Anna, user: daemon, roles: [commander]}]\n"
    )
    for place in ("state", "work", "cache", "secrets"):
        (site.base / place).chmod(0o700)
    return site


OF_THE_OWNER = (
    "recover shop --in-place --dry-run", "kit export shop --to /tmp/kit",
    "undo 12345678", "done 12345678",
    "resume 12345678", "retention shop", "verify shop", "prune shop", "ls 12345678",
    "mount 12345678 /mnt", "hold 12345678 --reason x", "plan forget shop --yes",
    "catalogue rebuild shop", "repository rekey shop", "adopt", "daemon",
    "evidence list", "diff shop --point 12345678 --component conf",
    "rollback 12345678", "copy shop",
)  # fmt: skip


def test_user_without_rights_is_told_to_be_root(site: Site) -> None:
    wrong = {}
    for command in OF_THE_OWNER:
        refused = as_user(site, STRANGER, [OPERATORS], *command.split(), code=None)
        if refused.code not in {1, 2} or f"sudo drd {command}" not in refused.err:
            wrong[command] = refused
    assert not wrong


def test_members_work_through_the_daemon_and_strangers_do_not(site: Site) -> None:
    alone = as_user(site, STRANGER, [OPERATORS], "backup", "shop", code=1)
    assert "no daemon answers" in alone.err
    assert "HINT: sudo drd backup shop" in alone.err
    asked = as_user(site, STRANGER, [READERS], "points", "shop", "--json", code=None)
    assert "sudo drd points shop --json" in asked.out + asked.err
    with daemon(site) as running:
        until(lambda: rows(site, where="state = 'succeeded'"), "the first backup", running)
        done = as_user(site, STRANGER, [OPERATORS], "backup", "shop")
        assert "is complete" in done.out
        drilled = as_user(site, STRANGER, [OPERATORS], "drill", "shop", "--json")
        assert drilled.json["result"] == "passed"
        assert rows(site, "kind, trigger", "actor like '%socket%'") == [
            ("backup", "manual"), ("drill", "manual"),
        ]  # fmt: skip
        for words in (("runs", "shop"), ("points", "shop")):
            by_root = site.drd(*words, "--json").json
            assert as_user(site, STRANGER, [READERS], *words, "--json").json == by_root, words
        assert as_user(site, STRANGER, [READERS], "runs").out == site.drd("runs").out
        assert '"items"' in as_user(site, STRANGER, [READERS], "schedule", "--json").out
        [(run,)] = rows(site, "id", "kind = 'drill'")
        shown = as_user(site, STRANGER, [READERS], "run", "show", run)
        assert shown.out == site.drd("run", "show", run).out
        assert "asked by   sys (uid 3), without a login, through the socket of" in shown.out
        filed = as_user(
            site, STRANGER, [READERS], "incident", "report", "strange logins", "--plan", "shop"
        )
        assert "report 1 is recorded. An operator has to examine it before" in filed.out
        assert "strange logins" in site.drd("incident", "list").out
        as_user(site, STRANGER, [READERS], "incident", "list", code=1)
        opened = as_user(site, STRANGER, [OPERATORS], "incident", "open", "--report", "1")
        assert "incident 1 is open: strange logins" in opened.out
        as_user(site, STRANGER, [OPERATORS], "incident", "log", "blocked it", "--at", "-1m")
        as_user(site, STRANGER, [OPERATORS], "incident", "anchor", "aware", "now")
        for words in (("list",), ("show",), ("scope",)):
            seen = as_user(site, STRANGER, [OPERATORS], "incident", *words, "--json")
            assert seen.json == site.drd("incident", *words, "--json").json
        screen = as_user(site, STRANGER, [OPERATORS], "incident", "show").out
        assert "sys        blocked it (noted" in screen
        assert screen.splitlines()[0] == site.drd("incident", "show").out.splitlines()[0]
        blind = ("drill", "shop", "--scenario", "operator", "--blind", "--json")
        followed = as_user(site, STRANGER, [OPERATORS], *blind)
        assert followed.json["operator"]["blind"] is True
        assert followed.json["operator"]["person"] == "sys"
        assert "# Recovery of shop" in followed.err
        assert "Follow the printed runbook above" in followed.err
        assert "drd approve" not in followed.err
        assert str(site.base / "secrets") not in followed.err, "it names no secret"
        assert "drd bootstrap" not in followed.err
        said = site.base / "said.yaml"
        said.write_text("answers: {}\nnotes: [we talked]\n")
        play = ("exercise", "run", "disaster-gitlab-2017", "--answers", str(said), "--json")
        played = as_user(site, STRANGER, [OPERATORS], *play, code=1).json
        assert (played["by"], played["complete"], played["passed"]) == ("sys", True, False)
        report = ("exercise", "report", str(played["number"]))
        assert as_user(site, STRANGER, [OPERATORS], *report).out == site.drd(*report).out
        assert "sys" in as_user(site, STRANGER, [OPERATORS], "exercise", "report").out
        play = ("exercise", "run", str(said), "--answers", str(said))
        named = as_user(site, STRANGER, [OPERATORS], *play, code=2)
        assert "the daemon does not read the file" in named.err
        doctor = as_user(site, STRANGER, [READERS], "doctor", "shop", code=1)
        assert "drd: drd doctor needs root: drd's state belongs to root" in doctor.err
        assert "HINT: sudo drd doctor shop. Members of the group" in doctor.err
        status = as_user(site, STRANGER, [OPERATORS], "status", code=1)
        readers = grp.getgrgid(READERS).gr_name
        assert f"only members of the group {readers} can read " in status.err
        assert ", and user sys is not a member" in status.err
        (site.base / "plans").chmod(0o700)
        seen = as_user(site, STRANGER, [READERS], "status", code=None)
        assert "1 plan" in seen.out
        assert "is gone" not in seen.out + seen.err
        hidden = as_user(site, STRANGER, [READERS], "plan", "check", code=1)
        assert f"user sys may not read {site.base}/plans" in hidden.err
        (site.base / "plans").chmod(0o755)
        refused = as_user(site, STRANGER, [READERS], "backup", "shop", code=1)
        assert "user sys may not do this: make a restore point" in refused.err
        nobody = as_user(site, STRANGER, [], "runs", code=1)
        assert "user sys may not use the socket of the daemon" in nobody.err
        unknown = as_user(site, STRANGER, [READERS], "points", "shopp", "--json", code=2)
        assert json.loads(unknown.out)["error"]["message"] == 'there is no plan "shopp"'
        beside = site.drd("cancel", run, code=2)  # which is over, but root is told first
        assert "the daemon that runs on this host" in beside.err
    site.assert_clean()
