"""A model words what templates have worded already; what it may and must say is read back by rule.

The model never writes an id, a name, an amount or a date. It gets the texts of the templates with
a placeholder such as ``{title}`` in place of each, and puts the placeholders into words of its own;
the values come back from the task. A text is taken only if it then tells the same facts as the
template did, read by the same function: none lost, none leaked, none added.

What the scripted caller and the proof rest on is not for the model. The answers to questions stay, and
``task_instructions`` keeps every sentence of the template, the changes of mind in their new words;
the model adds how the caller comes across, and may settle nothing there. ``known_info`` is the model's
own, with every fact of the template's.

A rule reads no meaning: a circumstance in ordinary words ("for a friend of mine") passes, and so does
"from {here} to {there}" the wrong way round. That is what `t2t.intents.judge` is asked about.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from t2t.intents.compose import task_id
from t2t.models.structured import Ask, Malformed, in_order
from t2t.records import Message, Task, UserScenario


class Texts(BaseModel):
    """What the model writes, with placeholders for all values."""

    model_config = ConfigDict(extra="forbid")

    opening: str
    """First message of the caller, first person."""
    reason_for_call: str
    """Why you call, second person."""
    known_info: str
    """What you know about yourself, second person."""
    unknown_info: str
    """What you do not know, second person."""
    task_instructions: str
    """How you come across, second person; no facts."""
    changes: list[str]
    """Each change of mind as the caller says it, first person."""


class Rejected(NamedTuple):
    """A task that the model could not word."""

    task: str
    """Id of the task."""
    reason: str
    """What was wrong with the last answer, for counting."""


async def rewrite(task: Task, ask: Ask, *, max_tries: int, seed: int) -> Task | Rejected:
    """The task in words of a model, with a new id; its facts and its expectation stay.

    The persona is that of the scenario. An answer that cannot be taken is shown to the model with
    the reasons, and asked for once more.

    Args:
        task: A task whose `Expectation.wishes` say what the caller knows and tells.
        ask: Asks the model.
        max_tries: Answers asked for, the first included.
        seed: Seed of the run; task and try are added to it.

    Raises:
        ConfigError, InfraError: see `t2t.models.structured.StructuredClient.ask`.
    """
    brief = _Brief(task)
    talk = [Message(role="system", content=_RULES), Message(role="user", content=brief.prompt())]
    reason = ""
    for number in range(max_tries):
        digest = hashlib.sha256(f"write/{seed}/{task.id}/{number}".encode()).digest()
        answer = await ask(talk, Texts, int.from_bytes(digest[:4]) >> 1)
        if isinstance(answer, Malformed):
            problems, written = [answer.reason], answer.text
        else:
            texts, written = _tidy(answer), answer.model_dump_json()
            problems = brief.problems(texts)
            if not problems:
                return _put(task, brief, texts)
        reason = problems[0]
        told = "\n".join(f"- {problem}" for problem in problems)
        talk = [
            *talk[:2],
            Message(role="assistant", content=written),
            Message(role="user", content=f"This cannot be used:\n{told}\nWrite all texts again."),
        ]
    return Rejected(task.id, reason)


def rewrite_all(
    tasks: Iterable[Task], ask: Ask, *, max_tries: int, concurrency: int, seed: int
) -> Iterator[Task | Rejected]:
    """`rewrite` each task, `concurrency` at once; the results in the order of the tasks, as they are needed."""
    return in_order(tasks, lambda task: rewrite(task, ask, max_tries=max_tries, seed=seed), concurrency)


_RULES = """\
You write the words of a person who contacts a service desk, so that they sound like a real person. You get plain \
texts in which placeholders in braces, such as {title}, stand for names, dates, amounts and ids. You say the same in \
other words, as this person would.

Answer with one JSON object:
- opening: the first message of the person, in the first person ("I ...").
- reason_for_call: why they call, told to them in the second person ("You ...").
- known_info: what they know about themselves, in the second person.
- unknown_info: what they do not know, in the second person.
- task_instructions: one or two sentences in the second person on the mood and manner in which they write; nothing \
about what they want, agree to or know.
- changes: a list with what they say at each change of mind, in the first person; empty if there is none.

