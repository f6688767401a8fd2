"""The proof of a task, from the task alone: one report with a named check for every way to be wrong.

Nothing of how a task was written is trusted: what the caller could mean, where a guess or an earlier
wish leads, what must be told and what forbids a wish are all computed again from the database.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from t2t.domain.domain import Domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.wish import Candidate, fits
from t2t.episode.agent import IdleAgent, ReferenceAgent, RefusingAgent
from t2t.episode.play import Limits, play
from t2t.errors import ToolError
from t2t.models.chat import ChatSession
from t2t.records import (
    Arguments,
    DataSpec,
    Intent,
    Meant,
    Message,
    Rollout,
    Split,
    StopReason,
    Task,
    ToolCall,
    Validation,
)
from t2t.verify.verifier import Talk, tells, verify

CHECKS: Mapping[str, str] = {
    "replay": "the reference calls run without error and lead to the final state",
    "rules": "no reference call breaks a rule",
    "motive": "every write fulfils a wish of the caller or takes back what an earlier one did; every wish has its call",
    "necessity": "without any one write the state is another",
    "consistency": "no wish undoes or forbids another, and their order does not matter",
    "uniqueness": "all that the caller knows of a wish fits one call, the reference's",
    "ambiguity": "where something is withheld, the opening fits two meanings or more, one more of them allowed, and "
    "acting on another leads elsewhere; where nothing is, it fits one",
    "change": "an earlier wish was allowed and leads elsewhere, and the last word says clearly what is wanted",
    "infeasibility": "all that fits a refused wish is forbidden, for the reason that must be told",
    "twin": "what only looks forbidden is allowed by little",
    "tell": "what must be told is what the calls return",
    "words": "the caller's texts say what the evidence holds, and withhold what it withholds",
    "leak": "nothing that is expected of the agent stands in what the caller reads",
    "knowledge": "the caller names nothing that they cannot know",
    "reference": "the reference talk succeeds and breaks no rule",
    "do_nothing": "doing nothing fails",
    "refuse_everything": "refusing fails, unless something has to be refused",
}
"""What each check holds, by name. ``duplicate`` and ``contamination`` join them where a whole set is checked."""

_SHORT = 3
"""Letters of a value, such as "my", that stands in any text by chance."""
_LIMITS = Limits(max_turns=60, max_errors=2)
_SNAKE = re.compile(r"\b[a-z]+(?:_[a-z0-9]+)+\b")
_TOKEN = re.compile(r"[\w#@.+-]*[\w#]")
_INTERNAL = re.compile(r"\b(?:policy|clause|guideline|rule \d|database|json|api|tool call)\b", re.IGNORECASE)


def validate(domain: Domain, task: Task) -> Validation:
    """Prove a task that was synthesized.

    Args:
        domain: Its domain.
        task: The task; nothing of it but its data is taken for granted.
    """
    checks = dict.fromkeys(CHECKS, "")
    controls: dict[str, tuple[int, int]] = {}
    evidence = _Evidence(domain, task)
    checks["replay"], checks["rules"] = evidence.problem, evidence.broken
    if not evidence.problem and not evidence.expected.wishes:
        checks["motive"] = "the caller wants nothing"
    elif not evidence.problem:
        for name, check in _BY_EVIDENCE.items():
            checks[name] = check(evidence)
        checks["ambiguity"] = _ambiguity(evidence, controls)
        checks["change"] = _change(evidence, controls)
        checks["words"] = _answers(evidence)
    checks["words"] = _words(task) or checks["words"]
    checks["leak"], checks["knowledge"] = _leak(task), _knowledge(domain, task)
    reference = _play_controls(domain, task, checks, controls)
    if not checks["reference"] and not evidence.problem:
        checks["reference"] = _foresight(evidence, reference)
    return Validation(id=task.id, domain=task.domain, intent=task.intent, checks=checks, controls=controls)


def validate_given(domain: Domain, task: Task) -> Validation:
    """Prove a task that a domain brings: what can be proved without knowing what else its caller could mean."""
    names = ("replay", "rules", "necessity", "leak", "reference", "do_nothing")
    checks: dict[str, str] = dict.fromkeys(names, "")
    controls: dict[str, tuple[int, int]] = {}
    evidence = _Evidence(domain, task)
    checks["replay"], checks["rules"] = evidence.problem, evidence.broken
    if not evidence.problem:
        checks["necessity"] = _necessity(evidence)
    secrets = [*task.expectation.tell, *([task.expectation.final_hash] if task.expectation.final_hash else [])]
    text = task.scenario.model_dump_json()
    checks["leak"] = next((f"{secret!r} stands in the scenario" for secret in secrets if secret in text), "")
    _play_controls(domain, task, checks, controls)
    kept = {name: checks[name] for name in names}
    return Validation(id=task.id, domain=task.domain, intent=task.intent, checks=kept, controls=controls)


def prove(domain: Domain, task: Task) -> str:
    """``check: what is wrong`` for the first check that a synthesized task fails, empty when it is proved."""
    return validate(domain, task).problem


class _Moment(NamedTuple):
    """A wish where its call stands, or would stand."""

    meant: Meant
    place: int
    """Reference calls made before it."""
    options: tuple[Candidate, ...]
    """All that the caller could mean by it then."""


class _Evidence:
    """A task's reference calls, run once, with what the caller could mean where each wish stands."""

    def __init__(self, domain: Domain, task: Task) -> None:
        self.domain, self.task = domain, task
        self.expected = task.expectation
        self.calls = task.expectation.calls
        self.environment = environment = Environment(domain, task.data)
        self.initial_hash = environment.state_hash()
        self.problem = self.broken = ""
        self.told: list[str] = []
        self.moments: list[_Moment] = []
        self.marks = [environment.mark()]
        wishes = {meant.call: meant for meant in (*self.expected.earlier, *self.expected.wishes) if meant.call}
        carried_out = {meant.call for meant in self.expected.earlier}
        for place, call in enumerate(self.calls):
            meant = wishes.get(call.id)
            moment = self._look(meant, place) if meant is not None else None
            try:
                done = environment.run(call)
            except ToolError as error:
                self.problem = f"{call.name} is refused: {error}"
                return
            if done.broken:
                self.broken = self.broken or f"{call.name} breaks clause {done.broken[0].clause}"
            if moment is not None and call.id not in carried_out:
                self._tell(moment, done.value)
            self.marks.append(environment.mark())
        self.final_hash = environment.state_hash()
        if self.expected.final_hash and self.final_hash != self.expected.final_hash:
            self.problem = "the reference calls do not lead to the final state"
        for number, meant in enumerate(self.expected.wishes):
            if meant.forbidden_by and not self.problem:
                later = {other.call for other in self.expected.wishes[number + 1 :]} - {""}
                place = next((n for n, call in enumerate(self.calls) if call.id in later), len(self.calls))
                self.replay_to(place)
                self._look(meant, place)

        self._move_last_word()

    def _move_last_word(self) -> None:
        """What follows a wish that was carried out is told apart by how things stood before that."""
        moments = {id(moment.meant): moment for moment in self.moments}
        for meant in self.expected.earlier:
            if meant.call and id(meant) in moments:
                options = moments[id(meant)].options
                last = _last_word(self.task)
                self.moments = [m._replace(options=options) if m.meant is last else m for m in self.moments]

    def replay_to(self, place: int) -> Environment:
        """The environment after so many reference calls."""
        environment = self.environment
        if len(self.marks) <= place:
            for call in self.calls[len(self.marks) - 1 : place]:
                environment.run(call)
                self.marks.append(environment.mark())
        del self.marks[place + 1 :]
        environment.back_to(self.marks[place])
        return environment

    def outcome(self, place: int, *calls: ToolCall, then: int | None = None) -> "_Outcome":
        """Make `calls` after the first `place` reference calls, then the reference calls from `then` on."""
        environment = self.replay_to(place)
        mark = environment.mark()
        refused, broken = "", ""
        for call in calls:
            try:
                done = environment.run(call)
            except ToolError as error:
                refused = refused or str(error)
                continue
            broken = broken or next((rule.clause for rule in done.broken if not rule.avoidable), "")
        for call in self.calls[len(self.calls) if then is None else then :]:
            try:
                environment.run(call)
            except ToolError:
                continue
        final = environment.state_hash()
        environment.back_to(mark)
        return _Outcome(refused, broken, final)

    def _look(self, meant: Meant, place: int) -> _Moment | None:
        wish = self.domain.wish_by_tool.get(meant.tool)
        if wish is None:
            return None
        options = tuple(wish.candidates(self.environment.db, self.expected.caller))
        moment = _Moment(meant, place, options)
        self.moments.append(moment)
        return moment

    def _tell(self, moment: _Moment, value: Any) -> None:
        """Note what must be told after the call that was just made."""
        wish = self.domain.wish_by_tool[moment.meant.tool]
        after = self.environment.mark()
        self.environment.back_to(self.marks[moment.place])
        self.told += wish.tell(self.environment.db, moment.meant.arguments, moment.meant.slots, value)
        if after != self.environment.mark():
            self.environment.run(self.calls[moment.place])

    def moment_of(self, meant: Meant) -> _Moment | None:
        """Where a wish stands."""
        return next((moment for moment in self.moments if moment.meant is meant), None)

    @property
    def writes(self) -> list[int]:
        """Places of the reference calls that write."""
        tools = self.domain.tool_by_name
        return [place for place, call in enumerate(self.calls) if call.name in tools and tools[call.name].writes]


