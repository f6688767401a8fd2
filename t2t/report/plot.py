"""Geometry of the plots; the template draws it as inline SVG, so text and colours follow the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10

from t2t.report.content import Curve
from t2t.report.headline import percent
from t2t.report.results import CONDITIONS, ResultRow, sort_models

_LEFT, _RIGHT = 94, 62
_ROW, _GAP, _TOP, _BOTTOM = 17, 15, 12, 46


@dataclass(frozen=True)
class Tick:
    """A grid line and its label."""

    at: float
    """Position on its axis in user units."""
    label: str
    """Text."""


@dataclass(frozen=True)
class Mark:
    """One model's success in one condition."""

    model: str
    """Who spoke for the agent."""
    x: float
    """Position of the share."""
    x_low: float
    """Position of the interval's lower end."""
    x_high: float
    """Position of the interval's upper end."""
    y: float
    """Centre of the row."""
    label: str
    """Share in percent."""
    detail: str
    """Model, share and interval in words."""


@dataclass(frozen=True)
class Group:
    """One condition: a label and a row per model."""

    label: str
    """Condition."""
    num_tasks: int
    """Tasks of the condition."""
    y: float
    """Centre of the group."""
    y_line: float
    """Where the line above the group runs."""
    marks: tuple[Mark, ...]
    """One per model, floor first."""


@dataclass(frozen=True)
class SuccessPlot:
    """Success with intervals in one domain."""

    domain: str
    """Domain name."""
    seen: bool
    """True when training rows come from it."""
    width: float
    """Width in user units."""
    height: float
    """Height in user units."""
    left: float
    """Where 0 % lies."""
    right: float
    """Where 100 % lies."""
    bottom: float
    """Where the axis lies."""
    ticks: tuple[Tick, ...]
    """Ticks of the share axis."""
    groups: tuple[Group, ...]
    """Conditions, ``all`` first."""


@dataclass(frozen=True)
class CurvePlot:
    """A value over optimiser steps."""

    name: str
    """What it is."""
    width: float
    """Width in user units."""
    height: float
    """Height in user units."""
    left: float
    """Where the first step lies."""
    right: float
    """Where the last step lies."""
    top: float
    """Upper end of the value axis."""
    bottom: float
    """Where the step axis lies."""
    log_scale: bool
    """True when the value axis is logarithmic: the values are positive and span a factor of 20, unless it is linear
    by wish."""
    points: str
    """Points of the line, as SVG writes them."""
    last: tuple[float, float]
    """Position of the last point."""
    last_label: str
    """Value at the last point."""
    x_ticks: tuple[Tick, ...]
    """Steps."""
    y_ticks: tuple[Tick, ...]
    """Values."""


def plot_success(rows: Sequence[ResultRow], domain: str, width: float = 500) -> SuccessPlot:
    """Lay out the rows of one domain; `rows` holds at least one of it."""
    mine = [row for row in rows if row.domain == domain]
    models = sort_models(row.model for row in mine)
    left, right = _LEFT, width - _RIGHT

    def place(share: float) -> float:
        return round(left + share * (right - left), 2)

    groups: list[Group] = []
    y = float(_TOP)
    for condition in CONDITIONS:
        chosen = sorted((r for r in mine if r.intent == condition), key=lambda row: models.index(row.model))
        if not chosen:
            continue
        marks = tuple(
            Mark(
                model=row.model,
                x=place(row.success),
                x_low=place(row.low),
                x_high=place(row.high),
                y=y + _ROW * (i + 0.5),
                label=percent(row.success),
                detail=f"{row.model}: {percent(row.success)}, 95% interval {percent(row.low)} to {percent(row.high)}",
            )
            for i, row in enumerate(chosen)
        )
        height = _ROW * len(marks)
        groups.append(Group(condition, max(row.num_tasks for row in chosen), y + height / 2, y - _GAP / 2, marks))
        y += height + _GAP
    bottom = y - _GAP / 2
    return SuccessPlot(
        domain=domain,
        seen=mine[0].seen,
        width=width,
        height=bottom + _BOTTOM,
        left=left,
        right=right,
        bottom=bottom,
        ticks=tuple(Tick(place(share), f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)),
        groups=tuple(groups),
    )


def plot_curve(curve: Curve, width: float = 560, height: float = 250) -> CurvePlot | None:
    """Lay out a curve; None when fewer than two values are finite."""
    points = [point for point in curve.points if isfinite(point.value)]
    if len(points) < 2:
        return None
    left, right, top, bottom = 62.0, width - 72, 14.0, height - 44
    lowest, highest = min(point.value for point in points), max(point.value for point in points)
    log_scale = not curve.linear and lowest > 0 and highest >= 20 * lowest
    values = _decades(lowest, highest) if log_scale else _round_steps(min(0, lowest), max(0, highest))
    low, high = (log10(values[0]), log10(values[-1])) if log_scale else (values[0], values[-1])
    first, last = points[0].step, max(points[-1].step, points[0].step + 1)

    def x(step: float) -> float:
        return round(left + (step - first) / (last - first) * (right - left), 2)

    def y(value: float) -> float:
        return round(bottom - ((log10(value) if log_scale else value) - low) / (high - low) * (bottom - top), 2)

    steps = [step for step in _round_steps(first, last) if first <= step <= last and step == int(step)]
    return CurvePlot(
        name=curve.name,
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        log_scale=log_scale,
        points=" ".join(f"{x(point.step)},{y(point.value)}" for point in points),
        last=(x(points[-1].step), y(points[-1].value)),
        last_label=f"{points[-1].value:.3g}",
        x_ticks=tuple(Tick(x(step), f"{step:g}") for step in steps),
        y_ticks=tuple(Tick(y(value), f"{value:g}") for value in values),
    )


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten around [low, high]; the outermost are the ends of the axis."""
    return [10.0**power for power in range(floor(log10(low)), max(ceil(log10(high)), floor(log10(low)) + 1) + 1)]


def _round_steps(low: float, high: float) -> list[float]:
    """About five round values around [low, high]; the outermost are the ends of the axis."""
    span = high - low if high > low else 1.0
    power = 10 ** floor(log10(span / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= 6)
    return [float(f"{step * i:.10g}") for i in range(floor(low / step), ceil(max(high, low + span) / step) + 1)]
