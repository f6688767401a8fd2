"""What callers of tau2's domains want: said in two ways, forbidden by clauses that stand in tau2's policies."""

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson
import pytest

from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.episode.user import ScriptedUser
from t2t.errors import ToolError
from t2t.interop.tau2.export import make_tasks
from t2t.interop.tau2.source import load_raw_tasks, load_splits
from t2t.interop.tau2.wishes import airline, number_clauses, retail, split_of, telecom
from t2t.records import Arguments, DataSpec, Intent, Split, Task, ToolCall
from t2t.verify.contract import CHECKS
from t2t.verify.inspection import Inspection

pytestmark = pytest.mark.tau2

MEMBERS = ("airline", "mock", "retail", "telecom")
SPLITS: tuple[Split, ...] = ("train", "test")

CLAUSES = {
    "retail": {
        "0.6": "authenticate the user identity",
        "0.8": "only help one user per conversation",
        "0.9": "obtain explicit user confirmation",
        "6.1": "only be cancelled if its status is 'pending', and you should check its status",
        "6.2": "'no longer needed' or 'ordered by mistake'",
        "7.1": "only be modified if its status is 'pending', and you should check its status",
        "8.1": "different from the original payment method",
        "8.2": "enough balance to cover the total amount",
        "9.1": "will not be able to modify or cancel the order anymore",
        "9.2": "an available new item of the same product but of different product option",
        "9.3": "enough balance to cover the price difference",
        "10.1": "only be returned if its status is 'delivered', and you should check its status",
        "10.4": "the original payment method, or an existing gift card",
        "11.1": "only be exchanged if its status is 'delivered', and you should check its status",
        "11.2": "an available new item of the same product but of different product option",
        "11.3": "enough balance to cover the price difference",
    },
    "airline": {
        "0.3": "obtain explicit user confirmation",
        "5.6": "at most five passengers",
        "5.10": "at most one travel certificate, at most one credit card, and at most three gift cards",
        "5.13": "Checked bag allowance",
        "6.5": "Basic economy flights cannot be modified",
        "6.6": "without changing the origin, destination, and trip type",
        "6.8": "must make sure the rules apply before calling the API",
        "6.10": "if any flight in the reservation has already been flown",
        "6.16": "can add but not remove checked bags",
        "6.19": "cannot modify the number of passengers",
        "6.22": "a single gift card or credit card",
        "7.5": "any portion of the flight has already been flown",
        "7.6": "can be cancelled if any of the following is true",
        "7.11": "must make sure the rules apply before calling the API",
        "8.3": "Always confirms the facts",
        "8.4": "Only compensate if the user is a silver/gold member",
        "8.5": "$100 times the number of passengers",
    },
    "telecom": {
        "9.13": "always check that the bill is overdue before sending",
        "10.1": "A line can be suspended for the following reasons",
        "10.4": "not allowed to lift the suspension",
        "11.1": "maximum amount of data that can be refueled is 2GB",
        "11.4": "the line associated with the phone number",
        "13.1": "you should check if the line is roaming enabled",
        "14.1": "must first identify the customer",
    },
    "mock": {"0.1": "must have a title", "0.3": "Only existing users"},
}
"""What stands at the numbers that rules cite."""

NOT_WISHED = {
    "airline": {"book_reservation"},
    "mock": set[str](),
    "retail": set[str](),
    "telecom": {"set_apn_settings", "make_payment"},
}
"""Writes that nobody asks for in a sentence, or that nothing in tau2's data lets happen."""


@pytest.fixture(params=MEMBERS, scope="module")
def domain(request: pytest.FixtureRequest) -> Domain:
    return load_domain(f"tau2.{request.param}")


def spec(split: Split) -> DataSpec:
    return DataSpec(seed=0, size=120, split=split)


def member_of(domain: Domain) -> str:
    return domain.name.removeprefix("tau2.")


@lru_cache
def tasks_of(name: str, split: Split) -> tuple[Task, ...]:
    return tuple(make_tasks(load_domain(name), spec(split), 12))


