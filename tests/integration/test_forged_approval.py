"""Somebody who can write the catalogue, but has no key, rewrites or makes up an approval, so that
the chain contradicts nothing: the message does not leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drd.catalogue.sql_catalogue import SqlCatalogue, open_catalogue
from drd.errors import SecretUnavailable, UsageError
from drd.flows.incidents import messages as flow
from drd.model.incidents.messages import Content
from drd.model.record_drafts import of_key
from drd.model.records import FIRST, Body, Entry, Header, canonical
from drd.signing import Signer
from tests.catalogue_support import unguarded
from tests.integration.test_incident_letters import ACME, ANNA, Response
from tests.notify_support import NOON, Post, mail_server
from tests.records_support import key


class Ring:
    """The key of this host, which a test can take away or replace."""

    signer: Signer | None = None

    def __call__(self, current: str) -> Signer | None:
        return self.signer


@pytest.fixture
def ring() -> Ring:
    made = Ring()
    made.signer = key()
    return made


@pytest.fixture
def catalogue(tmp_path: Path, ring: Ring) -> Iterator[SqlCatalogue]:
    made = open_catalogue(f"sqlite:///{tmp_path}/state/drd.db", create=True, find_signer=ring)
    yield made
    made.close()


@pytest.fixture
def post() -> Iterator[Post]:
    with mail_server() as server:
        yield server


@pytest.fixture
def response(catalogue: SqlCatalogue, post: Post) -> Response:
    made = Response(catalogue, post.port, ACME)
    made.draft()
    made.approve(1)
    return made


def rewritten(catalogue: SqlCatalogue, forge: Callable[[Entry], tuple[str, str]]) -> None:
    """Change the text of message 1 and everything that names its digest, as far as the hashes of
    the chain go; `forge` returns key and signature for each entry that changed."""
    entries = list(catalogue.records.read())
    changed = ""
    with catalogue.database.write() as connection:
        unguarded(connection)
        previous = FIRST
        for entry in entries:
            assert entry.body is not None
            values = json.loads(entry.body.text)
            if entry.header.kind == "incident.draft":
                values["content"]["parts"][0]["text"] = "Send your password to eve@evil.example.\n"
                changed = Content.from_json(values["content"]).digest
            if changed and "digest" in values:
                values["digest"] = changed
            body = Body(entry.body.salt, canonical(values).decode())
            header = entry.header
            named = {name: getattr(header, name) for name in Header.__slots__}
            made = Header(**{**named, "digest": body.digest, "previous": previous})
            previous = made.hash
            if made == header:
                continue
            by, signature = forge(Entry(made, made.hash, entry.key, entry.signature))
            row = (made.digest, made.previous, made.hash, by, signature, made.seq)
            connection.exec_driver_sql(
                "UPDATE records SET digest=?, previous=?, hash=?, key=?, signature=? WHERE seq=?",
                row,
            )
            connection.exec_driver_sql(
                "UPDATE record_bodies SET body=? WHERE seq=?", (body.text, made.seq)
            )


def kept(entry: Entry) -> tuple[str, str]:
    return entry.key, entry.signature


def none(_entry: Entry) -> tuple[str, str]:
    return "", ""


def by_another_key(entry: Entry) -> tuple[str, str]:
    other = key()
    return other.public.id, other.sign(entry.header.message())


@pytest.mark.parametrize("forge", [kept, none, by_another_key])
def test_a_rewritten_message_does_not_leave(
    response: Response, post: Post, forge: Callable[[Entry], tuple[str, str]]
) -> None:
    rewritten(response.catalogue, forge)
    assert flow.message_of(response.catalogue, 1, 1).is_approved, "the chain contradicts nothing"
    with pytest.raises(UsageError, match="the draft of message 1, entry 3, is not signed by drd's"):
        response.send(1)
    response.deliver()
    assert post.mails == []


@pytest.mark.parametrize("forge", [kept, none, by_another_key])
def test_a_message_that_is_rewritten_while_it_waits_does_not_leave(
    response: Response, post: Post, forge: Callable[[Entry], tuple[str, str]]
) -> None:
    response.send(1)
    rewritten(response.catalogue, forge)
    with response.catalogue.database.write() as connection:
        digest = flow.message_of(response.catalogue, 1, 1).digest
        [old] = connection.exec_driver_sql("SELECT body FROM outbox").scalars().all()
        values = json.loads(old)
        values["details"]["digest"] = digest
        connection.exec_driver_sql("UPDATE outbox SET body=?", (json.dumps(values),))
    assert response.deliver() == 1
    assert (response.fates(), post.mails) == (["refused"], [])
    assert "is not signed by drd's key" in response.said()


def test_an_approval_that_was_made_up_does_not_count(
    response: Response, post: Post, ring: Ring
) -> None:
    which = response.draft()
    signer, ring.signer = ring.signer, None
    response.approve(which)
    ring.signer = signer
    with pytest.raises(UsageError, match=f"the approval of message {which}, entry 6, is not"):
        response.send(which)
    response.approve(which)
    response.send(which)
    response.deliver()
    assert len(post.mails) == 1


def test_without_its_key_drd_sends_nothing_outside_and_tries_again(
    response: Response, post: Post, ring: Ring
) -> None:
    signer, ring.signer = ring.signer, None
    with pytest.raises(
        SecretUnavailable, match=r"drd cannot read the key [0-9a-f]{16}, which its records name"
    ):
        response.send(1)
    ring.signer = signer
    response.send(1)
    ring.signer = None
    assert response.deliver() == 0
    assert response.fates() == ["waits"]
    ring.signer = signer
    response.clock.turn(61)
    assert response.deliver() == 1
    assert len(post.mails) == 1


def test_an_approval_by_a_former_key_counts(response: Response, post: Post, ring: Ring) -> None:
    former, new = ring.signer, key()
    assert former is not None
    made = of_key(new.public.id, new.public.text, former.public.id, NOON, ANNA)
    response.catalogue.records.record_key(made, former, expecting=former.public.id)
    ring.signer = new
    response.send(1)
    response.deliver()
    assert len(post.mails) == 1


def test_a_key_that_only_the_catalogue_names_counts_for_nothing(
    response: Response, post: Post
) -> None:
    """Somebody puts a key of their own in the place of drd's, under its id, and signs with it."""
    ours, other = response.catalogue.records.current_key(), key()

    def forge(entry: Entry) -> tuple[str, str]:
        return ours, other.sign(entry.header.message())

    first = response.catalogue.records.get(1)
    assert first.body is not None
    values = {**json.loads(first.body.text), "public": other.public.text}
    body = canonical(values).decode()
    rewritten(response.catalogue, forge)
    with response.catalogue.database.write() as connection:
        connection.exec_driver_sql("UPDATE record_bodies SET body=? WHERE seq=1", (body,))
    with pytest.raises(UsageError, match="is not signed by drd's key"):
        response.send(1)
    response.deliver()
    assert post.mails == []
