"""The steps of a runbook by hand: bash for what a machine does, a sentence for what a person
does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote

from drd.actions.settings import (
    CommandSettings,
    ErasuresSettings,
    HttpSettings,
    SqlSettings,
    StartSettings,
    StopSettings,
)
from drd.flows.drill.host_loss import HOST_LOSS
from drd.kit.document import Block, Commands, Text
from drd.kit.steps import step_in_words
from drd.model.plan import Plan
from drd.model.runbook import Pause, Step
from drd.model.values import pieces, within_quotes
from drd.ports.by_hand import ByHand

_LEAVE = '\'echo $$ >"$1"; shift; exec "$@"\''
"""The shell becomes the program, so that its pid is the program's."""


class StepsByHand:
    """The steps beside restoring and checking, in one target (None: wherever things were)."""

    def __init__(self, plan: Plan, target: str | None, components: Mapping[str, ByHand]) -> None:
        self.plan = plan
        self.target = target
        self.components = components
        self._unknown: list[str] = []
        self._port: int | None = None

    def begin(self) -> Iterator[Block]:
        """What the commands of steps are told in their environment."""
        if not any(
            isinstance(s.settings, (CommandSettings, StartSettings)) or s.rollback
            for s in self.plan.runbook
        ):
            return
        yield Text("What the commands of the runbook are told:")
        yield Commands(
            f"export DRD_PLAN={quote(self.plan.name)} DRD_TARGET={quote(self.target or 'here')}\n"
            f"export DRD_MODE=recovery DRD_SCENARIO={HOST_LOSS}\n"
            "export DRD_POINT=$(jq -er .point manifest.json)"
            " DRD_DATA_TIME=$(jq -er .data_time manifest.json)\n"
        )

    def step(self, step: Step) -> Iterator[Block]:
        """One step; nothing where its condition names other targets or scenarios: whoever has only
        the kit has lost the host."""
        when = step.when
        if when is not None and when.targets and self.target not in when.targets:
            return
        if when is not None and when.scenarios and HOST_LOSS not in when.scenarios:
            return
        self._unknown = []
        self._port = getattr(step.settings, "port", None)
        lines = list(self._lines(step))
        does = step_in_words(self.plan, step).replace("${target}", self.target or "here")
        said = f"{step.name}: {does}."
        if self._unknown:
            names = ", ".join(f"${{{name}}}" for name in dict.fromkeys(self._unknown))
            said += f" Put in what {names} stands for:"
        yield Text(said)
        if lines:
            yield Commands("\n".join(lines) + "\n", shown=bool(self._unknown))

    def _lines(self, step: Step) -> Iterator[str]:
        match step.settings:
            case StartSettings() as start:
                yield from self._start(step, start)
            case StopSettings() as stop:
                yield self._stop(step, stop)
            case CommandSettings(run=words, env=env, component=component):
                yield self._command(step, words, env, component)
            case HttpSettings() as http:
                yield from self._request(step, http)
            case SqlSettings(component=component, query=query):
                hand = self.components.get(component)
                if hand is not None and hand.change:
                    whole = "begin; " + within_quotes(query).strip().rstrip(";") + "; commit"
                    yield f"{hand.change} {self._word(whole)}"
            case ErasuresSettings(component=component) as erasures:
                if component in self.components:
                    yield from self._erasures(step, erasures, self.components[component])
            case Pause(seconds=seconds):
                yield f"sleep {seconds:g}"

    def _erasures(self, step: Step, erasures: ErasuresSettings, hand: ByHand) -> Iterator[str]:
        """The ids since the data time in a file, and in the table that the statements name."""
        ids, component = f"{step.name}.ids", erasures.component
        register, replay, check = erasures.register_, erasures.replay, erasures.check
        if register.file is not None:
            yield 'SINCE=$(date -d "$(jq -er .data_time manifest.json)" +%s)'
            yield "while read -r AT ID || [[ $AT ]]; do"
            yield "    [[ $AT ]] && [[ $AT != '#'* ]] || continue"
            yield '    AT=$(date -d "$AT" +%s); (( AT < SINCE )) || echo "$ID"'
            yield f"done <{quote(register.file)} | sort -u >{ids}"
        else:
            yield f"{self._command(step, register.command or [])} | sort -u >{ids}"
        in_table = replay.sql is not None or check.sql is not None
        if in_table:
            yield "{ echo 'begin; drop table if exists drd_erased;'"
            yield "  echo 'create table drd_erased (id text primary key);'"
            values = "insert into drd_erased values ('&');"
            yield f"""  sed "s/'/''/g; s/.*/{values}/" {ids}"""
            yield (
                f"  echo {quote((replay.sql or '').strip().rstrip(';') + '; commit;')}; "
                f"}} | {hand.feed}"
            )
        if replay.command is not None:
            yield f"{self._command(step, replay.command, None, component)} <{ids}"
        if check.sql is not None:
            yield f"[[ $({hand.ask} {quote(check.sql)}) == 0 ]]"
        elif check.command is not None:
            yield f"{self._command(step, check.command, None, component)} <{ids}"
        if in_table:
            yield f"{hand.change} 'drop table drd_erased'"
        yield f'echo "{component}: $(wc -l <{ids}) erasures carried out again, nobody is back"'

    def _start(self, step: Step, start: StartSettings) -> Iterator[str]:
        if start.unit is not None:
            yield f"systemctl start {quote(start.unit)}"
        else:
            leave = f"sh -c {_LEAVE} sh {step.name}.pid {self._words(start.command or ())}"
            around = self._around(step, start.env)
            yield f"{around} setsid --fork {leave} >{step.name}.log 2>&1 </dev/null"
        if start.ready is None:
            return
        if start.ready.http is not None:
            address = start.ready.http
            whole = f"{_url(start)}{address}" if address.startswith("/") else address
            yield f"until curl -fsS -o {step.name}.ready {self._word(whole)}; do sleep 1; done"
        if start.ready.command is not None:
            yield f"until {self._command(step, start.ready.command)}; do sleep 1; done"

    def _stop(self, step: Step, stop: StopSettings) -> str:
        if stop.step is not None:
            return f'kill -- "$(cat {stop.step}.pid)"'
        if stop.unit is not None:
            return f"systemctl stop {quote(stop.unit)}"
        return self._command(step, stop.command or [])

    def _request(self, step: Step, http: HttpSettings) -> Iterator[str]:
        words = ["curl", "-sS", "-o", f"{step.name}.answer", "-w", "'%{http_code}'"]
        words += ["-X", http.method, "-H", quote(f"Idempotency-Key: by-hand/{step.name}")]
        for name, value in http.headers.items():
            words += ["-H", self._word(f"{name}: {value}")]
        if http.body is not None:
            words += ["--data-raw", self._word(http.body)]
        if http.ca_cert is not None:
            words += ["--cacert", quote(http.ca_cert)]
        yield f"STATUS=$({' '.join([*words, self._word(http.url)])})"
        wanted = [http.expect] if isinstance(http.expect, int) else http.expect or []
        yield f"[[ $STATUS =~ ^({'|'.join(str(w) for w in wanted) or '2..'})$ ]]"
        if http.contains is not None:
            yield f"grep -qF -- {quote(http.contains)} {step.name}.answer"

    def _command(
        self,
        step: Step,
        words: Sequence[str],
        env: Mapping[str, str] | None = None,
        component: str | None = None,
    ) -> str:
        return f"{self._around(step, env or {}, component)} {self._words(words)}"

    def _around(self, step: Step, env: Mapping[str, str], component: str | None = None) -> str:
        found = [f"DRD_STEP={step.name}", f"DRD_STEP_KEY=by-hand/{step.name}"]
        if component is not None and component in self.components:
            found.append(self.components[component].environment)
        found += [f"{name}={self._word(value)}" for name, value in env.items()]
        return " ".join(w for w in ["env", *found] if w)

    def _words(self, words: Sequence[str]) -> str:
        return " ".join(self._word(word) for word in words)

    def _word(self, text: str) -> str:
        """One word for bash, with its values put in; those that nobody can know here stay."""
        found = []
        for reference, piece in pieces(text):
            value = self._value(piece) if reference else quote(piece)
            if value is None:
                self._unknown.append(piece)
                value = quote(f"${{{piece}}}")
            found.append(value)
        return "".join(found) or "''"

    def _value(self, name: str) -> str | None:
        """What the reference stands for, as a part of a word."""
        plain = {
            "plan": quote(self.plan.name),
            "run": "by-hand",
            "point": '"$DRD_POINT"',
            "data_time": '"$DRD_DATA_TIME"',
            "scenario": '"$DRD_SCENARIO"',
            "target": quote(self.target or "here"),
        }
        if name in plain:
            return plain[name]
        if name == "port" and self._port is not None:
            return str(self._port)
        head, _, rest = name.removeprefix("target.").partition(".")
        if head in self.components:
            return self.components[head].values.get(rest or "location")
        return self._started(head, rest)

    def _started(self, head: str, rest: str) -> str | None:
        """The address of what another step has started."""
        for step in self.plan.runbook:
            start = step.settings
            if not isinstance(start, StartSettings):
                continue
            if (head, rest) == ("steps", f"{step.name}.port") and start.port is not None:
                return str(start.port)
            if start.known_as == head or (head, rest) == ("steps", f"{step.name}.url"):
                kept, self._port = self._port, start.port
                found = self._word(_url(start)) if _url(start) else None
                self._port = kept
                return found
        return None


def _url(start: StartSettings) -> str:
    written = start.url or (f"http://127.0.0.1:{start.port}" if start.port is not None else "")
    return written.rstrip("/")
