"""Seeded data of the carrier. People, plans, countries and numbers of the two splits never meet."""

import random
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Literal

from t2t.domain.database import Base
from t2t.domains.telecom.schema import (
    CAPS,
    NEW_CUSTOMER_DAYS,
    PLAN_CHANGE_DAYS,
    PORT_AFTER_SIM_DAYS,
    SIM_CHANGE_DAYS,
    SUSPEND_REASONS,
    TODAY,
    Bill,
    BillId,
    BirthDate,
    Charge,
    Country,
    CountryZone,
    Customer,
    CustomerId,
    FullName,
    HeldPass,
    Line,
    LineId,
    PassId,
    Phone,
    PhoneId,
    PhoneNumber,
    Plan,
    PlanId,
    RoamingPass,
    Sim,
    SimNumber,
)
from t2t.records import DataSpec, Split


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.replace("_", " ") for word in text.split())


_FIRST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Abel Alina Andre Aylin Basil Brigid Carmen Cedric Dana Dario Elsa Enzo Erika Faye Florian Gemma Gilbert Hilda "
        "Hamza Ilse Ivan Jana Jerome Karim Katrin Lidia Louis Magda Manuel Mei Milan Nina Noel Oona Otto Pia Ramon "
        "Rebecca Roman Salma Silas Tessa Tomas Ulrich Vivian Xavier Yasmin Zeno"
    ),
    "test": _words(
        "Alma August Berta Bashir Celine Conrad Delia Dominic Elin Ezra Flora Fabian Gwen Gregor Heidi Hector Inga "
        "Isidor Jolanda Joachim Kira Kasper Luise Lorenz Maren Matteo Nell Nestor Odette Oren Paloma Quentin Ronja "
        "Saul"
    ),
}
_LAST: dict[Split, tuple[str, ...]] = {
    "train": _words(
        "Abrams Albers Baptiste Bishop Bloom Caruso Chandra Cross Dupont Egger Emerson Falk Fuentes Gallo Garner "
        "Goldberg Hagen Hayashi Hughes Ionescu Jain Janssen Kamara Kerr Kuhn Leclerc Lowe Maier Marsh Mbaye Mori "
        "Navarro Nowak Oduya Palmer Petrov Quiroga Ramos Rinaldi Rowe Salazar Scholz Sinclair Takeda Tomsic Uhl Varga "
        "Villa Ward Xu Yamada Ziegler"
    ),
    "test": _words(
        "Aguilar Bakker Bianchi Borg Carver Cohen Dietrich Doyle Esposito Fabre Fleming Gibbs Guerra Halvorsen Horvat "
        "Iversen Jurado Kaplan Kimura Lagos Lehman Marek Mistry Nagy Nilsson Okoye Pascal Pruitt Rasmussen Rojas "
        "Sandoval Stein Tamura Tully Valdez Weiss Yoon Zapata"
    ),
}
_PLANS: dict[Split, tuple[tuple[str, int, int, int, bool], ...]] = {
    "train": (
        ("Breeze 3", 900, 30, 0, False),
        ("Breeze 8", 1450, 80, 0, False),
        ("Breeze 15", 1990, 150, 0, False),
        ("Breeze 30", 2790, 300, 1, False),
        ("Summit 60", 3900, 600, 2, False),
        ("Summit 120", 5200, 1200, 2, False),
        ("Classic 5", 1200, 50, 0, True),
        ("Classic 20", 2400, 200, 1, True),
    ),
    "test": (
        ("Tide 2", 800, 20, 0, False),
        ("Tide 6", 1290, 60, 0, False),
        ("Tide 12", 1850, 120, 0, False),
        ("Tide 25", 2550, 250, 1, False),
        ("Aurora 50", 3690, 500, 2, False),
        ("Aurora 100", 4990, 1000, 2, False),
        ("Heritage 4", 1150, 40, 0, True),
        ("Heritage 18", 2250, 180, 1, True),
    ),
}
"""Name, cents a month, data in tenths of a GB, zones included, retired."""
_COUNTRIES: dict[Split, tuple[tuple[str, int], ...]] = {
    "train": (
        *((name, 1) for name in _words("Portugal Austria Norway")),
        *((name, 2) for name in _words("Turkey Morocco Canada")),
        *((name, 3) for name in _words("Japan Kenya Brazil Thailand")),
    ),
    "test": (
        *((name, 1) for name in _words("Spain Denmark Greece")),
        *((name, 2) for name in _words("Serbia Tunisia Mexico")),
        *((name, 3) for name in _words("South_Korea Peru Vietnam Namibia")),
    ),
}
_PASSES = ((3, (600, 900, 1500)), (7, (1100, 1700, 2900)), (30, (2400, 3900, 5900)))
"""Days, and cents by zone."""
_PARTNERS: dict[Split, tuple[str, ...]] = {"train": ("my husband's", "my wife's"), "test": ("my partner's",)}
_CHILDREN: dict[Split, tuple[str, ...]] = {
    "train": ("my son's", "my daughter's"),
    "test": ("my boy's", "my girl's"),
}
_OTHERS: dict[Split, tuple[str, ...]] = {
    "train": ("my mother's", "my father's", "my tablet's"),
    "test": ("my grandmother's", "my brother's", "my car's"),
}
_OFFSET: dict[Split, int] = {"train": 0, "test": 50_000_000}
"""Keeps the ids of the splits apart."""
_AREA: dict[Split, int] = {"train": 200, "test": 600}
"""First of the hundred area codes of a split."""
_MONTHS = ("2026-06", "2026-07", "2026-08")
_DUE: dict[str, tuple[str, str]] = {
    "2026-06": ("2026-07-10", "2026-07-28"),
    "2026-07": ("2026-08-10", "2026-08-28"),
    "2026-08": ("2026-09-10", "2026-09-28"),
}
"""Due dates by month; the second one of August lies ahead."""
_AFTER_SIM = (
    (PORT_AFTER_SIM_DAYS, PORT_AFTER_SIM_DAYS + 2),
    (SIM_CHANGE_DAYS, SIM_CHANGE_DAYS + 7),
)
"""Days after a change of the SIM card in which something is possible again."""
_SCENARIOS = (
    *_words("sim roaming line used mode stuck loose point suspended saver fine sim mobile roaming"),
    *_words("airplane sim saver fine point stuck sim suspended mode roaming line loose sim fine"),
    *_words("mobile stuck roaming saver sim point used sim line airplane fine loose roaming mode"),
    *_words("sim suspended roaming saver stuck saver mobile point used sim suspended fine mode line"),
)
"""What is the matter with a customer's own phone or line; customers take turns."""