class _Outcome(NamedTuple):
    refused: str
    """What a tool said that refused a call, or empty."""
    broken: str
    """A clause that a call broke, other than one about the order of steps; or empty."""
    final_hash: str


def _motive(evidence: _Evidence) -> str:
    expected = evidence.expected
    by_id = {call.id: call for call in evidence.calls}
    for meant in expected.wishes:
        if not meant.call and not meant.forbidden_by:
            return f"a wish for {meant.tool} has no call"
    wanted: set[str] = set(expected.repairs)
    for meant in (*expected.wishes, *expected.earlier):
        if not meant.call:
            continue
        call = by_id.get(meant.call)
        if call is None or call.name != meant.tool or call.arguments != meant.arguments:
            return f"the call for a wish for {meant.tool} is not among the reference calls"
        wanted.add(call.id)
    if expected.repairs and not any(meant.call for meant in expected.earlier):
        return "something is taken back that no earlier wish did"
    for place in evidence.writes:
        if evidence.calls[place].id not in wanted:
            return f"nobody asks for {evidence.calls[place].name}"
    return _repairs(evidence)


def _repairs(evidence: _Evidence) -> str:
    """What was carried out for an earlier wish is taken back as its domain says, or by the later wish alone."""
    expected = evidence.expected
    made = [(call.name, call.arguments) for call in evidence.calls if call.id in expected.repairs]
    needed: list[tuple[str, Arguments]] = []
    for meant in expected.earlier:
        moment = evidence.moment_of(meant)
        if moment is None:
            continue
        if not made and evidence.outcome(moment.place, then=moment.place + 1).final_hash != evidence.final_hash:
            return f"what {meant.tool} did for an earlier wish is not taken back"
        environment = evidence.replay_to(moment.place + 1)
        undo = evidence.domain.wish_by_tool[meant.tool].undo
        if undo is not None:
            found = undo(environment.db, meant.arguments, meant.slots, environment.past[-1].value)
            needed += [(one.tool, one.arguments) for one in found]
    return "what is taken back is not what an earlier wish did" if made and made != needed else ""


