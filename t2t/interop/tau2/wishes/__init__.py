"""What callers of tau2's domains want, and which clauses of tau2's policies code can check.

One module per domain of tau2, each with the same names: ``CALLERS``, ``WISHES``, ``RULES``, ``KINDS``
(parameter name -> type of its values), ``harvest`` and ``INSTRUCTIONS``. They read tau2's data, so
they import nothing of tau2.

tau2's policies are not numbered. They stay as they are, so that an agent reads what tau2's own agents
read; a rule cites the place that `number_clauses` gives a statement: ``4.2`` is the second statement
under the fourth heading. Many of these clauses are enforced by tau2's tools too. They are rules all
the same: what makes a wish infeasible for the caller is the clause, not who checks it.

tau2 has one database and no split of its people. Here a caller belongs to the split that a hash of
their name gives (in telecom, of their id), so that no name is in both, and whoever is in a task of
tau2's official test split is kept out of ``train``: a model trained on synthesized tasks has then seen
none of the people that it is measured on.
"""

import hashlib
import re

from t2t.records import Split

_HEADING = re.compile(r"^#{2,} ")
_ITEM = re.compile(r"^\s*(?:[-*]|\d+\.) ")
_TITLE = re.compile(r"^(?:# |</?\w+>$)")


def number_clauses(policy: str) -> dict[str, str]:
    """Statements of a policy by number: ``<heading>.<statement>``, headings from 1, before the first from 0.

    A statement is a paragraph or an item of a list; titles (``# ...``) and tags on a line of their own are none.
    """
    clauses: dict[str, str] = {}
    heading, number, lines = 0, 0, list[str]()

    def close() -> None:
        nonlocal number
        if lines:
            number += 1
            clauses[f"{heading}.{number}"] = " ".join(lines)
            lines.clear()

    for line in policy.splitlines():
        if _HEADING.match(line) or not line.strip() or _ITEM.match(line) or _TITLE.match(line):
            close()
        if _HEADING.match(line):
            heading, number = heading + 1, 0
        elif line.strip() and not _TITLE.match(line):
            lines.append(line.strip())
    close()
    return clauses


def split_of(person: str, held_out: frozenset[str]) -> Split | None:
    """The split a person belongs to; None for one who would train but is in an official test task."""
    if int(hashlib.sha256(person.encode()).hexdigest(), 16) % 2:
        return "test"
    return None if person in held_out else "train"


def ending(identifier: str) -> str:
    """The last four characters, by which people tell cards and accounts apart."""
    return identifier[-4:]