def generate(data: DataSpec) -> Base:
    """Make the carrier's data; `data.size` is the number of lines.

    Customers, phones, bills and SIM cards grow with the lines; plans, passes and countries do not.
    """
    rng = random.Random(f"telecom/{data.split}/{data.seed}")
    plans = _plans(data.split)
    passes: dict[str, RoamingPass] = {
        row.id: row
        for days, prices in _PASSES
        for zone, cents in enumerate(prices, start=1)
        for row in [RoamingPass(PassId(f"PA{_OFFSET[data.split] + 100 * zone + days}"), zone, days, cents)]
    }
    countries = {name: CountryZone(Country(name), zone) for name, zone in _COUNTRIES[data.split]}
    makers = list(plans.values())
    customers: dict[str, Customer] = {}
    lines: dict[str, Line] = {}
    sims: dict[str, Sim] = {}
    bills: dict[str, Bill] = {}
    phones: dict[str, Phone] = {}
    names_used: dict[str, tuple[int, int]] = {}
    while len(lines) < data.size:
        customer = _customer(rng, data.split, len(customers), names_used)
        customers[customer.id] = customer
        count = min(rng.choice((1, 2, 2, 3, 3, 4)), data.size - len(lines))
        users = _users(rng, data.split, count)
        scenario = _SCENARIOS[(len(customers) - 1) % len(_SCENARIOS)]
        late = rng.random() < 0.2
        held = [
            _line(rng, data.split, len(lines) + place, customer, user, late, makers) for place, user in enumerate(users)
        ]
        held[0] = _fit_own_line(rng, held[0], scenario, late, plans)
        for line in held:
            lines[line.id] = line
            sims[line.sim_number] = Sim(line.sim_number, customer.id, "active")
        phone = _phone(rng, data.split, customer, held[0], scenario)
        phones[phone.id] = phone
        if phone.sim_number not in sims:
            owner = customer.id
            if rng.random() < 0.3 and len(customers) > 1:
                owner = CustomerId(f"C{int(customer.id[1:]) - 1}")
            sims[phone.sim_number] = Sim(phone.sim_number, owner, "new")
        for bill in _bills(rng, data.split, customer, [plans[line.plan_id] for line in held], late, len(bills)):
            bills[bill.id] = bill
    return Base(
        {
            "plans": plans,
            "passes": passes,
            "countries": countries,
            "customers": customers,
            "lines": lines,
            "sims": sims,
            "bills": bills,
            "phones": phones,
        }
    )


