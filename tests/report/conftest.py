"""Builders of tasks, talks and contents; the texts are made up, the records are real."""

from collections.abc import Callable

import pytest

from t2t.records import (
    CallPattern,
    Change,
    DataSpec,
    Expectation,
    Intent,
    Message,
    Refusal,
    Reward,
    Rollout,
    StopReason,
    Task,
    ToolCall,
    ToolResult,
    UserScenario,
)
from t2t.report.content import Curve, FunnelStep, Parity, Point, ReportContent, TrainInfo
from t2t.report.results import summarize
from t2t.report.talks import choose_talks

INTENTS = tuple(Intent)


def build_task(domain: str, number: int, *, split: str = "test", wording: str | None = None, text: str = "") -> Task:
    intent = INTENTS[number % 4]
    renew = ToolCall(id="call_1", name="renew_loan", arguments={"loan_id": "L-0204", "note": text or "two weeks"})
    return Task(
        id=f"{domain}-{intent.value}-{number:04d}",
        domain=domain,
        intent=intent,
        data=DataSpec(seed=1, size=200, split=split),
        wording=wording or ("train", "test")[number // 4 % 2],
        scenario=UserScenario(
            reason_for_call=f"You want to renew the loan of The Glass Harbour. {text}",
            known_info="You are Imke Sand, e-mail imke.sand@example.org.",
            unknown_info="You do not know the loan's number.",
            task_instructions="You tell the title when asked.",
            opening="Hello, I would like to keep one of my books for longer.",
            facts=(),
            changes=(Change(cue="proposal", text=f"Wait, make it the other one. {text}"),)
            if intent is Intent.CHANGING
            else (),
        ),
        expectation=Expectation(
            calls=(renew,),
            final_hash="0f" * 16,
            tell=(text or "14 December",),
            refusal=Refusal(clause="3.2", cues=("reserved", "hold")) if intent is Intent.INFEASIBLE else None,
            forbidden=(CallPattern(name="renew_loan", arguments={"loan_id": text or "L-0300"}),)
            if intent is Intent.INFEASIBLE
            else (),
        ),
        trajectory=f"{domain}-test-{number}",
    )


def build_rollout(task: Task, agent: str, success: bool, *, attempt: int = 0, text: str = "") -> Rollout:
    call = ToolCall(id="call_1", name="find_member", arguments={"email": f"imke.sand@example.org{text}"})
    found = '{"id": "M-017", "name": "Imke Sand", "loans": [{"id": "L-0204", "title": "The Glass Harbour"}]}' + text
    messages = (
        Message(role="system", content=f"You serve the members of a library.\n\n1.1 Identify the caller first.{text}"),
        Message(role="user", content=f"Hello, I would like to keep one of my books for longer.{text}"),
        Message(role="assistant", content="May I have your e-mail address?"),
        Message(role="user", content="It is imke.sand@example.org."),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(
            role="tool",
            content=found,
            result=ToolResult(call_id="call_1", name=f"find_member{text}", content=found, is_error=not success),
        ),
        Message(role="assistant", content=f"I renew The Glass Harbour until 14 December. Is that right?{text}"),
        Message(role="user", content="Yes, thank you. Goodbye."),
    )
    checks = {"ended": True, "db_state": success, "communicated": success, "allowed": True}
    notes = () if success else (f"db_state: the state differs {text}", "communicated: the caller was never told '14'")
    return Rollout(
        id=f"{task.id}/{agent}/{attempt}",
        task_id=task.id,
        domain=task.domain,
        intent=task.intent,
        agent=agent,
        attempt=attempt,
        messages=messages,
        turns=(),
        stop_reason=StopReason.USER_DONE if success or agent == "tuned" else StopReason.MAX_TURNS,
        final_hash="0f" * 16 if success else "a1" * 16,
        reward=Reward(value=float(success), checks=checks, broken_clauses=() if success else ("2.1",), notes=notes),
    )


def build_curve(name: str, value: Callable[[int], float], *, linear: bool = False) -> Curve:
    points = tuple(Point(step=step, value=value(step)) for step in range(1, 81))
    return Curve(name=name, points=points, linear=linear)


def build_content(
    solved: dict[str, tuple[int, int]], num_tasks: int = 40, attempts: int = 1, text: str = ""
) -> ReportContent:
    """Content where base and tuned solve the first `solved[domain]` tasks; ``library`` is trained on."""
    tasks = [build_task(domain, number, text=text) for domain in solved for number in range(num_tasks)]
    rollouts = [
        build_rollout(task, agent, number % num_tasks < limit, attempt=attempt, text=text)
        for agent in ("do_nothing", "base", "tuned", "reference")
        for number, task in enumerate(tasks)
        for attempt in range(attempts)
        for limit in [
            {"do_nothing": 0, "base": solved[task.domain][0], "tuned": solved[task.domain][1]}.get(agent, num_tasks)
        ]
    ]
    return ReportContent(
        name=f"quickstart{text}",
        model="smollm2_135m",
        trained=("library",),
        results=summarize(rollouts, tasks, {"library"}),
        train=TrainInfo(
            rows=320,
            steps=80,
            seconds=706.2,
            curves=(
                build_curve(f"Loss per trained token{text}", lambda step: 2.1 * 0.94**step + 0.02),
                build_curve(f"Learning rate{text}", lambda step: 1e-3 * (1 - step / 81), linear=True),
                build_curve("Margin of the rewards", lambda step: step / 40 - 0.3, linear=True),
            ),
        ),
        parity=Parity(
            prompts=8,
            tokens=391,
            ties=1,
            largest_gap=0.0625,
            rows=8,
            loss_difference={f"merged{text}": 0.0021, "adapter": 0.0019},
        ),
        funnel=(
            FunnelStep(stage="explore", label="trajectories", count=1200, rejected={f"nothing to do{text}": 31}),
            FunnelStep(
                stage="synthesize",
                label="training tasks",
                count=400,
                rejected={"not one referent": 212, "a write is not needed": 87, "feasible after all": 9},
            ),
            FunnelStep(stage="rollout", label="talks", count=400, rejected={}),
            FunnelStep(stage="filter", label="training rows", count=320, rejected={"over filter.max_examples": 80}),
        ),
        stage_seconds={
            "explore": 4.2,
            "synthesize": 6.9,
            "rollout": 3.1,
            "filter": 0.4,
            "train": 706.2,
            "evaluate": 93,
        },
        examples=choose_talks(rollouts, tasks, {"library"}),
        settings={
            "name": "quickstart",
            "seed": 0,
            "train": {"epochs": 2, "learning_rate": 0.001, "lora_targets": ["q_proj", "k_proj"], "trl": {"note": text}},
            "evaluate": {"domains": ["retail"], "num_unseen": 24, "temperature": 0.0},
        },
        manifest={"versions": {"python": "3.11.2", "trl": "1.16.0"}, "template_hash": "9c1f" * 8, "note": text},
    )


@pytest.fixture
def make_task() -> Callable[..., Task]:
    return build_task


@pytest.fixture
def make_rollout() -> Callable[..., Rollout]:
    return build_rollout


@pytest.fixture
def make_content() -> Callable[..., ReportContent]:
    return build_content
