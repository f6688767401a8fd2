"""Holds what a model says in the part of a caller against its scenario, turn by turn.

Found is only what is certain: a good turn that is thrown away biases the talks. So figures, dates, addresses and
names are compared and not meanings; a wish in ordinary words that nobody gave the caller passes, and so does a fact
told in words other than the scenario's.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from t2t.episode.user import ANNOUNCEMENT, HELP, MORE, REFUSAL, WHICH, asked_facts, normalize, questions
from t2t.records import Change, Fact, UserScenario

Kind = Literal["invents", "leaks", "withholds", "ends_early", "speaks_for_agent", "empty"]


class UserCheck:
    """Follows one talk from the caller's side."""

    def __init__(self, scenario: UserScenario) -> None:
        self._scenario = scenario
        self._known = _Known()
        for text in _texts(scenario):
            self._known.add(text)
        at_once = f"{scenario.opening}\n{scenario.reason_for_call}\n{scenario.known_info}".lower()
        open_values = "\n".join(fact.value for fact in scenario.facts if fact.in_opening).lower()
        self._of_caller = [fact for fact in scenario.facts if _holds(scenario.known_info, fact.value)]
        self._of_wish = [fact for fact in scenario.facts if not _holds(scenario.known_info, fact.value)]
        self._held_back = [
            fact
            for fact in self._of_wish
            if not fact.in_opening and _is_telling(fact.value) and fact.value.lower() not in f"{at_once}\n{open_values}"
        ]
        self._values = _by_name(scenario)
        self._changes = list(_with_news(scenario, at_once))
        self._heard: list[str] = []
        self._heard_last: list[Fact] = []
        self._said = ""
        self._asked: set[str] = set()
        self._unanswered: Counter[str] = Counter()

    def hear(self, text: str) -> None:
        """The agent says something."""
        self._known.add(text)
        self._heard.append(text)
        self._heard_last = asked_facts(normalize(text), self._scenario.facts)
        self._asked |= {fact.name for fact in self._heard_last}

    def see(self, text: str) -> None:
        """A tool of the caller's own shows something."""
        self._known.add(text)

    def say(self, text: str) -> None:
        """The caller says something; it counts from now on, whatever it is."""
        self._said += f"\n{text}"
        self._known.add(text)
        for fact in self._owed():
            self._unanswered[fact.name] += 1

    def find(self, text: str, *, done: bool, agrees: bool) -> Kind | None:
        """What is wrong with `text` as the caller's next message, the gravest first.

        Args:
            text: The message without its stop word.
            done: The caller hangs up after it.
            agrees: It accepts what the agent proposed.
        """
        if not done and not _LETTER.search(text):
            return "empty"
        claims = _claims(text)
        if claims.for_agent:
            return "speaks_for_agent"
        if self._known.lacks(claims):
            return "invents"
        if self._leaks(text):
            return "leaks"
        if self._withholds(text):
            return "withholds"
        return "ends_early" if done and self._ends_early(text, agrees) else None

    def _leaks(self, text: str) -> bool:
        heard = "\n".join(self._heard).lower()
        for change, news, _ in self._changes:
            told = [value for value in news if _holds(text, value) and not _holds(f"{heard}\n{self._said}", value)]
            if told and not any(map(_COULD_CUE[change.cue], self._heard)):
                return True
        if self._heard and not self._asks_only_who():
            return False
        # A change of mind may name it again.
        known = "\n".join((heard, self._said, *(change.text for change in self._scenario.changes if heard)))
        return any(
            _holds(text, fact.value) and not _holds(known, fact.value)
            for fact in self._held_back
            if fact.name not in self._asked
        )

    def _asks_only_who(self) -> bool:
        """True when all that the agent's last message asks for is who calls."""
        asking = questions(normalize(self._heard[-1]))
        return bool(asking) and all(
            asked_facts(one, self._of_caller) and not asked_facts(one, self._of_wish) and not WHICH.search(one)
            for one in asking
        )

    def _owed(self) -> list[Fact]:
        """What the agent's last message asks for and nobody has said so far."""
        asked = self._heard_last
        if not asked:
            return []
        talk = "\n".join((*self._heard, self._said))
        if any(not _is_hard(value) or _hints(talk, value) for fact in asked for value in self._values[fact.name]):
            return []
        return asked

    def _withholds(self, text: str) -> bool:
        """Asked for the second time, and still not told; the first time may be a misunderstanding."""
        owed = self._owed()
        if not any(self._unanswered[fact.name] for fact in owed):
            return False
        return not any(_hints(text, value) for fact in owed for value in self._values[fact.name])

    def _ends_early(self, text: str, agrees: bool) -> bool:
        if not self._heard:
            return True
        if _GIVES_UP.search(normalize(text)):
            return False
        last = normalize(self._heard[-1])
        if all(HELP.search(normalize(one)) and "?" in one for one in self._heard):
            return True
        if MORE.search(last):
            return self._has_more_to_say(text, last)
        if agrees and _OFFER.search(last):
            return True
        if _WAIT.search(last) and "?" not in last and not (REFUSAL.search(last) or _DONE.search(last)):
            return True
        if self._has_more_to_say(text, last):
            return True
        owed = self._owed()
        if not owed or REFUSAL.search(last) or _DONE.search(last):
            return False
        return not any(_hints(text, value) for fact in owed for value in self._values[fact.name])

    def _has_more_to_say(self, text: str, last: str) -> bool:
        """True when the cue of the next change of mind has come, and it is not said."""
        talk = _tokens(f"{self._said}\n{text}")
        for change, _, tokens in self._changes:
            if tokens & talk:
                continue
            stated = "?" not in last or bool(MORE.search(last))
            refused = bool(REFUSAL.search(last))
            if change.cue == "refusal":
                return refused and stated
            return not refused and (stated or change.cue == "message")
        return False