Rules:
- Each text holds exactly the placeholders that its plain text holds, each written as it is, braces included. Never \
write the value in its place.
- Add no fact: no number, date, name, address, amount or quotation of your own, no other wish, no reason for a refusal.
- Leave out no wish, and leave open what the plain text leaves open.
- Plain sentences on one line: no lists, no markup, no emoji."""

_CUES = {
    "message": "said beside an answer",
    "proposal": "said when the agent asks for a yes",
    "done": "said once the agent has done it",
    "refusal": "said once the agent has refused",
}

_LONGEST = {"opening": 700, "reason_for_call": 900, "known_info": 700, "unknown_info": 300, "task_instructions": 300}
_LONGEST_CHANGE = 400
_TELLING = 5

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_SHORT_WORDS = frozenset(("I", "OK", "ASAP", "FYI", "BTW", "ID", "IDs", "PS", "TV", "SMS", "PIN"))
"""Capitalised wherever they stand, and nobody's name."""
_NUMBERED = re.compile(r"_\d+$")
_PLAIN_CHARACTERS = re.compile(r"[^\W\d_]|[ .,;:!?'()…–—-]")
_QUOTED = re.compile(r'"(\{\w+\}[.,!?]?)"')
_DIGITS = re.compile(r"\d")
_NUMBERS = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh|nine)teen|"
    r"(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|dozens?|twice|half|percent|dollars?|euros?|"
    r"pounds?|cents?|bucks)\b",
    re.IGNORECASE,
)
_DATES = re.compile(
    r"\b(tomorrow|yesterday|tonight|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|january|february|april|june|july|"
    r"august|september|october|november|december|(?:next|last|this) (?:week|weekend|month|year|summer|winter))\b",
    re.IGNORECASE,
)
_ACTIONS = re.compile(
    r"\b(cancel|renew|reserv|refund|return|exchang|transfer|reschedul|upgrad|downgrad|terminat|suspend|block|unblock|"
    r"delet|remov|swap|replac|extend|activat|deactivat|freez|refill|lend|buy|sell)\w*",
    re.IGNORECASE,
)
_ALIKE = (
    ("renew", "extend", "longer"),
    ("exchang", "swap", "replac", "switch"),
    ("reschedul", "transfer", "move", "shift"),
    ("remov", "delet", "cancel", "drop", "terminat", "close", "off"),
    ("reserv", "hold", "book", "aside", "keep"),
    ("return", "back", "refund"),
    ("suspend", "block", "freez", "deactivat", "pause", "hold"),
    ("unblock", "activat", "resume", "lift", "enable", "open"),
)
"""Words for the same, by their beginnings: one of them in the plain texts admits the others."""
_NEGATED = re.compile(r"(?:n't|\bnot|\bnever|\bno longer|\bwithout) (?:\w+ ){0,2}" + _ACTIONS.pattern, re.IGNORECASE)
_BEHIND = re.compile(
    r"\b(polic(?:y|ies)|clauses?|database|scenario|placeholders?|simulat\w+|role-?play\w*|ambiguous|infeasible|"
    r"forbidden|(?:my|your) mind|language model|the (?:user|customer|caller))\b",
    re.IGNORECASE,
)
_TO_THEM = re.compile(
    r"(?:^|[.!?] )(?:so )?you(?:'re| are| have been)? "
    r"(?:call|contact|writ|want|wish|would like|need|reach|get in touch|hope|plan|ask)",
    re.IGNORECASE,
)
_OF_ME = re.compile(r"\b(?:I|me|my|mine|we|us|our)\b", re.IGNORECASE)
_OF_YOU = re.compile(r"\byou", re.IGNORECASE)
_SETTLES = re.compile(
    r"\b(agree|accept|refuse|reject|decline|insist|demand|confirm|say (?:yes|no)|only (?:if|when)|"
    r"ask (?:for|to|about)|tell|provide|give|goodbye)\w*",
    re.IGNORECASE,
)
_ORDINARY = frozenset(("my", "mine", "our", "the"))
"""Values that stand in most texts without being told; they are written as they are, and must only not be lost."""
_SENTENCE_ENDS = re.compile(r"(?:^|[.!?:…]\s+|[\"(]\s*)$")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_STARTERS = frozenset(
    """a about account actually address after again all also although always an and another any anyone anything anyway
    apparently appreciate are as at basically because before being big bit both bought but by calling can card case
    change changed check checking cheers clearly could currently date dear despite details did difficult do does
    don't done due e-mail each easy either email enough even ever every everyone everything exact except excuse
    existing fair feel few finally first flight following for forgive frankly from full future fyi get getting give
    glad go going gonna good got gotta great greetings guess had half happy has have having hello help here here's
    hey hi hmm hiya honestly hope hoped hopefully hoping how however i i'd i'll i'm i've if in information instead is
    isn't issue it it's its just keep kindly knowing last lately later let let's like listen long look looking lost
    luckily mail main make many may maybe me message might mind money more morning most moving much must my name
    name's need needed never nevertheless next nice no nope normally not nothing now number obviously oh ok okay old
    on once one only or order ordered other otherwise our out own pardon part payment perhaps phone picking pickup
    plan planning plans please pls plus point possible possibly preferably problem question quick quickly quite
    rather ready really reason received recently regarding request requesting rest right sadly said same see seeing
    seems seriously should similar simply since single small so some somebody somehow someone something sometimes
    soon sorry sort speaking still stuff such super sure take tell thank thanks that that's the their them then
    there there's these they thing things think thinking this those though thought thus thx time to told too tried
    try trying turns um under unfortunately unless until up use used usually very via wait want wanted was we we'd
    we're we've well were what what's whatever when whenever where whether which whichever while who whoever whose
    why will wish wishing with without wonder wondering worried worse would writes writing wrong yes yet you you'd
    you'll you're you've your""".split()
)
"""Words that begin sentences and are nobody's name."""


