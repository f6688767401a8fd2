"""Every record that travels between stages: frozen, versioned by the stage that writes it.

A record knows nothing of services or files. The story they tell, in order: a `Trajectory` is
found by exploration; a `Task` is written from it; a `Rollout` is one talk about the task; a
`Reward` judges it; an `Example` is one row to train on, a `Pair` two rollouts to tell apart.
"""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

Arguments = dict[str, JsonValue]
"""Arguments of a tool call, by parameter name."""

Split = Literal["train", "test"]
"""Which half of a domain's entities and wordings something may use; the halves are disjoint."""


class Record(BaseModel):
    """Base of all records: frozen, and closed to unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ToolCall(Record):
    """A request to run one tool."""

    id: str
    """Unique within its episode, such as ``call_3``."""
    name: str
    """Tool name; may be unknown to the domain when a model wrote it."""
    arguments: Arguments
    """Arguments by parameter name."""
    requestor: Literal["assistant", "user"] = "assistant"
    """Who makes it; ``user`` is the caller with a tool of their own, which the agent does not see."""


class ToolResult(Record):
    """The answer to one `ToolCall`."""

    call_id: str
    """Id of the call it answers."""
    name: str
    """Tool name as called."""
    content: str
    """JSON text of the value, or the error's text."""
    is_error: bool
    """True when the call was refused; the database is then unchanged."""
    requestor: Literal["assistant", "user"] = "assistant"
    """Who made the call."""
    error: Literal["", "malformed", "unknown", "arguments", "refused", "timeout"] = ""
    """What was wrong: no call could be read from the text, there is no such tool, its arguments are not valid, it
    refused, or it did not end in time; empty without an error."""


class Message(Record):
    """One message of a talk, in the roles of the OpenAI chat format."""

    role: Literal["system", "user", "assistant", "tool"]
    """Who speaks; ``tool`` carries one result."""
    content: str
    """Text; empty when the agent only calls tools."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls made in this turn, in order, by ``assistant`` or, with tools of their own, by ``user``."""
    result: ToolResult | None = None
    """For ``tool`` only: the result, whose ``content`` equals this message's."""
    reasoning: str = ""
    """What a model thought before it spoke; nobody else is shown it."""


class DataSpec(Record):
    """Which generated data a domain's database starts from."""

    seed: int
    """Seed of the generator."""
    size: int
    """Rows of the domain's main table."""
    split: Split
    """Half of the entity pools that names, titles and the like come from."""


class Step(Record):
    """One executed call of a trajectory."""

    call: ToolCall
    """The call."""
    content: str
    """The result's JSON text."""
    writes: bool
    """True when the tool may change the database."""


class Blocked(Record):
    """A call that a trajectory could not or must not make: the seed of an infeasible task."""

    call: ToolCall
    """The call; it is never executed."""
    clause: str
    """Policy clause that a rule cites, or empty when the tool itself refuses."""
    reason: str
    """Why not, for a reader: the rule's or the constraint's text."""
    constraint: str = ""
    """Name of the domain's constraint by which the tool refuses, where no rule does."""


class Trajectory(Record):
    """A valid sequence of calls and results found by exploration; no user in it."""

    id: str
    """``<domain>-<split>-<number>``."""
    domain: str
    """Domain name."""
    data: DataSpec
    """Database it was walked on."""
    caller: str
    """Row id of the person on whose behalf the calls are made."""
    steps: tuple[Step, ...]
    """Calls in order, every one without error and within the rules."""
    blocked: Blocked | None = None
    """The call after the last step that cannot be made, if the walk was looking for one."""


class Intent(StrEnum):
    """What makes the user hard to serve."""

    GENERAL = "general"
    """Says clearly what they want."""
    AMBIGUOUS = "ambiguous"
    """Opens with words that fit several things and tells them apart when asked."""
    CHANGING = "changing"
    """Wants something else before the first wish is carried out."""
    INFEASIBLE = "infeasible"
    """Wants something that a rule or the backend forbids."""


