"""The contract of a domain: what exploration, the intents, the verifier and a model rely on.

``t2t domains check NAME`` holds a domain against it, ours or a user's, and so do the tests. A check
looks at the domain as it is and at calls that are found by search: the steps of walks, and all that
callers could mean in several states of several databases.
"""

import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import islice, product
from typing import Any, NamedTuple, cast

import orjson
from pydantic import JsonValue

from t2t.domain.database import Database
from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.tool import Parameter, Tool, harvest, to_json
from t2t.domain.wish import Slot, named_slots
from t2t.episode.user import ScriptedUser
from t2t.errors import ConfigError, RunError, ToolError
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.intents.script import Script
from t2t.records import (
    Fact,
    Intent,
    Split,
    ToolCall,
    ToolResult,
    Trajectory,
    UserAction,
    UserScenario,
)
from t2t.verify.inspection import Inspection
from t2t.verify.probe import attempt, describe_crash, hostile_calls, try_call
from t2t.verify.validation import prove

_CALLS_PER_READ = 20
_REFUSALS_READ = 3_000
_HOSTILE_CALLS = 300
_MOST_FINDINGS = 12

_WORDINGS: tuple[Split, Split] = ("train", "test")
_SNAKE = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
_WAY_OUT = re.compile(
    r"\b(only|must|should|needs?|use|ask|name|write|give|choose|pick|try|call|another|other|instead|first|until|or|"
    r"looks? like|comes? from|its|their|at most|at least|between|before|after|expected|may|can|lists?|allowed)\b"
)
_FAR_OUT = (-(10**12), 10**12)
"""Numbers that no argument can sensibly be."""
_WRONG_TYPE: Mapping[str, JsonValue] = {
    "string": 7,
    "integer": "seven",
    "number": "seven",
    "boolean": "perhaps",
    "array": "seven",
    "object": 7,
}


class Finding(NamedTuple):
    """Something that a domain does not hold."""

    check: str
    """Name of the check, a key of `CHECKS`."""
    text: str
    """What is wrong, and where; one line."""


def check_domain(domain: Domain, *, size: int = 120, seed: int = 0) -> list[Finding]:
    """Hold a domain against the contract.

    Args:
        domain: The domain.
        size: Size of its data, as `DataSpec.size`; a few hundred rows show all there is to see.
        seed: Seed of the data and of the search.

    Returns:
        What it does not hold, by check in the order of `CHECKS`; empty for a good domain.
    """
    inspection = Inspection(domain, size=size, seed=seed)
    return [finding for check in CHECKS for finding in find(inspection, check)]


def find(inspection: Inspection, check: str) -> list[Finding]:
    """What one check finds, the first dozen; empty when the domain holds it."""
    texts: dict[str, None] = {}
    try:
        for text in CHECKS[check](inspection):
            texts[" ".join(text.split())] = None
            if len(texts) == _MOST_FINDINGS:
                break
    except Exception as error:  # noqa: BLE001  whatever a domain's code raises is a finding
        texts[describe_crash(error)] = None
    return [Finding(check, text) for text in texts]


def run(words: Sequence[str]) -> None:
    """Body of ``t2t domains check NAME ... [size=N] [seed=N]``: a line for each check.

    Raises:
        ConfigError: no name, no such domain, or an option that cannot be.
        RunError: a check found something.
    """
    names = [word for word in words if "=" not in word]
    options = {"size": 120, "seed": 0}
    for word in words:
        key, found, value = word.partition("=")
        if found and (key not in options or not value.isdecimal()):
            raise ConfigError(f"{word!r} is no option; the options are size=120 and seed=0, whole numbers")
        if found:
            options[key] = int(value)
    if not names:
        raise ConfigError(f"name a domain: {', '.join(list_domains())}, or a package.module of yours")
    failed: list[str] = []
    for name, domain in [(name, load_domain(name)) for name in names]:
        inspection = Inspection(domain, size=options["size"], seed=options["seed"])
        for check, function in CHECKS.items():
            findings = find(inspection, check)
            meaning = (function.__doc__ or "").splitlines()[0]
            sys.stdout.write(f"{name} {check:13}{'FAILS ' if findings else 'ok    '}{meaning}\n")
            sys.stdout.writelines(f"    {finding.text}\n" for finding in findings)
            sys.stdout.flush()
            failed += [f"{name} {check}"] if findings else []
    if failed:
        raise RunError(f"{len(failed)} of {len(CHECKS) * len(names)} checks found something: {', '.join(failed)}")