def start(name: str, split: Split, caller: str, identity: int = 0) -> Environment:
    """An environment in which the caller has been found."""
    domain = load_domain(name)
    environment = Environment(domain, spec(split))
    way = domain.callers.identities[identity]
    facts = domain.callers.facts(environment.db, caller)
    arguments: Arguments = {parameter: facts[fact] for parameter, fact in way.parameters.items()}
    environment.run(ToolCall(id="a", name=way.tool, arguments=arguments))
    return environment


def look(environment: Environment, caller: str) -> None:
    """Read what rules want to be looked at first."""
    if environment.domain.name == "tau2.retail":
        for order_id in environment.db.agent.users[caller].orders:  # pyright: ignore
            environment.run(ToolCall(id="b", name="get_order_details", arguments={"order_id": order_id}))
    if environment.domain.name == "tau2.airline":
        for row in environment.db.agent.users[caller].reservations:  # pyright: ignore
            environment.run(ToolCall(id="b", name="get_reservation_details", arguments={"reservation_id": row}))

    if environment.domain.name == "tau2.telecom":
        customer = next(row for row in environment.db.agent.customers if row.customer_id == caller)  # pyright: ignore
        for found in (*customer.line_ids, *customer.bill_ids):
            environment.run(ToolCall(id="b", name="get_details_by_id", arguments={"id": found}))


def meant(environment: Environment, caller: str) -> Iterator[ToolCall]:
    for wish in environment.domain.wishes:
        side = environment.domain.requestor_of(wish.tool)
        for candidate in wish.candidates(environment.db, caller):
            yield ToolCall(id="c", name=wish.tool, arguments=candidate.arguments, requestor=side)


def breaks(environment: Environment, call: ToolCall) -> list[str]:
    """Clauses that a call would break; its arguments are known to be well-formed."""
    context = RuleContext(environment.db, call, tuple(environment.past), None)
    rules = [rule for rule in environment.domain.rules if call.name in rule.tools]
    return [rule.clause for rule in rules if rule.breaks(context)]


def test_a_clause_is_a_heading_and_a_statement_under_it():
    policy = "<p>\n# Title\nOne\nline.\n\n- Two.\n## A\n\nThree.\n### B\n1. Four.\n2. Five.\n</p>"
    assert number_clauses(policy) == {
        "0.1": "One line.",
        "0.2": "- Two.",
        "1.1": "Three.",
        "2.1": "1. Four.",
        "2.2": "2. Five.",
    }


def test_rules_cite_clauses_that_say_what_they_check(domain: Domain):
    statements, cited = number_clauses(domain.policy), CLAUSES[member_of(domain)]
    assert {rule.clause for rule in domain.rules} == cited.keys()
    for clause, words in cited.items():
        assert words in statements[clause], clause


def test_every_write_that_can_be_asked_for_has_a_wish(domain: Domain):
    writes = {tool.name for tool in domain.tool_by_name.values() if tool.writes}
    assert writes - domain.wish_by_tool.keys() == NOT_WISHED[member_of(domain)]


@pytest.mark.parametrize("check", ["wordings", "questions", "cues"])
def test_wordings_keep_what_the_contract_of_domains_asks(domain: Domain, check: str):
    assert not list(CHECKS[check](Inspection(domain)))


@pytest.mark.parametrize("split", SPLITS)
def test_every_intent_is_proved_in_either_split(domain: Domain, split: Split):
    made = {intent: [task for task in tasks_of(domain.name, split) if task.intent is intent] for intent in Intent}
    assert all(made.values()), {intent: len(tasks) for intent, tasks in made.items()}


def test_no_person_is_in_both_splits_or_in_training_and_an_official_test_task():
    for module, name in ((retail, "tau2.retail"), (airline, "tau2.airline"), (telecom, "tau2.telecom")):
        domain = load_domain(name)
        people: dict[Split, set[str]] = {}
        for split in SPLITS:
            db = domain.open(spec(split))
            facts = [domain.callers.facts(db, caller) for caller in domain.callers.ids(db)]
            people[split] = {fact.get("name") or f"{fact['first_name']} {fact['last_name']}" for fact in facts}
        assert people["train"] and people["test"] and not people["train"] & people["test"]
        assert not any(split_of(person, module.HELD_OUT) == "train" for person in module.HELD_OUT)