def split_of(customer_id: str) -> Split:
    """The split that a customer's data is made for."""
    return "test" if int(customer_id[1:]) > _OFFSET["test"] else "train"


def destinations(customer: Customer) -> tuple[Country, ...]:
    """Countries the customer may travel to; the same at every call."""
    split = split_of(customer.id)
    rng = random.Random(f"destinations/{customer.id}")
    return tuple(Country(name) for name, _ in rng.sample(_COUNTRIES[split], 3))


@cache
def _day(days_ago: int) -> str:
    return (TODAY - timedelta(days=days_ago)).isoformat()


def _plans(split: Split) -> dict[str, Plan]:
    plans = (Plan(PlanId(f"PL{_OFFSET[split] + 11 + place}"), *row) for place, row in enumerate(_PLANS[split]))
    return {plan.id: plan for plan in plans}


def _customer(rng: random.Random, split: Split, index: int, names_used: dict[str, tuple[int, int]]) -> Customer:
    number = _OFFSET[split] + 100_001 + index
    name = f"{rng.choice(_FIRST[split])} {rng.choice(_LAST[split])}"
    start, repeat = names_used.get(name, (rng.randrange(20_000), 0))
    names_used[name] = (start, repeat + 1)
    # A step without common divisor with the span: the birthdays of people of one name differ.
    born = date(1950, 1, 1) + timedelta(days=(start + 6151 * repeat) % 20_000)
    since = _days_since(rng, (5, 55), (NEW_CUSTOMER_DAYS, NEW_CUSTOMER_DAYS + 15), (80, 3000))
    return Customer(
        CustomerId(f"C{number}"),
        FullName(name),
        BirthDate(born.isoformat()),
        _day(since),
        PhoneId(f"H{number}"),
    )


def _users(rng: random.Random, split: Split, count: int) -> list[tuple[str, bool]]:
    """Whose lines they are, and which are a child's; the first is the customer's own."""
    pool = [(rng.choice(_PARTNERS[split]), False)]
    pool += [(user, True) for user in _CHILDREN[split]]
    pool += [(rng.choice(_OTHERS[split]), False), (rng.choice(_CHILDREN[split]), True)]
    return [("my own", False), *rng.sample(pool, count - 1)]


def _line(
    rng: random.Random,
    split: Split,
    index: int,
    customer: Customer,
    user: tuple[str, bool],
    late: bool,
    plans: list[Plan],
) -> Line:
    serial = _OFFSET[split] + 1_000_001 + index
    scattered = (index * 6_700_417 + 123_456_789) % 1_000_000_000
    area, rest = divmod(scattered, 10_000_000)
    plan = rng.choice(plans)
    suspended_for = _suspended_for(rng, late) if rng.random() < 0.25 else ""
    cap_cents = int(rng.choice(CAPS[:2] if user[1] else CAPS[1:]).replace(".", ""))
    extras = cap_cents - rng.choice((0, 200, 350)) if rng.random() < 0.2 else rng.randrange(0, cap_cents, 50) // 3
    zone, days = rng.randint(1, 3), rng.randint(1, 20)
    held = (HeldPass(f"zone {zone} pass, {rng.choice((7, 30))} days", zone, _day(-days)),)
    return Line(
        id=LineId(f"L{serial}"),
        customer_id=customer.id,
        number=PhoneNumber(f"{_AREA[split] + area}-{rest // 10_000:03d}-{rest % 10_000:04d}"),
        user=user[0],
        child=user[1],
        plan_id=plan.id,
        plan_changed=_day(_days_since(rng, (3, 29), (PLAN_CHANGE_DAYS, PLAN_CHANGE_DAYS + 7), (40, 900))),
        contract_end=_day(-rng.randint(20, 600) if rng.random() < 0.5 else rng.randint(10, 400)),
        status="suspended" if suspended_for else "active",
        suspended_for=suspended_for,
        suspensions=rng.choice((0, 0, 0, 1, 1, 2)),
        roaming=rng.random() < 0.55,
        passes=held if rng.random() < 0.15 else (),
        data_used=rng.randint(1, plan.data - 1),
        data_added=0,
        refuels=rng.choice((0, 0, 0, 1, 2, 3)),
        extras_cents=extras,
        cap_cents=cap_cents,
        sim_number=SimNumber(f"8901{_OFFSET[split] + 1_000_001 + index:015d}"),
        sim_changed=_day(_days_since(rng, (1, 29), rng.choice(_AFTER_SIM), (40, 1200))),
        port_code_until=_day(-rng.randint(1, 7)) if rng.random() < 0.15 else "",
    )


