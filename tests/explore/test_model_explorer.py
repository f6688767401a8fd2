"""The exploring model: scripted for exactness, behind an endpoint for faults, and real for the loop."""

import asyncio
import gc
import json
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import is_dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NewType, get_args, get_type_hints

import pytest

from t2t.config import ApiConfig, EngineConfig, ExploreConfig, ModelConfig, ModelUseConfig, RunConfig
from t2t.domain.domain import Domain, list_domains, load_domain
from t2t.domain.environment import Environment
from t2t.domain.rule import RuleContext
from t2t.domain.tool import harvest
from t2t.errors import ConfigError, InfraError
from t2t.explore.model import Funnel, explore
from t2t.explore.reduce import replays
from t2t.intents.scene import Scene, Unsuitable
from t2t.journal import Journal
from t2t.models.api import ApiChat
from t2t.models.calls import parse_reply
from t2t.models.chat import ChatModel, ContextOverflow, Reply
from t2t.models.journaled import JournaledChat
from t2t.models.scripted import ScriptedChat
from t2t.models.use import open_model
from t2t.records import DataSpec, Message, ToolCall, Trajectory, Turn
from tests.chat_endpoint import answering

LIBRARY = load_domain("library")
ROOT = Path(__file__).parents[2]
DATA = DataSpec(seed=1, size=120, split="train")
DB: Any = Environment(LIBRARY, DATA).db


FOCUS = re.compile(r"with (\w+)\.|that (\w+) tells")
"""The tool that a brief wants most."""


class Desk:
    """What a scripted model of the library can look up: the caller of its walk, as the brief names them."""

    def __init__(self, talk: Sequence[Message]) -> None:
        self.talk = talk
        self.email = re.search(r"email: (\S+)", talk[1].content)[1]
        self.focus = FOCUS.search(talk[1].content)
        self.member = DB.members.where("email", self.email)[0]

    def loan(self, *clauses: str) -> str:
        """Id of a loan whose renewal breaks exactly these clauses, or empty."""
        for loan in DB.loans.where("member_id", self.member.id):
            environment = Environment(LIBRARY, DATA)
            environment.run(record("find_member", email=self.email))
            if [rule.clause for rule in environment.breaks(record("renew_loan", loan_id=loan.id))] == list(clauses):
                return loan.id
        return ""

    def reservation(self) -> Any:
        """A reservation that waits at Central."""
        rows = DB.reservations.where("member_id", self.member.id)
        return next((row for row in rows if not row.ready and row.branch == "Central"), None)


def always(desk: Desk) -> bool:
    return True


def record(name: str, /, **arguments: Any) -> ToolCall:
    return ToolCall(id="x", name=name, arguments=arguments)


def call(name: str, /, **arguments: Any) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def find(desk: Desk) -> str:
    return call("find_member", email=desk.email)


def loans(desk: Desk) -> str:
    return call("list_loans", member_id=desk.member.id)


def reservations(desk: Desk) -> str:
    return call("list_reservations", member_id=desk.member.id)


def renew(*clauses: str, rule: Any = "2.1") -> Callable[[Desk], str]:
    def reply(desk: Desk) -> str:
        named = {} if rule is None else {"policy_rule": rule}
        return call("renew_loan", loan_id=desk.loan(*clauses) or "none such", **named)

    return reply


def move(branch: str) -> Callable[[Desk], str]:
    def reply(desk: Desk) -> str:
        row = desk.reservation()
        return call("change_pickup", reservation_id=row.id if row else "none", branch=branch, policy_rule="3.4")

    return reply


def script(
    *replies: str | Callable[[Desk], str], where: Callable[[Desk], Any] = always
) -> Callable[[Sequence[Message]], str]:
    """Replies in order, then DONE; a walk whose caller does not suit ends at once, as ``no goal``."""

    def reply(talk: Sequence[Message]) -> str:
        desk = Desk(talk)
        place = sum(message.role == "assistant" for message in talk)
        if not where(desk) or place >= len(replies):
            return "DONE"
        said = replies[place]
        return said if isinstance(said, str) else said(desk)

    return reply


RENEWABLE = script(find, loans, renew(), where=lambda desk: desk.loan())


def settings(**changes: Any) -> ExploreConfig:
    use = {name: changes.pop(name) for name in ("concurrency", "max_tries") if name in changes}
    return ExploreConfig(**{"blocked_share": 0.0, "num_tools": 8, "max_steps": 60, **changes}).model_copy(
        update={"model": ModelUseConfig(**{"concurrency": 3, "max_tries": 20, **use})}
    )