class _Parts(NamedTuple):
    """A text as words, addresses, dates and figures."""

    words: frozenset[str]
    addresses: frozenset[str]
    dates: frozenset[tuple[int, int]]
    figures: frozenset[str]
    digits: frozenset[str]


@lru_cache(maxsize=4096)
def _parse(text: str) -> _Parts:
    """The parts of a text; a scenario's texts come again with every attempt."""
    dates = {date for _, found in _dates(text) for date in found}
    digits = {str(number) for date in dates for number in date}
    for hour, minute in _TIME.findall(text):
        digits.update(f"{clock}{minute}" for clock in (int(hour) % 12 or 12, int(hour) % 12 + 12))
    figures: set[str] = set()
    for found in _FIGURE.findall(text):
        figure = _figure(found)
        figures |= {figure, figure.partition(".")[0]}
        digits.add(re.sub(r"\D", "", found))
        digits.update(str(int(part)) for part in re.findall(r"\d{1,9}", found))
    return _Parts(
        frozenset(map(_plain, _WORDS.findall(text))),
        frozenset(found.lower() for found in _ADDRESS.findall(text)),
        frozenset(dates),
        frozenset(figures),
        frozenset(digits),
    )


class _Claims(NamedTuple):
    """What a text states."""

    for_agent: bool
    """It holds words of the agent, or a role before its words."""
    addresses: frozenset[str]
    dates: tuple[frozenset[tuple[int, int]], ...]
    """By date, the months and days that it can mean."""
    figures: tuple[tuple[str, bool], ...]
    """Figures as written, and whether they are guessed at; those of small talk are left out."""
    names: frozenset[str]


@lru_cache(maxsize=4096)
def _claims(text: str) -> _Claims:
    """What a text states; many texts come again, such as an opening and a yes."""
    for_agent = bool(_ROLES.search(text) or _AGENTS_WORDS.search(normalize(text)))
    addresses = frozenset(found.lower() for found in _ADDRESS.findall(text)) if "@" in text else frozenset[str]()
    rest = _ADDRESS.sub(" ", text) if addresses else text
    dates: list[frozenset[tuple[int, int]]] = []
    for written, meant in list(_dates(rest)):
        dates.append(frozenset(meant))
        rest = rest.replace(written, " ")
    figures: list[tuple[str, bool]] = []
    for sentence in re.split(r"(?<=[.!?])\s+|\n", rest):
        guesses = "?" in sentence and _GUESS.match(sentence) is not None
        for found in _FIGURE.finditer(sentence):
            if not _IN_PASSING.match(sentence, found.start()):
                figures.append((found[0], guesses))
    return _Claims(for_agent, addresses, tuple(dates), tuple(figures), frozenset(_names(rest)))