def _necessity(evidence: _Evidence) -> str:
    carried_out = {meant.call for meant in evidence.expected.earlier if meant.call}
    for place in evidence.writes:
        call = evidence.calls[place]
        if call.id in carried_out:
            continue
        without = evidence.outcome(place, then=place + 1)
        if without.final_hash == evidence.final_hash:
            return f"without {call.name} the state is the same"
    return ""


def _consistency(evidence: _Evidence) -> str:
    """Two wishes in the other order: the later must not forbid the earlier, and the state must be the same."""
    moments = [m for m in evidence.moments if m.meant.call and m.meant in evidence.expected.wishes]
    writes = [m for m in moments if evidence.domain.tool_by_name[m.meant.tool].writes]
    for first, second in pairwise(writes):
        one, other = evidence.calls[first.place], evidence.calls[second.place]
        between = evidence.calls[first.place + 1 : second.place]
        ahead = evidence.outcome(first.place, *between, other)
        if ahead.refused or ahead.broken:
            continue
        swapped = evidence.outcome(first.place, *between, other, one, then=second.place + 1)
        if swapped.refused or swapped.broken:
            return f"after {other.name} there is no {one.name}: the wishes contradict each other"
        if swapped.final_hash != evidence.final_hash:
            return f"{one.name} and {other.name} lead elsewhere in the other order"
    return ""


