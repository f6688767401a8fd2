"""What a report takes from the files that describe a run's artifacts: manifests, and the log of training."""

from collections.abc import Mapping, Sequence
from typing import Any

from t2t.report.content import Curve, FunnelStep, Parity, Point

Manifests = Mapping[str, Mapping[str, Any]]
"""Manifests by stage name."""

_COUNTED = {
    "explore": "trajectories",
    "synthesize": "proved tasks",
    "rollout": "rollouts of training tasks",
    "filter": "training examples",
}
_MARGIN = "rewards/margins"
"""Logged by DPO alone."""
_CURVES = {
    "learning_rate": "Learning rate",
    "grad_norm": "Gradient norm before clipping",
    "rewards/chosen": "Reward of the successful talks",
    "rewards/rejected": "Reward of the failed talks",
    _MARGIN: "Margin of the rewards",
    "rewards/accuracies": "Share of pairs told apart",
}
"""Curves beside the loss, by what the trainer calls them."""


def read_funnel(manifests: Manifests) -> tuple[FunnelStep, ...]:
    """Steps from exploration to training rows, of the stages whose manifests are given."""
    steps = [
        FunnelStep(
            stage=stage,
            label=label,
            count=manifests[stage]["result"]["count"],
            rejected=_rejected(manifests[stage]["result"]),
        )
        for stage, label in _COUNTED.items()
        if stage in manifests
    ]
    pairs: dict[str, int] = manifests.get("filter", {}).get("result", {}).get("pairs", {})
    if pairs:
        rejected = {reason: number for reason, number in pairs.items() if reason != "count"}
        steps.append(FunnelStep(stage="filter", label="pairs of talks", count=pairs["count"], rejected=rejected))
    return tuple(steps)


def read_parity(manifests: Manifests) -> Parity | None:
    """Figures of the stage ``parity``; None where its manifest is not given."""
    if "parity" not in manifests:
        return None
    result = manifests["parity"]["result"]
    return Parity(
        prompts=result["count"],
        tokens=result["tokens"],
        ties=result["ties"],
        largest_gap=result["largest_gap"],
        rows=result["rows"],
        loss_difference=result["loss_difference"],
    )


def read_curves(history: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """What training logged at its steps, the loss first; `history` is what ``loss.json`` holds."""
    names = {"loss": "Loss per pair" if any(_MARGIN in entry for entry in history) else "Loss per trained token"}
    curves = (
        Curve(
            name=name,
            points=tuple(Point(step=entry["step"], value=entry[key]) for entry in history if key in entry),
            linear=key not in ("loss", "grad_norm"),
        )
        for key, name in (names | _CURVES).items()
    )
    return tuple(curve for curve in curves if curve.points)


def _rejected(result: Mapping[str, Any]) -> dict[str, int]:
    """Reasons and numbers of what a stage turned away, over all its parts."""
    rejected: dict[str, int] = dict(result.get("rejected", {}))
    for part in result.get("parts", {}).values():
        for reason, number in {**part.get("dropped", {}), **part.get("rejected", {})}.items():
            rejected[reason] = rejected.get(reason, 0) + number
    return rejected