class _Known:
    """What has been said or given to know, as figures, dates, addresses and words."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._addresses: set[str] = set()
        self._dates: set[tuple[int, int]] = set()
        self._figures: set[str] = set()
        self._digits: set[str] = set()

    def add(self, text: str) -> None:
        """Take all of a text as known."""
        parts = _parse(text)
        self._words |= parts.words
        self._addresses |= parts.addresses
        self._dates |= parts.dates
        self._figures |= parts.figures
        self._digits |= parts.digits

    def lacks(self, claims: "_Claims") -> bool:
        """True when a text states what is not known."""
        return not (
            claims.addresses <= self._addresses
            and all(not self._dates.isdisjoint(dates) for dates in claims.dates)
            and all(self._knows(written, guesses=guesses) for written, guesses in claims.figures)
            and claims.names <= self._words
        )

    def _knows(self, written: str, *, guesses: bool) -> bool:
        figure = _figure(written)
        digits = re.sub(r"\D", "", written)
        parts = re.findall(r"[a-z]+|\d+", figure)
        if figure in self._figures or (len(digits) < 2 and figure == digits):
            return True
        if figure == digits or "." in figure:
            # "So that is 45.50 then?" is a sum of the caller's own; a long number is not.
            return (
                (guesses and len(digits) < 5)
                or digits in self._digits
                or (len(digits) > 2 and any(digits in known for known in self._digits))
            )
        if len(parts) > 1 and all(
            part in self._words or str(int(part)) in self._digits if part.isdigit() else part in self._words
            for part in parts
        ):
            return True
        return len(figure) > 3 and any(figure in known for known in self._figures)


_LETTER = re.compile(r"\w")
_DIGIT = re.compile(r"\d")
_POSSESSIVE = re.compile(r"['’]s?$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|"
    r"Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_MONTH_DAY = re.compile(rf"\b{_MONTH} {_DAY}\b(?:,? \d{{4}}\b)?")
_DAY_MONTH = re.compile(rf"\b{_DAY} (?:of )?{_MONTH}(?!\w)(?:,? \d{{4}}\b)?")
_ISO = re.compile(r"\b\d{4}-(\d\d)-(\d\d)\b")
_SLASHED = re.compile(r"(?<![\d/])(\d{1,2})[/.](\d{1,2})[/.](?:\d{4}|\d\d)(?![\d/])")
_SLASHED_SHORT = re.compile(r"(?<![\d/])(?!24/7)(\d{1,2})/(\d{1,2})(?![\d/])")
_TIME = re.compile(r"\b(\d{1,2}):(\d\d)\b")
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_FIGURE = re.compile(r"[\w#$€£]*\d(?:[\w.,:/'-]*\w)?")
_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_IN_PASSING = re.compile(
    r"24/7\b|(?:9|1)11\b|100 ?%|"
    r"\d{1,2}(?: ?%| ?(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|times|years?|weeks?|[ap]\.?m\b|o'clock))",
    re.IGNORECASE,
)
"""Figures of small talk, that nobody acts upon."""
_GUESS = re.compile(r"\W*(?:so|is|was|that|does it|will it|will that|would it|would that|you mean)\b", re.IGNORECASE)
_TITLE_CASE = re.compile(r"(?<=[A-Za-z] )(?:A|An|The|My|Me|You|It|To|Of|For|In|On|At|Is|Do|Can|That|This|With|And)\b")
_NO_NAMES = frozenset(
    """monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays
    sundays january february march april may june july august september october november december christmas easter
    english german french spanish italian polish dutch portuguese american british european internet google
    mr mrs ms miss sir madam ma'am doctor customer service support agent team desk department manager representative
    assistant order account booking reservation member card loan email e-mail mail phone number address code name zip
    date title id payment flight trip ticket plan line bill invoice visit appointment prescription
    hello hi hey good morning afternoon evening day dear goodbye bye thanks thank you your yours please yes no not
    sorry okay sure great perfect well right fine correct exactly actually also and but so the this that these those
    it its is are was were am be been my me mine we our us they he she there here what which who when where why how can
    could would should will shall may might do does did have has had just only then now once still instead wait let
    have take see talk wish hope need want like make get give tell know think really very looking speak after before
    best regards kind sincerely god lord wow ok for from with to of in on at by as if or all any some one two""".split()
)
"""Words that models write with a capital where no name is meant."""
_COMMON = frozenset("the my mine our your yours ending and own one for from with not his her their number".split())

_ROLES = re.compile(
    r"^\W*(?:agent|assistant|system|representative|service desk|support|customer service|user|customer|caller)\W{0,3}:|"
    r"<\|?(?:im_start|im_end|start_header_id|eot_id|tool_call)|</?tool_call>|"
    r"\{\s*\"name\"\s*:\s*\"\w+\"\s*,\s*\"(?:arguments|parameters)\"",
    re.IGNORECASE | re.MULTILINE,
)
_AGENTS_WORDS = re.compile(
    r"\bhow (?:can|may) i (?:help|assist) you|\banything else (?:that )?i (?:can|could|may) (?:help|assist|do)|"
    r"\bi (?:can|will|'ll|am happy to|would be happy to|'d be happy to) (?:help|assist) you\b|"
    r"\bthank you for (?:calling|contacting)\b|\bshall i (?:go ahead|proceed)\b|\bhow can i be of (?:help|assistance)|"
    r"\b(?:provide|give|tell|share|confirm|verify|send|have)(?: to)?(?: me)?(?: with)? your (?:order (?:number|id)|"
    r"zip|booking (?:code|reference)|customer number|member(?:ship)? number|date of birth|account number)"
)
_OFFER = re.compile(
    r"\b(?:shall i|should i|do you want me to|would you like me to)\b[^?]*\?|\b(?:please confirm|do you confirm)\b|"
    r"\byes or no\b|\(yes/no\)"
)
_WAIT = re.compile(
    r"\blet me (?:check|look|see|find|pull|get|verify|search|take a look|confirm)\b|"
    r"\b(?:one|just a|give me a) (?:moment|minute|second)\b|\b(?:please wait|hold on|bear with me)\b"
)
_GIVES_UP = re.compile(
    r"\b(?:give up|never ?mind|forget (?:it|about it)|waste of time|"
    r"(?:call|try|come|write|get) (?:\w+ )?(?:back|later|again))\b"
)
_DONE = re.compile(
    r"\b(?:done|completed?|has been|have been|successful(?:ly)?|processed|all set|finished|is now|are now|went through|"
    r"i(?:'ve| have)|bye|goodbye|have a (?:nice|great|good|wonderful))\b"
)
_NEGATIVE = re.compile(r"n't\b|\b(?:not|no|cannot|unable|sorry|unfortunately|only|never|denied|declined|refused?)\b")


def _is_more_than_a_question(text: str) -> bool:
    said = normalize(text)
    return _is_done_or_not(text) or bool(_OFFER.search(said) or ANNOUNCEMENT.search(said))


def _is_done_or_not(text: str) -> bool:
    said = normalize(text)
    return "?" not in said or bool(_DONE.search(said) or _NEGATIVE.search(said) or MORE.search(said))


_COULD_CUE = {
    "message": bool,
    "proposal": _is_more_than_a_question,
    "done": _is_done_or_not,
    "refusal": lambda text: bool(_NEGATIVE.search(normalize(text))),
}
"""By cue, whether a message of the agent could be taken for it."""


def _texts(scenario: UserScenario) -> Iterator[str]:
    """All that the caller was given to know."""
    yield from (scenario.reason_for_call, scenario.known_info, scenario.unknown_info, scenario.task_instructions)
    yield from (scenario.opening, scenario.persona)
    for fact in (*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)):
        yield from (fact.value, fact.answer)
    for change in scenario.changes:
        yield change.text
    for action in scenario.actions:
        yield from (action.answer, *map(str, action.call.arguments.values()))


def _by_name(scenario: UserScenario) -> dict[str, set[str]]:
    """The values that each fact ever has."""
    values: dict[str, set[str]] = {}
    for fact in (*scenario.facts, *(fact for change in scenario.changes for fact in change.facts)):
        values.setdefault(fact.name, set()).add(fact.value)
    return values


def _with_news(scenario: UserScenario, at_once: str) -> Iterator[tuple[Change, list[str], set[str]]]:
    """The changes of mind that bring up values which nothing before them holds, with those and what is new in them."""
    before = "\n".join((at_once, *(fact.value for fact in scenario.facts))).lower()
    for change in scenario.changes:
        values = [fact.value for fact in change.facts]
        news = [
            value
            for value in values
            if value.lower() not in before and _is_telling(value) and _holds(change.text, value)
        ]
        tokens = _tokens(" ".join(news)) - _tokens(before)
        if tokens:
            yield change, news, tokens
        before = "\n".join((before, change.text.lower(), *(value.lower() for value in values)))


def _is_telling(value: str) -> bool:
    """True when the value cannot stand in a text by chance."""
    words = [word for word in _WORDS.findall(value) if word.lower() not in _COMMON]
    return len(re.findall(r"\d", value)) > 1 or any(word[0].isupper() or len(word) > 5 for word in words)


def _is_hard(value: str) -> bool:
    """True when whoever tells the value has to write a figure or a name of it."""
    return len(re.findall(r"\d", value)) > 1 or "@" in value or any(word[0].isupper() for word in _WORDS.findall(value))


def _holds(text: str, value: str) -> bool:
    """True when a text holds a value as it is, or its date in another form."""
    as_it_is, wanted = _wanted(value)
    if as_it_is.search(text.lower()):
        return True
    return bool(wanted) and any(not wanted.isdisjoint(dates) for _, dates in _dates(text))


@lru_cache(maxsize=4096)
def _wanted(value: str) -> tuple[re.Pattern[str], frozenset[tuple[int, int]]]:
    """What finds a value in lower case, and the months and days that it names."""
    pattern = re.compile(rf"(?<![\w.]){re.escape(value.lower())}(?!\w|[.]\d)")
    return pattern, frozenset(date for _, dates in _dates(value) for date in dates)


def _hints(text: str, value: str) -> bool:
    """True when a text holds a value or some part of it that tells."""
    said = normalize(text)
    if "@" in value:
        return _tokens(value) <= _tokens(text)
    numbers = {int(number) for number in re.findall(r"\d{1,15}", said)}
    digits = re.sub(r"\D", "", said)
    for part in re.findall(r"(?<!\d\.)\d+", value):
        if int(part) in numbers or (len(part) > 2 and part in digits):
            return True
    words = set(map(_plain, _WORDS.findall(text)))
    if any(_plain(word) in words for word in _WORDS.findall(value) if word.lower() not in _COMMON and len(word) > 2):
        return True
    return bool({date for _, dates in _dates(value) for date in dates}) and bool(
        {date[0] for _, dates in _dates(value) for date in dates}
        & {date[0] for _, dates in _dates(text) for date in dates}
    )


def _tokens(text: str) -> set[str]:
    """Words and whole numbers of a text, in lower case and without leading zeros."""
    return {part.lstrip("0") for part in re.findall(r"[^\W\d_]+|\d+", text.lower())}


def _names(text: str) -> Iterator[str]:
    """Words of names inside sentences, in lower case; none where a text writes small words large as well."""
    if len(_TITLE_CASE.findall(text)) > 1:
        return
    before = ""
    for found in _WORDS.finditer(text):
        if not (found[0][0].isupper() and found[0][1:].islower()):
            before = ""
            continue
        start = found.start()
        lead, word = text[max(0, start - 2) : start], _plain(found[0])
        inside = lead.endswith(" ") and (lead[0].islower() or lead[0] == "," or (before and lead[0].isalpha()))
        if len(word) > 2 and word not in _NO_NAMES:
            # The first word of a sentence may be one of a name that the second gives away.
            yield from (before, word) if inside and before else (word,) if inside else ()
        before = word if word not in _NO_NAMES else ""


def _dates(text: str) -> Iterator[tuple[str, Sequence[tuple[int, int]]]]:
    """Each date in a text as written, with the months and days that it can mean."""
    if not _DIGIT.search(text):
        return
    for found in _MONTH_DAY.finditer(text):
        yield found[0], [(_month(found[1]), int(found[2]))]
    for found in _DAY_MONTH.finditer(_MONTH_DAY.sub(" ", text)):
        yield found[0], [(_month(found[2]), int(found[1]))]
    for found in _ISO.finditer(text):
        yield found[0], [(int(found[1]), int(found[2]))]
    for found in (*_SLASHED.finditer(text), *_SLASHED_SHORT.finditer(text)):
        yield found[0], _either_way(int(found[1]), int(found[2]))


def _either_way(first: int, second: int) -> Sequence[tuple[int, int]]:
    return [(first, second), (second, first)]


def _month(name: str) -> int:
    return _MONTHS.index(name[:3].lower()) + 1


def _figure(written: str) -> str:
    """A figure without the ways to write it: sign, separators, leading and trailing zeros, ordinal endings."""
    text = written.lower().lstrip("#$€£")
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?", text):
        text = text.replace(",", "")
        return text.rstrip("0").rstrip(".") if "." in text else text
    text = re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", text)
    return re.sub(r"[^a-z0-9]", "", text)


def _plain(word: str) -> str:
    """A word in lower case without the ending of a possessive."""
    plain = word.lower()
    return _POSSESSIVE.sub("", plain) if "'" in plain or "’" in plain else plain


def describe(kind: Kind) -> str:
    """What to tell the model of a turn that was thrown away."""
    return _DESCRIPTIONS[kind]


_DESCRIPTIONS: dict[Kind, str] = {
    "invents": "it stated a name, number, date or id that you do not know",
    "leaks": "it told what you say only later or when asked for it",
    "withholds": "you were asked for something that you know, and did not tell it",
    "ends_early": "it ended the talk before all was said and settled",
    "speaks_for_agent": "it held words or calls of the agent, or a role before the words",
    "empty": "it held no words",
}
