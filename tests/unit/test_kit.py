"""The recovery kit's file, its index, and the pages that it prints."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest

from drd.cli.kit import _warn_of_exposed
from drd.config import exposed_files
from drd.errors import KitDamaged, KitUnavailable, TargetUnwritable, UsageError, WrongKey
from drd.kinds.registry import by_hand_of
from drd.kit import sealing
from drd.kit.archive import pack, unpack
from drd.kit.document import Commands, Heading, Items, Paragraph, Table, html, markdown
from drd.kit.sealing import Lock, read_passphrase, seal, unseal, write_kit
from drd.model.kit import (
    Key,
    KitComponent,
    KitIndex,
    KitPlan,
    KitPoint,
    KitRepository,
    KitSecret,
    heading,
)
from drd.model.kit_index import index_from_json
from drd.model.plan import Component, SecretRef
from drd.registry import KINDS

NOW = datetime(2026, 11, 25, 0, 31, 0, 5, tzinfo=UTC)
POINT = KitPoint(
    "7c1e0000", NOW, NOW, True, "7c1e-d14", ("primary",),
    (KitComponent("db", "sqlite", "ab" * 32, NOW, 10, {"tables": 2, "rows": 7}),),
)  # fmt: skip
INDEX = KitIndex(
    made_at=NOW,
    host="old",
    config="etc/drd.yaml",
    config_dir="/etc/drd",
    plans=(
        KitPlan(
            "shop", "d1", "etc/plans/shop.yaml",
            (KitRepository("primary", "/repo", "1d" * 32), KitRepository("far", "/far", None,
            "primary")),
            (POINT,), ("target standby of shop: db",),
        ),
    ),
    secrets=(
        KitSecret("secrets/a", SecretRef("credential", "restic"), "repository"),
        KitSecret("secrets/b", SecretRef("command", ("pass", "show")), "target"),
    ),
    files={"/etc/ca.pem": "files/0-ca.pem"},
    versions={"drd": "1"},
    digests={},
)  # fmt: skip
FILES = {
    "etc/drd.yaml": b"plans: plans\n", "etc/plans/shop.yaml": b"plan: shop\n",
    "secrets/a": b"top secret",
    "secrets/b": b"another", "files/0-ca.pem": b"PEM",
}  # fmt: skip


def sealed(lock: Lock) -> bytes:
    return seal(pack(INDEX, FILES), lock, made_at=NOW, plans=["shop"])


@pytest.fixture
def identity() -> tuple[Lock, Key]:
    """Faster than a passphrase, which takes a second on purpose."""
    made = pyrage.x25519.Identity.generate()
    return Lock(recipients=(str(made.to_public()),)), Key(identity=f"# mine\n{made}\n".encode())


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_passphrase_file_that_others_can_read_gets_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mode: int,
) -> None:
    monkeypatch.setattr(exposed_files, "_reachable", lambda *_: True)
    phrase = tmp_path / "pw"
    phrase.touch(mode)
    phrase.chmod(mode)
    _warn_of_exposed(str(phrase))
    assert (f"chmod 600 {phrase}" in capsys.readouterr().err) == (mode == 0o644)


def test_index_comes_back_as_it_was() -> None:
    assert index_from_json(INDEX.to_json()) == INDEX


def test_a_kit_of_a_newer_schema_is_refused_by_its_number() -> None:
    with pytest.raises(ValueError, match="schema 2, but this drd reads schema 1"):
        index_from_json({**INDEX.to_json(), "schema": 2})


def test_a_sealed_kit_opens_with_its_identity(identity: tuple[Lock, Key]) -> None:
    kit = sealed(identity[0])
    first = kit.split(b"\n", 1)[0].decode()
    assert "tail -n +2 THIS-FILE | age -d -i YOUR-IDENTITY-FILE | tar -x" in first
    assert "shop" in first
    assert b"top secret" not in kit
    opened = unpack(unseal(kit, identity[1], name="k"), name="k")
    assert dict(opened.files) == FILES
    assert opened.index.plans == INDEX.plans


def test_another_identity_does_not_open_it(identity: tuple[Lock, Key]) -> None:
    other = Key(identity=str(pyrage.x25519.Identity.generate()).encode())
    with pytest.raises(WrongKey, match="this identity does not open the kit"):
        unseal(sealed(identity[0]), other, name="k")


def test_a_passphrase_that_takes_this_machine_too_long_is_not_called_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """age refuses the work before it tries the passphrase; here no machine could do it."""
    monkeypatch.setattr(sealing, "_TRIES", 2)
    monkeypatch.setattr(sealing, "_PAUSE_S", 0)
    salt, wrapped = "A" * 22, "A" * 43
    body = (
        f"age-encryption.org/v1\n-> scrypt {salt} 60\n{wrapped}\n--- {wrapped}\n".encode()
        + bytes(48)
    )
    first = heading(NOW, ["shop"], hashlib.sha256(body).hexdigest(), passphrase=True)
    with pytest.raises(KitUnavailable, match="too slow or too busy to open k") as refused:
        unseal(first.encode() + b"\n" + body, Key(passphrase="right"), name="k")
    assert "age" in (refused.value.hint or "")


@pytest.mark.parametrize("at", [0.3, 0.6, 0.99])
def test_a_flipped_byte_is_damage_and_not_a_wrong_key(
    identity: tuple[Lock, Key], at: float
) -> None:
    kit = bytearray(sealed(identity[0]))
    place = int(len(kit) * at)
    kit[place] = ord("A") if kit[place] != ord("A") else ord("B")
    with pytest.raises(KitDamaged, match="k is damaged"):
        unseal(bytes(kit), identity[1], name="k")


@pytest.mark.parametrize("left", [0.2, 0.5, 0.98])
def test_a_truncated_kit_is_damaged(identity: tuple[Lock, Key], left: float) -> None:
    kit = sealed(identity[0])
    with pytest.raises(KitDamaged, match="k is damaged") as caught:
        unseal(kit[: int(len(kit) * left)], identity[1], name="k")
    assert caught.value.hint == "use another copy of the kit."


def test_a_changed_first_line_alone_keeps_nobody_out(identity: tuple[Lock, Key]) -> None:
    kit = sealed(identity[0]).replace(b"2026", b"2025", 1).replace(b"\n", b"\r\n")
    assert unpack(unseal(kit, identity[1], name="k"), name="k").files == FILES


def test_a_file_that_is_not_a_kit_is_named_as_such(identity: tuple[Lock, Key]) -> None:
    with pytest.raises(UsageError, match="k is not a recovery kit"):
        unseal(b"plan: shop\n", identity[1], name="k")


def test_a_file_that_was_changed_inside_is_named() -> None:
    archive = pack(INDEX, FILES).replace(b"top secret", b"tip secret")
    with pytest.raises(KitDamaged, match="is damaged: the content of secrets/a differs"):
        unpack(archive, name="k")


@pytest.mark.parametrize("text", ["age1zzz", "alice", "ssh-rsa AAAA"])
def test_a_recipient_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a public key"):
        sealed(Lock(recipients=(text,)))


def test_a_kit_is_written_for_its_owner_alone_and_replaces_only_kits(tmp_path: Path) -> None:
    file = tmp_path / "k"
    write_kit(file, b"drd recovery kit of 1\nfirst")
    write_kit(file, b"drd recovery kit of 2\nsecond")
    assert file.read_bytes().endswith(b"second")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    other = tmp_path / "thesis.txt"
    other.write_text("years of work")
    with pytest.raises(UsageError, match="thesis\\.txt: it exists and is not a recovery kit"):
        write_kit(other, b"drd recovery kit of 3\n")
    assert other.read_text() == "years of work"
    with pytest.raises(TargetUnwritable, match="no such file or directory"):
        write_kit(tmp_path / "nowhere" / "k", b"")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k", "thesis.txt"]


@pytest.mark.parametrize(
    ("text", "problem"), [("", "is empty"), (" \n", "is empty"), ("a\nb\n", "has several lines")]
)
def test_a_passphrase_is_one_line(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "pw").write_text(text)
    with pytest.raises(UsageError, match=problem):
        read_passphrase(tmp_path / "pw")


def test_every_kind_of_component_has_instructions_by_hand() -> None:
    assert all(callable(by_hand_of(kind)) for kind in KINDS.names)


def test_pages_say_the_same_in_markdown_and_html() -> None:
    page = [
        Heading(1, "A & B"),
        Paragraph("x < y"),
        Items(("one", "two"), numbered=True),
        Table(("a", "b"), (("1|2", "3\n4"),)),
        Commands("echo '<&>'\n"),
        Commands("drd\n", shown=True),
    ]
    text, web = markdown(page).decode(), html(page).decode()
    assert "# A & B\n" in text
    assert "1. one\n2. two\n" in text
    assert "| 1\\|2 | 3 4 |" in text
    assert "```bash\necho '<&>'\n```" in text
    assert "```text\ndrd\n```" in text
    assert "<title>A &amp; B</title>" in web
    assert "<p>x &lt; y</p>" in web
    assert "<td>1|2</td>" in web
    assert '<pre class="bash">echo &#x27;&lt;&amp;&gt;&#x27;\n</pre>' in web


def test_a_passphrase_opens_what_age_itself_sealed() -> None:
    lock = Lock(passphrase="correct horse")
    kit = sealed(lock)
    heavy = pyrage.passphrase.encrypt(b"x", "correct horse", armored=True)
    text = heading(NOW, ["shop"], hashlib.sha256(heavy).hexdigest(), passphrase=True)
    assert unseal(text.encode() + b"\n" + heavy, Key(passphrase="correct horse"), name="k") == b"x"
    assert pyrage.passphrase.decrypt(kit.partition(b"\n")[2], "correct horse") == unseal(
        kit, Key(passphrase="correct horse"), name="k"
    )


def test_the_page_by_hand_compares_no_materialised_view(tmp_path: Path) -> None:
    """The restore computes it again: it may differ from a view that was out of date."""
    settings = KINDS["postgres"].settings.model_validate(
        {"kind": "postgres", "dsn": "postgresql:///shop"}
    )
    hand = by_hand_of("postgres")(
        Component("db", "postgres", settings), None, place="", resolve=str
    )
    compare = next(p.commands for p in hand.passages if p.compares)
    tables = {"public.t": [5, None], "public.view": [4, None]}
    fingerprint = {"tables": tables, "derived": ["public.view"]}
    manifest = {"components": [{"component": "db", "fingerprint": fingerprint}]}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    compared = subprocess.run(
        ["bash", "-c", compare.split(" |\nwhile", 1)[0]],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    assert compared.stdout == b"public.t\t5\n"