def _name(inspection: Inspection) -> Iterator[str]:
    """The domain is found under its own name, which records and configurations hold."""
    name = inspection.domain.name
    try:
        load_domain(name)
    except ConfigError as error:
        yield f"{error}; Domain.name has to be what load_domain takes, such as my_package.my_domain"


def _data(inspection: Inspection) -> Iterator[str]:
    """Equal specs give equal data; another seed or a larger size gives other data."""
    domain, data = inspection.domain, inspection.data

    def load(**changes: int) -> tuple[str, int]:
        db = domain.database(domain.generate(data.model_copy(update=changes)))
        return db.state_hash(), sum(len(table) for table in db.tables.values()) if isinstance(db, Database) else 0

    first, rows = load()
    if load()[0] != first:
        yield f"two databases of {data} differ; draw everything from one random.Random of the spec"
    if load(seed=data.seed + 1)[0] == first:
        yield "another seed gives the same database"
    larger, more_rows = load(size=4 * data.size)
    if larger == first or more_rows < rows:
        yield f"{4 * data.size} in place of {data.size} gives no more rows"


def _splits(inspection: Inspection) -> Iterator[str]:
    """The callers of the two splits share no name, no e-mail and nothing that identifies."""
    domain = inspection.domain
    identifying = {tuple(identity.parameters.values()) for identity in domain.callers.identities}

    def known(split: Split) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
        db = domain.open(inspection.data.model_copy(update={"split": split}))
        found: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for caller in domain.callers.ids(db):
            facts = domain.callers.facts(db, caller)
            for names in identifying | {(name,) for name in facts if name in ("name", "email")}:
                found.setdefault(names, set()).add(tuple(facts[name] for name in names))
        return found

    train, test = known("train"), known("test")
    if not train or not test:
        yield "a split has no callers"
    for names, values in train.items():
        if shared := sorted(values & test.get(names, set())):
            yield f"{len(shared)} callers of both splits have the same {' and '.join(names)}, such as {shared[0]}"


def _rows(inspection: Inspection) -> Iterator[str]:
    """Rows cannot be edited in place: frozen through and through, before and after writes."""
    databases = [inspection.domain.open(inspection.data), *(environment.db for environment, _ in inspection.ends)]
    for number, db in enumerate(databases):
        if isinstance(db, Database):
            for name, table in db.tables.items():
                seen = db.base.tables[name] if number else {}
                for row in table:
                    if row is not seen.get(row.id):
                        yield from (f"table {name}: {problem}" for problem in _mutable_parts(row, ""))


def _hash(inspection: Inspection) -> Iterator[str]:
    """The state hash equals a hash of all rows from scratch, before and after walks."""
    databases = [*(environment.db for environment, _ in inspection.ends), inspection.domain.open(inspection.data)]
    for db in databases:
        if isinstance(db, Database) and db.full_hash() != db.state_hash():
            yield "some tool changed a row in place of writing another with put"
            return


