"""The model card: a ``README.md`` beside the tuned weights that says what they are, how they were made and how good.

Its header is what the Hugging Face hub reads. All of it comes from the configuration and from finished artifacts;
nothing names a time, a host or a folder, so equal runs give equal bytes.
"""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import orjson
import yaml
from pydantic import JsonValue

from t2t.config import ModelConfig, RunConfig
from t2t.errors import ConfigError
from t2t.lines import whole_lines
from t2t.models.checkpoint import find_checkpoint
from t2t.models.rendering import read_template
from t2t.records import Intent
from t2t.report.headline import interval, percent, points, write_headline
from t2t.report.manifests import Manifests, read_funnel, read_parity
from t2t.report.markdown import code, counted, fenced, plain, table, write_readme
from t2t.report.results import CONDITIONS, Results, sort_models
from t2t.store import MANIFEST

Kind = Literal["adapter", "merged"]
"""Folder of the weights: a LoRA adapter, or whole weights."""

_LICENCE_KEYS = ("license", "license_name", "license_link")
_NOT_OF_THE_RECIPE = ("stages", "dry_run", "engine", "compute", "hub", "paths")
_NAMES_A_PLACE = ("base_urls", "api_key_env", "mcp")
_TITLES = {"do_nothing": "does nothing"}


class _Card(NamedTuple):
    """What a card is made from."""

    kind: Kind
    folder: Path
    config: RunConfig
    manifests: Manifests
    rows: Counter[tuple[str, str]]
    """Training rows by domain and intent."""
    losses: Sequence[Mapping[str, Any]]
    """Entries of ``loss.json`` that have a loss."""
    results: Results | None

    @property
    def base(self) -> str:
        return code(base_name(self.config.model))

    @property
    def domains(self) -> str:
        return ", ".join(map(code, self.config.domain.train))


def write_model_cards(
    folder: Path, config: RunConfig, artifacts: Mapping[str, Path], results: Results | None = None
) -> None:
    """Write ``README.md`` into ``adapter/`` and ``merged/`` of `folder`, where they exist.

    Licence texts of a local base checkpoint are copied beside it.

    Args:
        folder: what the training stage makes or made.
        config: of the run.
        artifacts: complete folders by stage name, as many as there are; ``filter`` is needed.
        results: numbers of the evaluation; None before there is one.
    """
    manifests = {name: json.loads((place / MANIFEST).read_text("utf-8")) for name, place in artifacts.items()}
    file = artifacts["filter"] / ("pairs.jsonl" if config.train.method == "dpo" else "examples.jsonl")
    rows = Counter((row["domain"], row["intent"]) for row in map(orjson.loads, whole_lines(file)))
    losses = [point for point in json.loads((folder / "loss.json").read_text("utf-8")) if "loss" in point]
    base = _local_base(config.model)
    for kind in cast(tuple[Kind, ...], ("adapter", "merged")):
        place = folder / kind
        if not place.is_dir():
            continue
        card = _Card(kind, folder, config, manifests, rows, losses, results)
        write_readme(place, list(_parts(card)))
        for text in sorted([*base.glob("LICENSE*"), *base.glob("NOTICE*")]) if base else ():
            shutil.copyfile(text, place / text.name)


def base_name(model: ModelConfig) -> str:
    """Name of the checkpoint under training: its hub id, or the name of its folder."""
    return model.source if _is_on_hub(model) else Path(model.source).name


def _is_on_hub(model: ModelConfig) -> bool:
    try:
        return find_checkpoint(model.source) is None
    except ConfigError:
        return False


def _local_base(model: ModelConfig) -> Path | None:
    folder = Path(model.source)
    return folder if folder.is_dir() else None


def _parts(card: _Card) -> Iterator[str]:
    yield _header(card)
    yield from _introduction(card)
    yield from _results(card)
    yield from _parity(card)
    yield from _use(card)
    yield from _data(card)
    yield from _training(card)
    yield from _licence(card)
    yield from _limits(card)


def _header(card: _Card) -> str:
    settings = card.config.train
    fields: dict[str, Any] = dict(_read_licence(card.config.model))
    if _is_on_hub(card.config.model):
        # The hub refuses what is not the id of one of its models.
        fields["base_model"] = card.config.model.source
        fields["base_model_relation"] = "adapter" if card.kind == "adapter" else "finetune"
    fields |= {
        "library_name": "peft" if card.kind == "adapter" else "transformers",
        "pipeline_tag": "text-generation",
        "language": ["en"],
        "tags": ["t2t", "tool-calling", "agents", "trl", settings.method]
        + (["lora"] if settings.adapter != "none" else []),
    }
    if measured := list(_measured(card.results)):
        fields["model-index"] = [{"name": f"{card.config.model.name}-{card.config.name}", "results": measured}]
    return f"---\n{_yaml(fields)}\n---"


