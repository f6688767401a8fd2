"""The scripted caller: tells what is asked for, agrees to proposals, changes its mind on cue.

It reads the agent's text by words, sentence by sentence, knows nothing but its scenario, and says the
same in the same situation. It takes the first statement that is no question and announces nothing as
the end. What a message asks for, and whether it is a proposal, is read here for the check of a model
that plays the caller as well.
"""

import random
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import orjson

from t2t.records import Fact, ToolResult, UserAction, UserFault, UserScenario

_PROPOSAL = re.compile(
    r"\b(shall i|should i|do you want me|would you like me|go ahead|proceed|"
    r"is that (?:right|correct|ok|okay|fine)|please confirm|do you confirm|do you agree|yes or no)\b|"
    r", (?:right|correct)\?"
)
_IN_PASSING = re.compile(
    r"\b(?:before|to|until|once|so|when|in order|then|and) (?:(?:that|i|we|can|to|may|will|then) )*"
    r"(?:go ahead|proceed)\b"
)
"""Names the going on without asking for it."""
_CONFIRM_OWN = re.compile(r"\b(?:confirm|verify)(?: with me| to me| for me)? your ([\w\s'-]{1,40})")
_IS_IT_RIGHT = re.compile(r"\bis (?:that|this) (?:right|correct|ok|okay|fine)\b|, (?:right|correct)\?")
_WILL_DO = re.compile(r"\b(i will|i'll|i would|i'd|i am going to|i'm going to|shall i|should i|want me|like me)\b")
_REQUEST = re.compile(
    r"\b(please (?:provide|give|tell|share|let me know|confirm|spell|enter|state|specify|send|name|verify)|kindly|"
    r"i(?:'ll| will|'d| would)?(?: also| just| first| still)? need|(?:could|can|may|might) (?:you|i have|i get|i ask)|"
    r"let me know|tell me|(?:provide|confirm|verify|state|specify) your)\b|"
    r"^(?:and |so |also |first |then |okay |ok )?(?:what|which|who|whose|where|when|how|why)(?:'s)?\b|"
    r"^(?:and )?your [\w' -]+,? please\b"
)
WHICH = re.compile(
    r"\b(which|what exactly|what do you mean|(?:more|further) (?:details?|information|about)|(?:more )?specific|"
    r"specify|clarify|describe|tell me (?:more|about))\b"
)
_IS_IT = re.compile(
    r"^(?:and |so |ok(?:ay)?,? |just to (?:confirm|check|be sure)[,:]? )*"
    r"(?:(?:is|was|are|were|would) (?:it|that|this|these|they)(?: be)?\b|(?:are|were) you (?:talking|asking|speaking) "
    r"about|are you referring to|(?:do|did|would) you mean|you mean|you're talking about|you are talking about)\b"
)
_ONE = re.compile(r"\bthe \w+(?:[ -]\w+)? one\b")
ANNOUNCEMENT = re.compile(r"\b(let me|one moment|just a moment|i will|i'll|i am going to|i'm going to|please wait)\b")
_DENIAL = re.compile(r"\b(sorry|cannot|can't|unable|not able|not possible|not allowed)\b")
REFUSAL = re.compile(
    r"\b(cannot|can't|could not|unable|not able|not possible|not allowed|not permitted|not eligible)\b"
)
MORE = re.compile(r"\b(anything else|something else|else i can|further (?:help|assist)|other (?:question|request))")
HELP = re.compile(r"\b(how (?:can|may) i (?:help|assist)|what can i do|what would you like|how i can (?:help|assist))")
_ASKS = re.compile(
    r"\b(please|could you|can you|would you|(?:need|like|want|ask) you to|you (?:should|need to|have to|must|can)|"
    r"try|let's|make sure|go to|now|then|next|first|and)\b"
)
_ASKS_NOT = re.compile(
    r"n't\b|\b(not|cannot|never|no need|without|instead of|rather than|did you|have you|do you|(?:if|when|once) you|"
    r"(?:like|want) me|shall i|should i|i will|i'll|i can|we will|already)\b"
)
_CLAUSE_END = re.compile(r"[.!?;:,\n]|\bbut\b")