def _schemas(inspection: Inspection) -> Iterator[str]:
    """Every tool has a name, a schema and texts that a model can read."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    domain = inspection.domain
    for name, count in Counter(tool.name for tool in domain.tools).items():
        if count > 1:
            yield f"{count} tools are called {name!r}"
    for tool in domain.tool_by_name.values():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", tool.name):
            yield f"{tool.name!r} is no name for a tool; use lower-case letters, digits and _"
        if len(tool.description.split()) < 3:
            yield f"{tool.name}: the description {tool.description!r} says too little"
        for parameter in tool.parameters:
            if len(parameter.description.split()) < 2 or not parameter.description.endswith((".", ")", '"')):
                yield f"{tool.name}: {parameter.name} needs a sentence, not {parameter.description!r}"
        try:
            Draft202012Validator.check_schema(orjson.loads(orjson.dumps(tool.input_schema)))
        except SchemaError as error:
            yield f"{tool.name}: no JSON schema: {error.message}"


def _reach(inspection: Inspection) -> Iterator[str]:
    """Walks reach every wish, and every tool has a call that goes through."""
    domain = inspection.domain
    reached = {walk.steps[-1].call.name for walk in inspection.walks if walk.blocked is None}
    for wish in domain.wishes:
        if wish.tool not in reached and wish.tool in domain.tool_by_name:
            yield f"no walk ends in {wish.tool}: its arguments are returned by no tool, or a rule forbids them all"
    for name in domain.tool_by_name:
        if name not in inspection.examples:
            yield f"no call of {name} goes through"


def _reads(inspection: Inspection) -> Iterator[str]:
    """A tool that is declared a read changes nothing."""
    domain = inspection.domain
    reads = [tool for tool in domain.tool_by_name.values() if not tool.writes]
    names = {tool.name for tool in reads}
    for environment, call in inspection.calls_of_walks():
        if call.name in names and try_call(environment, call).changed:
            yield f"{call.name} changes the state"
    for tool in reads:
        wrong = (call for parameter in tool.parameters for _, call in _wrong_calls(inspection, tool, parameter))
        at_example = ((inspection.examples[tool.name][0], call) for call in wrong)
        for environment, call in (*islice(inspection.sample(tool), _CALLS_PER_READ), *at_example):
            if try_call(environment, call).changed:
                yield f"{tool.name} changes the state"


def _refusals(inspection: Inspection) -> Iterator[str]:
    """What cannot be is refused with a ToolError that says what would be right, and nothing crashes."""
    domain = inspection.domain
    for tool in domain.tool_by_name.values():
        for parameter in tool.parameters:
            for what, call in _wrong_calls(inspection, tool, parameter):
                outcome = try_call(inspection.examples[tool.name][0], call)
                where = f"{tool.name}: {what} {parameter.name}={call.arguments[parameter.name]!r}"
                if outcome.crash:
                    yield f"{where} raises {outcome.crash}, not ToolError"
                elif outcome.went_through:
                    yield f"{where} is not refused"
                elif problem := _unhelpful(domain, call, outcome.refusal):
                    yield problem
    for environment, call in islice(inspection.probes(), _REFUSALS_READ):
        outcome = try_call(environment, call)
        if outcome.crash:
            yield f"{call.name} raises {outcome.crash}, not ToolError"
        elif problem := _unhelpful(domain, call, outcome.refusal):
            yield problem
    environment = Environment(domain, inspection.data)
    examples = [call for _, call in inspection.examples.values()]
    hostile = islice(hostile_calls(domain, examples, str(inspection.data.seed)), _HOSTILE_CALLS)
    yield from filter(None, (attempt(environment, one) for one in hostile))


def _clauses(inspection: Inspection) -> Iterator[str]:
    """Every rule cites a clause of policy.md that no other rule cites, and looks at tools that exist."""
    domain = inspection.domain
    known = domain.clauses
    for clause, count in Counter(rule.clause for rule in domain.rules).items():
        if clause not in known:
            yield f"no line of policy.md begins with clause {clause}"
        if count > 1:
            yield f"{count} rules cite clause {clause}; a refusal could be judged by the cues of only one"
    for rule in domain.rules:
        if not rule.tools or not rule.tools <= set(domain.tool_by_name):
            unknown = sorted(rule.tools - set(domain.tool_by_name)) or "no tool"
            yield f"the rule of clause {rule.clause} looks at {unknown}"


def _rules(inspection: Inspection) -> Iterator[str]:
    """Every rule is broken by some call that its tool carries out, and kept by another."""
    domain = inspection.domain
    missing = {rule.clause: {True, False} for rule in domain.rules}

    def look(calls: Iterator[tuple[Environment, ToolCall]]) -> None:
        for environment, call in calls:
            if not any(missing.values()):
                return
            open_rules = [rule for rule in domain.rules if call.name in rule.tools and missing[rule.clause]]
            if not open_rules or not try_call(environment, call).went_through:
                continue
            for rule, confirmed in product(open_rules, (None, False)):
                verdict = rule.breaks(RuleContext(environment.db, call, tuple(environment.past), confirmed))
                missing[rule.clause].discard(verdict)

    look(inspection.probes())
    for rule in domain.rules:
        if missing[rule.clause]:
            look(inspection.probes_of(rule.tools))
    for clause, verdicts in missing.items():
        if True in verdicts:
            yield f"no call breaks clause {clause} and goes through; the data hold no such case, or a tool enforces it"
        if False in verdicts:
            yield f"every call that clause {clause} looks at breaks it"


def _policy(inspection: Inspection) -> Iterator[str]:
    """The policy names no tool that does not exist."""
    domain = inspection.domain
    known = set(domain.tool_by_name)
    for tool in domain.tool_by_name.values():
        for parameter in tool.parameters:
            known |= {parameter.name, *parameter.choices}
        if tool.name in inspection.examples:
            known |= set(_SNAKE.findall(to_json(try_call(*inspection.examples[tool.name]).value)))
    for name in sorted(set(_SNAKE.findall(domain.policy)) - known):
        yield f"policy.md names {name!r}, which is no tool, no parameter and in no result"


def _wishes(inspection: Inspection) -> Iterator[str]:
    """Every write has one wish, and what a wish can mean is a call its tool takes."""
    domain = inspection.domain
    counts = Counter(wish.tool for wish in domain.wishes)
    for tool in domain.tool_by_name.values():
        if tool.writes and not counts[tool.name]:
            yield f"nobody wishes for {tool.name}, a write"
    for name, count in counts.items():
        if name not in domain.tool_by_name or count > 1:
            yield f"{name}: {count} wishes, {'and no tool' if name not in domain.tool_by_name else 'of one tool'}"
    for wish in domain.wishes:
        told: set[str] = set()
        for candidate in inspection.candidates[wish.tool]:
            told |= candidate.slots.keys()
            try:
                if wish.tool in domain.tool_by_name:
                    domain.tool_by_name[wish.tool].check(candidate.arguments)
            except ToolError as error:
                yield f"a candidate of {wish.tool} is no call: {error}"
        if unused := {slot.name for slot in wish.slots} - told:
            yield f"{wish.tool}: no candidate has the slots {sorted(unused)}"


def _tasks(inspection: Inspection) -> Iterator[str]:
    """Tasks of every intent come out in both wordings, are proved, and leave out no wish that walks reach."""
    domain = inspection.domain
    cells = set(product(Intent, _WORDINGS))
    wishes = {_wished(walk) for walk in inspection.walks}
    reasons: Counter[str] = Counter()
    for walk, intent, wording in product(inspection.walks, Intent, _WORDINGS):
        if (intent, wording) not in cells and _wished(walk) not in wishes:
            continue
        rng = random.Random(f"{walk.id}/{intent}/{wording}")
        try:
            task = write_task(intent, Scene(domain, walk, rng), wording, rng)
        except Unsuitable as reason:
            reasons[f"{intent.value}: {reason}"] += 1
            continue
        if problem := prove(domain, task):
            reasons[f"{intent.value}: {problem}"] += 1
            continue
        cells.discard((intent, wording))
        wishes.discard(_wished(walk))
    for intent, wording in sorted(cells):
        often = [f"{text} ({count})" for text, count in reasons.most_common() if text.startswith(intent.value)]
        why = ", ".join(often[:3])
        yield f"no {intent.value} task in {wording} wording out of {len(inspection.walks)} walks: {why}"
    for name in sorted(wishes):
        yield f"no task about {name} out of {len(inspection.walks)} walks"


def _caller_tools(inspection: Inspection) -> Iterator[str]:
    """The caller uses a tool of their own exactly when the agent asks for it, and can say what came of it."""
    domain = inspection.domain
    for name, count in Counter(instruction.tool for instruction in domain.instructions).items():
        if count > 1 or name not in {tool.name for tool in domain.user_tools}:
            yield f"{count} instructions for {name}, {'one is enough' if count > 1 else 'no tool of the caller'}"
    for tool in domain.user_tools:
        if tool.name not in domain.instruction_by_tool:
            yield f"no instruction says how an agent asks for {tool.name}"
        if tool.name in {other.name for other in domain.tools}:
            yield f"{tool.name} is a tool of both sides"
    if not domain.user_tools:
        return
    db = domain.open(inspection.data)
    knowledge = domain.callers.knows(db, domain.callers.ids(db)[0], random.Random(0))
    brought = {kind for kind, _ in harvest(knowledge, type(knowledge))}
    for tool in domain.user_tools:
        for parameter in tool.parameters:
            if not parameter.choices and parameter.kind not in brought:
                yield f"{tool.name}: {parameter.name} has to be a Literal, or of a kind that Callers.knows brings"
                return
    open_walk = next((walk for walk in inspection.walks if walk.blocked is None), None)
    if open_walk is None:
        return
    for wording in _WORDINGS:
        rng = random.Random(wording)
        actions = Script(Scene(domain, open_walk, rng), wording, rng).actions()
        yield from _misunderstood(inspection, actions)
        yield from _unsaid(inspection, actions)


def _wordings(inspection: Inspection) -> Iterator[str]:
    """Wordings for training and testing differ, are enough, and use slots that exist."""
    domain = inspection.domain
    db = domain.open(inspection.data)
    facts = {name for caller in domain.callers.ids(db) for name in domain.callers.facts(db, caller)}
    pools: list[tuple[str, Mapping[Split, tuple[str, ...]], set[str], int, int]] = [
        ("introductions", domain.callers.introductions, facts, 1, 1)
    ]
    for wish in domain.wishes:
        slots = {slot.name for slot in wish.slots}.union(*(one.slots for one in inspection.candidates[wish.tool]))
        pools.append((f"{wish.tool} openings", wish.openings, slots, 4, 2))
        pools.append((f"{wish.tool} changes", wish.changes, slots, 0, 0))
        said = named_slots(wish.proposal) | {name for name in named_slots(wish.report) if not name.isdecimal()}
        if said - slots:
            yield f"{wish.tool}: proposal or report names {sorted(said - slots)}, which is no slot of a candidate"
    pools += [(f"answers of slot {slot.name}", slot.answers, {"value"}, 1, 1) for slot in inspection.slots]
    for instruction in domain.instructions:
        for wording in _WORDINGS:
            if not instruction.answers[wording]:
                yield f"{instruction.tool}: no answer in {wording} wording"
    for where, pool, slots, num_train, num_test in pools:
        if shared := sorted(set(filter(None, pool["train"])) & set(pool["test"])):
            yield f"{where}: {shared[0]!r} stands in both wordings"
        if len(pool["train"]) < num_train or len(pool["test"]) < num_test:
            yield f"{where}: at least {num_train} for training and {num_test} for testing"
        for text in (*pool["train"], *pool["test"]):
            if not named_slots(text) <= slots or (slots == {"value"} and not named_slots(text)):
                yield f"{where}: {text!r} names {sorted(named_slots(text))}, known are {sorted(slots)}"


def _questions(inspection: Inspection) -> Iterator[str]:
    """A question for a slot is understood by the scripted caller, and is no proposal."""
    domain = inspection.domain
    own = {slot.name for slot in domain.callers.slots}
    for identity in domain.callers.identities:
        for name in sorted(set(identity.parameters.values()) - own):
            yield f"callers identify with {name!r}, and no slot of Callers asks for it"
    for slots in (domain.callers.slots, *(wish.slots for wish in domain.wishes)):
        facts = tuple(_fact(slot) for slot in (*domain.callers.slots, *slots))
        for slot in slots:
            turn = ScriptedUser(_scenario(facts=facts), "contract").answer(slot.question)
            if turn.agrees:
                yield f"slot {slot.name}: {slot.question!r} is taken for a proposal"
            elif f"<{slot.name}>" not in turn.text:
                yield f"slot {slot.name}: {slot.question!r} holds none of {slot.asked_by}"


def _cues(inspection: Inspection) -> Iterator[str]:
    """A refusal in a rule's own words holds one of its cues, and no cue is a bare number."""
    for rule in inspection.domain.rules:
        if not any(cue in rule.reason.lower() for cue in rule.cues):
            yield f"clause {rule.clause}: {rule.reason!r} holds none of the cues {rule.cues}"
        for cue in rule.cues:
            if re.fullmatch(r"[\d\s.]*", cue) and len(cue) < 5:
                yield f"clause {rule.clause}: the cue {cue!r} would be found in a date or an amount"
            if cue != cue.lower():
                yield f"clause {rule.clause}: the cue {cue!r} is not lower-case and is never found"