def walk(
    said: Callable[[Sequence[Message]], str] | ChatModel,
    count: int = 2,
    *,
    domain=LIBRARY,
    seed: int = 0,
    **changes: Any,
) -> tuple[list[Trajectory], Funnel]:
    """Trajectories and the funnel; too few trajectories are no failure here."""
    model = said if hasattr(said, "open") else ScriptedChat(said)
    funnel = Funnel()
    found: list[Trajectory] = []
    try:
        for trajectory in explore(
            domain, DATA, count, settings=settings(**changes), seed=seed, model=model, funnel=funnel
        ):
            found.append(trajectory)
    except ConfigError as error:
        assert "explore.model.max_tries" in str(error)
    assert funnel.walks["kept"] == len(found)
    return found, funnel


def names(trajectory: Trajectory) -> list[str]:
    return [step.call.name for step in trajectory.steps]


def reasons(*replies: Any, where: Callable[[Desk], Any] = always, **changes: Any) -> set[str]:
    """How the walks of callers that suit ended."""
    _, funnel = walk(script(*replies, where=where), 1, max_tries=40, **changes)
    return set(funnel.walks) - {"no goal"}


def test_a_walk_that_makes_a_change_is_kept_and_reduced():
    def find_again(desk: Desk) -> str:
        return call("find_member", email=desk.email.upper())

    extra = script(find, reservations, loans, loans, renew(), reservations, find_again, where=lambda desk: desk.loan())
    found, funnel = walk(extra, 4)
    assert len(found) == 4 and [t.id for t in found] == [f"library-train-{n:06d}" for n in range(4)]
    for trajectory in found:
        assert names(trajectory) == ["find_member", "list_loans", "renew_loan"]
        assert "policy_rule" not in trajectory.steps[2].call.arguments
        assert replays(LIBRARY, trajectory) and trajectory.blocked is None
    assert funnel.steps == {"valid": 28}


def test_the_walks_depend_on_the_seed_and_the_replies_and_not_on_how_many_go_on_at_once():
    expected = walk(RENEWABLE, 5, concurrency=1)
    assert expected == walk(RENEWABLE, 5, concurrency=7)
    assert expected[0] != walk(RENEWABLE, 5, seed=1)[0]


def test_no_walk_is_begun_that_can_no_longer_be_wanted():
    talks: set[str] = set()

    def counting(talk: Sequence[Message]) -> str:
        talks.add(talk[1].content)
        return RENEWABLE(talk)

    found, funnel = walk(counting, 5, concurrency=16)
    assert len(found) == 5 and len(talks) == funnel.walks.total()


def test_every_walk_has_its_caller_its_tools_its_budget_and_its_mission():
    briefs: list[str] = []

    class Watching(ScriptedChat):
        def open(self, tools: str, seed: int = 0):
            offered.append([tool["function"]["name"] for tool in json.loads(tools)])
            schemas.extend(json.loads(tools))
            seeds.append(seed)
            return super().open(tools, seed)

    offered: list[list[str]] = []
    schemas: list[dict[str, Any]] = []
    seeds: list[int] = []

    def look(talk: Sequence[Message]) -> str:
        assert LIBRARY.policy in talk[0].content
        briefs.append(talk[1].content)
        return "DONE"

    walk(Watching(look), 10, num_tools=4, max_tries=4, max_steps=10, blocked_share=0.5)
    assert len(briefs) == len(set(seeds)) == 40
    assert all(len(tools) == 4 and "find_member" in tools for tools in offered)
    assert len({tuple(tools) for tools in offered}) > 10
    budgets = [int(re.search(r"at most (\d+) calls", brief)[1]) for brief in briefs]
    assert set(budgets) <= set(range(2, 11)) and len(set(budgets)) > 4
    assert 4.5 < sum(budgets) / len(budgets) < 7.5
    assert 10 <= sum("must not be made" in brief for brief in briefs) <= 30
    focuses = [Desk([Message(role="system", content=""), Message(role="user", content=b)]).focus for b in briefs]
    assert all(focus and (focus[1] or focus[2]) in tools for focus, tools in zip(focuses, offered, strict=True))
    assert {focus[1] or focus[2] for focus in focuses} == {wish.tool for wish in LIBRARY.wishes}
    for schema in schemas:
        function = schema["function"]
        writes = LIBRARY.tool_by_name[function["name"]].writes
        assert ("policy_rule" in function["parameters"]["properties"]) == writes
        assert ("policy_rule" in function["parameters"]["required"]) == writes