def official_test_people(member: str, tables: dict[str, Any], owned: str, name_of: Any) -> set[str]:
    """Owners of every id, address or name and zip code that tau2's official test tasks hold."""
    found: set[str] = set()
    for raw in load_raw_tasks(member):
        if raw["id"] not in load_splits(member)["test"]:
            continue
        text = json.dumps(raw).lower()
        found |= {row.user_id for key, row in tables[owned].items() if key.lower() in text}
        for user_id, user in tables["users"].items():
            named = all(word.lower() in text for word in (*name_of(user), user.address.zip))
            if user_id in text or user.email.lower() in text or named:
                found.add(user_id)
    return {user_id.rpartition("_")[0] for user_id in found}


@pytest.mark.parametrize(
    ("member", "owned", "held_out"),
    [("retail", "orders", retail.HELD_OUT), ("airline", "reservations", airline.HELD_OUT)],
)
def test_those_held_out_are_the_people_of_tau2s_official_test_tasks(member: str, owned: str, held_out: frozenset[str]):
    db: Any = load_domain(f"tau2.{member}").open(spec("test"))
    tables = {"users": dict(db.agent.users.items()), owned: dict(getattr(db.agent, owned).items())}
    people = official_test_people(member, tables, owned, lambda user: (user.name.first_name, user.name.last_name))
    assert people == held_out


def test_telecoms_official_test_tasks_are_all_about_one_customer():
    db: Any = load_domain("tau2.telecom").open(spec("test"))
    tests = [raw for raw in load_raw_tasks("telecom") if raw["id"] in load_splits("telecom")["test"]]
    texts = [json.dumps(raw) for raw in tests]
    named = {row.customer_id for row in db.agent.customers for text in texts if row.full_name in text}
    assert len(tests) == 40 and named == telecom.HELD_OUT


def test_each_clause_forbids_some_wish_alone_and_leaves_another(domain: Domain):
    """Among all that callers could mean, with what rules want looked at first."""
    alone: set[str] = set()
    free: set[str] = set()
    for split in SPLITS:
        db = domain.open(spec(split))
        for caller in list(domain.callers.ids(db))[:60]:
            environment = start(domain.name, split, caller)
            look(environment, caller)
            for call in meant(environment, caller):
                broken = breaks(environment, call)
                if len(broken) == 1:
                    alone.add(broken[0])
                elif not broken:
                    free.add(call.name)
    expected = {
        "retail": {"6.1", "6.2", "7.1", "8.1", "8.2", "9.2", "9.3", "10.1", "10.4", "11.1", "11.2", "11.3"},
        "airline": {"6.5", "6.10", "6.16", "6.19", "6.22", "7.5", "7.6", "8.4", "8.5"},
        "telecom": {"9.13", "10.1", "11.1"},
        "mock": {"0.1"},
    }
    assert alone == expected[member_of(domain)]
    assert free == {wish.tool for wish in domain.wishes} - {"disconnect_vpn"}


def test_what_no_rule_forbids_tau2s_tools_carry_out(domain: Domain):
    """So that a clause, not an error without one, is what stands between a caller and a wish."""
    for split in SPLITS:
        for caller in list(domain.callers.ids(domain.open(spec(split))))[:6]:
            environment = start(domain.name, split, caller)
            look(environment, caller)
            calls = [call for call in meant(environment, caller) if not breaks(environment, call)]
            for call in random.Random(caller).sample(calls, min(40, len(calls))):
                savepoint = environment.db.savepoint()
                environment.run(call)
                environment.db.rollback(savepoint)


