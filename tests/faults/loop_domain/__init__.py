"""The library with a tool that writes and then never returns."""

from dataclasses import replace
from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domain.tool import tool
from t2t.domains import library
from t2t.domains.library.schema import LibraryDB
from t2t.domains.library.tools import TOOLS


@tool(writes=True)
def wait_for_ever(db: LibraryDB) -> str:
    """Change the database and never answer."""
    while True:
        for loan in db.loans:
            db.loans.put(replace(loan, renewals=loan.renewals + 1))


DOMAIN = Domain(
    name="tests.faults.loop_domain",
    home=Path(library.__file__).parent,
    database=LibraryDB,
    generate=library.DOMAIN.generate,
    tools=(*TOOLS, wait_for_ever),
    rules=library.DOMAIN.rules,
    callers=library.DOMAIN.callers,
    wishes=library.DOMAIN.wishes,
    constraints=library.DOMAIN.constraints,
)