@pytest.mark.parametrize("name", list_domains())
def test_in_every_domain_what_a_tool_needs_is_among_the_tools_of_its_walk(name: str):
    domain = load_domain(name)
    walks: list[set[str]] = []
    focuses: list[str] = []

    class Watching(ScriptedChat):
        def open(self, tools: str, seed: int = 0):
            walks.append({tool["function"]["name"] for tool in json.loads(tools)})
            return super().open(tools, seed)

    def look(talk: Sequence[Message]) -> str:
        focuses.append(next(filter(None, FOCUS.search(talk[1].content).groups())))
        return "DONE"

    walk(Watching(look), 10, domain=domain, num_tools=10, max_tries=4, concurrency=1)
    environment = Environment(domain, DATA)
    ids = domain.callers.ids(environment.db)
    brought = kinds_in(type(domain.callers.knows(environment.db, ids[0], random.Random(0))))
    gives = {tool.name: kinds_in(get_type_hints(tool.function)["return"]) for tool in domain.tool_by_name.values()}
    for offered, focus in zip(walks, focuses, strict=True):
        assert len(offered) == min(10, len(domain.tool_by_name)) and focus in offered
        assert offered & {identity.tool for identity in domain.callers.identities}
        for parameter in domain.tool_by_name[focus].parameters:
            givers = {tool for tool, kinds in gives.items() if parameter.kind in kinds and tool != focus}
            reads = {tool for tool in givers if not domain.tool_by_name[tool].writes}
            if parameter.required and parameter.kind not in brought and reads:
                assert offered & reads, (focus, parameter.name)


def kinds_in(annotation: Any) -> set[str]:
    """Names of all `NewType`s inside an annotation."""
    if isinstance(annotation, NewType):
        return {annotation.__name__}
    inner = get_type_hints(annotation).values() if is_dataclass(annotation) else get_args(annotation)
    return set().union(*map(kinds_in, inner))


@pytest.mark.parametrize(
    ("ending", "replies", "where"),
    [
        ("caller not identified", (call("search_books", text="none such"),), always),
        ("breaks clause 1.1", (loans,), always),
        ("breaks clause 2.1", (find, loans, renew("2.1")), lambda desk: desk.loan("2.1")),
        ("too many invalid steps", (find, renew(), renew(), renew()), lambda desk: desk.loan()),
        ("no wish", (find, call("search_books", text="none such")), always),
        ("nothing left when reduced", (find, reservations, move("Harbour"), move("Central")), Desk.reservation),
        ("too many invalid steps", (find, "<tool_call>", "<tool_call>", "<tool_call>"), always),
        ("too many invalid steps", (find, call("find_book"), call("find_book"), call("find_book")), always),
        ("too many invalid steps", (find, renew(), renew(), renew()), lambda desk: not desk.loan()),
        ("too many invalid steps", (find, renew(rule=None), renew(rule=""), renew(rule=2.1)), always),
        ("too many invalid steps", (find, renew(rule="9.9"), renew(rule="my rule"), renew(rule="2.1, 9.9")), always),
    ],
)
def test_a_walk_that_is_not_kept_is_counted_by_its_reason(ending, replies, where):
    assert reasons(*replies, where=where) == {ending}


@pytest.mark.parametrize("replies", [(), (find,), ("Hello, how can I help you?",)])
def test_a_walk_without_a_goal_is_counted(replies):
    found, funnel = walk(script(*replies), 3, max_tries=4)
    assert all(names(trajectory) == ["find_member"] for trajectory in found)
    assert funnel.walks["no goal"] == 12 - len(found) >= 9


def test_a_change_that_changes_nothing_ends_the_walk():
    quiet = replace(LIBRARY.tool_by_name["change_pickup"], function=lambda db, reservation_id, branch: "changed")
    tools = tuple(quiet if tool.name == quiet.name else tool for tool in LIBRARY.tools)
    changed = script(find, reservations, move("Harbour"), where=Desk.reservation)
    _, funnel = walk(changed, 1, domain=replace(LIBRARY, tools=tools), max_tries=20)
    assert set(funnel.walks) == {"no goal", "changes nothing"}


def test_a_change_that_no_caller_wishes_for_is_not_kept():
    wishes = tuple(wish for wish in LIBRARY.wishes if wish.tool != "renew_loan")
    _, funnel = walk(RENEWABLE, 1, domain=replace(LIBRARY, wishes=wishes), max_tries=20)
    assert set(funnel.walks) == {"no goal", "a change that is no wish of the caller"}