class _Brief:
    """What each text of a task must tell and must not, read from the texts of the templates."""

    def __init__(self, task: Task) -> None:
        scenario = task.scenario
        meant = (*task.expectation.earlier, *task.expectation.wishes)
        facts = [*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)]
        of_wishes = {(name, value) for wish in meant for name, value in wish.slots.items()}
        told = [(name, wish.slots[name]) for wish in meant for name in wish.told if name in wish.slots]
        told += [(fact.name, fact.value) for fact in facts if (fact.name, fact.value) not in of_wishes]
        self.values = _named(told)
        """Value by placeholder, of all that some text tells; equal values share one."""
        self._by_value = {value: name for name, value in self.values.items()}
        self._values = _any_of(self._by_value)
        self._written_out = _any_of(self._by_value, fold=True)
        self._ordinary = {value for _, value in told if value in _ORDINARY}
        self._changes = scenario.changes
        self._persona = scenario.persona
        self._domain = task.domain
        self.plain = self._plain(scenario)
        """The texts of the templates with placeholders, by field."""
        self._hidden = _any_of(
            {
                *(value for _, value in of_wishes if value not in self._by_value),
                *task.expectation.tell,
                *(text for call in task.expectation.calls for text in _strings(call.arguments.values())),
            },
            fold=True,
        )
        self._cues = _any_of(task.expectation.refusal.cues if task.expectation.refusal else ())
        everything = " ".join((*self.plain.values(), *(wish.tool.replace("_", " ") for wish in meant)))
        self._everything = everything.lower()
        self._words = {word.lower() for word in _WORD.findall(everything)}
        self._names = {word for word in _WORD.findall(everything) if word != word.lower()}

    def prompt(self) -> str:
        """The task of the model."""
        used = [name for name in self.values if any(f"{{{name}}}" in text for text in self.plain.values())]
        legend = "\n".join(f"{{{name}}} stands for: {self.values[name]}" for name in used) or "There are none."
        plain = "\n".join(f"{field}: {text or '(yours to write)'}" for field, text in self.plain.items())
        cues = [f"changes[{place}] is {_CUES[change.cue]}." for place, change in enumerate(self._changes)]
        persona = self._persona or "You are a person like any other."
        parts = [f"Service desk: {self._domain}", f"The person: {persona}", f"Placeholders:\n{legend}", plain, *cues]
        return "\n\n".join(parts)

    def read(self, text: str) -> frozenset[str]:
        """The placeholders whose values stand in a text."""
        return frozenset(_PLACEHOLDER.findall(self._mask(text)))

    def problems(self, texts: Texts) -> list[str]:
        """What is wrong with the texts of the model, each with the name of its field; empty if they can be taken."""
        if len(texts.changes) != len(self._changes):
            return [f"changes: there must be {len(self._changes)}, not {len(texts.changes)}"]
        return [
            f"{field}: {problem}"
            for field, text in _by_field(texts).items()
            if (problem := self._problem(field, text, self.plain[field]))
        ]

    def fill(self, text: str) -> str:
        """The text with the values in place."""
        return _PLACEHOLDER.sub(lambda found: self.values[found[1]], text)

    def _plain(self, scenario: UserScenario) -> dict[str, str]:
        opening = self._mask(scenario.opening)
        return {
            "opening": opening,
            "reason_for_call": self._mask(scenario.reason_for_call),
            "known_info": self._mask(scenario.known_info),
            "unknown_info": self._mask(scenario.unknown_info),
            "task_instructions": "",
            **{f"changes[{place}]": self._mask(change.text) for place, change in enumerate(scenario.changes)},
        }

    def _mask(self, text: str) -> str:
        return self._values.sub(lambda found: f"{{{self._by_value[found[0]]}}}", text)

    def _problem(self, field: str, text: str, plain: str) -> str:
        if not text:
            return "it is empty" if plain or field == "task_instructions" else ""
        if len(text) > _LONGEST.get(field, _LONGEST_CHANGE):
            return f"it is longer than {_LONGEST.get(field, _LONGEST_CHANGE)} characters"
        return (
            self._wrong_placeholders(text, plain)
            or _not_plain(text, plain)
            or self._leaked(field, text, plain)
            or self._added(text, plain)
            or _wrong_person(field, text)
            or self._lost_words(field, text, plain)
            or self._mixed_up(text, plain)
            or ("it does not read back as its placeholders" if self.read(self.fill(text)) != self.read(plain) else "")
        )

    def _wrong_placeholders(self, text: str, plain: str) -> str:
        wanted, found = (list(dict.fromkeys(_PLACEHOLDER.findall(part))) for part in (plain, text))
        for name in found:
            if name not in self.values:
                return f"there is no placeholder {{{name}}}"
            if name not in wanted:
                return f"it leaks {{{name}}}"
        lost = next((name for name in wanted if name not in found), "")
        if lost:
            return f"it lost {{{lost}}}"
        words = _PLACEHOLDER.sub("{}", text)
        if (found := self._written_out.search(words)) is not None:
            name = next(name for name, value in self.values.items() if value.lower() == found[0].lower())
            return f"it writes {{{name}}} out"
        return ""

    def _lost_words(self, field: str, text: str, plain: str) -> str:
        if not _is_said(field):
            return ""
        lost = self._ordinary & set(_WORD.findall(plain.lower())) - set(_WORD.findall(text.lower()))
        return f"it lost {min(lost)!r}" if lost else ""

    def _mixed_up(self, text: str, plain: str) -> str:
        """Two wishes of a kind keep their order, for nothing else tells whose placeholder is whose."""
        wanted, found = (list(dict.fromkeys(_PLACEHOLDER.findall(part))) for part in (plain, text))
        for name in wanted:
            alike = [other for other in wanted if _NUMBERED.sub("", other) == _NUMBERED.sub("", name)]
            if alike != [other for other in found if other in alike]:
                return f"it mixes up {{{alike[0]}}} and {{{alike[1]}}}"
        wanted, found = (list(dict.fromkeys(map(_action, _ACTIONS.finditer(part)))) for part in (plain, text))
        return "it mixes up the wishes" if wanted != found and set(wanted) == set(found) else ""

    def _added(self, text: str, plain: str) -> str:
        words = _PLACEHOLDER.sub("{}", text)
        if _DIGITS.search(words):
            return "it adds a number"
        for kind, pattern in (("a number", _NUMBERS), ("a date", _DATES)):
            for found in pattern.finditer(words):
                if found[0].lower() not in plain.lower():
                    return f"it adds {kind}"
        for found in _ACTIONS.finditer(words):
            if not any(word in self._everything for word in _action(found)):
                return f"it adds another wish, {found[0].lower()!r}"
        if _NEGATED.search(words) and not _NEGATED.search(plain):
            return "it turns the wish round"
        return "it adds a name" if any(self._is_name(found, words) for found in _WORD.finditer(words)) else ""

    def _is_name(self, found: re.Match[str], words: str) -> bool:
        """A capitalised word that the plain texts do not have, unless it begins a sentence as ordinary words do."""
        word = re.sub(r"'\w+$", "", found[0])
        if word == word.lower() or word in self._names or word in _SHORT_WORDS:
            return False
        forms = {found[0].lower(), word.lower()}
        known = not forms.isdisjoint(self._words) or not forms.isdisjoint(_STARTERS)
        return not (known and _SENTENCE_ENDS.search(words[: found.start()]))

    def _leaked(self, field: str, text: str, plain: str) -> str:
        words = _PLACEHOLDER.sub("{}", text)
        if any(found.lower() not in plain.lower() for found in self._hidden.findall(words)):
            return "it leaks what is not told here"
        if any(found.lower() not in self._everything for found in self._cues.findall(words)):
            return "it leaks the reason of the refusal"
        behind = any(found[0].lower() not in plain.lower() for found in _BEHIND.finditer(words))
        if behind and field != "unknown_info":
            return "it speaks of what is behind the scenes"
        return ""


