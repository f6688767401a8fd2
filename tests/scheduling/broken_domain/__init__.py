"""The library with a tool whose code is wrong."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domain.tool import tool
from t2t.domains import library
from t2t.domains.library.schema import LibraryDB
from t2t.domains.library.tools import TOOLS


@tool(writes=True)
def wait_for_ever(db: LibraryDB) -> str:
    """Fail with a bug; the name is the one that the fault server calls."""
    raise ZeroDivisionError(f"a bug in the library of {len(db.loans)} loans")


DOMAIN = Domain(
    name="tests.scheduling.broken_domain",
    home=Path(library.__file__).parent,
    database=LibraryDB,
    generate=library.DOMAIN.generate,
    tools=(*TOOLS, wait_for_ever),
    rules=library.DOMAIN.rules,
    callers=library.DOMAIN.callers,
    wishes=library.DOMAIN.wishes,
    constraints=library.DOMAIN.constraints,
)