def test_a_talk_that_outgrows_the_context_is_counted():
    class Full:
        def open(self, tools: str, seed: int = 0):
            return self

        async def reply(self, messages: Sequence[Message]) -> Reply:
            raise ContextOverflow("full")

    _, funnel = walk(Full(), 2, max_tries=3)
    assert funnel.walks == {"context full": 6}


@pytest.mark.parametrize(
    ("wrong", "kind", "told"),
    [
        ("<tool_call>{", "malformed call", "the text ends inside a call"),
        (call("find_book"), "unknown tool", "tools are: find_member"),
        (call("find_member", name="Ann"), "refused", "unknown argument 'name'"),
        (call("find_member", email="x"), "refused", "no member with e-mail 'x'"),
        (
            call("renew_loan", loan_id="L1", policy_rule="2.1"),
            "value from nowhere",
            "loan_id='L1' was shown by no tool",
        ),
        (call("renew_loan", loan_id="L1"), "no clause", "policy_rule is missing"),
        (call("renew_loan", loan_id="L1", policy_rule="rule 7.3"), "unknown clause", "is no clause of the policy"),
    ],
)
def test_an_invalid_step_is_shown_to_the_model_which_may_repair_it(wrong, kind, told):
    shown: list[str] = []

    def repairing(talk: Sequence[Message]) -> str:
        shown.append(talk[-1].content)
        return script(find, wrong, wrong, loans, wrong, renew(), where=lambda desk: desk.loan())(talk)

    found, funnel = walk(repairing, 1)
    assert names(found[0]) == ["find_member", "list_loans", "renew_loan"]
    assert {key: n for key, n in funnel.steps.items() if key != "valid"} == {kind: 3, "repaired": 2}
    assert sum(text.startswith("Error: ") and told in text for text in shown) == 3


def test_calls_beside_one_that_cannot_be_read_are_not_made_and_each_is_answered():
    both = Message(role="assistant", content="", tool_calls=(record("find_member", email="x"),))

    class Half:
        def __init__(self) -> None:
            self.told: list[Sequence[Message]] = []

        def open(self, tools: str, seed: int = 0):
            return self

        async def reply(self, messages: Sequence[Message]) -> Reply:
            self.told.append(messages)
            return Reply(both, Turn(), "the arguments of list_loans are no JSON")

    model = Half()
    walk(model, 1, max_tries=1, max_errors=2)
    assert [(message.role, message.content[:15]) for message in model.told[1]] == [
        ("tool", "Error: not done"),
        ("user", "Error: the argu"),
    ]


def test_a_change_is_made_once_and_is_not_forbidden_for_having_been_made():
    found, funnel = walk(script(find, loans, renew(), renew(), where=lambda desk: desk.loan()), 1)
    assert names(found[0]) == ["find_member", "list_loans", "renew_loan"] and funnel.steps["made twice"] == 1
    again = (find, reservations, move("Harbour"), move("Harbour"))
    found, funnel = walk(script(*again, where=Desk.reservation), 1, blocked_share=1.0, max_tries=20)
    assert not found and funnel.walks["nothing forbidden found"] == funnel.steps["made twice"] > 0


def test_several_calls_in_one_turn_are_steps_in_their_order():
    all_at_once = script(lambda desk: find(desk) + loans(desk) + renew()(desk), where=lambda desk: desk.loan())
    found, _ = walk(all_at_once, 1)
    assert names(found[0]) == ["find_member", "list_loans", "renew_loan"]


def test_the_caller_is_found_first_and_in_their_own_words():
    shouting = script(
        call("search_books", text="none such"),
        lambda desk: call("find_member", email=desk.email.upper()),
        loans,
        renew(),
        where=lambda desk: desk.loan(),
    )
    found, _ = walk(shouting, 1)
    assert names(found[0]) == ["find_member", "list_loans", "renew_loan"]
    email = DB.members[found[0].caller].email
    assert found[0].steps[0].call.arguments == {"email": email}


def test_a_model_that_dawdles_is_told_once_that_one_call_is_left():
    last: list[str] = []

    def dawdling(talk: Sequence[Message]) -> str:
        told = [message.content for message in talk if message.content.startswith("One call is left")]
        if told:
            last.append(told[0])
            assert len(told) == 1
            return call("find_book") if talk[-1].content == told[0] else renew()(Desk(talk))
        return script(find, *[loans] * 99, where=lambda desk: desk.loan())(talk)

    found, _ = walk(dawdling, 4, max_steps=8, max_tries=40)
    assert last and any("renew_loan" in names(trajectory) for trajectory in found)