def _days_since(rng: random.Random, short: tuple[int, int], enough: tuple[int, int], long: tuple[int, int]) -> int:
    """Days since a change: too few for some clause in a fifth of all draws, just enough for it in a tenth."""
    drawn = rng.random()
    return rng.randint(*(short if drawn < 0.2 else enough if drawn < 0.3 else long))


def _suspended_for(rng: random.Random, late: bool) -> str:
    return "unpaid" if rng.random() < (0.6 if late else 0.1) else rng.choice(SUSPEND_REASONS)


def _fit_own_line(rng: random.Random, line: Line, scenario: str, late: bool, plans: dict[str, Plan]) -> Line:
    """The line of the phone in the caller's hand: in order but for what the scenario says."""
    suspended_for = _suspended_for(rng, late) if scenario == "suspended" else ""
    return replace(
        line,
        status="suspended" if suspended_for else "active",
        suspended_for=suspended_for,
        roaming=scenario != "line" and (scenario in ("roaming", "saver") or line.roaming),
        data_used=plans[line.plan_id].data if scenario == "used" else line.data_used,
    )


def _phone(rng: random.Random, split: Split, customer: Customer, line: Line, scenario: str) -> Phone:
    abroad = scenario in ("roaming", "line") or (
        line.roaming and rng.random() < (0.7 if scenario in ("saver", "point") else 0.5)
    )
    esim = scenario != "loose" and rng.random() < 0.3
    new_sim = SimNumber(f"8902{customer.id[1:]:0>15}")
    mode: Literal["automatic", "3G only", "4G only"] = "3G only"
    if scenario != "mode":
        mode = rng.choice(("automatic", "automatic", "4G only"))
    return Phone(
        id=customer.phone_id,
        line_id=line.id,
        country=rng.choice(_COUNTRIES[split])[0] if abroad else "",
        sim_number=new_sim if scenario == "sim" else line.sim_number,
        esim=esim,
        sim_seated=scenario != "loose",
        airplane_mode=scenario == "airplane",
        mobile_data=scenario != "mobile",
        data_roaming=scenario != "roaming" and (abroad or rng.random() < 0.5),
        data_saver=scenario == "saver",
        network_mode=mode,
        access_point="changed by hand" if scenario == "point" else "standard",
        stuck=scenario == "stuck",
    )


def _bills(
    rng: random.Random, split: Split, customer: Customer, plans: list[Plan], late: bool, index: int
) -> list[Bill]:
    base = sum(plan.monthly_cents for plan in plans)
    bills: list[Bill] = []
    for place, month in enumerate(_MONTHS):
        charges = [Charge("plans", base)]
        for label in ("calls abroad", "roaming pass", "data refuel", "service numbers"):
            if rng.random() < 0.35:
                charges.append(Charge(label, rng.randrange(150, 4000, 5)))
        due = _DUE[month][0 if late else rng.randint(0, 1)]
        paid = rng.random() < 0.4 if late else due < TODAY.isoformat()
        if late and place == len(_MONTHS) - 1:
            paid = False
        bill_id = BillId(f"B{_OFFSET[split] + 1_000_001 + index + place}")
        bills.append(Bill(bill_id, customer.id, month, tuple(charges), due, paid))
    return bills
