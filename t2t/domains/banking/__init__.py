"""The phone desk of a retail bank: transfers, payments, cards, claims, fees, standing orders, loans."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.banking.data import generate
from t2t.domains.banking.rules import CONSTRAINTS, RULES
from t2t.domains.banking.schema import BankDB
from t2t.domains.banking.tools import TOOLS
from t2t.domains.banking.wishes import CALLERS, WISHES

DOMAIN = Domain(
    name="banking",
    home=Path(__file__).parent,
    database=BankDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
)