_AGREEMENTS = ("Yes, please.", "Yes.", "Yes, go ahead.", "Yes, that is right.")
_GOODBYES = ("Thank you, goodbye.", "Okay, thanks. Bye.", "Thanks, that is all.", "All right, thank you. Bye.")
_PATIENCE = 3

_SENTENCE_END = re.compile(r"(?<=[.!?])[\s\"')*]+|\n+")
_WORD = re.compile(r"\w+(?:[-'.@]\w+)*")
_FILLERS = frozenset(
    """a an the one ones your you yours my mine it its is was that this these those for from with of on in at to about
    by and please right correct be there then""".split()
)
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sep|oct|nov|dec)[a-z]*\.?"
_SHAPES = (
    ("e-mail", re.compile(r"\S+@\S+\w")),
    (
        "date",
        re.compile(rf"\b{_MONTH} \d{{1,2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}|\b\d{{4}}-\d\d-\d\d\b", re.I),
    ),
    ("figure", re.compile(r"\b(?=\w*\d)\w[\w.-]*\b")),
    ("name", re.compile(r"(?<=\w )[A-Z][a-z]+|(?<=^)[A-Z][a-z]+(?= [A-Z])")),
)


def normalize(text: str) -> str:
    """A message as it is read: lower case, plain apostrophes."""
    return text.lower().replace("’", "'")


def asked_facts(said: str, facts: Sequence[Fact]) -> list[Fact]:
    """What the questions and requests of a normalized message ask for, in the order of `facts`."""
    asking = [one for one in questions(said) if not _proposes(one, facts)]
    return [fact for fact in facts if any(word in one for one in asking for word in fact.asked_by)]


def is_proposal(said: str, facts: Sequence[Fact]) -> bool:
    """True when a normalized message asks for a yes, be it to what the agent will do or to what it has understood."""
    if not _PROPOSAL.search(said):
        return False
    return any(_proposes(one, facts) for one in _SENTENCE_END.split(said))


def questions(said: str) -> list[str]:
    """The sentences of a normalized message that ask or request something, in order."""
    parts = (part.strip(" -*\t\"'(") for part in _SENTENCE_END.split(said))
    return [part for part in parts if "?" in part or _REQUEST.search(part)]


def _proposes(sentence: str, facts: Sequence[Fact]) -> bool:
    if not _PROPOSAL.search(sentence):
        return False
    asked = [fact for fact in facts if any(word in sentence for word in fact.asked_by)]
    own = _CONFIRM_OWN.search(sentence)
    if own and any(word in own[1] for fact in asked for word in fact.asked_by):
        return False
    if " or " in sentence and any(_holds(sentence, fact.value) for fact in asked):
        return False
    return _PROPOSAL.search(_IN_PASSING.sub("", sentence)) is not None


def _holds(said: str, value: str) -> bool:
    """True when a normalized text holds a value as words of its own."""
    return re.search(rf"(?<!\w){re.escape(value.lower())}(?!\w)", said) is not None


def _shape(text: str) -> str:
    """What kind of value a text is about, such as ``date`` or ``A9`` for a letter before digits; empty for words."""
    for name, pattern in _SHAPES:
        if found := pattern.search(text):
            return re.sub(r"\d+", "9", re.sub(r"[a-z]+", "A", found[0].lower())) if name == "figure" else name
    return ""


class UserTurn(NamedTuple):
    """What the caller answers."""

    text: str
    """The words."""
    done: bool = False
    """True when the caller hangs up after them."""
    agrees: bool = False
    """True when they accept what the agent proposed."""
    actions: tuple[UserAction, ...] = ()
    """What they do first, with tools of their own; `text` is then empty, and `tell_results` speaks."""
    failed: bool = False
    """True when the simulation broke down: no words, or no room for them."""


class UserSimulator(Protocol):
    """Someone who plays a caller."""

    @property
    def faults(self) -> Sequence[UserFault]:
        """What the simulation did wrong so far; ``place`` counts the caller's own turns from 0."""
        ...

    async def open(self) -> UserTurn:
        """The first message."""
        ...

    async def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        ...

    async def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        """Say what came of the actions of a turn, or do more."""
        ...


