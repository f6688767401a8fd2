"""A library's desk: loans, reservations, fines. Small enough for a first look."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.library.data import generate
from t2t.domains.library.rules import CONSTRAINTS, RULES
from t2t.domains.library.schema import LibraryDB
from t2t.domains.library.tools import TOOLS
from t2t.domains.library.wishes import CALLERS, WISHES

DOMAIN = Domain(
    name="library",
    home=Path(__file__).parent,
    database=LibraryDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
)
