"""What a plan says of its service: read, checked, no part of its hash; dependents and risks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from drd.config.exposed_files import secret_files
from drd.config.references import plan_references
from drd.kinds.registry import servers_of
from drd.model.inventory import THIS_HOST, Credential, DataSet, Inventory, Risk, dependents
from drd.model.malformed import Malformed
from drd.model.plan import Plan, SecretRef
from drd.model.risks import THREATS, Coverage, Evidence, Lack, cover, judge
from tests.config_support import GOOD, load, problems

TODAY = date(2026, 11, 28)
WHOLE = """\
tier: 1
business_owner: anna@example.com
depends_on: [identity]
endpoints: [https://api.example.com/v1]
credentials:
  - {name: stripe, reference: {file: /etc/shop/stripe}, rotate_with: rotate-stripe}
data:
  - what: customers
    categories: [contact]
    people: 5000
    residents: {DE: 4200, US-CA: 800}
    where: [store.customers, etc]
    count: select country, count(*) from customers group by country
    encrypted: false
    processors: [Example Hosting]
risks:
  - {what: host-loss, likelihood: low, impact: high, covers: [host-loss, "playbook:rebuild"]}
"""


def test_a_plan_says_what_its_service_has(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD + WHOLE).plan.inventory
    assert (found.tier, found.depends_on) == (1, ("identity",))
    assert found.credentials[0].rotate_with == "rotate-stripe"
    assert found.credentials[0].reference == "file /etc/shop/stripe"
    [data] = found.data
    assert (data.residents, data.components) == ((("DE", 4200), ("US-CA", 800)), ("store", "etc"))
    assert found.risks[0].covers == ("host-loss", "playbook:rebuild")
    listed = load(tmp_path, GOOD + "data: [{what: customers, residents: [DE, FR]}]\n").plan
    assert listed.inventory.data[0].residents == (("DE", None), ("FR", None))


def test_drd_never_reads_what_only_the_service_needs(tmp_path: Path) -> None:
    loaded = load(tmp_path, GOOD + WHOLE)
    assert "/etc/shop/stripe" not in secret_files(loaded.plan)
    references = plan_references(GOOD + WHOLE, tmp_path / "shop.yaml")
    assert {path[0] for path in references} == {"components", "repositories"}


def test_the_inventory_is_not_a_part_of_the_hashes(tmp_path: Path) -> None:
    before, after = load(tmp_path, GOOD).plan, load(tmp_path, GOOD + WHOLE).plan
    assert (before.digest, before.proof) == (after.digest, after.proof)
    assert before.inventory == Inventory()


def test_each_mistake_has_its_line_and_remedy(tmp_path: Path) -> None:
    text = """\
tier: 9
endpoints: ["https://anna:secret@api.example.com"]
data:
  - {what: a, residents: [Germany]}
  - {what: c, where: [store], count: "delete from users"}
risks:
  - {what: insider, covers: [hope]}
  - {what: twice}
  - {what: twice, reviewed: yesterday}
"""
    found = {p.path: f"{p.message} HINT {p.hint}" for p in problems(tmp_path, GOOD + text)}
    wanted = {
        "tier": "5",
        "endpoints[0]": "write the URL without the user and the password",
        "data[0].residents": "write a code like DE, FR or US-CA",
        "data[1].count": "write one SELECT statement that counts people",
        "risks[0].covers[0]": "playbook:NAME or control:NAME",
        "risks[2].reviewed": "write a date like 2026-12-31",
    }
    assert {key: text for key, text in wanted.items() if text not in found.get(key, "")} == {}, (
        found
    )
    assert "secret" not in str(found)


def test_a_control_that_the_plan_lacks_covers_nothing_and_is_warned_of(tmp_path: Path) -> None:
    text = "risks: [{what: insider, covers: [host-loss, 'control:backup-accounts']}]\n"
    [warning] = [w for w in load(tmp_path, GOOD + text).warnings if w.path.startswith("risks")]
    assert warning.path == "risks[0].covers[1]"
    assert warning.message == 'there is no control "backup-accounts", so it cannot cover the risk'


def test_the_data_is_in_components_of_the_plan_that_can_answer(tmp_path: Path) -> None:
    text = """\
credentials: [{name: a}, {name: a}]
data:
  - {what: a, where: [stroe.users]}
  - {what: b, where: [etc], count: select count(*) from users}
  - {what: c, count: select 1}
"""
    found = {p.path: f"{p.message} HINT {p.hint}" for p in problems(tmp_path, GOOD + text)}
    assert found == {
        "credentials[1].name": 'line 24 already has "a" HINT remove one.',
        "data[0].where[0]": 'there is no component "stroe" HINT did you mean "store"?',
        "data[1].count": 'component "etc" is of kind files, which cannot execute SQL HINT '
        "put a component with tables first in `where`, or remove `count`.",
        "data[2].count": "does not name the component to query HINT "
        "add `where: [COMPONENT.TABLE]`.",
    }


def shop(tmp_path: Path, name: str, **inventory: tuple[str, ...]) -> Plan:
    (tmp_path / name).mkdir()
    text = GOOD.replace("plan: shop", f"plan: {name}").replace("bucket/shop", f"bucket/{name}")
    text = text.replace("shop-restic", f"{name}-restic")
    plan = load(tmp_path / name, text).plan
    return replace(plan, inventory=Inventory(**inventory))


def test_an_incident_reaches_what_depends_on_it_or_shares_its_keys(tmp_path: Path) -> None:
    plans = [
        shop(tmp_path, "identity"),
        shop(tmp_path, "orders", depends_on=("identity",)),
        shop(tmp_path, "mails", depends_on=("orders",)),
        shop(tmp_path, "alone"),
    ]
    twin = replace(plans[3], name="twin", repositories=plans[0].repositories)
    found = dependents({p.name: p for p in [*plans, twin]}, ["identity"])
    assert [(d.plan, d.why) for d in found] == [
        ("orders", "depends on identity"),
        ("twin", "uses repository s3:https://s3.example.com/bucket/identity, as identity does"),
        ("mails", "depends on orders"),
    ]
    keys = replace(plans[3], name="keys", inventory=replace(Inventory()))
    secret = plans[0].repositories["primary"]
    keys = replace(keys, repositories={"primary": replace(secret, url="/elsewhere")})
    [shared] = dependents({"identity": plans[0], "keys": keys}, ["identity"])
    assert shared.why == "uses credential identity-restic, as identity does"


def test_an_incident_reaches_plans_on_the_same_server_after_all_others(tmp_path: Path) -> None:
    plans = {
        name: shop(tmp_path, name, depends_on=needed)
        for name, needed in (("one", ()), ("near", ()), ("db", ()), ("far", ("near",)), ("x", ()))
    }
    servers = {"one": {"db1", THIS_HOST}, "near": {THIS_HOST}, "db": {"db1", THIS_HOST}}
    servers |= {"x": {"db2"}}
    assert [(d.plan, d.why) for d in dependents(plans, ["one"], servers)] == [
        ("near", "has data on this host, as one does"),
        ("db", "has data on the same server as one"),
        ("far", "depends on near"),
    ]
    far = {**plans, "near": replace(plans["near"], inventory=Inventory(depends_on=("one",)))}
    assert [d.why for d in dependents(far, ["one"], servers)] == [
        "depends on one",
        "depends on near",
        "has data on the same server as one",
    ]


def test_the_servers_of_a_plan_are_those_of_its_components(tmp_path: Path) -> None:
    plan = load(tmp_path, GOOD).plan
    there = "postgresql://app@db1.example/x"
    assert servers_of(plan, lambda _: there) == {"db1.example", THIS_HOST}
    database = replace(plan, components={"db": plan.components["db"]})
    assert servers_of(database, lambda _: None) == set()  # nobody knows
    assert servers_of(database, lambda _: "postgresql://app@localhost/x") == {THIS_HOST}


def test_an_incident_reaches_nothing_but_what_is_linked_with_it(tmp_path: Path) -> None:
    one, other = shop(tmp_path, "one"), shop(tmp_path, "other", depends_on=("unknown",))
    plans = {p.name: p for p in (one, other)}
    assert dependents(plans, ["one"]) == dependents(plans, ["unknown plan"]) == []
    assert dependents(plans, ["unknown"]) == []
    circle = {
        name: replace(one, name=name, inventory=Inventory(depends_on=(needed,)), repositories={})
        for name, needed in (("a", "b"), ("b", "a"), ("c", "a"))
    }
    assert [d.plan for d in dependents(circle, ["a"])] == ["b", "c"]
    assert [d.plan for d in dependents(circle, ["a", "c"])] == ["b"]
    named = Inventory(credentials=(Credential("stripe", "file /etc/stripe"), Credential("bare")))
    twins = {n: replace(one, name=n, inventory=named, repositories={}) for n in ("a", "b")}
    [shared] = dependents(twins, ["a"])
    assert (shared.plan, shared.why) == ("b", "uses file /etc/stripe, as a does")
    bare = replace(named, credentials=named.credentials[1:])
    assert dependents({n: replace(p, inventory=bare) for n, p in twins.items()}, ["a"]) == []


def test_a_text_in_the_plan_is_not_a_secret_that_plans_share(tmp_path: Path) -> None:
    plan = shop(tmp_path, "one")
    open_ = replace(plan.repositories["primary"], password=SecretRef("text", "open"))
    plans = {
        n: replace(plan, name=n, repositories={"primary": replace(open_, url=f"/srv/{n}")})
        for n in ("a", "b")
    }
    assert dependents(plans, ["a"]) == []


def test_components_of_data_are_named_once() -> None:
    assert DataSet("a", where=("db.users", "etc", "db.orders.x")).components == ("db", "etc")


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        ("control:none", "add the control under `controls` in the plan"),
        ("region-loss", "add region-loss to drill.scenarios in the plan"),
        (
            "playbook:none",
            "to write this playbook, copy one of drd: drd playbook new --from NAME",
        ),
    ],
)
def test_each_reason_why_nothing_covers_a_risk_has_a_remedy(word: str, remedy: str) -> None:
    [judged, *_] = judge([Risk("insider", covers=(word,))], Evidence({}), TODAY)
    assert [lack.remedy for lack in judged.missing] == [remedy]
    assert (judged.coverage, judged.by) == (Coverage.UNCOVERED, ())


def test_an_uncovered_risk_names_what_usually_covers_it() -> None:
    known, own = judge([Risk("insider"), Risk("own words")], Evidence({}), TODAY)[:2]
    threat = next(t for t in THREATS if t.name == "insider")
    assert (known.title, own.title) == (threat.title, "")
    usual = f"write under `covers` what covers this risk; usually covered by: {threat.usual}"
    assert [lack.remedy for lack in known.missing] == [usual]
    assert [lack.remedy for lack in own.missing] == ["write under `covers` what covers this risk"]
    accepted = judge(
        [Risk("insider", treatment="avoid", reviewed="2026-11-01")], Evidence({}), TODAY
    )
    assert (accepted[0].coverage, accepted[0].missing, accepted[0].is_open) == (
        Coverage.AVOIDED,
        (),
        False,
    )


def test_a_risk_that_is_reduced_needs_no_review_until_it_had_one() -> None:
    def missing(**more: str) -> tuple[str, ...]:
        found = judge(
            [Risk("insider", covers=("host-loss",), **more)], Evidence({"host-loss": None}), TODAY
        )
        return tuple(lack.text for lack in found[0].missing)

    assert missing() == ()
    assert missing(treatment="transfer") == ("never reviewed",)
    assert missing(reviewed="2025-11-27") == ("last reviewed 2025-11-27, more than a year ago",)


@pytest.mark.parametrize("word", ["host-loss", "playbook:a", "control:tls-1"])
def test_scenarios_playbooks_and_controls_can_cover_a_risk(word: str) -> None:
    assert cover(word) == word


@pytest.mark.parametrize("word", ["hope", "playbook", "playbook:", "control:A B", "host:a", ":a"])
def test_other_words_cannot_cover_a_risk(word: str) -> None:
    with pytest.raises(Malformed, match="cannot cover a risk"):
        cover(word)


def test_only_what_exists_covers_a_risk() -> None:
    evidence = Evidence(
        {"database-loss": None, "host-loss": Lack("never drilled")},
        ["rebuild"],
        ["torn"],
        {"tls": None, "open": Lack("it answers 200")},
    )

    def one(*covers: str, **more: str) -> tuple[Coverage, tuple[str, ...], bool]:
        judged = judge([Risk("data-loss", covers=covers, **more)], evidence, TODAY)[0]
        texts = tuple(lack.text for lack in judged.missing)
        return judged.coverage, texts, judged.is_open

    assert one("database-loss") == (Coverage.COVERED, (), False)
    assert one("playbook:rebuild", "control:tls") == (Coverage.COVERED, (), False)
    partly = one("database-loss", "playbook:other")
    assert partly == (Coverage.PARTLY, ("playbook:other: there is no such playbook",), True)
    assert one("playbook:torn")[1] == (
        "playbook:torn: the file of this playbook has errors, so drd refuses it",
    )
    assert one("host-loss") == (Coverage.UNCOVERED, ("never drilled",), True)
    assert one()[0] is Coverage.UNCOVERED
    assert one("control:open")[1] == ("it answers 200",)
    assert one("control:none")[1] == (
        "control:none: the plan does not have a control of this name",
    )
    assert one("region-loss")[1] == ("region-loss: no drill of this plan rehearses this scenario",)


def test_a_decision_counts_for_a_year() -> None:
    def missing(reviewed: str) -> tuple[str, ...]:
        risk = Risk("insider", treatment="accept", reviewed=reviewed)
        [judged, *_] = judge([risk], Evidence({}), TODAY)
        assert judged.coverage is Coverage.ACCEPTED
        return tuple(lack.text for lack in judged.missing)

    assert missing("2025-11-28") == ()
    assert missing("2025-11-27") == ("last reviewed 2025-11-27, more than a year ago",)
    assert missing("") == ("never reviewed",)


def test_usual_threats_that_no_risk_names_are_not_considered() -> None:
    judged = judge([Risk("host-loss"), Risk("own words")], Evidence({}), TODAY)
    unconsidered = [one.what for one in judged if one.coverage is Coverage.UNCONSIDERED]
    assert unconsidered == [t.name for t in THREATS if t.name != "host-loss"]
    assert all(one.is_open for one in judged)


def test_the_example_of_the_page_is_valid(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    example = (root / "docs/inventory.md").read_text().split("```yaml\n")[1].split("```")[0]
    plan = load(tmp_path, (root / "plans/orders-api.yaml").read_text() + example).plan
    assert plan.inventory.data[0].people == 5000
