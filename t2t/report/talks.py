"""Choose the talks that a report shows, by a rule that looks at no text; and write their parts for a reader."""

import json
import unicodedata
from collections.abc import Collection, Iterator, Sequence

from t2t.records import CallPattern, Intent, RequiredCall, Reward, Rollout, Task, ToolCall
from t2t.report.content import Talk


def choose_talks(rollouts: Sequence[Rollout], tasks: Sequence[Task], trained: Collection[str]) -> tuple[Talk, ...]:
    """Choose a success and a failure of ``tuned`` per intent, and the other models' talks on the same tasks.

    Only first attempts count. Of the talks that fit, the one with the smallest task id is taken, and task
    ids are hashes. Intents are shown on the trained domains; each unseen domain adds one success and one
    failure of any intent. What does not exist is left out.

    Args:
        rollouts: talks of all agents.
        tasks: the tasks they are about, and possibly others.
        trained: domains that training rows come from.

    Returns:
        Talks in the order of intents, successes first; those about one task follow each other, tuned first.
    """
    by_id = {task.id: task for task in tasks}
    first = {
        (rollout.agent, rollout.task_id): rollout
        for rollout in sorted(rollouts, key=lambda rollout: rollout.task_id)
        if rollout.attempt == 0 and rollout.task_id in by_id
    }
    tuned = [rollout for (agent, _), rollout in first.items() if agent == "tuned"]
    return tuple(
        Talk(agent=agent, task=by_id[picked.task_id], rollout=first[agent, picked.task_id])
        for picked in _pick(tuned, trained)
        for agent in ("tuned", "base")
        if (agent, picked.task_id) in first
    )


def signature(call: ToolCall | CallPattern | RequiredCall) -> str:
    """Write a call as code would: ``find_book(title="Dune")``."""
    given = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{call.name}({given})"


def checks_with_notes(reward: Reward) -> list[tuple[str, bool, list[str]]]:
    """List the checks of a verdict: name, whether it holds, and its notes.

    A note begins with its check's name and a colon; any other comes last, under ``other``.
    """
    notes = list(reward.notes)
    rows: list[tuple[str, bool, list[str]]] = []
    for name, passed in reward.checks.items():
        mine = [note for note in notes if note.startswith(f"{name}: ")]
        notes = [note for note in notes if note not in mine]
        rows.append((name, passed, [note.removeprefix(f"{name}: ") for note in mine]))
    return rows + ([("other", False, notes)] if notes else [])


def show_controls(text: str) -> str:
    """Replace control and direction characters, which would hide or reorder text, by visible ones.

    Line ends and tabs stay.
    """
    return text if text.isprintable() else "".join(map(_show_control, text))


def _show_control(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return f"\\u{{{ord(character):x}}}"


def _pick(talks: Sequence[Rollout], trained: Collection[str]) -> Iterator[Rollout]:
    groups = [[talk for talk in talks if talk.domain in trained and talk.intent is intent] for intent in Intent]
    unseen = sorted({talk.domain for talk in talks} - set(trained))
    groups += [[talk for talk in talks if talk.domain == domain] for domain in unseen]
    for group in groups:
        for success in (True, False):
            yield from [talk for talk in group if (talk.reward.value == 1.0) is success][:1]
