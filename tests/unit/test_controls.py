"""Controls: read-only checks of a live service, against real servers on loopback."""

from __future__ import annotations

import json
import socket
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from drd.cli.main import main
from drd.controls.tls import TlsControl
from drd.model.controls import Changes, ControlSpec, ControlUnknown
from drd.ports.control import ControlContext
from drd.registry import CONTROLS
from tests.config_support import GOOD, problems
from tests.servers.rest_api import TOKEN, RestApi
from tests.servers.tls import self_signed

Output = pytest.CaptureFixture[str]
CONTEXT = ControlContext("shop", lambda ref: str(ref.value), lambda _: Changes((), "", ""))

PLAN = """\
plan: shop
objectives: {{rpo: 1h, rto: 1h}}
components:
  etc: {{kind: files, paths: [{base}/etc]}}
repositories:
  primary: {{url: {base}/repo, password: {{file: {base}/password}}}}
controls:
"""


@contextmanager
def api(limit: int = 10**9, certificate: Path | None = None) -> Iterator[int]:
    """An API: /open answers everybody, /orders only a token, and all of it `limit` requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.headers.get("Authorization") == "Bearer right"
            status = 200 if known or self.path in ("/open", "/long") else 401
            self.send_response(429 if len(asked) > limit else status)
            self.end_headers()
            self.wfile.write(b"x" * (1 << 20) * self.path.endswith("/long") + b"version 7")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a handshake may fail
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    with serving(server):
        yield server.server_address[1]


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[ThreadingHTTPServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "plans").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/limits").write_text("100 per minute\n")
    for name, secret in {"password": "correct horse battery", "token": "Bearer right"}.items():
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    state = f"state: sqlite:///{tmp_path}/state/drd.db\n"
    (tmp_path / "drd.yaml").write_text(f"{state}plans: {tmp_path}/plans\n")
    monkeypatch.setenv("DRD_CONFIG", str(tmp_path / "drd.yaml"))
    return tmp_path


def plan(home: Path, *controls: str) -> None:
    text = PLAN.format(base=home) + "".join(f"  - {{{one}}}\n" for one in controls)
    (home / "plans/shop.yaml").write_text(text)


def checked(capsys: Output, *names: str, code: int) -> dict[str, dict[str, Any]]:
    capsys.readouterr()
    assert main(["plan", "controls", "shop", "--json", "--check", *names]) == code
    return {one["control"]: one for one in json.loads(capsys.readouterr().out)["controls"]}


def test_requests_must_get_the_answers_that_the_plan_expects(home: Path, capsys: Output) -> None:
    with api() as port:
        url = f"http://127.0.0.1:{port}"
        token = f"headers: {{Authorization: {{file: {home}/token}}}}"
        plan(
            home,
            f'name: refused, kind: http, url: "{url}/orders", expect: 401',
            f'name: scope, kind: http, url: "{url}/orders", {token}, contains: version 7',
            f'name: leaks, kind: http, url: "{url}/open", lacks: version',
            f'name: open, kind: http, url: "{url}/open", expect: [401, 403]',
            'name: gone, kind: http, url: "http://127.0.0.1:1/"',
        )
        found = checked(capsys, code=4)
    states = {name: one["state"] for name, one in found.items()}
    assert states == {
        "refused": "holds",
        "scope": "holds",
        "leaks": "does not hold",
        "open": "does not hold",
        "gone": "unknown",
    }
    assert found["open"]["text"] == f"GET {url}/open answers 200; expected: status 401 or 403"
    assert 'expected: an answer without "version"' in found["leaks"]["text"]
    assert "right" not in str(found["scope"])
    assert main(["plan", "controls", "shop"]) == 0
    out = capsys.readouterr().out
    assert "  refused: holds, checked " in out
    assert "    > check the answer of GET" in out


def test_a_text_is_not_missing_from_an_answer_that_was_not_read_to_its_end(
    home: Path, capsys: Output
) -> None:
    with api() as port:
        url = f"http://127.0.0.1:{port}/long"
        plan(
            home,
            f'name: lacks, kind: http, url: "{url}", lacks: version',
            f'name: contains, kind: http, url: "{url}", contains: version',
            f'name: begins, kind: http, url: "{url}", contains: xxx',
            f'name: found, kind: http, url: "{url}", lacks: xxx',
        )
        found = checked(capsys, code=4)
    assert {name: one["state"] for name, one in found.items()} == {
        "lacks": "unknown",
        "contains": "unknown",
        "begins": "holds",
        "found": "does not hold",
    }
    assert f"the answer of GET {url} is longer than 1.0 MiB" in found["lacks"]["text"]


def test_a_limit_must_be_reached(home: Path, capsys: Output) -> None:
    with api(limit=3) as port:
        plan(home, f'name: limit, kind: limit, url: "http://127.0.0.1:{port}/open", requests: 3')
        found = checked(capsys, code=4)
        assert found["limit"]["text"].startswith("none of 3 requests was refused; expected: ")
        found = checked(capsys, "limit", code=0)
        assert found["limit"]["text"] == "request 1 was refused"


def test_an_unchanged_component_is_as_the_newest_point_has_it(home: Path, capsys: Output) -> None:
    plan(home, "name: same, kind: unchanged, component: etc")
    found = checked(capsys, code=5)
    assert found["same"]["text"] == "plan shop has no complete restore point to compare with"
    assert main(["backup", "shop"]) == 0
    assert checked(capsys, code=0)["same"]["text"] == "nothing differs"
    (home / "etc/limits").write_text("100000 per minute\n")
    found = checked(capsys, code=4)
    assert found["same"]["text"].startswith(f"it differs: changed {home}/etc/limits; expected: ")
    assert found["same"]["remedy"].splitlines()[1] == "drd plan controls shop --accept same"


def test_only_a_person_accepts_a_change(home: Path, capsys: Output) -> None:
    plan(home, "name: same, kind: unchanged, component: etc")
    assert main(["backup", "shop"]) == 0
    assert checked(capsys, code=0)["same"]["text"] == "nothing differs"
    (home / "etc/limits").write_text("100000 per minute\n")
    assert main(["backup", "shop"]) == 0
    assert "it differs" in checked(capsys, code=4)["same"]["text"]
    assert "it differs" in checked(capsys, code=4)["same"]["text"]
    capsys.readouterr()
    assert main(["plan", "controls", "shop", "--accept", "same"]) == 0
    assert "  same: holds, checked " in capsys.readouterr().out
    assert checked(capsys, code=0)["same"]["text"] == "nothing differs"


def test_the_policy_behind_an_api_is_as_it_was_backed_up(home: Path, capsys: Output) -> None:
    api = RestApi()
    api.fill()
    (home / "key").write_text(f"Bearer {TOKEN}")
    (home / "key").chmod(0o600)
    plan(home, "name: policy, kind: unchanged, component: gateway")
    file = home / "plans/shop.yaml"
    gateway = (
        f"  gateway:\n    kind: http\n    url: {api.url}\n"
        f"    headers: {{Authorization: {{file: {home}/key}}}}\n"
        "    documents: [{get: /settings, save_as: settings}]\n"
    )
    file.write_text(file.read_text().replace("repositories:\n", f"{gateway}repositories:\n"))
    try:
        assert main(["backup", "shop"]) == 0
        assert checked(capsys, code=0)["policy"]["text"] == "nothing differs"
        api.settings = {"theme": "dark", "limits": {"rate": 99}}
        found = checked(capsys, code=4)["policy"]
        assert found["text"].startswith(
            "it differs: changed /settings, changed /settings/limits/rate; "
        )
    finally:
        api.close()


def test_a_check_that_found_nothing_out_forgets_no_reference(home: Path, capsys: Output) -> None:
    plan(home, "name: same, kind: unchanged, component: etc")
    assert main(["backup", "shop"]) == 0
    assert checked(capsys, code=0)["same"]["text"] == "nothing differs"
    (home / "etc").rename(home / "away")
    for _ in range(3):
        assert checked(capsys, code=5)["same"]["state"] == "unknown"
    (home / "away").rename(home / "etc")
    (home / "etc/limits").write_text("100000 per minute\n")
    assert main(["backup", "shop"]) == 0
    assert "it differs" in checked(capsys, code=4)["same"]["text"]
    with sqlite3.connect(home / "state/drd.db") as database:  # as retention forgets it
        [first] = database.execute("SELECT id FROM points ORDER BY data_time LIMIT 1").fetchone()
        database.execute("UPDATE runs SET detail = replace(detail, ?, 'gone0001')", [first])
    found = checked(capsys, code=5)["same"]
    assert found["text"] == (
        "control same cannot compare: its restore point gone0001 no longer exists"
    )
    assert found["remedy"].endswith(": drd plan controls shop --accept same")
    assert main(["plan", "controls", "shop", "--accept", "same"]) == 0
    capsys.readouterr()
    assert checked(capsys, code=0)["same"]["text"] == "nothing differs"


_ENCRYPTION = """<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>
<KMSMasterKeyID>arn:aws:kms:eu-1:1:key/k1</KMSMasterKeyID></ApplyServerSideEncryptionByDefault>
</Rule></ServerSideEncryptionConfiguration>"""
_EMPTY = "<ServerSideEncryptionConfiguration/>"


def _refusal(code: str) -> str:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>"


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        (
            "kms",
            (
                "holds",
                "bucket kms encrypts new objects by aws:kms with key arn:aws:kms:eu-1:1:key/k1",
            ),
        ),
        ("kms, key: k1", ("holds", "bucket kms encrypts new objects by aws:kms")),
        ("kms, key: k", ("does not hold", "expected: encryption at rest by")),
        ("kms, algorithms: [AES256]", ("does not hold", "encryption at rest by AES256")),
        ("none", ("does not hold", "bucket none does not encrypt")),
        ("empty", ("unknown", "the answer is empty")),
        ("denied", ("unknown", "the access key may not read how bucket denied")),
        ("missing", ("unknown", "bucket missing")),
        ("cannot", ("unknown", "the server of bucket cannot does not report")),
    ],
)
def test_a_bucket_must_encrypt(
    home: Path, capsys: Output, buckets: str, bucket: str, expected: tuple[str, str]
) -> None:
    state, says = expected
    keys = f"access_key: {{file: {home}/token}}, secret_key: {{file: {home}/password}}"
    plan(home, f"name: bucket, kind: encryption, {keys}, url: {buckets}/{bucket}")
    code = {"holds": 0, "does not hold": 4, "unknown": 5}[state]
    found = checked(capsys, code=code)["bucket"]
    assert found["state"] == state
    assert says in found["text"]


@pytest.fixture(scope="module")
def buckets() -> Iterator[str]:
    """A server that answers, by the bucket's name, as S3 servers do. It only reads."""
    answers = {
        "kms": (200, _ENCRYPTION),
        "empty": (200, _EMPTY),
        "none": (404, _refusal("ServerSideEncryptionConfigurationNotFoundError")),
        "denied": (403, _refusal("AccessDenied")),
        "missing": (404, _refusal("NoSuchBucket")),
        "cannot": (501, _refusal("NotImplemented")),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bucket, _, query = self.path.lstrip("/").partition("?")
            assert query == "encryption"
            status, text = answers[bucket.rstrip("/")]
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            return

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"s3:http://127.0.0.1:{server.server_address[1]}"


def tls(port: int, **more: Any) -> ControlSpec:
    values = {"kind": "tls", "name": "tls", "address": f"127.0.0.1:{port}", **more}
    return ControlSpec("tls", "tls", TlsControl.model_validate(values), 3600.0, 10.0)


def test_tls_needs_a_trusted_certificate_for_long_enough(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    run = CONTROLS["tls"].control.run
    with api(certificate=certificate) as port:
        ours = {"ca_cert": str(tmp_path / "ca.pem")}
        held = run(tls(port, **ours, valid_for="1h"), CONTEXT)
        assert held.holds, held
        assert held.observed.startswith("TLSv1.3, the certificate is valid until ")
        soon = run(tls(port, **ours), CONTEXT)
        assert not soon.holds
        assert soon.expected == "a trusted certificate, valid for 14d or longer"
        old = run(tls(port, **ours, valid_for="1h", min_version="1.3"), CONTEXT)
        assert (old.holds, old.observed) == (False, "the server accepts TLSv1.2")
        strange = run(tls(port), CONTEXT)
        assert strange.observed == "the certificate is not trusted: self-signed certificate"
    with api() as port, pytest.raises(ControlUnknown, match="cannot establish TLS with 127"):
        run(tls(port), CONTEXT)


def test_a_server_that_only_waits_has_not_refused_an_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    spec = ControlSpec("tls", "tls", None, 3600.0, 0.3)
    with api(certificate=certificate) as port, socket.create_server(("127.0.0.1", 0)) as silent:
        ours = {"ca_cert": str(tmp_path / "ca.pem"), "valid_for": "1h"}
        ports = iter([port, silent.getsockname()[1]])

        def turns(address: tuple[str, int], timeout_s: float) -> socket.socket:
            return connect((address[0], next(ports)), timeout_s)

        connect = socket.create_connection
        monkeypatch.setattr("drd.controls.tls.socket.create_connection", turns)
        with pytest.raises(ControlUnknown, match="neither accepted nor refused"):
            CONTROLS["tls"].control.run(replace(spec, settings=tls(port, **ours).settings), CONTEXT)


def test_mistakes_in_controls_have_their_remedy(tmp_path: Path) -> None:
    text = """\
controls:
  - {name: a, kind: http, url: "https://anna:pw@api.example.com/"}
  - {name: b, kind: http, url: "https://api.example.com/", headers: {Authorization: Bearer x}}
  - {name: c, kind: unchanged, component: ect}
  - {name: c, kind: tls, address: "api.example.com:443"}
"""
    found = {p.path: f"{p.message} HINT {p.hint}" for p in problems(tmp_path, GOOD + text)}
    assert found == {
        "controls[0].url": "the address contains a login HINT remove the login from the "
        "address, and write it into `headers`: {Authorization: "
        "{credential: NAME}}.",
        "controls[1].headers.Authorization": "this header contains a secret HINT store the "
        "value as a credential, and name this "
        "credential here: Authorization: {credential: "
        "NAME}.",
        "controls[2].component": 'there is no component "ect" HINT did you mean "etc"?',
        "controls[3].name": 'line 27 already has "c" HINT remove one.',
    }
    head = '{name: k, kind: http, url: "https://x.example/", method: HEAD, lacks: a}'
    told = {p.path: p.message for p in problems(tmp_path, f"{GOOD}controls: [{head}]\n")}
    assert told == {"controls[0].lacks": "the answer to HEAD has no text"}
    wrong = "[{name: d, kind: tls, address: api.example.com}, {name: e, kind: ssh}, {name: f}]"
    other = f"{GOOD}controls: {wrong}\n"
    buckets = (
        "{name: g, kind: encryption}, {name: h, kind: encryption, repository: prim}, "
        '{name: i, kind: encryption, repository: primary, url: "s3:https://x/bucket"}, '
        "{name: j, kind: encryption, url: /srv/x, key: k}"
    )
    told = {p.path: f"{p.message} HINT {p.hint}" for p in problems(
        tmp_path, f"{GOOD}controls: [{buckets}]\n"
    )}  # fmt: skip
    needs = "the control needs exactly one bucket HINT name a `repository` of this plan, or the "
    assert told == {
        "controls[0].kind": f"{needs}`url` of another bucket.",
        "controls[1].repository": 'there is no repository "prim" HINT did you mean "primary"?',
        "controls[2].kind": f"{needs}`url` of another bucket.",
        "controls[3].url": "not the address of a bucket HINT write s3:https://HOST/BUCKET.",
    }
    found = {p.path: p.message for p in problems(tmp_path, other)}
    assert found["controls[0].address"].endswith('"api.example.com" is not a host and port')
    assert found["controls[1].kind"] == 'unknown kind "ssh"'
    assert found["controls[2].kind"] == "kind is missing"


def test_a_check_of_an_unknown_control_names_the_known_ones(home: Path, capsys: Output) -> None:
    plan(home, 'name: gone, kind: http, url: "http://127.0.0.1:1/"')
    assert main(["plan", "controls", "shop", "--check", "other"]) == 2
    assert "HINT: choose one of the plan's controls: gone." in capsys.readouterr().err
    for option in ("--check", "--accept"):
        assert main(["plan", "controls", option, "gone"]) == 2
        assert "need the name of a plan" in capsys.readouterr().err