def test_a_walk_in_search_of_what_is_forbidden_ends_in_the_call_that_is_not_made():
    said = script(find, loans, renew("2.1"), where=lambda desk: desk.loan("2.1"))
    found, funnel = walk(said, 3, blocked_share=1.0, max_tries=40)
    assert len(found) == 3
    for trajectory in found:
        blocked = trajectory.blocked
        assert blocked and (blocked.clause, blocked.constraint) == ("2.1", "")
        assert blocked.reason == "it was renewed 2 times already"
        assert set(blocked.call.arguments) == {"loan_id"}
        assert names(trajectory) == ["find_member", "list_loans"] and replays(LIBRARY, trajectory)
    assert set(funnel.walks) == {"kept", "no goal"}


def test_what_the_tool_itself_refuses_is_forbidden_as_well():
    def again(desk: Desk) -> str:
        row = desk.reservation()
        book = DB.books[row.book_id]
        return call("reserve_book", member_id=row.member_id, book_id=book.id, branch="Central", policy_rule="3.1")

    def search(desk: Desk) -> str:
        return call("search_books", text=DB.books[desk.reservation().book_id].title)

    found, _ = walk(script(find, search, again, where=Desk.reservation), 1, blocked_share=1.0, max_tries=60)
    blocked = found[0].blocked
    assert blocked and (blocked.clause, blocked.constraint) == ("", "reserved already")
    assert replays(LIBRARY, found[0])


def test_what_is_forbidden_and_no_wish_of_the_caller_is_not_kept():
    def of_another(desk: Desk) -> str:
        other = next(
            loan
            for loan in DB.loans
            if loan.member_id != desk.member.id and loan.renewals == 0 and loan.due > "2026-05-14"
            if not any(row.member_id != loan.member_id for row in DB.reservations.where("book_id", loan.book_id))
        )
        return call("renew_loan", loan_id=other.id, policy_rule="2.1")

    assert reasons(find, of_another, blocked_share=1.0) == {"forbidden, but no wish of the caller"}


@pytest.mark.parametrize(
    ("ending", "replies", "where"),
    [
        ("nothing forbidden found", (find, loans, renew()), lambda desk: desk.loan()),
        ("breaks clause 1.1", (loans,), always),
        ("breaks clause 2.1", (find, renew("2.1", "2.2")), lambda desk: desk.loan("2.1", "2.2")),
    ],
)
def test_a_search_for_what_is_forbidden_that_finds_something_else_is_not_kept(ending, replies, where):
    assert reasons(*replies, where=where, blocked_share=1.0) == {ending}


def test_an_order_of_steps_makes_nothing_forbidden():
    rules = tuple(replace(rule, avoidable=True) if rule.clause == "2.1" else rule for rule in LIBRARY.rules)
    said = script(find, loans, renew("2.1"), where=lambda desk: desk.loan("2.1"))
    _, funnel = walk(said, 1, domain=replace(LIBRARY, rules=rules), blocked_share=1.0, max_tries=40)
    assert set(funnel.walks) == {"no goal", "breaks clause 2.1"}


def test_when_the_service_fails_for_one_walk_the_others_ask_no_more():
    class Failing:
        def __init__(self) -> None:
            self.walks: list[int] = []

        def open(self, tools: str, seed: int = 0) -> "Failing":
            self.walks.append(0)
            session = copy(self)
            session.number = len(self.walks) - 1
            return session

        async def reply(self, messages: Sequence[Message]) -> Reply:
            self.walks[self.number] += 1
            await asyncio.sleep(0.02)
            if self.number == 1:
                raise InfraError("gone")
            text = find(Desk(messages)) if messages[0].role == "system" else call("search_books", text="none such")
            return Reply(parse_reply(text)[0], Turn())

    model = Failing()
    with pytest.raises(InfraError, match="gone"):
        walk(model, 4, concurrency=4)
    assert model.walks[1] == 1 and all(1 <= asked <= 2 for asked in model.walks)


def test_too_few_walks_stop_with_the_setting_to_raise():
    with pytest.raises(
        ConfigError, match=r"found only 0 of 2 .* in 6 walks \(6 no goal\); raise explore\.model\.max_tries"
    ):
        list(
            explore(
                LIBRARY,
                DATA,
                2,
                settings=settings(max_tries=3),
                seed=0,
                model=ScriptedChat(lambda talk: "DONE"),
                funnel=Funnel(),
            )
        )


