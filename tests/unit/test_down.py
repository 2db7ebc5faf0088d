"""What a step stops or starts, by the words of its command."""

from __future__ import annotations

import json

import pytest

from drd.model.down import NO_EFFECT, Effect, for_result, in_words, of_command, start_commands


@pytest.mark.parametrize(
    ("command", "effect"),
    [
        (["systemctl", "stop", "shop"], Effect(("shop.service",))),
        (["/bin/systemctl", "--no-block", "stop", "a.timer", "b"],
         Effect(("a.timer", "b.service"))),
        (["sh", "-c", "systemctl stop a b; sleep 1 && systemctl start c"],
         Effect(("a.service", "b.service"), ("c.service",))),
        (["systemctl", "stop", "--no-block", "a", ";", "systemctl", "start", "-q", "b"],
         Effect(("a.service",), ("b.service",))),
        (["systemctl", "stop", "a", "&&", "echo", "b"], Effect(("a.service",))),
        (["sudo", "systemctl", "start", "shop.service"], Effect((), ("shop.service",))),
        (["systemctl", "restart", "shop"], NO_EFFECT),
        (["docker", "compose", "stop", "web"], Effect(("`docker compose stop web`",))),
        (["service", "shop", "start"], Effect((), ("`service shop stop`",))),
        (["pg_dump", "shop"], NO_EFFECT),
    ],
)  # fmt: skip
def test_units_and_commands_are_recognised(command: list[str], effect: Effect) -> None:
    assert of_command(command) == effect
    assert Effect.from_json(json.loads(json.dumps(for_result(effect)))) == effect


def test_only_units_are_started_by_one_command() -> None:
    assert for_result(NO_EFFECT) == {}
    assert start_commands(("a.service", "`docker stop web`", "b c.service")) == [
        "systemctl start a.service 'b c.service'"
    ]
    assert start_commands(("`docker stop web`",)) == start_commands(()) == []


def test_a_later_start_takes_the_name_away() -> None:
    down = of_command(["systemctl", "stop", "a", "b"]).after(())
    down = of_command(["docker", "stop", "web"]).after(down)
    assert in_words(down) == "a.service, b.service, what `docker stop web` stopped"
    down = of_command(["systemctl", "start", "a"]).after(down)
    assert of_command(["docker", "start", "web"]).after(down) == ("b.service",)


def test_a_result_that_an_extension_or_somebody_else_wrote_names_nothing() -> None:
    assert Effect.from_json({"down": 5, "up": [1, "a"]}) == Effect((), ("a",))
