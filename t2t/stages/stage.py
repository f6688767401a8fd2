"""What a stage is: a name, what it reads, what settings it depends on, and the work."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from t2t.config import RunConfig


class StageContext(NamedTuple):
    """What a stage is given."""

    config: RunConfig
    folder: Path
    """Where to write; what an interrupted run left there is kept."""
    inputs: Mapping[str, Path]
    """Complete folders of the stages it reads, by stage name."""
    family: str = ""
    """Hash of all that decides a single record, for stages that take records over; see `Stage.family`."""


class Stage(NamedTuple):
    """One step of the chain."""

    name: str
    version: int
    """Raised when the work changes so that old artifacts no longer stand for it."""
    reads: tuple[str, ...]
    """Stages whose artifacts it reads."""
    settings: Callable[[RunConfig], JsonValue]
    """The settings that its artifact depends on; nothing that only changes speed."""
    run: Callable[[StageContext], dict[str, JsonValue]]
    """Does the work and returns what the manifest says about it."""
    family: Callable[[RunConfig], JsonValue] | None = None
    """The settings that decide a single record: artifacts that agree in them, in the version, the seed and in what
    `family_reads` names may take over each other's records."""
    family_reads: tuple[str, ...] = ()
    """Stages among `reads` whose artifact decides a record as a whole, such as the weights that play."""