def _measured(results: Results | None) -> Iterator[dict[str, Any]]:
    """Success of the tuned model by domain, as the hub writes results."""
    for row in results.results if results else ():
        if row.model == "tuned" and row.intent == "all":
            name = f"held-out tasks of {row.domain} ({'trained on' if row.seen else 'unseen in training'})"
            yield {
                "task": {"type": "text-generation", "name": "Tool calling"},
                "dataset": {"name": name, "type": "t2t"},
                "metrics": [{"type": "success", "name": "Tasks solved, %", "value": round(100 * row.success, 1)}],
            }


def _introduction(card: _Card) -> Iterator[str]:
    settings = card.config.train
    what = {
        "lora": "a LoRA adapter",
        "rslora": "a rank-stabilised LoRA adapter",
        "none": "all weights",
    }[settings.adapter]
    yield f"# {plain(card.config.model.name)}, tuned on {plain(', '.join(card.config.domain.train))}"
    if card.kind == "adapter":
        yield f"{what[0].upper()}{what[1:]} of {card.base}, for agents that serve callers with tools."
    elif settings.adapter == "none":
        yield f"{card.base}, fine-tuned in {what}, for agents that serve callers with tools."
    else:
        yield f"{card.base} with {what} merged in, for agents that serve callers with tools."
    number = card.rows.total()
    if settings.method == "dpo":
        yield (
            f"It learned from {counted(number, 'pair')} of a talk that solves a task of {card.domains} and one of the "
            "same task that fails, with direct preference optimisation (DPO)."
        )
    else:
        yield (
            f"It learned from {counted(number, 'talk')} in which an agent solves a task of {card.domains}; what the "
            "agent says and calls carries loss, what callers and tools say does not."
        )


def _results(card: _Card) -> Iterator[str]:
    yield "## Results"
    if card.results is None:
        yield "These weights have not been evaluated."
        return
    yield from map(plain, write_headline(card.results))
    yield (
        "Held-out tasks solved, with 95% intervals clustered by task: a task is solved when every check of the "
        "verifier passes. `base` is the untuned model, `reference` plays the proved answer."
    )
    rows = {(row.domain, row.intent, row.model): row for row in card.results.results}
    compared = {(row.domain, row.intent): row for row in card.results.comparisons}
    models = sort_models(row.model for row in card.results.results)
    for domain in dict.fromkeys(row.domain for row in card.results.results):
        lines = [["intent", "tasks", *(_TITLES.get(model, model) for model in models), "tuned less base, points"]]
        for condition in CONDITIONS:
            played = [rows.get((domain, condition, model)) for model in models]
            if not any(played):
                continue
            change = compared.get((domain, condition))
            lines.append(
                [
                    condition,
                    str(max(row.num_tasks for row in played if row)),
                    *(f"{percent(row.success)} ({interval(row.low, row.high)})" if row else "" for row in played),
                    f"{points(change.difference)} ({points(change.low)} to {points(change.high)})" if change else "",
                ]
            )
        seen = next(row.seen for row in card.results.results if row.domain == domain)
        yield f"### {code(domain)}, {'trained on' if seen else 'unseen in training'}"
        yield table([[*map(plain, lines[0])], *lines[1:]], left=1)


def _parity(card: _Card) -> Iterator[str]:
    found = read_parity(card.manifests)
    if found is None:
        return
    yield "## Served as trained"
    if found.prompts:
        parted = f"all but {found.ties}" if found.ties else "all"
        lead = f"; the others part at two tokens within {found.largest_gap:.2g} nats of each other" * bool(found.ties)
        yield (
            f"Served by vLLM, the merged weights and the adapter beside its base go on alike after {parted} of "
            f"{counted(found.prompts, 'held-out prompt')}, for {counted(found.tokens, 'greedy token')} in all{lead}."
        )
    differences = " and ".join(f"{value:.4f} ({name})" for name, value in found.loss_difference.items())
    yield (
        f"The loss of {counted(found.rows, 'training row')} as served differs from the trainer's by {differences} nats "
        "a token."
    )


def _use(card: _Card) -> Iterator[str]:
    model = card.config.model
    parser = "hermes" if "<tool_call>" in read_template(model.template) else "llama3_json"
    served = ["vllm serve FOLDER --served-model-name tuned"]
    if card.kind == "adapter":
        from t2t.models.server import lora_options

        rank = lora_options({"tuned": card.folder / card.kind})["max_lora_rank"]
        base = model.source if _is_on_hub(model) else "BASE"
        served = [f"vllm serve {base}", f"--enable-lora --max-lora-rank {rank} --lora-modules tuned=FOLDER"]
    served += [
        f"--max-model-len {model.max_context} --generation-config vllm",
        "--chat-template FOLDER/chat_template.jinja",
        f"--enable-auto-tool-choice --tool-call-parser {parser}",
    ]
    yield "## Use"
    local = card.kind == "adapter" and not _is_on_hub(model)
    yield f"With vLLM, where `FOLDER` holds this file{' and `BASE` the base checkpoint' if local else ''}:"
    yield fenced(" \\\n  ".join(served), "bash")
    yield (
        "The chat template is part of the model: it was trained with these bytes. With t2t, which renders and reads "
        "calls itself, the run's own tasks are played again, and the talks are shown:"
    )
    again = (
        "t2t evaluate recipe=NAME evaluate.weights=adapter"
        if card.kind == "adapter"
        else "t2t baseline recipe=NAME model.source=FOLDER"
    )
    yield fenced(f"{again}\nt2t view recipe=NAME", "bash")