CHECKS: Mapping[str, Callable[[Inspection], Iterator[str]]] = {
    "name": _name,
    "data": _data,
    "splits": _splits,
    "rows": _rows,
    "hash": _hash,
    "schemas": _schemas,
    "reach": _reach,
    "reads": _reads,
    "refusals": _refusals,
    "clauses": _clauses,
    "rules": _rules,
    "policy": _policy,
    "wishes": _wishes,
    "tasks": _tasks,
    "caller_tools": _caller_tools,
    "wordings": _wordings,
    "questions": _questions,
    "cues": _cues,
}
"""Every check by its name; the first line of its docstring is what it holds a domain to."""


def _wished(walk: Trajectory) -> str:
    return walk.blocked.call.name if walk.blocked else walk.steps[-1].call.name


def _wrong_calls(inspection: Inspection, tool: Tool, parameter: Parameter) -> Iterator[tuple[str, ToolCall]]:
    """The tool's example with one argument wrong, and in which way."""
    if tool.name not in inspection.examples:
        return
    call = inspection.examples[tool.name][1]
    schema = cast(dict[str, dict[str, Any]], tool.input_schema["properties"])[parameter.name]
    of_items = schema.get("items", schema)

    def change(value: JsonValue) -> ToolCall:
        return call.model_copy(update={"arguments": {**call.arguments, parameter.name: value}})

    def put(value: JsonValue) -> ToolCall:
        return change([value] if parameter.is_list else value)

    if schema.get("type") in _WRONG_TYPE:
        yield "the wrong type of", change(_WRONG_TYPE[schema["type"]])
    if parameter.choices:
        yield "the unknown choice", put("nothing")
    if of_items.get("type") in ("integer", "number"):
        yield from (("the far-out", put(number)) for number in _FAR_OUT)
    elif re.search(r"(^|_)ids?$", parameter.name) or (parameter.kind or "").endswith("Id"):
        yield from (("the unknown", put(unknown)) for unknown in ("nothing", ""))