class Fact(Record):
    """One thing the caller knows and tells when asked."""

    name: str
    """Slot name, such as ``email`` or ``title``."""
    value: str
    """The value as the caller would write it."""
    asked_by: tuple[str, ...]
    """Lower-case words; a question that holds one of them asks for this fact."""
    answer: str
    """The sentence in which the caller tells it."""
    in_opening: bool
    """True when the opening already says it."""


class Change(Record):
    """A change of mind, said when its cue comes."""

    cue: Literal["message", "proposal", "done", "refusal"]
    """When: ``message``, beside the answer to the agent's next message; ``proposal``, in place of the next yes, when
    the agent asks to confirm or says it is done; ``done``, in place of the goodbye, once the agent says it is done;
    ``refusal``, in place of the goodbye, once the agent says no: what the caller would take instead."""
    text: str
    """What the caller says."""
    facts: tuple[Fact, ...] = ()
    """What can be asked for from then on, in place of the facts before."""


class UserAction(Record):
    """Something the caller does with a tool of their own when the agent asks for it."""

    call: ToolCall
    """The call, made by ``user``."""
    writes: bool
    """True when it changes something: a change of mind then comes in its place."""
    asked_by: tuple[str, ...]
    """Lower-case phrases; a message that asks, and does so with one of them, asks for this."""
    answer: str
    """What the caller says after it; names the fields of the result, or ``{result}`` where it is text."""


class UserScenario(Record):
    """All that the caller knows, wants and says, and nothing of what is expected of the agent.

    The first four fields are the paper's; a model that plays the caller reads them. The rest
    drives the scripted caller.
    """

    reason_for_call: str
    """Second person: why you call, with the details you would give."""
    known_info: str
    """What you know about yourself and the matter."""
    unknown_info: str
    """What you do not know."""
    task_instructions: str
    """How you behave: what you hold back, when you change your mind."""
    opening: str
    """First message of the talk."""
    facts: tuple[Fact, ...]
    """What can be asked for."""
    changes: tuple[Change, ...] = ()
    """Changes of mind in order."""
    actions: tuple[UserAction, ...] = ()
    """What the caller can do with tools of their own."""
    persona: str = ""
    """Second person: mood, register and length of what you write; empty for a neutral caller."""


class Move(Record):
    """One move of the reference talk: either words to the caller or calls, never both."""

    say: str = ""
    """Words; the caller answers before the next move."""
    calls: tuple[ToolCall, ...] = ()
    """Calls made in one turn."""


class CallPattern(Record):
    """Matches every call of `name` whose arguments include `arguments`."""

    name: str
    """Tool name."""
    arguments: Arguments
    """Arguments that must be equal; others are free."""


class Refusal(Record):
    """What an honest refusal must hold, judged over single messages of the agent."""

    clause: str
    """Clause that forbids the wish, or empty for a tool's own constraint."""
    cues: tuple[str, ...]
    """Lower-case words; the refusing message names the reason by at least one of them."""


class RequiredCall(Record):
    """A call that must be among those made, whoever makes it and however it ends (tau2's ACTION)."""

    name: str
    """Tool name."""
    arguments: Arguments
    """Arguments it should have."""
    compare: tuple[str, ...] | None = None
    """Arguments that are compared; None compares those that the call made has."""


class Assertion(Record):
    """A question to the final state that a domain from elsewhere answers with code of its own."""

    function: str
    """Its name there."""
    arguments: Arguments
    """Its arguments."""
    requestor: Literal["assistant", "user"] = "assistant"
    """Whose database it looks at."""
    expected: bool = True
    """The answer that is right."""


class Meant(Record):
    """One wish of a caller, as the proof takes it: what it is, what is known of it, what is said of it at once."""

    tool: str
    """Tool that fulfils it."""
    arguments: Arguments
    """Arguments of the call that it means."""
    slots: dict[str, str]
    """All that the caller knows of it, by slot name."""
    told: tuple[str, ...]
    """Slots whose values the words hold that bring the wish up: the opening, or the change of mind."""
    call: str = ""
    """Id of the reference call that fulfils it; empty for a wish that is given up or refused."""
    forbidden_by: str = ""
    """Clause, or name of the constraint, that forbids it; empty where it may be granted."""


