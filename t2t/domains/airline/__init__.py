"""An airline's service desk: trips, changes, refunds, bags, seats, upgrades, compensation, check-in."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.airline.data import generate
from t2t.domains.airline.rules import CONSTRAINTS, RULES
from t2t.domains.airline.schema import AirlineDB
from t2t.domains.airline.tools import TOOLS
from t2t.domains.airline.wishes import CALLERS, WISHES

DOMAIN = Domain(
    name="airline",
    home=Path(__file__).parent,
    database=AirlineDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
)
