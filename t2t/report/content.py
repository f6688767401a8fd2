"""What a report is made from: numbers, counts, settings and a few whole talks."""

from typing import Literal

from pydantic import Field, JsonValue

from t2t.records import Record, Rollout, Task
from t2t.report.results import Results


class Point(Record):
    """A value at one optimiser step."""

    step: int
    """Step, from 1."""
    value: float
    """Value there."""


class Curve(Record):
    """How something developed over training."""

    name: str
    """What it is, such as ``Loss per trained token``."""
    points: tuple[Point, ...]
    """Values in order of steps."""
    linear: bool = False
    """True for what a logarithmic axis would not make clearer, however far it spans."""


class TrainInfo(Record):
    """What the training stage did."""

    method: Literal["sft", "dpo"] = "sft"
    """How; rows of ``sft`` are successful talks, rows of ``dpo`` pairs of a successful and a failed one."""
    rows: int
    """Rows trained on."""
    steps: int
    """Optimiser steps."""
    seconds: float
    """Wall time of training."""
    curves: tuple[Curve, ...]
    """What was logged at the steps, the loss first."""


class Parity(Record):
    """How far what is served is what was trained."""

    prompts: int
    """Held-out prompts after which merged weights and adapter went on greedily; 0 where one of the two is missing."""
    tokens: int
    """Tokens in which they agree, over all prompts."""
    ties: int
    """Prompts where they part, at tokens about equally likely."""
    largest_gap: float
    """Largest lead of one such token over the other, in nats."""
    rows: int
    """Rows whose loss was computed by the trainer and from what the server says."""
    loss_difference: dict[str, float]
    """Mean difference of the two losses in nats a token, by what was served: ``merged``, ``adapter``."""


class FunnelStep(Record):
    """How many records a stage made and how many it turned away."""

    stage: str
    """Stage name."""
    label: str
    """What is counted, such as ``training tasks``."""
    count: int
    """Records kept."""
    rejected: dict[str, int] = Field(default_factory=dict[str, int])
    """Records turned away, by reason."""


class Talk(Record):
    """One talk shown whole."""

    agent: str
    """Who speaks for the agent, as in `Rollout.agent`."""
    task: Task
    """The task."""
    rollout: Rollout
    """The talk and its verdict."""


class ReportContent(Record):
    """Everything a report shows."""

    name: str
    """Name of the experiment; the title."""
    model: str
    """Name of the model under training."""
    trained: tuple[str, ...]
    """Domains that training rows come from."""
    results: Results
    """The numbers."""
    train: TrainInfo | None = None
    """The training stage; None where nothing was trained."""
    parity: Parity | None = None
    """Trained beside served; None where it was not compared."""
    funnel: tuple[FunnelStep, ...] = ()
    """Counts from exploration to training rows, in order."""
    stage_seconds: dict[str, float] = Field(default_factory=dict[str, float])
    """Wall time by stage, in order."""
    examples: tuple[Talk, ...] = ()
    """Talks to show, see `t2t.report.talks.choose_talks`; talks about one task stand side by side."""
    settings: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """The resolved configuration."""
    manifest: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])
    """Versions, seeds, hashes."""