def _action(found: re.Match[str]) -> tuple[str, ...]:
    """The beginnings of all words for what a word for an action means."""
    action = found[1].lower()
    return next((group for group in _ALIKE if action in group), (action,))


def _is_said(field: str) -> bool:
    """True for what the caller says, false for what the caller is told."""
    return field == "opening" or field.startswith("changes")


def _not_plain(text: str, plain: str) -> str:
    """Anything but words and punctuation, and the signs that the plain text has, such as a dollar sign."""
    odd = set(_signs(text)) - set(_signs(plain)) or text.startswith("-")
    return "it holds markup or a symbol" if odd else ""


def _signs(text: str) -> str:
    return _PLAIN_CHARACTERS.sub("", _DIGITS.sub("", _PLACEHOLDER.sub("", _QUOTED.sub(r"\1", text))))


def _wrong_person(field: str, text: str) -> str:
    words = _PLACEHOLDER.sub("{}", text)
    if _is_said(field):
        return "it is not in the first person" if _TO_THEM.search(words) else ""
    if _OF_ME.search(words) or (field == "reason_for_call" and not _OF_YOU.search(words)):
        return "it is not in the second person"
    if field == "task_instructions" and (_PLACEHOLDER.search(text) or _SETTLES.search(words)):
        return "it settles more than the manner"
    return ""