def _uniqueness(evidence: _Evidence) -> str:
    for moment in evidence.moments:
        meant = moment.meant
        if meant.forbidden_by:
            continue
        fitting = _distinct(evidence, moment, meant.slots)
        if len(fitting) != 1:
            return f"what is known of a wish for {meant.tool} fits {len(fitting)} calls"
        if fitting[0].arguments != meant.arguments:
            return f"what is known of a wish for {meant.tool} fits another call"
    return ""


def _ambiguity(evidence: _Evidence, controls: dict[str, tuple[int, int]]) -> str:
    expected, traits = evidence.expected, evidence.task.traits
    first = next(iter((*expected.earlier, *(m for m in expected.wishes))), None)
    if first is None:
        return ""
    withheld = bool(traits.get("withheld")) or evidence.task.intent is Intent.AMBIGUOUS
    open_wishes = 0
    for meant in (*expected.wishes[:-1], first) if not expected.earlier else (first,):
        moment = evidence.moment_of(meant) or _last_moment(evidence, meant)
        if moment is None:
            continue
        told = {name: meant.slots[name] for name in meant.told if name in meant.slots}
        fitting = _distinct(evidence, moment, told)
        if len(fitting) < 2:
            continue
        open_wishes += 1
        if not withheld and evidence.task.intent is not Intent.INFEASIBLE:
            return f"the opening fits {len(fitting)} calls of {meant.tool} and nothing is withheld"
        if meant.forbidden_by:
            continue
        if problem := _guesses(evidence, moment, fitting, controls):
            return problem
    return "the opening fits one meaning: nothing has to be asked" if withheld and not open_wishes else ""


def _guesses(
    evidence: _Evidence, moment: _Moment, fitting: Sequence[Candidate], controls: dict[str, tuple[int, int]]
) -> str:
    """Acting on any other candidate leads to another state, and on one of them it is even allowed."""
    last = _last_word(evidence.task)
    place = (evidence.moment_of(last) or moment).place
    target = evidence.calls[place] if place < len(evidence.calls) else None
    allowed, passed, played = 0, 0, 0
    for candidate in fitting:
        if candidate.arguments in (moment.meant.arguments, *(meant.arguments for meant in evidence.expected.wishes)):
            continue
        call = ToolCall(
            id="call_guess",
            name=moment.meant.tool,
            arguments=candidate.arguments,
            requestor=evidence.domain.requestor_of(moment.meant.tool),
        )
        done = evidence.outcome(place, call, then=place + 1 if target is not None else None)
        if done.refused and last.forbidden_by:
            continue  # nothing is done by it, and the right thing is to refuse
        played += 1
        passed += done.final_hash == evidence.final_hash
        allowed += not done.refused and not done.broken
    _count(controls, "other_candidate", passed, played)
    if passed:
        return "acting on another meaning of the opening leads to the same state"
    return "" if allowed or evidence.expected.earlier else "no other meaning of the opening is allowed"


def _change(evidence: _Evidence, controls: dict[str, tuple[int, int]]) -> str:
    expected = evidence.expected
    if evidence.task.intent is Intent.CHANGING and not expected.earlier:
        return "no earlier wish is known"
    moods = [change for change in evidence.task.scenario.changes if change.cue != "refusal"]
    if len(moods) != len(expected.earlier):
        return f"{len(expected.earlier)} earlier wishes, but {len(moods)} changes of mind"
    last = _last_word(evidence.task)
    for before, after in pairwise((*expected.earlier, *expected.wishes[expected.wishes.index(last) :])):
        moment = evidence.moment_of(after) or _last_moment(evidence, after)
        stays = {name: value for name, value in after.slots.items() if before.slots.get(name) == value}
        said = {name: after.slots[name] for name in after.told if name in after.slots}
        if moment is None or len(_distinct(evidence, moment, {**stays, **said})) != 1:
            return "a change of mind does not say clearly what is wanted"
    if not expected.earlier:
        return ""
    final = evidence.moment_of(last)
    if final is None:
        return "the last wish has no place in the talk"
    place = min([final.place, *(m.place for m in evidence.moments if m.meant in expected.earlier)])
    for meant, after in zip(expected.earlier, (*expected.earlier[1:], last), strict=True):
        if meant.tool != after.tool or meant.arguments == after.arguments:
            return "the mind changes to the same, or to another matter"
        moment = evidence.moment_of(meant) or _last_moment(evidence, meant)
        known = _distinct(evidence, moment, meant.slots) if moment else []
        if [candidate.arguments for candidate in known] != [meant.arguments]:
            return "what is known of an earlier wish does not fit it alone"
        call = ToolCall(
            id="call_earlier",
            name=meant.tool,
            arguments=meant.arguments,
            requestor=evidence.domain.requestor_of(meant.tool),
        )
        done = evidence.outcome(place, call)
        if done.refused or done.broken:
            return "an earlier wish is forbidden"
        passed = _passes(evidence, done.final_hash)
        _count(controls, "earlier_wish", passed, 1)
        if done.final_hash == evidence.final_hash:
            return "acting on an earlier wish leads to the same state"
    if not any(last.slots.get(name) != expected.earlier[-1].slots.get(name) for name in last.told):
        return "the last word says nothing new"
    return ""