def _unhelpful(domain: Domain, call: ToolCall, refusal: str) -> str:
    """Why the text of a refusal by the domain's own code does not help; empty when it does.

    It helps when it says more than the call did: a way out, another tool, or the values there are.
    """
    tool = domain.find_tool(call)
    if not refusal or tool is None:
        return ""
    try:
        tool.check(call.arguments)
    except ToolError:
        return ""
    said = refusal
    for value in call.arguments.values():
        for part in value if isinstance(value, list) else [value]:
            said = said.replace(str(part), "") if len(str(part)) > 2 else said
    names_a_tool = any(re.search(rf"\b{name}\b", said) for name in domain.tool_by_name)
    if len(said.split()) >= 4 and (names_a_tool or re.search(r"\d", said) or _WAY_OUT.search(said.lower())):
        return ""
    return f"{tool.name}: the refusal {re.sub(r'[0-9]+', '0', refusal)!r} does not say what would be right"


def _mutable_parts(value: object, where: str) -> Iterator[str]:
    if value is None or isinstance(value, str | int | float | bytes | Enum):
        return
    if isinstance(value, tuple | frozenset):
        for part in cast(Sequence[object], value):
            yield from _mutable_parts(part, where)
    elif is_dataclass(value) and type(value).__dataclass_params__.frozen:  # pyright: ignore
        for field in fields(value):
            yield from _mutable_parts(getattr(value, field.name), f"{where}.{field.name}".lstrip("."))
    elif type(value).__module__ != "datetime":
        yield f"{where or 'a row'} holds a {type(value).__name__}; use a tuple or a frozen dataclass"


