"""The model card is one that the hub takes, holds the run's figures and names no place of the machine."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from t2t.cli import load_config
from t2t.config import RunConfig
from t2t.pipeline import artifacts
from t2t.records import Example, Intent, Message, Task
from t2t.report.content import ReportContent
from t2t.report.model_card import write_model_cards
from tests.report.test_card import read_tables

ROOT = Path(__file__).resolve().parents[2]
RESULT = {
    "explore": {"count": 1200, "rejected": {"nothing to do": 31}},
    "synthesize": {"count": 400, "rejected": {"not one referent": 212}},
    "rollout": {"count": 400},
    "filter": {"count": 12, "rejected": {"not a success": 40, "a|b *c*": 3}},
    "parity": {
        "count": 8,
        "tokens": 391,
        "ties": 1,
        "largest_gap": 0.06,
        "rows": 8,
        "loss_difference": {"merged": 0.0021, "adapter": 0.0019},
    },
    "train": {"count": 12},
}


class Run:
    """A finished run on disk: manifests, rows, a log of training and empty weights."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "weights" / "tiny-base"
        self.base.mkdir(parents=True)
        self.artifacts = {name: folder / name / f"{place:012x}" for place, name in enumerate(RESULT)}
        for name, place in self.artifacts.items():
            place.mkdir(parents=True)
            manifest = {"key": place.name, "versions": {"trl": "1.16.0"}, "result": RESULT[name]}
            (place / "manifest.json").write_text(json.dumps(manifest))
        self.train = self.artifacts["train"]
        history = [{"step": step, "loss": 2.0 / step} for step in range(1, 41)]
        (self.train / "loss.json").write_text(json.dumps([*history, {"step": 40, "train_loss": 0.1}]))
        for kind in ("adapter", "merged"):
            (self.train / kind).mkdir()
        settings = {"peft_type": "LORA", "r": 12, "base_model_name_or_path": str(self.base)}
        (self.train / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
        (self.train / "adapter" / "adapter_model.safetensors").write_bytes(b"")
        with (self.artifacts["filter"] / "examples.jsonl").open("w") as file:
            for number in range(12):
                example = Example(
                    id=f"r{number}",
                    task_id=f"t{number}",
                    domain=("library", "retail")[number % 2],
                    intent=list(Intent)[number % 4],
                    messages=(Message(role="system", content="Serve."),),
                    tools="[]",
                )
                file.write(example.model_dump_json() + "\n")

    def config(self, *more: str) -> RunConfig:
        settings = (
            "recipe=quickstart",
            f"model.source={self.base}",
            f"paths.runs={self.train.parent.parent}",
            "engine.base_urls=[http://gpu-7.example.org:8000]",
            "domain.train=[library,retail]",
            "evaluate.domains=[]",
        )
        return load_config([*settings, *more])

    def cards(self, *more: str, content: ReportContent | None = None) -> dict[str, str]:
        results = content.results if content else None
        write_model_cards(self.train, self.config(*more), self.artifacts, results)
        return {file.parent.name: file.read_text() for file in self.train.glob("*/README.md")}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "run").mkdir()
    return Run(tmp_path / "run")


def header(card: str) -> dict[str, Any]:
    return ModelCard(card).data.to_dict()


def test_the_hub_can_read_both_cards(run, make_content):
    cards = run.cards(content=make_content({"library": (1, 20), "retail": (0, 3)}))
    assert set(cards) == {"adapter", "merged"}
    for kind, library in (("adapter", "peft"), ("merged", "transformers")):
        card = ModelCard(cards[kind])
        assert card.data.license == "apache-2.0"
        assert card.data.library_name == library
        assert card.data.pipeline_tag == "text-generation"
        assert {"t2t", "tool-calling", "lora"} <= set(card.data.tags or ())
        found = {result.dataset_name: result.metric_value for result in card.data.eval_results or ()}
        assert found == {
            "held-out tasks of library (trained on)": 50.0,
            "held-out tasks of retail (unseen in training)": 7.5,
        }


def test_a_base_of_the_hub_is_linked_and_a_local_one_is_only_named(run):
    local = run.cards()["adapter"]
    assert "base_model" not in header(local)
    assert "`tiny-base`" in local
    linked = run.cards("model=qwen2_5_1_5b", "model.source=Qwen/Qwen2.5-1.5B-Instruct")
    for kind, relation in (("adapter", "adapter"), ("merged", "finetune")):
        assert header(linked[kind])["base_model"] == "Qwen/Qwen2.5-1.5B-Instruct"
        assert header(linked[kind])["base_model_relation"] == relation
    assert "vllm serve Qwen/Qwen2.5-1.5B-Instruct" in linked["adapter"]


def test_no_host_and_no_folder_of_the_machine_is_told(run, tmp_path):
    cards = run.cards(f"+train.trl.logging_dir={tmp_path}/logs", "user.api.base_urls=[https://secret.example.org/v1]")
    for card in cards.values():
        assert str(tmp_path) not in card
        assert "example.org" not in card
        assert not re.search(r"(?<![\w.])/\w+/", card.split("\n---\n", 1)[1].replace("FOLDER/", ""))


def test_results_stand_with_their_intervals_by_domain(run, make_content):
    content = make_content({"library": (1, 20), "retail": (0, 3)})
    tables = read_tables(run.cards(content=content)["merged"])
    row = next(r for r in content.results.results if (r.domain, r.model, r.intent) == ("library", "tuned", "all"))
    head, first, *others = tables["library, trained on"]
    assert head == ["intent", "tasks", "does nothing", "base", "tuned", "reference", "tuned less base, points"]
    assert first[:2] == ["all", "40"]
    assert first[4] == f"50.0% ({100 * row.low:.1f} to {100 * row.high:.1f})"
    assert [cells[0] for cells in others] == ["general", "ambiguous", "changing", "infeasible"]