class ScriptedUser:
    """A caller who follows a `UserScenario` to the letter."""

    def __init__(self, scenario: UserScenario, seed: str) -> None:
        """Play `scenario`; `seed` picks among equal phrases, the task id for instance."""
        self._scenario = scenario
        self._rng = random.Random(f"user/{seed}")
        self._facts = scenario.facts
        self._changes = list(scenario.changes)
        self._puzzled = 0
        self._told: set[str] = set()

    def open(self) -> str:
        """The first message."""
        return self._scenario.opening

    def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        said = normalize(text)
        actions = self._asked_actions(said)
        if not actions and (changed := self._change_at_once(said)):
            return changed
        if actions:
            changed = self._change("proposal") if any(action.writes for action in actions) else None
            return changed or UserTurn("", actions=actions)
        refused = bool(REFUSAL.search(said))
        asked = asked_facts(said, self._facts)
        if is_proposal(said, self._facts):
            return self._answer_proposal(text, asked, refused)
        if asked:
            return self._tell(asked)
        announced = ANNOUNCEMENT.search(said) and not _DENIAL.search(said)
        if "?" in said or (questions(said) and (not announced or MORE.search(said))):
            if MORE.search(said):
                changed = self._change("refusal") if refused else self._change("proposal", "done")
                return changed or UserTurn("No, that is all. Goodbye.", done=True)
            return self._answer_otherwise(text)
        if not said.strip():
            return self._puzzle("Hello? Are you there?")
        if announced:
            return self._change("proposal") or self._puzzle("Okay.", agrees=True)
        changed = self._change("refusal") if refused else self._change("proposal", "done")
        return changed or UserTurn(self._rng.choice(_GOODBYES), done=True)

    def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        """Say what came of the actions of a turn."""
        told = [_tell_result(action, one) for action, one in zip(actions, results, strict=True)]
        changed = self._change("message")
        return UserTurn(" ".join([*told, changed.text] if changed else told))

    def _asked_actions(self, said: str) -> tuple[UserAction, ...]:
        """What a message asks the caller to do, in the order it is asked."""
        asked: list[tuple[int, UserAction]] = []
        for action in self._scenario.actions:
            places = [place for phrase in action.asked_by for place in _asked_places(said, phrase)]
            if places:
                asked.append((min(places), action))
        return tuple(action for _, action in sorted(asked, key=lambda item: item[0]))

    def _change(self, *cues: str) -> UserTurn | None:
        """The next change of mind, if its cue is among `cues`."""
        if not self._changes or self._changes[0].cue not in cues:
            return None
        change = self._changes.pop(0)
        self._facts = change.facts or self._facts
        return UserTurn(change.text)

    def _change_at_once(self, said: str) -> UserTurn | None:
        """A change of mind that waits for nothing but the agent's next message, beside what that asks for."""
        asked = [fact for fact in self._facts if "?" in said and any(word in said for word in fact.asked_by)]
        changed = self._change("message")
        if changed is None:
            return None
        # The same may be told in other words by now.
        known = {(fact.name, fact.value) for fact in self._facts}
        still = self._tell([fact for fact in asked if (fact.name, fact.value) in known][:1])
        return UserTurn(f"{still.text} {changed.text}".strip())

    def _answer_proposal(self, text: str, asked: list[Fact], refused: bool) -> UserTurn:
        """Agree, unless the mind changes now or the agent has understood something wrongly."""
        said = normalize(text)
        repeats = _IS_IT_RIGHT.search(said) and not _WILL_DO.search(said)
        if repeats and (wrong := self._mistaken(text)):
            return self._tell([wrong], "No.")
        if changed := self._change("refusal") if refused else self._change("proposal"):
            return changed
        named = {fact.name for fact in self._facts if any(word in said for word in fact.asked_by)}
        # Who is told their own zip code allows nothing by a yes.
        who = bool(repeats and named) and not named & {fact.name for fact in self._of_wishes()}
        agreement = "Yes, that is right." if who else self._rng.choice(_AGREEMENTS)
        told = f"{self._tell(asked).text} {agreement}" if asked else agreement
        return UserTurn(told, agrees=not who)

    def _answer_otherwise(self, text: str) -> UserTurn:
        """Answer a question that holds no word for anything the scenario has a word for."""
        said = normalize(text)
        for sentence in _SENTENCE_END.split(text):
            if "?" in sentence and (answer := self._answer_guess(sentence)):
                return answer
        if asked := [fact for fact in self._facts if any(word in said for word in fact.asked_by)]:
            return self._tell(asked)
        if HELP.search(said):
            return self._puzzle(self._scenario.opening)
        if WHICH.search(said):
            unsaid = [fact for fact in self._of_wishes() if not fact.in_opening and fact.name not in self._told]
            return self._tell(unsaid[:1]) if unsaid else self._puzzle(self._scenario.opening)
        return self._puzzle("I don't know.")

    def _answer_guess(self, sentence: str) -> UserTurn | None:
        """Say whether the agent's guess at a value is right; None where the scenario does not tell."""
        said = normalize(sentence).strip()
        start = _IS_IT.search(said)
        if not start:
            return None
        guess = said[start.end() :]
        words = {word for word in _WORD.findall(guess) if word not in _FILLERS}
        known = self._of_wishes() or self._facts
        for fact in known:
            own = set(_WORD.findall(normalize(fact.value)))
            if _holds(guess, fact.value) or (words and words <= own):
                return self._tell([fact], "" if " or " in guess else "Yes.")
        if wrong := self._mistaken(sentence, known):
            return self._tell([wrong], "No.")
        return UserTurn("No.") if _ONE.search(guess) else None

    def _mistaken(self, text: str, facts: Sequence[Fact] = ()) -> Fact | None:
        """A fact of the kind that `text` is about, where `text` holds no such fact's value."""
        said, shape = normalize(text), _shape(text)
        facts = facts or [fact for fact in self._facts if any(word in said for word in fact.asked_by)]
        alike = [fact for fact in facts if _shape(fact.value) == shape] if shape else []
        if any(_holds(said, fact.value) for fact in alike):
            return None
        return next((fact for fact in alike if not fact.in_opening), next(iter(alike), None))

    def _of_wishes(self) -> list[Fact]:
        """What the caller knows of the matter, not of themselves; the most telling first."""
        known = normalize(self._scenario.known_info)
        return [fact for fact in self._facts if not _holds(known, fact.value)]

    def _tell(self, asked: list[Fact], lead: str = "") -> UserTurn:
        unsaid = ([fact for fact in asked if not fact.in_opening] or asked)[:3]
        self._told |= {fact.name for fact in unsaid}
        return UserTurn(" ".join([lead, *(fact.answer for fact in unsaid)]).strip())

    def _puzzle(self, text: str, agrees: bool = False) -> UserTurn:
        self._puzzled += 1
        if self._puzzled > _PATIENCE:
            return UserTurn("I give up. Goodbye.", done=True)
        return UserTurn(text, agrees=agrees)