def _infeasibility(evidence: _Evidence) -> str:
    task, expected = evidence.task, evidence.expected
    refused = [meant for meant in expected.wishes if meant.forbidden_by]
    if not refused:
        if expected.refusal is not None:
            return "something is to be refused, but no wish is forbidden"
        if task.intent is Intent.INFEASIBLE and not task.traits.get("twin"):
            return "nothing is forbidden"
        return ""
    if task.intent is not Intent.INFEASIBLE or expected.refusal is None:
        return "a wish is forbidden, but nothing is to be refused"
    for meant in refused:
        moment = evidence.moment_of(meant)
        if moment is None:
            return f"a wish for {meant.tool} has no place in the talk"
        if problem := _is_forbidden(evidence, moment):
            return problem
        pattern = next((p for p in expected.forbidden if p.name == meant.tool), None)
        if pattern is None or pattern.arguments != meant.arguments:
            return "the forbidden call is not among those that fail the task"
    return ""


def _is_forbidden(evidence: _Evidence, moment: _Moment) -> str:
    meant, domain, refusal = moment.meant, evidence.domain, evidence.expected.refusal
    fitting = [candidate for candidate in moment.options if fits(candidate, meant.slots)]
    if not any(candidate.arguments == meant.arguments for candidate in fitting):
        return "the forbidden call is nothing that the caller could mean"
    for candidate in fitting:
        call = ToolCall(
            id="call_forbidden",
            name=meant.tool,
            arguments=candidate.arguments,
            requestor=domain.requestor_of(meant.tool),
        )
        environment = evidence.replay_to(moment.place)
        clauses = [rule.clause for rule in environment.breaks(call) if not rule.avoidable]
        constraint = None if clauses else environment.refusing_constraint(call)
        if not clauses and constraint is None:
            return f"{meant.tool} can be granted"
        if clauses and candidate.arguments == meant.arguments and environment.refusal(call):
            return f"beside the rule the tool refuses {meant.tool}"
        if candidate.arguments != meant.arguments:
            continue
        if meant.forbidden_by not in (*clauses, constraint.name if constraint else ""):
            return f"it is not {meant.forbidden_by} that forbids {meant.tool}"
    rule = next((rule for rule in domain.rules if rule.clause == meant.forbidden_by), None)
    named = next((one for one in domain.constraints if one.name == meant.forbidden_by), None)
    source = rule or named
    clause = rule.clause if rule else ""
    if source is None or refusal is None or (refusal.clause, refusal.cues) != (clause, source.cues):
        return "the refusal asks for another reason"
    return ""


def _twin(evidence: _Evidence) -> str:
    task = evidence.task
    if not task.traits.get("twin"):
        return ""
    moment = evidence.moment_of(evidence.expected.wishes[-1]) if evidence.expected.wishes else None
    clause = task.traits.get("clause")
    rules = [rule for rule in evidence.domain.rules if rule.clause == clause]
    if moment is None or not rules or evidence.expected.refusal is not None:
        return "no wish that a rule just allows"
    call = evidence.calls[moment.place]
    environment = evidence.replay_to(moment.place)
    context = RuleContext(environment.db, call, tuple(environment.past), None)
    for rule in rules:
        if call.name not in rule.tools:
            continue
        if rule.near is not None and rule.near(context):
            return ""
        if rule.near is None:
            others = (call.model_copy(update={"arguments": other.arguments}) for other in moment.options)
            if any(rule in environment.breaks(other) for other in others):
                return ""
    return f"clause {clause} is not near"


