"""Dressing a sentence changes how it is said, never what."""

import itertools
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from t2t.domain.domain import list_domains, load_domain
from t2t.domain.wish import named_slots
from t2t.intents import persona as persona_module
from t2t.intents.persona import NEUTRAL, Persona, describe, draw, dress

DOMAINS = [load_domain(name) for name in list_domains()]
WORDINGS = ("train", "test")


def templates_of(wording):
    """Every sentence that callers have, by kind."""
    for domain in DOMAINS:
        introductions = domain.callers.introductions[wording]
        openings = [text for wish in domain.wishes for text in wish.openings[wording]]
        slots = [*domain.callers.slots, *(slot for wish in domain.wishes for slot in wish.slots)]
        for number, opening in enumerate(openings):
            yield "opening", f"{introductions[number % len(introductions)]} {opening}".strip()
        yield from (("answer", text) for slot in slots for text in slot.answers[wording])
        yield from (("change", text) for wish in domain.wishes for text in wish.changes[wording])


TEMPLATES = {wording: sorted(set(templates_of(wording))) for wording in WORDINGS}
VALUES = st.one_of(
    st.sampled_from(
        (
            "I am",
            "The Hill",
            "don't",
            "Please",
            "#W0000001",
            "jo.do@mail.com",
            "12.50",
            "4 June",
            "it's",
            "Hello",
            "A1B",
        )
    ),
    st.text("abIi'tsmnod T.@#1\ue001", min_size=1, max_size=12).map(str.strip).filter(bool),
)


def remarks():
    """All that can be put in."""
    for wording in WORDINGS:
        for pools in persona_module._REMARKS[wording].values():
            yield from ((wording, text) for places in pools.values() for pool in places for text in pool)
        yield from ((wording, text) for text in persona_module._SMALL_TALK[wording])


REMARKS = sorted(set(remarks()))


ANSWERS = set(
    "yes no yep nope sure ok okay correct agree agreed confirm bye goodbye thanks thank not wait instead actually "
    "rather cannot don't can't sorry unable deal fine course go ahead never nothing proceed alright allowed".split()
)
"""Words that could be read as a yes, a no, a change of mind or a goodbye."""


def plain_words(text):
    """The words of a text, with all forms written out; an independent reading of what a register may do."""
    text = text.lower()
    for short, long in (
        ("i'm", "i am"),
        ("i'd", "i would"),
        ("i'll", "i will"),
        ("can't", "cannot"),
        ("pls", "please"),
    ):
        text = re.sub(rf"(?<!\w){short}(?!\w)", long, text)
    text = re.sub(r"(?<!\w)won't(?!\w)", "will not", text)
    text = re.sub(r"(?<=\w)n't(?!\w)", " not", text)
    text = re.sub(r"(?<!\w)(you|we|they)'re(?!\w)", r"\1 are", text)
    text = re.sub(r"(?<!\w)(it|that)'s(?!\w)", r"\1 is", text)
    text = re.sub(r"(?<!\w)(i|you|we|they)'ve(?!\w)", r"\1 have", text)
    text = re.sub(r"(?<!\w)(you|we|they)'ll(?!\w)", r"\1 will", text)
    text = re.sub(r"(?<!\w)let's(?!\w)", "let us", text)
    text = re.sub(r"(?<!\w)we'd(?!\w)", "we would", text)
    text = re.sub(r"(?<!\w)(hi|hey|hiya)(?!\w)", "hello", text.replace("plz", "please"))
    return re.findall(r"[\w'{}]+", text)


def holds(words, part):
    return any(words[place : place + len(part)] == part for place in range(len(words) - len(part) + 1))


@given(st.data(), st.sampled_from(WORDINGS), st.randoms(use_true_random=False))
def test_every_value_comes_through_letter_by_letter(data, wording, rng):
    kind, template = data.draw(st.sampled_from(TEMPLATES[wording]))
    slots = {name: data.draw(VALUES) for name in sorted(named_slots(template))}
    text = template.format(**slots)
    said = dress(text, draw(rng, wording), wording, rng, kind, slots.values())
    for value in slots.values():
        assert said.count(value) >= text.count(value)
    tokens = [re.findall(r"[^\s,;:!?\"]*[\d@#][^\s,;:!?\"]*", part) for part in (text, said)]
    assert Counter(token.rstrip(".") for token in tokens[0]) == Counter(token.rstrip(".") for token in tokens[1])


