"""Puts a task together from a finished script; the same for every intent."""

import hashlib
from collections.abc import Sequence

from t2t.intents.scene import Goal, Script
from t2t.records import (
    CallPattern,
    Change,
    Expectation,
    Fact,
    Intent,
    Refusal,
    Task,
    ToolCall,
    UserScenario,
)


def join_openings(script: Script, wishes: Sequence[str]) -> str:
    """The introduction and what is wanted, as one message."""
    first, *rest = wishes
    also = [
        f"Also, {text[0].lower()}{text[1:]}" if not text.startswith(("I ", "I'")) else f"Also, {text}" for text in rest
    ]
    return " ".join(part for part in (script.introduction, first, *also) if part)


def assemble(
    script: Script,
    intent: Intent,
    opening: str,
    goal_facts: tuple[Fact, ...],
    *,
    calls: tuple[ToolCall, ...],
    final_hash: str,
    tell: tuple[str, ...] = (),
    changes: tuple[Change, ...] = (),
    refused: Goal | None = None,
) -> Task:
    """Make the task; its id is the hash of all it says and expects."""
    scene = script.scene
    domain = scene.domain
    script.finish()
    facts = script.caller_known() + goal_facts
    refusal = None
    forbidden: tuple[CallPattern, ...] = ()
    if refused is not None:
        rule = next(rule for rule in domain.rules if rule.clause == refused.blocked)
        refusal = Refusal(clause=rule.clause, cues=rule.cues)
        forbidden = (CallPattern(name=refused.call.name, arguments=refused.call.arguments),)
    held_back = [fact for fact in goal_facts if not fact.in_opening]
    instructions = ["Answer what you are asked, briefly and truthfully."]
    instructions += [f"Only when asked: {fact.answer}" for fact in held_back]
    instructions += [f"When the agent asks you to confirm, say instead: {change.text}" for change in changes]
    instructions.append("Agree to a proposal that is what you want. Say goodbye once it is settled.")
    scenario = UserScenario(
        reason_for_call=f"You call the {domain.name}. You say: {opening}",
        known_info=" ".join(f"Your {fact.name} is {fact.value}." for fact in script.caller_known()),
        unknown_info="You do not know the rules of the house or any internal ids.",
        task_instructions=" ".join(instructions),
        opening=opening,
        facts=facts,
        changes=changes,
        actions=script.actions(),
    )
    expectation = Expectation(
        calls=calls,
        final_hash=final_hash,
        tell=tell,
        refusal=refusal,
        forbidden=forbidden,
        moves=tuple(script.moves),
    )
    body = f"{scenario.model_dump_json()}{expectation.model_dump_json()}{scene.trajectory.data.model_dump_json()}"
    digest = hashlib.sha256(body.encode()).hexdigest()[:12]
    return Task(
        id=f"{domain.name}-{intent.value}-{digest}",
        domain=domain.name,
        intent=intent,
        data=scene.trajectory.data,
        wording=script.wording,
        scenario=scenario,
        expectation=expectation,
        trajectory=scene.trajectory.id,
    )
