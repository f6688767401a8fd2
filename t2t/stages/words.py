"""The models that the synthesize stage may ask: one that words tasks, one that grades their words.

What they answer is kept in the stage's folder, so that a second try pays for nothing again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

from t2t.config import ModelUseConfig
from t2t.intents.judge import Grade, judge_all
from t2t.intents.writer import Rejected, rewrite_all
from t2t.journal import Journal
from t2t.models.structured import Malformed, StructuredClient
from t2t.models.use import open_model
from t2t.records import Task
from t2t.stages.stage import StageContext

log = logging.getLogger(__name__)


class WordModels(NamedTuple):
    """Each works through tasks lazily and gives its results in their order; None where no model is asked."""

    write: Callable[[Iterable[Task]], Iterator[Task | Rejected]] | None = None
    """Words tasks anew."""
    grade: Callable[[Iterable[Task]], Iterator[Grade | Malformed]] | None = None
    """Grades tasks."""


def open_word_models(context: StageContext, stack: ExitStack) -> WordModels:
    """Reach or serve the models that the settings ask for; `stack` closes them.

    Raises:
        ConfigError: an endpoint is not whole, or there is no checkpoint to serve.
        RunError: a server did not start.
    """
    config = context.config
    settings, seed = config.synthesize, config.seed
    models = WordModels()
    if settings.words == "model":
        client = _open(context, stack, settings.writer, "writer")
        use = settings.writer

        def write(tasks: Iterable[Task]) -> Iterator[Task | Rejected]:
            return rewrite_all(tasks, client.ask, max_tries=use.max_tries, concurrency=use.concurrency, seed=seed)

        models = models._replace(write=write)
    if settings.judge == "model":
        judge = _open(context, stack, settings.judge_model, "judge_model")
        asked = settings.judge_model

        def grade(tasks: Iterable[Task]) -> Iterator[Grade | Malformed]:
            return judge_all(tasks, judge.ask, max_tries=asked.max_tries, concurrency=asked.concurrency, seed=seed)

        models = models._replace(grade=grade)
    return models


def _open(context: StageContext, stack: ExitStack, use: ModelUseConfig, name: str) -> StructuredClient:
    journal = stack.enter_context(Journal(context.folder / f"{name}.answers.jsonl"))
    if len(journal):
        log.info("synthesize: %d answers of the %s are there from before", len(journal), name.partition("_")[0])
    served = stack.enter_context(
        open_model(context.config, use, f"synthesize.{name}", context.folder / f"{name}.server.log")
    )
    return StructuredClient(served.api, served.name, journal)