def test_without_an_evaluation_the_card_says_so(run):
    card = run.cards()["merged"]
    assert "have not been evaluated" in card
    assert "model-index" not in header(card)


def test_before_the_stage_is_finished_a_card_can_be_written(run):
    partial = run.train.rename(run.train.with_name(f"{run.train.name}.partial"))
    (partial / "manifest.json").unlink()
    inputs = {name: run.artifacts[name] for name in ("filter", "rollout")}
    write_model_cards(partial, run.config(), inputs)
    tables = read_tables((partial / "adapter" / "README.md").read_text())
    assert ["train", run.train.name] in tables["Training"]
    assert [row[0] for row in tables["Data"] if row[0].startswith("explore")] == []


def test_rows_and_the_funnel_are_counted(run):
    card = run.cards()["merged"]
    tables = read_tables(card)["Data"]
    assert ["library", "3", "0", "3", "0", "6"] in tables
    assert ["all", "3", "3", "3", "3", "12"] in tables
    assert ["filter: training examples", "12", "43", ""] in tables
    assert ["", "", "3", "a|b *c*"] in tables
    assert "learned from 12 talks" in card
    assert "40 optimiser steps; loss 2 at the first and 0.05 at the last." in card


def test_parity_is_told_where_it_was_measured(run):
    card = run.cards()["adapter"]
    assert "all but 1 of 8 held-out prompts, for 391 greedy tokens" in card
    assert "by 0.0021 (merged) and 0.0019 (adapter) nats a token" in card
    del run.artifacts["parity"]
    assert "Served as trained" not in run.cards()["adapter"]


def test_the_recipe_in_the_card_makes_the_same_run(run, tmp_path, monkeypatch):
    card = run.cards("train.learning_rate=3e-4", "model=qwen2_5_1_5b", "model.source=Qwen/Qwen2.5-1.5B-Instruct")
    recipe = re.search(r"```yaml\n(.*?)\n```", card["merged"], re.DOTALL)
    assert recipe
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "card.yaml").write_text(recipe.group(1))
    monkeypatch.setenv("T2T_CONFIG_DIR", str(tmp_path / "conf"))
    again, first = (
        load_config(["recipe=card"]),
        run.config("train.learning_rate=3e-4", "model=qwen2_5_1_5b", "model.source=Qwen/Qwen2.5-1.5B-Instruct"),
    )
    left_out = {"engine", "paths", "compute", "hub"}
    assert again.model_dump(exclude=left_out) == first.model_dump(exclude=left_out)


def test_the_adapter_is_served_with_a_rank_that_the_engine_takes(run):
    assert "--enable-lora --max-lora-rank 16 --lora-modules tuned=FOLDER" in run.cards()["adapter"]
    assert "--tool-call-parser hermes" in run.cards()["merged"]
    assert "--tool-call-parser llama3_json" in run.cards("model.template=llama3")["merged"]


def test_the_licence_of_the_base_goes_before_the_setting_and_along_with_the_weights(run):
    (run.base / "README.md").write_text("---\nlicense: other\nlicense_name: odd\nlicense_link: LICENSE\n---\n# Odd\n")
    (run.base / "LICENSE").write_text("Be kind.")
    card = run.cards()["merged"]
    assert (header(card)["license"], header(card)["license_name"]) == ("other", "odd")
    assert "its licence, `odd`" in card
    assert (run.train / "merged" / "LICENSE").read_text() == "Be kind."


def test_saying_the_licence_makes_no_artifact_anew(run):
    keys = [
        {name: artifact.key for name, artifact in artifacts(run.config(f"model.license={name}")).items()}
        for name in ("apache-2.0", "mit")
    ]
    assert keys[0] == keys[1]


def test_an_unknown_licence_is_not_made_up(run):
    card = run.cards("model.license=''")["merged"]
    assert "license" not in header(card)
    assert "whose licence is not known here" in card


def test_full_weights_need_no_adapter(run):
    shutil.rmtree(run.train / "adapter")
    cards = run.cards("train.adapter=none")
    assert set(cards) == {"merged"}
    assert "lora" not in header(cards["merged"])["tags"]
    assert "fine-tuned in all weights" in cards["merged"]


def test_dpo_counts_its_pairs(run):
    examples = run.artifacts["filter"] / "examples.jsonl"
    pairs = "".join(examples.read_text().splitlines(keepends=True)[:4])
    (run.artifacts["filter"] / "pairs.jsonl").write_text(pairs)
    file = run.artifacts["filter"] / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["result"]["pairs"] = {"count": 4, "tasks without a failed talk": 8}
    file.write_text(json.dumps(manifest))
    card = run.cards("train.method=dpo")["merged"]
    assert "4 pairs" in card
    assert ["filter: pairs of talks", "4", "8", ""] in read_tables(card)["Data"]
    assert "dpo" in header(card)["tags"]


def test_equal_runs_give_equal_bytes_and_odd_names_break_nothing(run, make_task: Callable[..., Task]):
    odd = "model.name='a: \"b\" # *c* | d'"
    once, again = run.cards(odd), run.cards(odd)
    assert once == again
    yaml.safe_load(once["merged"].split("\n---\n")[0].removeprefix("---\n"))
    rendered = MarkdownIt("commonmark").render(once["merged"].split("\n---\n", 1)[1])
    assert "<h1>a: &quot;b&quot; # *c* | d, tuned on library, retail</h1>" in rendered