def test_retail_serves_one_found_customer_who_has_agreed():
    db: Any = load_domain("tau2.retail").open(spec("test"))
    one, other = load_domain("tau2.retail").callers.ids(db)[:2]
    order = ToolCall(id="d", name="get_order_details", arguments={"order_id": db.agent.users[one].orders[0]})
    nobody = Environment(load_domain("tau2.retail"), spec("test"))
    assert [rule.clause for rule in nobody.breaks(order)] == ["0.6"]
    for identity in (0, 1):
        assert not start("tau2.retail", "test", one, identity).breaks(order)
        stranger = start("tau2.retail", "test", other, identity)
        assert [rule.clause for rule in stranger.breaks(order)] == ["0.8"]
        again = ToolCall(id="d", name="find_user_id_by_email", arguments={"email": db.agent.users[one].email})
        assert [rule.clause for rule in stranger.breaks(again)] == ["0.8"]
        assert not start("tau2.retail", "test", one, identity).breaks(again)
    moved: Arguments = {"user_id": one, **_address("1 Elm St")}
    write = ToolCall(id="d", name="modify_user_address", arguments=moved)
    assert [rule.clause for rule in start("tau2.retail", "test", one).breaks(write, confirmed=False)] == ["0.9"]
    assert not start("tau2.retail", "test", one).breaks(write, confirmed=True)


def _address(street: str) -> dict[str, str]:
    return {"address1": street, "address2": "", "city": "Reno", "state": "NV", "country": "USA", "zip": "89501"}


def test_retail_changes_nothing_of_an_order_whose_items_were_modified():
    """The tools would still take another address or payment method."""
    db: Any = load_domain("tau2.retail").open(spec("test"))
    for caller in load_domain("tau2.retail").callers.ids(db):
        environment = start("tau2.retail", "test", caller)
        look(environment, caller)
        changes = [call for call in meant(environment, caller) if call.name == "modify_pending_order_items"]
        change = next((call for call in changes if not environment.breaks(call)), None)
        if change is not None:
            break
    else:
        raise AssertionError("nobody can modify items")
    environment.run(change)
    order_id = change.arguments["order_id"]
    address: Arguments = {"order_id": order_id, **_address("1 Elm St")}
    call = ToolCall(id="e", name="modify_pending_order_address", arguments=address)
    assert [rule.clause for rule in environment.breaks(call)] == ["9.1"]
    assert environment.run(call).broken


def test_airline_counts_free_bags_by_membership_cabin_and_heads():
    domain = load_domain("tau2.airline")
    db: Any = domain.open(spec("test"))
    wrong = right = 0
    for caller in domain.callers.ids(db)[:40]:
        environment = start("tau2.airline", "test", caller)
        for call in meant(environment, caller):
            if call.name == "update_reservation_baggages":
                more = {**call.arguments, "nonfree_baggages": int(str(call.arguments["nonfree_baggages"])) + 1}
                right += "5.13" not in [rule.clause for rule in environment.breaks(call)]
                counted = call.model_copy(update={"arguments": more})
                wrong += "5.13" in [rule.clause for rule in environment.breaks(counted)]
    assert right == wrong > 50


def test_airline_bookings_have_at_most_five_passengers_and_few_payment_methods():
    domain = load_domain("tau2.airline")
    db: Any = domain.open(spec("test"))

    def certificates(user: Any) -> list[str]:
        return [method.id for method in user.payment_methods.values() if method.source == "certificate"]

    caller = next(one for one in domain.callers.ids(db) if len(certificates(db.agent.users[one])) > 1)
    person = {"first_name": "A", "last_name": "B", "dob": "1990-01-01"}

    def broken(heads: int, methods: int) -> set[str]:
        paid = certificates(db.agent.users[caller])[:methods]
        arguments: Arguments = {
            "user_id": caller,
            "origin": "SFO",
            "destination": "JFK",
            "flight_type": "one_way",
            "cabin": "economy",
            "flights": [],
            "passengers": [person] * heads,
            "payment_methods": [{"payment_id": payment_id, "amount": 1} for payment_id in paid],
            "total_baggages": 0,
            "nonfree_baggages": 0,
            "insurance": "no",
        }
        call = ToolCall(id="f", name="book_reservation", arguments=arguments)
        return {rule.clause for rule in start("tau2.airline", "test", caller).breaks(call)}

    assert broken(5, 1) == set()
    assert broken(6, 1) == {"5.6"}
    assert broken(1, 2) == {"5.10"}


