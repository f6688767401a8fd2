"""The scripted caller: tells what is asked for, agrees to proposals, changes its mind on cue.

It reads the agent's text by words, knows nothing but its scenario, and says the same in the same
situation. It takes the first statement that is no question and announces nothing as the end.
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
    r"is that (?:right|correct|ok|okay|fine)|please confirm|do you confirm|do you agree|yes or no)\b"
)
_REQUEST = re.compile(r"\b(please (?:provide|give|tell|share|let me know|confirm|spell)|i need|could you|can you)\b")
_ANNOUNCEMENT = re.compile(r"\b(let me|one moment|just a moment|i will|i'll|i am going to|i'm going to|please wait)\b")
_DENIAL = re.compile(r"\b(sorry|cannot|can't|unable|not able|not possible|not allowed)\b")
_REFUSAL = re.compile(
    r"\b(cannot|can't|could not|unable|not able|not possible|not allowed|not permitted|not eligible)\b"
)
_MORE = re.compile(r"\b(anything else|something else|else i can|further (?:help|assist)|other (?:question|request))")
_HELP = re.compile(r"\b(how (?:can|may) i (?:help|assist)|what can i do|what would you like|how i can (?:help|assist))")
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
        """What the simulation did wrong so far."""
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

    def open(self) -> str:
        """The first message."""
        return self._scenario.opening

    def answer(self, text: str) -> UserTurn:
        """Answer one message of the agent that was meant for the caller."""
        said = text.lower().replace("’", "'")
        actions = self._asked_actions(said)
        if not actions and (changed := self._change_at_once(said)):
            return changed
        question = "?" in said or bool(_REQUEST.search(said))
        if actions:
            changed = self._change("proposal") if any(action.writes for action in actions) else None
            return changed or UserTurn("", actions=actions)
        refused = bool(_REFUSAL.search(said))
        if _PROPOSAL.search(said):
            changed = self._change("refusal") if refused else self._change("proposal")
            return changed or UserTurn(self._rng.choice(_AGREEMENTS), agrees=True)
        if question:
            asked = [fact for fact in self._facts if any(word in said for word in fact.asked_by)]
            if asked:
                return self._tell(asked)
            if _MORE.search(said):
                changed = self._change("refusal") if refused else self._change("proposal", "done")
                return changed or UserTurn("No, that is all. Goodbye.", done=True)
            return self._puzzle(self._scenario.opening if _HELP.search(said) else "I don't know.")
        if not said.strip():
            return self._puzzle("Hello? Are you there?")
        if _ANNOUNCEMENT.search(said) and not _DENIAL.search(said):
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

    def _tell(self, asked: list[Fact]) -> UserTurn:
        unsaid = [fact for fact in asked if not fact.in_opening] or asked
        return UserTurn(" ".join(fact.answer for fact in unsaid[:3]))

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