class Expectation(Record):
    """The proved answer. No field of it ever reaches the user simulator."""

    calls: tuple[ToolCall, ...]
    """Reference calls: one way to the final state, reads included."""
    final_hash: str
    """State hash after the reference calls, 32 hex digits; empty where the final state is free."""
    tell: tuple[str, ...] = ()
    """Strings that must reach the caller, such as an exact amount; minimal."""
    refusal: Refusal | None = None
    """Set when something must be refused."""
    forbidden: tuple[CallPattern, ...] = ()
    """Calls that fail the task when they succeed, even if undone later."""
    moves: tuple[Move, ...] = ()
    """The reference talk, agent's side."""
    caller: str = ""
    """Row id of the caller; empty for tasks from elsewhere."""
    wishes: tuple[Meant, ...] = ()
    """What the caller wants in the end, in order, a refused wish included; empty for tasks from elsewhere."""
    earlier: tuple[Meant, ...] = ()
    """Wishes that the caller gave up, in order; the opening brings up the first of them."""
    repairs: tuple[str, ...] = ()
    """Ids of reference calls that take back what was carried out for an earlier wish."""
    mention: tuple[str, ...] = ()
    """Texts that stand somewhere in a message to the caller; looser than `tell`, for tasks from elsewhere."""
    required: tuple[RequiredCall, ...] = ()
    """Calls that must be made, for tasks from elsewhere."""
    assertions: tuple[Assertion, ...] = ()
    """What must hold of the final state, for tasks from elsewhere."""


class Task(Record):
    """A user's scenario and the proved expectation."""

    id: str
    """``<domain>-<intent>-<hash>``; equal content gives an equal id."""
    domain: str
    """Domain name."""
    intent: Intent
    """What makes the user hard to serve."""
    data: DataSpec
    """Database the talk starts from."""
    wording: Split
    """Pool the sentences come from: ``train`` wordings may be trained on, ``test`` ones never."""
    scenario: UserScenario
    """The user's side."""
    expectation: Expectation
    """The verifier's side."""
    trajectory: str
    """Id of the trajectory it was written from."""
    traits: dict[str, JsonValue] = {}
    """What makes it hard, by name, such as ``withheld``, ``changes``, ``when``, ``clause``, ``twin``: for counting."""


class Validation(Record):
    """The report of a task's validation."""

    id: str
    """Id of the task."""
    domain: str
    """Its domain."""
    intent: Intent
    """Its intent."""
    checks: dict[str, str]
    """What is wrong, by name of the check, empty where it holds; see `t2t.verify.validation.CHECKS`."""
    controls: dict[str, tuple[int, int]] = {}
    """Talks that passed and talks played, by who played: ``reference``, ``do_nothing``, ``refuse_everything``,
    ``other_candidate``, ``earlier_wish``."""
    realism: float | None = None
    """What a judge model gives the language, 1 to 10; None without a judge."""

    @property
    def problem(self) -> str:
        """``check: what is wrong`` for the first check that fails, else empty."""
        return next((f"{name}: {text}" for name, text in self.checks.items() if text), "")


class StopReason(StrEnum):
    """Why an episode ended. Only ``USER_DONE`` can succeed."""

    USER_DONE = "user_done"
    """The caller said goodbye."""
    MAX_TURNS = "max_turns"
    """The agent had its last allowed turn."""
    MAX_ERRORS = "max_errors"
    """Too many calls in a row were refused."""
    CONTEXT_OVERFLOW = "context_overflow"
    """The next prompt would not fit the model's context."""
    MAX_TOKENS = "max_tokens"
    """The agent had sampled as many tokens as a talk may have."""
    TIMEOUT = "timeout"
    """The talk took too long; what a service made it wait for while it failed is not counted."""
    USER_FAILED = "user_failed"
    """The simulated caller broke down; no fault of the agent."""


