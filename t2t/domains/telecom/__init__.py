"""A mobile carrier's support line: plans, roaming, SIM cards, bills, and the phone in the caller's hand."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.telecom.data import generate
from t2t.domains.telecom.phone import PHONE_TOOLS
from t2t.domains.telecom.rules import CONSTRAINTS, RULES
from t2t.domains.telecom.schema import TelecomDB
from t2t.domains.telecom.tools import TOOLS
from t2t.domains.telecom.wishes import CALLERS, INSTRUCTIONS, WISHES

DOMAIN = Domain(
    name="telecom",
    home=Path(__file__).parent,
    database=TelecomDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
    user_tools=PHONE_TOOLS,
    instructions=INSTRUCTIONS,
)
