"""What a report is made from: numbers, counts, settings and a few whole talks."""

from pydantic import Field, JsonValue

from t2t.records import Record, Rollout, Task
from t2t.report.results import Results


class LossPoint(Record):
    """Mean loss at one optimiser step."""

    step: int
    """Step, from 1."""
    loss: float
    """Mean over the tokens that are trained on, in nats."""


class TrainInfo(Record):
    """What the training stage did."""

    rows: int
    """Rows trained on."""
    steps: int
    """Optimiser steps."""
    seconds: float
    """Wall time of training."""
    loss: tuple[LossPoint, ...]
    """Loss history in order of steps."""


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
