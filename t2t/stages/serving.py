"""Engines for the stages that play with a model: started here, or given."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from t2t.config import RunConfig


class Served(NamedTuple):
    """Servers of one model."""

    base_urls: tuple[str, ...]
    """Where they answer."""
    base_urls_now: Callable[[], tuple[str, ...]] | None = None
    """Where they answer now, for servers that may move; None for others."""
    restarts: Callable[[], int] = lambda: 0
    """Times so far that a server which died was started again; 0 for servers that were given."""
    problem: Callable[[], str] = str
    """Why no server will ever answer again; empty while one may."""


@contextmanager
def serve(
    config: RunConfig,
    source: str,
    name: str,
    log_file: Path,
    *,
    seeded: bool,
    adapters: Mapping[str, Path] | None = None,
) -> Generator[Served]:
    """Serve a model until the block ends, or use the servers that are given.

    Args:
        config: the checkpoint's context and template, and the engine.
        source: the checkpoint.
        name: model to talk with: one of `adapters`, else the name that `source` itself is served by.
        log_file: takes what the first server says that is started here.
        seeded: some replies are drawn, each with a seed, rather than greedy.
        adapters: folders of LoRA adapters by name; `source` is then served as ``base`` beside them.

    Raises:
        ConfigError: the checkpoint or an adapter cannot be served, or a given server does not serve `name`.
        RunError: a server did not start.
    """
    from t2t.models.engines import Engines, check_names
    from t2t.scheduling.ray_engines import RayEngines

    if config.engine.base_urls:
        check_names(config.engine, [name])
        yield Served(config.engine.base_urls)
        return
    model = config.model.model_copy(update={"source": source})
    served = "base" if adapters else name
    if config.compute.kind == "ray":
        compute = config.compute
        with RayEngines(compute, model, config.engine, served, log_file, seeded=seeded, adapters=adapters) as engines:
            # An engine that is lost with its node comes back on another one.
            yield Served(engines.base_urls, lambda: engines.base_urls, engines.restarts, engines.problem)
        return
    with Engines(model, config.engine, served, log_file, seeded=seeded, adapters=adapters) as engines:
        yield Served(engines.base_urls, restarts=engines.restarts, problem=engines.problem)