def completion(text: str, finish: str = "stop") -> tuple[int, Any]:
    """What an endpoint answers whose model says `text`, calls included."""
    message, problem = parse_reply(text)
    calls = [
        {"id": call.id, "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in message.tool_calls
    ]
    if problem:
        calls = [{"id": "call_1", "function": {"name": "list_loans", "arguments": '{"member_id": "M1'}}]
    content = "" if calls else message.content
    return 200, {"choices": [{"message": {"content": content, "tool_calls": calls}, "finish_reason": finish}]}


def answers(said: Callable[[Sequence[Message]], str]) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    """An endpoint's answers by a scripted model."""

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return completion(
            said([Message(role=each["role"], content=each["content"] or "") for each in body["messages"]])
        )

    return answer


def behind(url: str) -> ApiChat:
    return ApiChat(ApiConfig(base_urls=(url,), model="m", patience_s=0.3))


def test_behind_an_endpoint_the_walks_are_those_of_the_script():
    expected = walk(RENEWABLE, 4)
    with answering(answers(RENEWABLE)) as endpoint:
        assert walk(behind(endpoint.url), 4, concurrency=3) == expected
        assert endpoint.most_at_once == 3
        tools = [each["function"]["name"] for each in endpoint.asked[0]["tools"]]
    assert tools == [tool.name for tool in LIBRARY.tools]


def test_every_call_has_an_answer_in_what_is_sent():
    """Endpoints refuse a history whose calls are not answered one by one, or whose answers have no call."""
    untidy = script(
        find, lambda desk: loans(desk) + call("find_book"), "<tool_call>", renew(), where=lambda desk: desk.loan()
    )
    with answering(answers(untidy)) as endpoint:
        found, funnel = walk(behind(endpoint.url), 1, concurrency=1)
        assert found and funnel.steps["malformed call"] == 1
        for body in endpoint.asked:
            owed: list[str] = []
            for message in body["messages"]:
                if message["role"] == "tool":
                    owed.remove(message["tool_call_id"])
                else:
                    assert not owed
                    owed = [each["id"] for each in message.get("tool_calls", ())]
            assert not owed


def test_a_busy_endpoint_is_asked_again():
    busy = iter([429, 500, 503, 429])

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        status = next(busy, 200)
        return answers(RENEWABLE)(body) if status == 200 else (status, {"error": {"message": "slow down"}})

    with answering(answer) as endpoint:
        assert walk(behind(endpoint.url), 2, concurrency=2) == walk(RENEWABLE, 2)
        assert endpoint.asked


def test_an_endpoint_that_stays_broken_stops_and_what_was_paid_for_is_not_asked_for_again(tmp_path: Path, caplog):
    expected, funnel = walk(RENEWABLE, 6)
    with answering(answers(RENEWABLE)) as endpoint:
        walk(behind(endpoint.url), 6)
        num_needed = len(endpoint.asked)
    for num_paid in (0, 1, 7, num_needed - 1):
        file = tmp_path / f"{num_paid}.jsonl"
        paid = 0

        def answer(body: dict[str, Any], most: int = num_paid) -> tuple[int, Any]:
            nonlocal paid
            if paid == most:
                return 500, {"error": {"message": "down"}}
            paid += 1
            return answers(RENEWABLE)(body)

        with answering(answer) as endpoint, Journal(file) as journal:
            with pytest.raises(InfraError, match="500"):
                walk(JournaledChat(behind(endpoint.url), journal, "m"), 6)
            assert len(journal) == num_paid
        with answering(answers(RENEWABLE)) as endpoint, Journal(file) as journal:
            assert walk(JournaledChat(behind(endpoint.url), journal, "m"), 6) == (expected, funnel)
            assert len(endpoint.asked) == num_needed - num_paid
    gc.collect()
    assert not [one for one in caplog.records if one.name == "asyncio"], "every failure of a walk is seen"


def test_walks_that_nobody_wants_any_more_are_given_up():
    with answering(answers(RENEWABLE)) as endpoint:
        walks = explore(
            LIBRARY, DATA, 40, settings=settings(), seed=0, model=behind(endpoint.url), funnel=(funnel := Funnel())
        )
        next(walks)
        walks.close()
        gc.collect()
        assert funnel.walks.total() < 20


@pytest.mark.parametrize(
    ("status", "said"), [(401, "gives no access"), (404, "does not serve the model 'm'"), (400, "refused a request")]
)
def test_a_wrong_key_model_or_request_is_said_at_once(status, said):
    with answering(lambda body: (status, {"error": {"message": "no"}})) as endpoint:
        with pytest.raises(ConfigError, match=said):
            list(
                explore(
                    LIBRARY,
                    DATA,
                    4,
                    settings=settings(concurrency=1),
                    seed=0,
                    model=behind(endpoint.url),
                    funnel=Funnel(),
                )
            )
        assert len(endpoint.asked) == 1


def test_truncated_replies_are_invalid_steps():
    cut = iter([completion("Let me think about", "length"), completion("<tool_call>", "length")])

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        return next(cut, None) or answers(script(*[find] * 3, loans, renew(), where=lambda desk: True))(body)

    with answering(answer) as endpoint:
        _, funnel = walk(behind(endpoint.url), 1, max_tries=1)
    assert (funnel.steps["reply cut off"], funnel.steps["malformed call"], funnel.steps["repaired"]) == (1, 1, 1)


class Wanderer:
    """A model that calls tools at random, with what it has been shown, and now and then does something wrong."""

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.used: set[str] = set()

    def open(self, tools: str, seed: int = 0) -> "Wandering":
        names = [tool["function"]["name"] for tool in json.loads(tools)]
        return Wandering(self.domain, names, random.Random(seed), self.used)


class Wandering:
    """One walk of a `Wanderer`, which does each call on an environment of its own as well."""

    def __init__(self, domain: Domain, names: list[str], rng: random.Random, used: set[str]) -> None:
        self.domain, self.names, self.rng, self.used = domain, names, rng, used
        self.clauses = re.findall(r"^(\d+\.\d+)", domain.policy, re.MULTILINE)
        self.environment = Environment(domain, DATA)
        self.pool: dict[str, list[Any]] = {}
        self.calls: list[ToolCall] = []

    def add(self, kinded: Any) -> None:
        for kind, value in kinded:
            if value not in self.pool.setdefault(kind, []):
                self.pool[kind].append(value)

    async def reply(self, messages: Sequence[Message]) -> Reply:
        db = self.environment.db
        if not self.calls:
            self.forbids = "must not be made" in messages[1].content
            told, knowledge = re.search(r"caller: (.*)\n.*up: (.*)\n", messages[1].content).groups()
            ids = self.domain.callers.ids(db)
            kind = type(self.domain.callers.knows(db, ids[0], random.Random(0)))
            self.add(harvest(kind(**json.loads(knowledge)), kind))
            facts = dict(part.split(": ", 1) for part in told.split("; "))
            self.caller = next(one for one in ids if dict(self.domain.callers.facts(db, one)) == facts)
            way = next(one for one in self.domain.callers.identities if one.tool in self.names)
            return self.says(way.tool, {name: facts[fact] for name, fact in way.parameters.items()})
        if messages[-1].result and not messages[-1].result.is_error:
            call = self.calls[-1]
            self.used.add(call.name)
            self.add(self.domain.tool_by_name[call.name].harvest(self.environment.run(call).value))
        if self.rng.random() < 0.1:
            return self.says("no_such_tool", {})
        wishes = [wish for wish in self.domain.wishes if wish.tool in self.names]
        options = [(w.tool, c.arguments) for w in wishes for c in islice(w.candidates(db, self.caller), 40)]
        seen = {str(value) for values in self.pool.values() for value in values}
        known = [option for option in options if {v for v in flat(option[1]) if any(map(str.isdigit, v))} <= seen]
        if known and self.rng.random() < 0.5:
            against = [option for option in known if self.environment.breaks(self.made(*option))]
            return self.says(*self.look_first(*self.rng.choice(against if self.forbids and against else known)))
        tool = self.domain.tool_by_name[self.rng.choice(self.names)]
        if tool.writes and self.forbids:
            tool = self.domain.tool_by_name[self.calls[0].name]
        if tool.writes:
            return Reply(Message(role="assistant", content="DONE"), Turn())
        return self.says(
            tool.name,
            {
                parameter.name: self.rng.choice(parameter.choices or self.pool.get(parameter.kind or "") or ["x"])
                for parameter in tool.parameters
                if parameter.required
            },
        )

    def look_first(self, name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The look that a rule wants before a call, or the call itself."""
        call = self.made(name, arguments)
        for rule in self.environment.breaks(call):
            if rule.first:
                return rule.first(RuleContext(self.environment.db, call, self.environment.past, None))
        return name, arguments

    def made(self, name: str, arguments: dict[str, Any]) -> ToolCall:
        requestor = self.domain.requestor_of(name)
        return ToolCall(id=f"c{len(self.calls)}", name=name, arguments=arguments, requestor=requestor)

    def says(self, name: str, arguments: dict[str, Any]) -> Reply:
        self.calls.append(self.made(name, arguments))
        tool = self.domain.tool_by_name.get(name)
        rule = {"policy_rule": self.rng.choice(self.clauses)} if tool and tool.writes else {}
        said = self.calls[-1].model_copy(update={"arguments": {**arguments, **rule}})
        return Reply(Message(role="assistant", content="", tool_calls=(said,)), Turn())


def flat(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    return [text for item in value for text in flat(item)] if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("name", list_domains())
@pytest.mark.parametrize("blocked_share", [0.0, 1.0])
def test_whatever_a_model_does_in_any_domain_what_is_kept_is_proved_and_the_rest_is_counted(name, blocked_share):
    domain = load_domain(name)
    limits = {"blocked_share": blocked_share, "max_tries": 60, "max_steps": 16, "num_tools": 14, "concurrency": 8}
    wanderer = Wanderer(domain)
    found, funnel = walk(wanderer, 4, domain=domain, **limits)
    assert found, funnel
    assert not domain.user_tools or wanderer.used & {tool.name for tool in domain.user_tools}
    assert funnel.steps["valid"] and funnel.steps["unknown tool"] and funnel.steps["repaired"]
    for trajectory in found:
        assert replays(domain, trajectory) and (trajectory.blocked is not None) == (blocked_share == 1.0)
        assert trajectory.steps[0].call.name in {identity.tool for identity in domain.callers.identities}
        try:
            Scene(domain, trajectory, random.Random(0))
        except Unsuitable as error:
            assert "no wish" not in str(error)


EXPLORES = """
import sys
from pathlib import Path
from t2t.journal import Journal
from t2t.models.journaled import JournaledChat
from tests.explore.test_model_explorer import RENEWABLE, behind, walk
with Journal(Path(sys.argv[2])) as journal:
    walk(JournaledChat(behind(sys.argv[1]), journal, "m"), 6, concurrency=1)
"""


@pytest.mark.parametrize("num_paid", [1, 9])
def test_an_explorer_that_is_killed_goes_on_and_pays_for_nothing_twice(tmp_path: Path, num_paid: int):
    expected, funnel = walk(RENEWABLE, 6)
    file = tmp_path / "replies.jsonl"

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if len(endpoint.asked) == num_paid + 1 and child is not None:
            os.kill(child.pid, signal.SIGKILL)
        return answers(RENEWABLE)(body)

    child = None
    with answering(answer) as endpoint:
        child = subprocess.Popen([sys.executable, "-c", EXPLORES, endpoint.url, str(file)], cwd=ROOT)
        assert child.wait() == -signal.SIGKILL
        child = None
        asked_before = len(endpoint.asked)
        assert asked_before == num_paid + 1, "the reply on its way when it was killed is the only one lost"
        with Journal(file) as journal:
            assert len(journal) == num_paid
            assert walk(JournaledChat(behind(endpoint.url), journal, "m"), 6, concurrency=1) == (expected, funnel)
            num_needed = len(journal)
        assert len(endpoint.asked) - asked_before == num_needed - num_paid


@pytest.mark.models
@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_small_model_walks_to_the_end_and_a_second_time_asks_for_nothing(weights_dir: Path, tmp_path: Path):
    config = RunConfig(
        model=ModelConfig(source=str(weights_dir), max_context=2048),
        engine=EngineConfig(max_num_seqs=4, cpu_kv_cache_gib=1),
    )
    use = ModelUseConfig(api=ApiConfig(max_tokens=30), concurrency=4, max_tries=2)
    limits = {"max_steps": 4, "num_tools": 4, "max_tries": 2, "concurrency": 4, "blocked_share": 0.5}
    with (
        open_model(config, use, "explore.model", tmp_path / "server.log") as served,
        Journal(tmp_path / "replies.jsonl") as journal,
    ):
        first = walk(JournaledChat(served.chat, journal, served.name), 2, **limits)
        num_replies = len(journal)
    found, funnel = first
    assert num_replies >= funnel.walks.total() >= 2
    assert funnel.walks.total() == 4 or len(found) == 2
    with Journal(tmp_path / "replies.jsonl") as journal:
        assert walk(JournaledChat(served.chat, journal, served.name), 2, **limits) == first
        assert len(journal) == num_replies