def _tell(evidence: _Evidence) -> str:
    if sorted(evidence.told) != sorted(evidence.expected.tell):
        return f"must be told: {evidence.told}, expected: {list(evidence.expected.tell)}"
    return ""


_BY_EVIDENCE: Mapping[str, Callable[[_Evidence], str]] = {
    "motive": _motive,
    "necessity": _necessity,
    "consistency": _consistency,
    "uniqueness": _uniqueness,
    "infeasibility": _infeasibility,
    "twin": _twin,
    "tell": _tell,
}


def _last_word(task: Task) -> Meant:
    """The wish that the caller's changes of mind end in; what they take when refused comes after it."""
    wishes = task.expectation.wishes
    return next((meant for meant in wishes if meant.forbidden_by), wishes[-1])


def _spoken(task: Task) -> list[tuple[str, Meant]] | None:
    """Each text that brings up wishes, with each of them, in order; None when texts and wishes do not match."""
    expected, scenario = task.expectation, task.scenario
    moods = [change.text for change in scenario.changes if change.cue != "refusal"]
    accepted = [change.text for change in scenario.changes if change.cue == "refusal"]
    at_once = list(expected.wishes)
    later: list[Meant] = []
    if accepted:
        refused = next((n for n, meant in enumerate(at_once) if meant.forbidden_by), len(at_once))
        at_once, later = at_once[: refused + 1], at_once[refused + 1 :]
    if expected.earlier:
        if len(at_once) != 1:
            return None
        chain = [*expected.earlier, *at_once]
        at_once, changed = chain[:1], chain[1:]
    else:
        changed = []
    if len(moods) != len(changed) or len(accepted) != len(later):
        return None
    return [
        *((scenario.opening, meant) for meant in at_once),
        *zip(moods, changed, strict=True),
        *zip(accepted, later, strict=True),
    ]


def _words(task: Task) -> str:
    """The opening and the changes of mind hold what they are to tell, and nothing that is withheld."""
    scenario = task.scenario
    spoken = _spoken(task)
    if spoken is None:
        return "the changes of mind are not those of the wishes"
    for text, meant in spoken:
        for name in meant.told:
            if not tells_value(text, meant.slots.get(name, "")):
                return f"the text lost {name}"
    at_once = [meant for text, meant in spoken if text is scenario.opening]
    for meant in at_once:
        for name in meant.told:
            if not tells_value(scenario.reason_for_call, meant.slots[name]):
                return f"the reason for the call lost {name}"
    if len(at_once) == 1:
        meant = at_once[0]
        said = [meant.slots[name].lower() for name in meant.told]
        facts = {fact.name: fact.value for fact in scenario.facts}
        said += [value.lower() for name, value in facts.items() if name not in meant.slots]
        for name, value in meant.slots.items():
            if name in meant.told or (len(value) <= _SHORT and value.islower()):
                continue
            if any(value.lower() in other for other in said):
                continue
            if tells_value(scenario.opening, value) or tells_value(scenario.reason_for_call, value):
                return f"the opening leaks {name}"
        known = [(scenario.facts, meant)]
        for change, (_, wanted) in zip(scenario.changes, spoken[1:], strict=True):
            known.append((change.facts or known[-1][0], wanted))
        for facts_then, wanted in known:
            for fact in facts_then:
                if wanted.slots.get(fact.name, fact.value) != fact.value:
                    return f"the caller would answer another {fact.name}"
    read = f"{scenario.known_info} {scenario.task_instructions}"
    for fact in scenario.facts:
        if not fact.in_opening and fact.answer not in read and not tells_value(scenario.known_info, fact.value):
            return f"the instructions lost {fact.name}"
    for fact in (*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)):
        if not tells_value(fact.answer, fact.value):
            return f"the answer about {fact.name} does not tell it"
    for change in scenario.changes:
        if change.text not in scenario.task_instructions:
            return "the instructions do not hold the change of mind"
    return ""


def _answers(evidence: _Evidence) -> str:
    """No answer tells what another candidate has instead."""
    scenario = evidence.task.scenario
    facts = {fact.name: fact for fact in scenario.facts}
    for text, meant in _spoken(evidence.task) or ():
        change = next((one for one in scenario.changes if one.text is text), None)
        facts |= {fact.name: fact for fact in change.facts} if change is not None else {}
        moment = evidence.moment_of(meant) or _last_moment(evidence, meant)
        if moment is None:
            continue
        for name in sorted(meant.slots.keys() & facts.keys()):
            value, answer = facts[name].value, facts[name].answer
            others = {candidate.slots.get(name, value) for candidate in moment.options} - {value}
            others = {other for other in others if len(other) > _SHORT or not other.islower()}
            if any(tells_value(answer, other) and not tells_value(value, other) for other in others):
                return f"the answer about {name} tells something else"
    return ""


