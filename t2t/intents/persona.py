"""Moods, registers and lengths of callers: how something is said, never what.

`dress` changes the sentences of the templates: a remark without content before or after them, short
or full forms, a greeting more or less. What it puts in holds no number, no name and nothing that a
service desk handles, and reads neither as a yes nor as a no nor as a goodbye. A persona is drawn without a look at the
task, so that nothing of the task can be read from it.
"""

import random
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from t2t.records import Split

Mood = Literal["calm", "friendly", "hurried", "annoyed", "worried", "tired", "apologetic"]
Register = Literal["plain", "formal", "casual"]
Length = Literal["plain", "terse", "chatty"]
Kind = Literal["opening", "answer", "change"]


class Persona(NamedTuple):
    """How a caller says things."""

    mood: Mood
    """What the remarks show."""
    register: Register
    """``formal`` writes forms out, ``casual`` shortens them, ``plain`` leaves them."""
    length: Length
    """``terse`` says only what is needed, ``chatty`` adds small talk, ``plain`` a remark at times."""


NEUTRAL = Persona("calm", "plain", "terse")
"""Says the templates as they are, but for a bare greeting; `describe` has nothing to say of it."""

_MOODS: Mapping[Split, tuple[Mood, ...]] = {
    "train": ("calm", "friendly", "hurried", "annoyed", "worried"),
    "test": ("calm", "friendly", "hurried", "annoyed", "worried", "tired", "apologetic"),
}
_REGISTERS: tuple[Register, ...] = ("plain", "formal", "casual")
_LENGTHS: tuple[Length, ...] = ("plain", "terse", "chatty")


def draw(rng: random.Random, wording: Split) -> Persona:
    """Draw a persona; ``test`` wordings also have moods that ``train`` wordings never have."""
    return Persona(rng.choice(_MOODS[wording]), rng.choice(_REGISTERS), rng.choice(_LENGTHS))


_MOOD_TEXTS: Mapping[Mood, str] = {
    "calm": "You are calm and in no rush.",
    "friendly": "You are in a good mood and friendly.",
    "hurried": "You are in a hurry.",
    "annoyed": "You are a little annoyed, but you stay polite.",
    "worried": "You are a bit worried.",
    "tired": "You are tired.",
    "apologetic": "You feel sorry for the bother you cause.",
}
_REGISTER_TEXTS: Mapping[Register, str] = {
    "plain": "in plain words",
    "formal": "formally, in full forms",
    "casual": "casually, with short forms",
}
_LENGTH_TEXTS: Mapping[Length, str] = {
    "plain": "messages of ordinary length",
    "terse": "short messages",
    "chatty": "long-winded messages with some small talk",
}


def describe(persona: Persona) -> str:
    """The persona in the second person, for whoever plays the caller; empty for the neutral one."""
    if persona == NEUTRAL:
        return ""
    mood, register, length = _MOOD_TEXTS[persona.mood], _REGISTER_TEXTS[persona.register], _LENGTH_TEXTS[persona.length]
    return f"{mood} You write {register}, in {length}."


def dress(text: str, persona: Persona, wording: Split, rng: random.Random, kind: Kind, keep: Iterable[str]) -> str:
    """Say `text` as the persona would.

    Args:
        text: What the templates say; every sentence of it stays.
        persona: Who says it; the neutral one changes nothing.
        wording: Pool that the remarks come from.
        rng: Picks among them.
        kind: What is said: the first message, what is told when asked, or a change of mind.
        keep: Values in the text; they come through letter by letter, whatever they look like. Slots in braces do too.
    """
    # A text that holds one of the characters by which values are hidden stays as it is.
    if persona == NEUTRAL or not text.strip() or _HIDDEN.search(text):
        return text
    hidden, values = _hide(text, keep)
    before, after = _remarks(persona, wording, rng, kind)
    # After a greeting a remark reads well, before it none does.
    if before and kind == "opening" and _GREETING.match(hidden):
        before, after = [], before + after
    if persona.length == "terse" and kind == "opening":
        hidden = _BARE_GREETING.sub("", hidden)
    said = " ".join([*before, hidden, *after])
    if persona.register == "formal":
        said = _write_out(said)
    elif persona.register == "casual":
        said = _shorten(said, wording, rng)
    return _HIDDEN.sub(lambda found: values[ord(found[0]) - _FIRST], said)