@pytest.mark.parametrize("wording", WORDINGS)
def test_every_word_of_every_template_stays_and_only_remarks_come_in(wording):
    rng = random.Random(wording)
    own = {text: plain_words(text) for one, text in REMARKS if one == wording}
    for kind, template in TEMPLATES[wording]:
        for _ in range(4):
            said = plain_words(dress(template, draw(rng, wording), wording, rng, kind, ()))
            wanted = plain_words(template)
            if not holds(said, wanted):  # A terse caller leaves a bare greeting out.
                bare = re.sub(r"^(Hi|Hello|Hey|Good \w+|Greetings)( there| to you)?[.!] ", "", template)
                wanted = plain_words(bare)
                assert holds(said, wanted), template
            left = " ".join(said).replace(" ".join(wanted), "", 1)
            for words in sorted(own.values(), key=len, reverse=True):
                left = left.replace(" ".join(words), "")
            assert not left.strip(), (template, left)


@pytest.mark.parametrize(("wording", "text"), REMARKS)
def test_a_remark_says_nothing_that_a_service_desk_could_take_up(wording, text):
    said = text.lower()
    words = re.findall(r"[a-z']+", said)
    assert not re.search(r"[\d@#{}\"]", text) and text[0].isupper() and text[-1] in ".?:"
    assert not re.search(r"(?<=[a-z] )(?!I\b)[A-Z]", text), "a name"
    assert not set(words) & ANSWERS
    for domain in DOMAINS:
        slots = [*domain.callers.slots, *(slot for wish in domain.wishes for slot in wish.slots)]
        asked = {phrase.strip() for slot in slots for phrase in slot.asked_by}
        cues = {cue.strip() for rule in domain.rules for cue in rule.cues}
        cues |= {cue.strip() for constraint in domain.constraints for cue in constraint.cues}
        cues |= {phrase.strip() for one in domain.instructions for phrase in one.asked_by if "{" not in phrase}
        found = {phrase for phrase in asked | cues if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", said)}
        assert not found, domain.name
        nouns = {slot.name for slot in slots} | {word for tool in domain.tools for word in tool.name.split("_")[1:]}
        assert not nouns & {*words, *(word.removesuffix("s") for word in words)} - {"up", "in", "to", "by"}, domain.name


def test_the_pools_of_the_two_wordings_are_disjoint():
    pools = {wording: {text for one, text in REMARKS if one == wording} for wording in WORDINGS}
    assert not pools["train"] & pools["test"]
    assert min(map(len, pools.values())) > 40


def test_a_neutral_caller_says_the_templates_as_they_are():
    for kind, template in TEMPLATES["train"]:
        assert dress(template, NEUTRAL, "train", random.Random(0), kind, ()) == template
    assert describe(NEUTRAL) == ""


def test_a_persona_is_described_by_mood_register_and_length():
    text = describe(Persona("hurried", "casual", "terse"))
    assert text == "You are in a hurry. You write casually, with short forms, in short messages."
    rng = random.Random(0)
    texts = {describe(draw(rng, "test")) for _ in range(1000)}
    assert len(texts) == 7 * 9
    assert all(one == "" or one.startswith("You ") for one in texts)


@pytest.mark.parametrize(
    ("register", "text", "said"),
    [
        (
            "formal",
            "Hi, I'd like it. Don't you see? I can't and it's mine.",
            "Hello, I would like it. Don't you see? I cannot and it is mine.",
        ),
        ("casual", "I would like it and I cannot tell who I am.", "I'd like it and I can't tell who I am"),
        ("casual", "It is Please.", "it's Please"),
    ],
)
def test_a_register_changes_forms_and_nothing_else(register, text, said):
    forms = {
        dress(text, Persona("calm", register, "terse"), "train", random.Random(seed), "answer", ["Please"])
        for seed in range(40)
    }
    assert said in forms


def test_values_that_share_letters_or_look_like_the_inside_of_this_program_come_through():
    values = ["1A2", "A", "#\ue001", "I am"]
    text = "I would like 1A2, A, #\ue001 and 1A2B: I am is the note for jo#\ue0013x@A."
    for seed in range(60):
        rng = random.Random(seed)
        said = dress(text, Persona("calm", "casual", "chatty"), "train", rng, "answer", values)
        assert "like 1A2, A, #\ue001 and 1A2B: I am is the note for jo#\ue0013x@A" in said


def test_equal_seeds_say_the_same_and_others_something_else():
    persona = Persona("friendly", "casual", "chatty")
    said = [
        dress("Please renew {title}.", persona, "train", random.Random(seed), "opening", ())
        for seed in itertools.chain(range(30), range(30))
    ]
    assert said[:30] == said[30:]
    assert len(set(said)) > 20