class ScriptedSimulator:
    """A `ScriptedUser` as the conversation loop takes callers."""

    faults: Sequence[UserFault] = ()
    """A script makes none."""

    def __init__(self, scenario: UserScenario, seed: str) -> None:
        """Play `scenario`; see `ScriptedUser`."""
        self._user = ScriptedUser(scenario, seed)

    async def open(self) -> UserTurn:
        """The first message."""
        return UserTurn(self._user.open())

    async def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        return self._user.answer(text)

    async def tell_results(self, actions: Sequence[UserAction], results: Sequence[ToolResult]) -> UserTurn:
        """Say what came of the actions of a turn."""
        return self._user.tell_results(actions, results)


@lru_cache(maxsize=4096)
def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"\b{re.escape(phrase)}\b")


def _asked_places(said: str, phrase: str) -> Iterator[int]:
    """Where `said` asks with `phrase`: as a command or a request, not in a denial, an offer or a condition."""
    if phrase not in said:
        return
    for found in _pattern(phrase).finditer(said):
        lead = _CLAUSE_END.split(said[: found.start()])[-1].strip()
        if not lead or (_ASKS.search(lead) and not _ASKS_NOT.search(lead)):
            yield found.start()


def _tell_result(action: UserAction, result: ToolResult) -> str:
    if result.is_error:
        return f"That did not work. It says: {result.content.removeprefix('Error: ')}"
    fields: dict[str, Any] = {"result": result.content}
    if result.content.startswith("{"):
        fields |= orjson.loads(result.content)
    return action.answer.format(**fields)