# Values are taken out as single characters of the private use area while the words around them change.
_FIRST = 0xE000
_HIDDEN = re.compile(f"[{chr(_FIRST)}-\uf8ff]")


_TOKEN = rf"[^\s,;:!?\"{_HIDDEN.pattern[1:-1]}]"
# What has a digit or an @ is a value even when nobody says so.
_SURELY_VALUES = re.compile(rf"\{{\w*\}}|{_TOKEN}*[\d@]{_TOKEN}*(?<!\.)")


def _hide(text: str, keep: Iterable[str]) -> tuple[str, list[str]]:
    values: list[str] = []

    def hide(value: str) -> str:
        values.append(value)
        return chr(_FIRST + len(values) - 1)

    # A private character stands for itself.
    text = _HIDDEN.sub(lambda found: hide(found[0]), text)
    for value in sorted({value for value in keep if value}, key=lambda value: (-len(value), value)):
        if value in text:
            text = text.replace(value, hide(value))
    return _SURELY_VALUES.sub(lambda found: hide(found[0]), text), values


_GREETING = re.compile(r"(?:hi|hello|hey|good|greetings)\b", re.IGNORECASE)
_BARE_GREETING = re.compile(
    r"^(?:hi|hello|hey|good (?:morning|afternoon|evening|day)|greetings)(?: there| to you)?[.!] +(?=\S)", re.IGNORECASE
)


def _remarks(persona: Persona, wording: Split, rng: random.Random, kind: Kind) -> tuple[list[str], list[str]]:
    """What to say before and after."""
    if persona.length == "terse":
        return [], []
    chatty = persona.length == "chatty"
    share = {"opening": 0.75, "answer": 0.25, "change": 0.4}[kind]
    before: list[str] = []
    after: list[str] = []
    if rng.random() < (0.5 + 0.5 * share if chatty else share):
        starts, ends = _REMARKS[wording][persona.mood][kind]
        place, pool = rng.choice([(before, starts), (after, ends)]) if starts else (after, ends)
        place.append(rng.choice(pool))
    if chatty and (kind == "opening" or rng.random() < 0.25):
        after.append(rng.choice(_SMALL_TALK[wording]))
    return before, after


_NO_END = r"(?= ?[\w\"" + _HIDDEN.pattern[1:-1] + r"])"
_LONG_FORMS = (
    (re.compile(r"\b(d|D)on't(?! (?:you|we|they|I)\b)"), r"\1o not"),
    (re.compile(r"(?<=\w )(can)'t(?! (?:you|we|they|I|he|she|it)\b)"), r"\1not"),
    (re.compile(r"(?<=\w )won't(?! (?:you|we|they|I|he|she|it)\b)"), "will not"),
    (
        re.compile(
            r"(?<=\w )(does|did|is|are|was|were|has|have|had|could|would|should)n't"
            r"(?! (?:you|we|they|I|he|she|it|there|that|this|the)\b)"
        ),
        r"\1 not",
    ),
    (re.compile(r"\bI'm\b"), "I am"),
    (re.compile(r"\b(I|you|we|they|You|We|They)'ll\b"), r"\1 will"),
    (re.compile(r"\b(I|you|we|they|You|We|They)'ve\b"), r"\1 have"),
    (re.compile(r"\b(you|we|they|You|We|They)'re\b"), r"\1 are"),
    (re.compile(r"\b(I|we|We)'d (?=like\b|rather\b|prefer\b|love\b|appreciate\b|be\b)"), r"\1 would "),
    (re.compile(r"\b(it|that|It|That)'s(?! (?:been|got|had|become|gone|come|\w+ed)\b)"), r"\1 is"),
    (re.compile(r"\b(l|L)et's\b"), r"\1et us"),
    (re.compile(r"^(?:Hi|Hey)\b"), "Hello"),
)
_SHORT_FORMS = (
    (re.compile(r"\bI am\b" + _NO_END), "I'm"),
    (re.compile(r"\bI would (?=like\b|rather\b|prefer\b|love\b|appreciate\b)"), "I'd "),
    (re.compile(r"\bI will\b" + _NO_END), "I'll"),
    (re.compile(r"\bI have (?=been\b|had\b|got\b)"), "I've "),
    (re.compile(r"\b(d|D)o not\b"), r"\1on't"),
    (re.compile(r"\b(does|did|is|are|was|were|has|have|could|would) not\b"), r"\1n't"),
    (re.compile(r"\bcannot\b"), "can't"),
    (re.compile(r"\bwill not\b"), "won't"),
    (re.compile(r"((?:^|[.!?] )(?:It|That)) is\b" + _NO_END), r"\1's"),
    (re.compile(r"\blet us\b"), "let's"),
    (re.compile(r"\bLet us\b"), "Let's"),
)
_STARTS = re.compile(
    r"(?:^|(?<=[.!?] ))(?:A|Actually|Also|An|At|By|Can|Cancel|Change|Could|Do|Does|For|From|Give|Good|Hello|Hey|Hi|Hmm|"
    r"Hold|How|If|In|Is|It|It's|Let|Let's|Make|Move|My|Of|On|One|Please|Put|Set|Something|Sorry|Take|Tell|That|That's|"
    r"The|There|This|To|Use|Wait|We|What|When|Where|Which|Who|With|Would)(?= )"
)
_CASUAL_WORDS: Mapping[Split, tuple[tuple[re.Pattern[str], str], ...]] = {
    "train": ((re.compile(r"\bplease\b"), "pls"), (re.compile(r"^Hello\b"), "Hey")),
    "test": ((re.compile(r"\bplease\b"), "plz"), (re.compile(r"^(?:Hello|Hi)\b"), "Hiya")),
}


