"""The front desk of a group practice: visits, referrals, prescriptions, insurance, invoices, families."""

from pathlib import Path

from t2t.domain.domain import Domain
from t2t.domains.clinic.data import generate
from t2t.domains.clinic.rules import CONSTRAINTS, RULES
from t2t.domains.clinic.schema import ClinicDB
from t2t.domains.clinic.tools import TOOLS
from t2t.domains.clinic.wishes import CALLERS, WISHES

DOMAIN = Domain(
    name="clinic",
    home=Path(__file__).parent,
    database=ClinicDB,
    generate=generate,
    tools=TOOLS,
    rules=RULES,
    callers=CALLERS,
    wishes=WISHES,
    constraints=CONSTRAINTS,
)