def _put(task: Task, brief: _Brief, texts: Texts) -> Task:
    """The task with the model's texts in place."""
    scenario = task.scenario
    instructions = scenario.task_instructions
    changes = tuple(
        change.model_copy(update={"text": brief.fill(text)})
        for change, text in zip(scenario.changes, texts.changes, strict=True)
    )
    for before, after in zip(scenario.changes, changes, strict=True):
        instructions = instructions.replace(before.text, after.text)
    written = {field: brief.fill(text) for field, text in texts.model_dump(exclude={"changes"}).items()}
    written["task_instructions"] = f"{instructions} {written['task_instructions']}"
    made = task.model_copy(update={"scenario": scenario.model_copy(update={**written, "changes": changes})})
    return made.model_copy(update={"id": task_id(made)})


def _tidy(texts: Texts) -> Texts:
    """The texts with straight quotation marks and single spaces."""
    straight = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})

    def tidy(text: str) -> str:
        return " ".join(text.translate(straight).split())

    fields = texts.model_dump(exclude={"changes"})
    return Texts(**{name: tidy(text) for name, text in fields.items()}, changes=[tidy(one) for one in texts.changes])


def _by_field(texts: Texts) -> dict[str, str]:
    fields: dict[str, str] = texts.model_dump(exclude={"changes"})
    return fields | {f"changes[{place}]": text for place, text in enumerate(texts.changes)}


def _named(told: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Value by placeholder: the name of the slot, with a number where it has several values."""
    values: dict[str, str] = {}
    for name, value in told:
        if not value or value in _ORDINARY or value in values.values():
            continue
        free = name
        number = 1
        while free in values:
            number += 1
            free = f"{name}_{number}"
        values[free] = value
    return values


def _any_of(texts: Collection[str] | Mapping[str, str], *, fold: bool = False) -> re.Pattern[str]:
    """Matches each of the texts as words of their own, the longest that fits; `fold` ignores case in long ones."""
    longest = sorted({text for text in texts if text}, key=lambda text: (-len(text), text))
    parts = [re.escape(text) if len(text) < _TELLING or not fold else f"(?i:{re.escape(text)})" for text in longest]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)" if longest else r"(?!)")


def _strings(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _strings(value)  # pyright: ignore[reportUnknownArgumentType]
