"""Trajectory2Task: verifiable tasks from explored trajectories, and models tuned on what solves them."""

from t2t.domain.domain import Domain, load_domain
from t2t.domain.environment import Environment
from t2t.episode.play import Limits, play
from t2t.records import Example, Intent, Reward, Rollout, Task, Trajectory
from t2t.verify.validation import prove
from t2t.verify.verifier import verify

__all__ = [
    "Domain",
    "Environment",
    "Example",
    "Intent",
    "Limits",
    "Reward",
    "Rollout",
    "Task",
    "Trajectory",
    "load_domain",
    "play",
    "prove",
    "verify",
]