class Turn(Record):
    """Tokens of one agent turn, exactly as sent and sampled; empty for agents without tokens."""

    prompt_ids: tuple[int, ...] = ()
    """Ids that this turn adds to what the turns before sent and sampled; shape (n,)."""
    sampled_ids: tuple[int, ...] = ()
    """Ids the model returned, stop token included; shape (m,)."""
    finish_reason: str = ""
    """``stop`` or ``length``, as the engine says."""
    logprobs: tuple[float, ...] = ()
    """Natural log-probability of each sampled id before temperature; shape (m,), or empty where none was asked for."""


class UserFault(Record):
    """Something that a model in the part of the caller did wrong, found by code; the agent is not to blame."""

    place: int
    """Number of the caller's turn, from 0, the opening."""
    kind: Literal["invents", "leaks", "withholds", "ends_early", "speaks_for_agent", "empty"]
    """It states what its scenario does not hold; tells at once what it should hold back; does not tell what it was
    asked and knows; hangs up before it had its say; writes the agent's words; says nothing."""
    text: str
    """What it said."""
    kept: bool
    """True when it was said all the same, since drawing again did not help."""


class Reward(Record):
    """Verdict of the verifier on one rollout."""

    value: float
    """1.0 when every check passed, else 0.0."""
    checks: dict[str, bool]
    """Verdict by check name: ``ended``, ``db_state``, ``communicated``, ``declined``, ``allowed``; see `verify`."""
    broken_clauses: tuple[str, ...] = ()
    """Clauses that some call broke, whether or not it cost the reward."""
    notes: tuple[str, ...] = ()
    """One line for each failed check: what was missing or wrong."""


class Rollout(Record):
    """The record of one talk."""

    id: str
    """``<task id>/<agent>/<attempt>``."""
    task_id: str
    """The task played."""
    domain: str
    """Domain name."""
    intent: Intent
    """The task's intent."""
    agent: str
    """Who spoke for the agent: ``base``, ``tuned``, ``reference``, ``do_nothing``."""
    attempt: int
    """0 for the first rollout of the task by this agent."""
    messages: tuple[Message, ...]
    """The talk, system message first."""
    turns: tuple[Turn, ...]
    """Tokens of the agent's turns, in order; empty for agents without tokens."""
    stop_reason: StopReason
    """Why it ended."""
    final_hash: str
    """State hash at the end."""
    reward: Reward
    """The verdict."""
    user_faults: tuple[UserFault, ...] = ()
    """What a model that played the caller did wrong, in order; never the agent's fault."""
    agreed: tuple[int, ...] | None = None
    """Places in `messages` of the texts in which the caller accepts what the agent proposes; None where nobody noted
    them."""


class Example(Record):
    """One SFT row: the messages of a successful rollout."""

    id: str
    """Id of the rollout it comes from."""
    task_id: str
    """Task of that rollout."""
    domain: str
    """Domain name."""
    intent: Intent
    """The task's intent."""
    messages: tuple[Message, ...]
    """The talk, system message first."""
    tools: str
    """JSON text of the tool schemas that the agent saw."""


class Pair(Record):
    """One row of preferences: a successful and a failed rollout of one task, from where they part."""

    id: str
    """``<id of the successful rollout>><attempt of the failed one>``."""
    task_id: str
    """Their task."""
    domain: str
    """Domain name."""
    intent: Intent
    """The task's intent."""
    chosen_id: str
    """Id of the successful rollout."""
    rejected_id: str
    """Id of the failed one; the agent alone is to blame for it."""
    prompt: tuple[Message, ...]
    """The messages that both begin with, system message first."""
    chosen: tuple[Message, ...]
    """The rest of the successful talk up to the agent's last turn."""
    rejected: tuple[Message, ...]
    """The rest of the failed talk up to the agent's last turn."""
    tools: str
    """JSON text of the tool schemas that the agent saw."""