def _misunderstood(inspection: Inspection, actions: Sequence[UserAction]) -> Iterator[str]:
    """Instructions that the scripted caller does not take for what they are, and words taken for instructions."""
    domain = inspection.domain
    scenario = _scenario(facts=tuple(map(_fact, inspection.slots)), actions=actions)
    for action in actions:
        said = domain.instruction_by_tool[action.call.name].say.format(**action.call.arguments)
        turn = ScriptedUser(scenario, "contract").answer(said)
        if turn.actions != (action,):
            done = [f"{other.call.name} {other.call.arguments}" for other in turn.actions] or repr(turn.text)
            yield f"{said!r} makes the caller do {done}, not {action.call.name} {action.call.arguments}"
    words = [slot.question for slot in inspection.slots]
    words += [f"Done. {wish.report} Next, I will {wish.proposal}. Shall I go ahead?" for wish in domain.wishes]
    words += [f"I am sorry, I can't do that: {rule.reason}." for rule in domain.rules]
    for text in words:
        if turn := ScriptedUser(scenario, "contract").answer(text).actions:
            yield f"{text!r} makes the caller use {turn[0].call.name}"


def _unsaid(inspection: Inspection, actions: Sequence[UserAction]) -> Iterator[str]:
    """Tools of the caller that never work, and results that the answers to them cannot tell."""
    works: set[str] = set()
    for action, (environment, _) in product(actions, inspection.ends):
        result = _result(environment, action.call)
        if result is None:
            continue
        works.add(action.call.name)
        try:
            ScriptedUser(_scenario(actions=actions), "contract").tell_results([action], [result])
        except (KeyError, IndexError, ValueError) as error:
            yield f"{action.call.name}: {action.answer!r} cannot tell {result.content!r}: {describe_crash(error)}"
    for name in sorted({action.call.name for action in actions} - works):
        yield f"no call of {name} that the caller could make goes through"


def _result(environment: Environment, call: ToolCall) -> ToolResult | None:
    savepoint, num_past = environment.db.savepoint(), len(environment.past)
    result, _ = environment.answer(call)
    environment.db.rollback(savepoint)
    del environment.past[num_past:]
    return None if result.is_error else result


def _fact(slot: Slot) -> Fact:
    return Fact(name=slot.name, value="x", asked_by=slot.asked_by, answer=f"<{slot.name}>", in_opening=False)


def _scenario(*, facts: tuple[Fact, ...] = (), actions: Sequence[UserAction] = ()) -> UserScenario:
    return UserScenario(
        reason_for_call="",
        known_info="",
        unknown_info="",
        task_instructions="",
        opening="Hello.",
        facts=facts,
        actions=tuple(actions),
    )