def tells_value(text: str, value: str) -> bool:
    """True when a text holds a value as words of their own, case aside."""
    found = text.lower().find(value.lower()) if value else -1
    while found >= 0:
        before, after = text[found - 1 : found], text[found + len(value) : found + len(value) + 1]
        if not (before.isalnum() and value[0].isalnum()) and not (after.isalnum() and value[-1].isalnum()):
            return True
        found = text.lower().find(value.lower(), found + 1)
    return False


def _leak(task: Task) -> str:
    """No field of the expectation stands in what the caller reads, but what they know anyway."""
    expected = task.expectation
    seen = visible_text(task)
    known = _known(task)
    if expected.final_hash and expected.final_hash in seen:
        return "the final state"
    tokens = set(_SNAKE.findall(seen))
    names = {call.name for call in expected.calls} | {meant.tool for meant in expected.wishes}
    names |= {pattern.name for pattern in expected.forbidden} | {wanted.name for wanted in expected.required}
    if leaked := sorted(name for name in names & tokens if "_" in name):
        return f"the tool {leaked[0]}"
    if secret := next((text for text in (*expected.tell, *expected.mention) if tells(seen, text)), ""):
        return f"what must be told: {secret!r}"
    words = set(_TOKEN.findall(seen))
    for arguments in (*(call.arguments for call in expected.calls), *(one.arguments for one in expected.forbidden)):
        for value in _texts(arguments):
            if value not in known and any(c.isdigit() for c in value) and value in words:
                return f"the argument {value!r}"
    clause = expected.refusal.clause if expected.refusal else ""
    if clause and re.search(rf"\b(?:clause|rule|section) {re.escape(clause)}\b", seen):
        return f"the clause {clause}"
    for move in expected.moves:
        if len(move.say.split()) > 3 and move.say in seen:
            return f"the agent's words {move.say!r}"
    return ""


def _knowledge(domain: Domain, task: Task) -> str:
    seen = visible_text(task)
    if found := _INTERNAL.search(seen):
        return f"{found[0]!r}"
    known = _known(task)
    rows = _row_ids(domain, task.data.seed, task.data.size, task.data.split)
    for word in set(_TOKEN.findall(seen)):
        if word in rows and word not in known:
            return f"the id {word!r}"
    own = _facts_of(domain, task)
    facts = (*task.scenario.facts, *(fact for change in task.scenario.changes for fact in change.facts))
    wrong = next((fact.name for fact in facts if own.get(fact.name, fact.value) != fact.value), "")
    return f"the {wrong} of somebody else" if wrong else ""


def _facts_of(domain: Domain, task: Task) -> Mapping[str, str]:
    """What the caller knows of themselves and of nothing else."""
    own = domain.callers.facts(domain.open(task.data), task.expectation.caller)
    slots = {slot.name for slot in domain.callers.slots}
    slots -= {slot.name for wish in domain.wishes for slot in wish.slots}
    return {name: value for name, value in own.items() if name in slots}


def visible_text(task: Task) -> str:
    """All that whoever plays the caller reads or says, as one text."""
    scenario = task.scenario
    texts = [scenario.opening, scenario.reason_for_call, scenario.known_info, scenario.unknown_info]
    texts += [scenario.task_instructions, scenario.persona, *(fact.answer for fact in scenario.facts)]
    for change in scenario.changes:
        texts += [change.text, *(fact.answer for fact in change.facts)]
    return "\n".join(texts)


def _known(task: Task) -> set[str]:
    """Values that the caller knows: about themselves, of their wishes, and of what they can do themselves."""
    scenario = task.scenario
    facts = [*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)]
    known = {fact.value for fact in facts}
    for meant in (*task.expectation.earlier, *task.expectation.wishes):
        known |= set(meant.slots.values())
    for action in scenario.actions:
        known |= set(_texts(action.call.arguments))
    return known | {token for value in known for token in _TOKEN.findall(value)}


