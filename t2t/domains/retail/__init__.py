"""The service desk of an online shop: orders, returns, exchanges, addresses, payments."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.retail.data import generate
from t2t.domains.retail.rules import CONSTRAINTS, RULES
from t2t.domains.retail.schema import RetailDB
from t2t.domains.retail.tools import TOOLS
from t2t.domains.retail.wishes import CALLERS, WISHES

DOMAIN = Domain(
    name="retail",
    home=Path(__file__).parent,
    database=RetailDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
)