def _data(card: _Card) -> Iterator[str]:
    config = card.config
    intents = [intent.value for intent in Intent]
    lines = [["domain", *intents, "all"]]
    for domain in sorted({domain for domain, _ in card.rows}):
        row = [card.rows[domain, intent] for intent in intents]
        lines.append([code(domain), *map(str, row), str(sum(row))])
    totals = [sum(count for (_, name), count in card.rows.items() if name == intent) for intent in intents]
    lines.append(["all", *map(str, totals), str(sum(totals))])
    yield "## Data"
    words = "a model" if config.synthesize.words == "model" else "templates"
    player = {"reference": "the proved answer"}.get(config.rollout.agent, "the base model")
    if config.rollout.api.base_urls:
        player = f"a teacher ({code(config.rollout.api.model)})"
    caller = "a model" if config.user.kind == "model" else "a script"
    yield (
        f"Tasks are synthesized from explored tool calls and proved by code; {words} worded them, {player} played the "
        f"agent and {caller} the caller. Training rows, by the caller's intent:"
    )
    yield table(lines, left=1)
    yield (
        "Held-out tasks are about generated people and things of their own, which no training task has; some of them "
        "use wordings that no training task has either."
    )
    steps = [["step", "kept", "turned away", "reason"]]
    for step in read_funnel(card.manifests):
        steps.append([plain(f"{step.stage}: {step.label}"), str(step.count), str(sum(step.rejected.values())), ""])
        ordered = sorted(step.rejected.items(), key=lambda item: (-item[1], item[0]))
        steps += [["", "", str(count), plain(reason)] for reason, count in ordered]
    yield table(steps, left=1, last_left=True)


def _training(card: _Card) -> Iterator[str]:
    yield "## Training"
    told: list[str] = []
    if card.losses:
        first, last = card.losses[0]["loss"], card.losses[-1]["loss"]
        told.append(counted(card.losses[-1]["step"], "optimiser step"))
        told.append(f"loss {first:.3g} at the first and {last:.3g} at the last. ")
    elsewhere = "" if _is_on_hub(card.config.model) else " model.source=BASE"
    again = code(f"t2t run recipe=card{elsewhere}")
    yield f"{'; '.join(told)}Saved as `recipes/card.yaml`, these settings make the model again with {again}."
    recipe = card.config.model_dump(mode="json", exclude=set(_NOT_OF_THE_RECIPE))
    recipe["model"]["source"] = base_name(card.config.model)
    yield fenced(_yaml(_without_places(recipe)), "yaml")
    keys = {name: manifest["key"] for name, manifest in card.manifests.items()}
    keys["train"] = card.folder.name.removesuffix(".partial")
    yield "Artifacts, whose names are hashes of all that they depend on:"
    yield table([["stage", "key"], *([name, code(key)] for name, key in keys.items())], left=2)
    if versions := card.manifests.get("train", card.manifests["filter"])["versions"]:
        yield f"Made with {', '.join(f'{name} {version}' for name, version in versions.items())}."


def _licence(card: _Card) -> Iterator[str]:
    licence = _read_licence(card.config.model)
    yield "## Licence"
    if name := licence.get("license_name", licence.get("license")):
        yield f"These weights derive from {card.base} and are under its licence, {code(name)}."
    else:
        yield (
            f"These weights derive from {card.base}, whose licence is not known here: it stands neither in a README of "
            "the checkpoint nor in `model.license`. Find it out before you pass them on."
        )


def _limits(card: _Card) -> Iterator[str]:
    yield "## Limits"
    played = "a model that plays them" if card.config.user.kind == "model" else "a script"
    yield "\n".join(
        [
            f"- Trained on {card.domains}, in English. Results tell what it does elsewhere, if that was played.",
            f"- Its callers were {played}, with synthesized wishes. People are less predictable.",
            "- The intervals cover the choice of tasks, not the chance in training: this is one run.",
            "- It breaks rules and acts on the wrong thing at times. A backend has to refuse what must not happen.",
        ]
    )


def _read_licence(model: ModelConfig) -> dict[str, str]:
    """The base's licence in the hub's fields: as its own card says it, else as the configuration does."""
    base = _local_base(model)
    readme = base / "README.md" if base else None
    if readme and readme.is_file():
        header = re.match(r"---\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        try:
            said: Any = yaml.safe_load(header.group(1)) if header else None
        except yaml.YAMLError:
            said = None
        if isinstance(said, dict) and isinstance(said.get("license"), str):
            return {key: str(said[key]) for key in _LICENCE_KEYS if said.get(key)}
    return {"license": model.license} if model.license else {}


def _without_places(value: JsonValue) -> JsonValue:
    """Settings without addresses and without folders of one machine."""
    if isinstance(value, dict):
        return {name: _without_places(inner) for name, inner in value.items() if name not in _NAMES_A_PLACE}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value


def _yaml(value: JsonValue) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110).rstrip()