def _write_out(text: str) -> str:
    for pattern, form in _LONG_FORMS:
        text = pattern.sub(form, text)
    return text


def _shorten(text: str, wording: Split, rng: random.Random) -> str:
    for pattern, form in _SHORT_FORMS:
        text = pattern.sub(form, text)
    if rng.random() < 0.6:
        text = _STARTS.sub(lambda found: found[0].lower(), text)
    if rng.random() < 0.4:
        for pattern, form in _CASUAL_WORDS[wording]:
            text = pattern.sub(form, text)
    if rng.random() < 0.4 and text.endswith(".") and not text.endswith(".."):
        text = text[:-1]
    return text


_Pool = Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]]

_REMARKS: Mapping[Split, Mapping[Mood, _Pool]] = {
    "train": {
        "calm": {
            "opening": (
                ("Let us walk through this calmly.", "I have a quiet hour, so I am writing to you."),
                ("Please take it easy.", "Any pace will do for me.", "I am happy to sit and hang on."),
            ),
            "answer": (("Let me see.", "Let me have a look."), ("Please take it easy.",)),
            "change": ((), ("I have been thinking it over.", "I can hang on for it.")),
        },
        "friendly": {
            "opening": (
                ("I hope you are well.", "I hope the sun is shining on you.", "Nice to meet you."),
                ("You folks are great.", "I really appreciate your help.", "You are doing a great job."),
            ),
            "answer": (("Happy to tell you.", "Glad you ask."), ("You are very nice about it.", "I hope that helps.")),
            "change": ((), ("You are very sweet to put up with me.", "I appreciate it.")),
        },
        "hurried": {
            "opening": (
                ("I am in a bit of a hurry.", "Quick one from me.", "I only have a moment."),
                ("Could we make this quick?", "I have to run soon.", "Let us keep it short."),
            ),
            "answer": (("Quickly then.", "In short:"), ("Can we move on?",)),
            "change": ((), ("Let us be quick about it.", "I have to run soon.")),
        },
        "annoyed": {
            "opening": (
                ("Honestly, this should be easier.", "I am a little fed up."),
                (
                    "This is getting on my nerves.",
                    "It has cost me plenty of energy.",
                    "I find all of this quite annoying.",
                ),
            ),
            "answer": (("Well, since you ask.", "I thought you had that."), ("I hope that does it.",)),
            "change": ((), ("This is confusing, I know.", "I hope we get there in the end.")),
        },
        "worried": {
            "opening": (
                ("I am a bit worried.", "This has been on my mind since I woke up."),
                ("I hope it can be sorted out.", "I am slightly nervous about it.", "It would be a relief to me."),
            ),
            "answer": (("I hope I have this right.",), ("I hope that is what you need.", "I hope that helps.")),
            "change": ((), ("I hope I am making sense.", "I hope that upsets nobody.")),
        },
    },
    "test": {
        "calm": {
            "opening": (
                ("All is peaceful on my side.", "I am leaning back while I write."),
                ("It can all be done at leisure.", "A slow pace suits me.", "You will find me relaxed about it."),
            ),
            "answer": (("A glance is all I need.", "One look and I have it."), ("As you see, I am at ease.",)),
            "change": ((), ("I have slept on it.", "It can all be done at leisure.")),
        },
        "friendly": {
            "opening": (
                ("I trust the week has treated you well.", "What a pleasure to get through to you."),
                ("Everyone on your team is so nice.", "Warm greetings to your whole team.", "You always cheer me up."),
            ),
            "answer": (("It is a pleasure to share it.", "What a good question."), ("May it be useful to you.",)),
            "change": ((), ("You have the patience of a saint.", "Bless you for putting up with me.")),
        },
        "hurried": {
            "opening": (
                ("My lunch break is nearly over.", "I am between two meetings."),
                ("Speed would be welcome.", "The sooner we are through, the better.", "I am writing this on my feet."),
            ),
            "answer": (("Briefly:", "On the double:"), ("Next, if you would.",)),
            "change": ((), ("The sooner we are through, the better.", "Let us be brisk.")),
        },
        "annoyed": {
            "opening": (
                ("Forgive my tone, I am irritated.", "What a hassle."),
                ("My patience is wearing thin.", "It is a nuisance, frankly.", "I could do without all this fuss."),
            ),
            "answer": (("If it must be.", "You do like to ask."), ("There you have it.",)),
            "change": ((), ("What a muddle.", "I could do without all this fuss.")),
        },
        "worried": {
            "opening": (
                ("I am anxious to have this settled.", "I slept badly over this."),
                ("My thoughts keep circling.", "It makes me uneasy.", "I am on edge about it."),
            ),
            "answer": (("My hands are shaking a little.",), ("I do hope it is of use.",)),
            "change": ((), ("It makes me uneasy to keep you busy.", "I am all nerves today.")),
        },
        "tired": {
            "opening": (
                ("I am worn out today.", "Forgive me if I sound sleepy."),
                ("I was up half the night.", "My eyes are falling shut.", "I can hardly think straight."),
            ),
            "answer": (("Give me a second.", "I lost my thread for a second."), ("I am yawning, forgive me.",)),
            "change": ((), ("My head is all over the place.", "I can hardly think straight.")),
        },
        "apologetic": {
            "opening": (
                ("Pardon the intrusion.", "I hate to impose."),
                ("You are busy people, I know.", "I feel bad for asking.", "Forgive me for bothering you."),
            ),
            "answer": (("I ought to have said so.", "Forgive me."), ("I hope I am making this easy for you.",)),
            "change": ((), ("I feel bad for going back and forth.", "Forgive me for the muddle.")),
        },
    },
}
"""What a mood says, before and after the words proper."""

_SMALL_TALK: Mapping[Split, tuple[str, ...]] = {
    "train": (
        "My cat is walking over the keyboard as I write.",
        "I have just made myself a cup of tea.",
        "The birds are very loud today.",
        "The radio is playing my favourite song.",
        "It is raining cats and dogs here.",
        "I am humming a tune that is stuck in my head.",
        "The kettle is whistling in the background.",
        "I have been up since the crack of dawn.",
    ),
    "test": (
        "The puppy is snoring beside me.",
        "I can smell fresh bread from across the road.",
        "A lawnmower is humming outside.",
        "The sun came out just now.",
        "I am writing this with a blanket over my knees.",
        "The church bells are ringing here.",
        "My armchair squeaks with every word I write.",
        "I have soup on the stove.",
    ),
}
"""Sentences about nothing that a service desk handles."""
