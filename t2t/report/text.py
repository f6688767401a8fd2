"""Words, sentences and reading level of a text, counted the same way wherever texts are compared."""

import re

from t2t.records import UserScenario

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+(?=[\s\"'”’)\]]|$)|\n+")


def words(text: str) -> list[str]:
    """Words in lower case, in order: runs of letters and digits, with an apostrophe inside; ``don't`` is one word."""
    return _WORD.findall(text.lower().replace("’", "'"))


def sentences(text: str) -> list[str]:
    """Sentences in order, each with a word in it; they end at ``.``, ``!``, ``?`` before a space, and at line ends.

    A dot inside an e-mail address or an amount ends nothing.
    """
    return [piece.strip() for piece in _SENTENCE_END.split(text) if _WORD.search(piece)]


def readability(text: str) -> float:
    """Automated readability index: about the US school year that reads the text with ease; 0.0 without words.

    Source: Smith and Senter 1967, AMRL-TR-66-220.
    """
    found = words(text)
    if not found:
        return 0.0
    characters = sum(len(word) for word in found)
    return 4.71 * characters / len(found) + 0.5 * len(found) / len(sentences(text)) - 21.43


def scenario_text(scenario: UserScenario) -> str:
    """What tells a caller their matter, a line each: why they call, what they know, how they behave.

    The fields that tau2's human-written tasks also have, so that the two can be compared.
    """
    return "\n".join((scenario.reason_for_call, scenario.known_info, scenario.task_instructions))