@lru_cache(maxsize=32)
def _row_ids(domain: Domain, seed: int, size: int, split: Split) -> frozenset[str]:
    """Ids of all rows that look like ids: they hold a digit."""
    base: Any = getattr(domain.open(DataSpec(seed=seed, size=size, split=split)), "base", None)
    tables: Mapping[str, Mapping[str, Any]] = getattr(base, "tables", {})
    return frozenset(row for rows in tables.values() for row in rows if any(c.isdigit() for c in row))


def _play_controls(domain: Domain, task: Task, checks: dict[str, str], controls: dict[str, tuple[int, int]]) -> Rollout:
    """Play the reference, which is returned, the agent that does nothing and the one that refuses everything."""
    reference = _play(domain, task, ReferenceAgent(task))
    reward = reference.reward
    _count(controls, "reference", reward.value == 1.0, 1)
    if reward.value != 1.0:
        checks["reference"] = f"fails {', '.join(name for name, held in reward.checks.items() if not held)}"
    elif reward.broken_clauses:
        checks["reference"] = f"breaks clause {reward.broken_clauses[0]}"
    idle = _play(domain, task, IdleAgent()).reward.value
    _count(controls, "do_nothing", idle == 1.0, 1)
    if idle:
        checks["do_nothing"] = "doing nothing passes"
    if task.expectation.refusal is None or any(meant.call for meant in task.expectation.wishes):
        refusing = _play(domain, task, RefusingAgent(domain)).reward.value
        _count(controls, "refuse_everything", refusing == 1.0, 1)
        if refusing:
            checks["refuse_everything"] = "refusing passes"
    return reference


def _foresight(evidence: _Evidence, reference: Rollout) -> str:
    """The reference acts on nothing that the caller has not said by then, or shown."""
    heard: list[str] = []
    made: dict[str, str] = {}
    for message in reference.messages:
        if message.role == "user" or (message.result is not None and message.result.requestor == "user"):
            heard.append(message.content)
        made |= dict.fromkeys((call.id for call in message.tool_calls), "\n".join(heard))
    for text, meant in _spoken(evidence.task) or ():
        moment = evidence.moment_of(meant)
        if moment is None or meant.call not in made:
            continue
        said = made[meant.call]
        if text not in said:
            return f"{meant.tool} is called before anybody asks for it"
        known = {name: value for name, value in meant.slots.items() if tells_value(said, value)}
        if len(_distinct(evidence, moment, known)) != 1:
            return f"{meant.tool} is called before it is clear for what"
    return ""


def _passes(evidence: _Evidence, final_hash: str) -> bool:
    """Whether a talk would pass in which all the right words are said and the state ends as given."""
    said = (move.say for move in evidence.expected.moves if move.say)
    messages = tuple(Message(role="assistant", content=text) for text in said)
    return verify(evidence.task, Talk(messages, StopReason.USER_DONE, final_hash)).value == 1.0


def _play(domain: Domain, task: Task, agent: ChatSession) -> Rollout:
    talk = play(task, "control", 0, agent, Environment(domain, task.data), _LIMITS)
    # Nobody in it waits for anything, so it needs no event loop, whose start costs more than the talk.
    try:
        talk.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a talk between scripts waits for something")


def _distinct(evidence: _Evidence, moment: _Moment, told: Mapping[str, str]) -> list[Candidate]:
    """Candidates that fit what is told and differ in what they lead to; those of reads differ by their slots."""
    writes = evidence.domain.tool_by_name[moment.meant.tool].writes
    found: dict[str, Candidate] = {}
    for candidate in moment.options:
        if fits(candidate, told):
            key = orjson.dumps(candidate.arguments, option=orjson.OPT_SORT_KEYS).decode()
            found.setdefault(key if writes else f"{key}{sorted(candidate.slots.items())}", candidate)
    return list(found.values())


def _last_moment(evidence: _Evidence, meant: Meant) -> _Moment | None:
    """A wish that was given up before its call: it stands where the last wish of its tool does."""
    last = next((m for m in reversed(evidence.moments) if m.meant.tool == meant.tool), None)
    return None if last is None else last._replace(meant=meant)


def _texts(arguments: Arguments) -> Iterator[str]:
    for value in arguments.values():
        yield from (str(item) for item in (value if isinstance(value, list) else [value]))


def _count(controls: dict[str, tuple[int, int]], name: str, passed: int, played: int) -> None:
    before = controls.get(name, (0, 0))
    if played:
        controls[name] = (before[0] + passed, before[1] + played)
