"""Attesting a text over the socket: it counts for the user whom the kernel names alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from drd.signing import new_key
from tests.api_support import ANNA, BERT, PEOPLE, READERS, STRANGER, House, ask
from tests.user_support import as_root

ATTEST = "/v1/training/attest"


@as_root
def test_only_the_users_own_attestation_is_recorded(short_tmp: Path) -> None:
    (key := short_tmp / "key").write_text(new_key())
    key.chmod(0o600)
    with closing(House(short_tmp, f"{PEOPLE}records: {{key: {{file: {key}}}}}\n")) as house:

        def asked(uid: int, address: str, *groups: int, **body: str) -> tuple[int, str]:
            status, told = ask(house.path, uid, groups, address, body or None)
            return status, str(told.get("error", told))

        _, text = ask(house.path, ANNA, (), "/v1/training/texts?text=report")
        body = {"text": "report", "digest": text["digest"]}
        status, told = asked(ANNA, ATTEST, **body, by="Bert")
        assert (status, "cannot attest a text for 'Bert'" in told) == (400, True), told
        status, told = asked(ANNA, ATTEST, text="report", digest="0" * 64)
        assert (status, "changed after you read it" in told) == (400, True), told
        assert asked(ANNA, ATTEST, **body)[0] == 200
        assert asked(STRANGER, ATTEST, READERS, **body)[0] == 200
        for wrong in ({**body, "user": "bin"}, {**body, "text": "../x"}, {"text": "report"}):
            assert asked(ANNA, ATTEST, **wrong)[0] == 400
        _, told_of = ask(house.path, BERT, (), "/v1/training")
    done = {p["person"]: [q["state"] for q in p["qualifications"]] for p in told_of["people"]}
    assert done == {"Anna": ["valid"], "Bert": [], "Carl": [], "sys": ["valid"]}


@as_root
def test_operator_drill_is_asked_for_by_whom_the_kernel_names(short_tmp: Path) -> None:
    with closing(House(short_tmp, PEOPLE)) as house:

        def asked(uid: int, **body: object) -> tuple[int, dict[str, object]]:
            return ask(house.path, uid, (), "/v1/plans/shop/drill", body)

        assert asked(ANNA, scenario="operator")[0] == 403, "no operator"
        assert asked(BERT, by="Anna")[0] == 400
        status, told = asked(BERT, scenario="operator", by="Anna")
        assert status == 200, told
        [run] = house.app.catalogue.queue.open_runs()
        assert (run.subject, run.actor is not None and run.actor.user) == ("operator", "bin")
        assert run.actor is not None
        assert run.actor.claimed_by == "Anna"
        assert asked(BERT, scenario="operator")[1]["joined"] is True
        assert asked(BERT)[1]["joined"] is False, "a drill of the schedule is another one"