def test_airline_trips_keep_their_ends():
    domain = load_domain("tau2.airline")
    db: Any = domain.open(spec("test"))
    for caller in domain.callers.ids(db)[:25]:
        environment = start("tau2.airline", "test", caller)
        look(environment, caller)
        for call in meant(environment, caller):
            if call.name == "update_reservation_flights" and not environment.breaks(call):
                flights = call.arguments["flights"]
                assert isinstance(flights, list)
                shorter = {**call.arguments, "flights": flights[:-1]}
                broken = environment.breaks(call.model_copy(update={"arguments": shorter}))
                assert len(flights) == 1 or {"6.5", "6.6"} & {rule.clause for rule in broken}


def test_what_must_be_told_follows_from_tau2s_own_answer():
    for task in (*tasks_of("tau2.retail", "train"), *tasks_of("tau2.retail", "test")):
        environment = Environment(load_domain("tau2.retail"), task.data)
        for call in task.expectation.calls:
            answer = environment.run(call).content
            if not task.expectation.tell or task.intent is not Intent.GENERAL or len(writes(task)) > 1:
                continue
            if call.name == "cancel_pending_order":
                rows = orjson.loads(answer)["payment_history"]
                assert sum(row["amount"] for row in rows if row["transaction_type"] == "payment") == pytest.approx(
                    float(task.expectation.tell[0])
                )
            if call.name == "exchange_delivered_order_items":
                old, new = call.arguments["item_ids"], call.arguments["new_item_ids"]
                assert isinstance(old, list) and isinstance(new, list)
                item = next(row for row in orjson.loads(answer)["items"] if row["item_id"] == old[0])
                db: Any = environment.db
                price = db.agent.products[item["product_id"]].variants[new[0]].price
                assert abs(price - item["price"]) == pytest.approx(float(task.expectation.tell[0]))


def writes(task: Task) -> list[ToolCall]:
    tools = load_domain(task.domain).tool_by_name
    return [call for call in task.expectation.calls if tools[call.name].writes]


def test_a_caller_uses_exactly_the_tool_of_the_phone_that_the_agent_asks_for():
    domain = load_domain("tau2.telecom")
    task = next(task for task in tasks_of("tau2.telecom", "train") if task.scenario.actions)
    assert {action.call.name for action in task.scenario.actions} == {
        tool.name for tool in domain.user_tools if tool.name != "set_apn_settings"
    }
    for action in task.scenario.actions:
        say = domain.instruction_by_tool[action.call.name].say.format(**action.call.arguments)
        assert [one.call for one in ScriptedUser(task.scenario, "seed").answer(say).actions] == [action.call]


def test_every_id_that_is_harvested_from_a_result_can_be_looked_up(domain: Domain):
    lookup = {"OrderId": "get_order_details", "ProductId": "get_product_details", "AnyId": "get_details_by_id"}
    lookup |= {"ReservationId": "get_reservation_details", "UserId": "get_user_details"}
    looked = 0
    for caller in list(domain.callers.ids(domain.open(spec("train"))))[:3]:
        environment = start(domain.name, "train", caller)
        look(environment, caller)
        for past in list(environment.past):
            for kind, value in domain.tool_by_name[past.call.name].harvest(past.value):
                tool = domain.tool_by_name.get(lookup.get(kind, ""))
                if tool is not None:
                    environment.run(ToolCall(id="g", name=tool.name, arguments={tool.parameters[0].name: value}))
                    looked += 1
    assert looked or domain.name == "tau2.mock"


def test_the_mock_has_one_caller_who_wants_other_things_in_each_split():
    domain = load_domain("tau2.mock")
    titles: list[set[str]] = []
    for split in SPLITS:
        db = domain.open(spec(split))
        assert domain.callers.ids(db) == ["user_1"]
        told = domain.wish_by_tool["create_task"].candidates(db, "user_1")
        titles.append({candidate.slots["note"] for candidate in told})
    assert not titles[0] & titles[1]


def test_a_task_for_nobody_is_refused_by_the_rule_and_by_tau2():
    environment = start("tau2.mock", "test", "user_1")
    call = ToolCall(id="h", name="create_task", arguments={"user_id": "user_9", "title": "Sing"})
    assert [rule.clause for rule in environment.breaks(call)] == ["0.3"]
    with pytest.raises(ToolError, match="user_9"):
        environment.run(call)
