"""Served weights are compared with trained ones: by hand-made numbers, and by real servers of a small adapter."""

import asyncio
import contextlib
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from t2t.config import RunConfig
from t2t.domain.domain import Domain
from t2t.errors import RunError
from t2t.explore.program import Coverage, explore
from t2t.intents.compose import write_task
from t2t.intents.scene import Scene, Unsuitable
from t2t.models.engines import Engines
from t2t.models.rendering import IGNORED, Renderer
from t2t.models.scoring import Choice, Scorer
from t2t.records import DataSpec, Intent, Task
from t2t.stages import parity
from t2t.stages.stage import StageContext
from t2t.store import Writer, write_json
from t2t.train.parity import (
    GAP_TOLERANCE,
    CheckedRow,
    PromptParity,
    RowParity,
    check_labels,
    compare_greedy,
    find_failure,
    loss_difference,
    read_check,
    served_loss,
)

HEADER, STOP = [7, 8], 2
ROW = CheckedRow("r", [1, 7, 8, 5, 2, 3, 7, 8, 6, 2], [*[-100] * 3, 5, 2, *[-100] * 3, 6, 2], 0.5)


def chose(*tokens: int, second: int = 99, lead: float = 3.0) -> list[Choice]:
    """Greedy tokens, each so many nats ahead of the same second one."""
    return [Choice(token, {token: -0.1, second: -0.1 - lead, 98: -9.0}) for token in tokens]


def compared(*rows: tuple[float, dict[str, float]], tokens: int = 10) -> list[RowParity]:
    return [RowParity(f"r{place}", tokens, trainer, served) for place, (trainer, served) in enumerate(rows)]


def test_equal_tokens_are_compared_to_the_end():
    assert compare_greedy("p", chose(1, 2, 3), chose(1, 2, 3)) == PromptParity("p", 3, None, 0.0)


def test_a_difference_within_rounding_is_a_tie_and_nothing_behind_it_counts():
    merged = [*chose(1), *chose(4, second=5, lead=0.1), *chose(6, 7)]
    adapter = [*chose(1), *chose(5, second=4, lead=0.2), *chose(8, 9)]
    found = compare_greedy("p", merged, adapter)
    assert (found.tokens, found.first_difference) == (1, (4, 5)) and found.gap == pytest.approx(0.2)
    assert find_failure([found], compared((0.5, {"merged": 0.5})), 0.02) == ""


def test_a_difference_that_either_model_is_sure_of_is_a_failure():
    merged = [*chose(1), *chose(4, second=5, lead=0.1)]
    adapter = [*chose(1), *chose(5, second=4, lead=GAP_TOLERANCE + 0.01)]
    for pair in ((merged, adapter), (adapter, merged)):
        failure = find_failure([compare_greedy("task_3", *pair)], compared((0.5, {"merged": 0.5})), 0.02)
        assert "task_3" in failure and "after 1 equal tokens" in failure


def test_a_token_that_the_other_model_does_not_even_list_is_a_failure():
    found = compare_greedy("p", chose(4, lead=1.0), chose(5, lead=1.0))
    assert found.gap == pytest.approx(8.9)


def test_rows_that_differ_both_ways_do_not_cancel():
    rows = compared((0.5, {"adapter": 0.6}), (0.5, {"adapter": 0.4}))
    assert loss_difference(rows, "adapter") == pytest.approx(0.1)


def test_rows_weigh_as_many_tokens_as_they_have():
    rows = [RowParity("a", 30, 1.0, {"merged": 1.0}), RowParity("b", 10, 1.0, {"merged": 1.04})]
    assert loss_difference(rows, "merged") == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("served", "named"), [({"merged": 0.53, "adapter": 0.5}, "merged"), ({"adapter": 0.3}, "adapter")]
)
def test_a_loss_that_is_served_otherwise_names_weights_and_row(served: dict[str, float], named: str):
    rows = compared((0.5, dict.fromkeys(served, 0.5)), (0.5, served))
    failure = find_failure([], rows, 0.01)
    assert f"the {named} weights" in failure and "most on row r1" in failure
    assert find_failure([], rows, 0.2) == ""


def test_a_loss_that_is_not_a_number_is_a_failure():
    assert "nan" in find_failure([], compared((0.5, {"merged": float("nan")})), 0.02)


def test_the_loss_of_a_row_is_that_of_its_labelled_tokens():
    scores = [-9.0, -9.0, -1.0, -2.0, -9.0, -9.0, -9.0, -3.0, -6.0]
    assert served_loss(ROW, scores) == (3.0, 4)


def test_whole_turns_carry_loss():
    check_labels(ROW, HEADER, STOP)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([IGNORED, *ROW.labels[:-1]], "they must be equal"),
        ([*ROW.labels[1:], IGNORED], "they must be equal"),
        ([*ROW.labels[:3], IGNORED, *ROW.labels[4:]], "do not begin a turn"),
        ([*ROW.labels[:2], 8, *ROW.labels[3:]], "do not begin a turn"),
        ([IGNORED if label == STOP else label for label in ROW.labels], "no stop token"),
        (ROW.labels[:-1], "10 tokens have 9 labels"),
    ],
)
def test_shifted_or_cut_labels_are_found(labels: list[int], message: str):
    with pytest.raises(RunError, match=message):
        check_labels(ROW._replace(labels=labels), HEADER, STOP)


@pytest.mark.parametrize("text", ["{", "{}", '{"rows":[]}', '{"rows":[{"id":"a"}]}'])
def test_a_file_without_rows_says_so(tmp_path: Path, text: str):
    (tmp_path / "check.json").write_text(text)
    with pytest.raises(RunError, match=r"check\.json"):
        read_check(tmp_path / "check.json")


def test_no_file_says_so(tmp_path: Path):
    with pytest.raises(RunError, match=r"check\.json"):
        read_check(tmp_path / "check.json")


class Tuned:
    """A folder of the train stage with an adapter that says other things than the base, and its merged twin."""

    def __init__(self, root: Path, weights: Path, tasks: list[Task]) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.root, self.weights = root, weights
        self.synthesize, self.folder = root / "synthesize", root / "train"
        self.synthesize.mkdir(parents=True)
        self.folder.mkdir()
        with Writer(self.synthesize / "tasks.jsonl") as writer:
            for task in tasks:
                writer.append(task)
        self.config = RunConfig.model_validate(
            {
                "domain": {"train": ["library"]},
                "evaluate": {"domains": []},
                "model": {"source": str(weights), "max_context": 2048},
                "engine": {"cpu_kv_cache_gib": 1, "max_num_seqs": 8, "dtype": "bfloat16"},
                "train": {"parity_prompts": 3},
            }
        )
        self.renderer = Renderer("smollm2", weights)
        torch.manual_seed(0)
        base: Any = AutoModelForCausalLM.from_pretrained(weights, dtype=torch.float32)
        settings = LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        model: Any = get_peft_model(base, settings)
        model.save_pretrained(self.folder / "adapter")
        model.eval()
        with torch.no_grad():
            scored = [{**row, "loss": float(self._loss(model, row))} for row in self._rows()]
        write_json(self.folder / "check.json", {"rows": scored})
        model.merge_and_unload().to(torch.bfloat16).save_pretrained(self.folder / "merged")
        tokenizer: Any = AutoTokenizer.from_pretrained(weights)
        for name in ("adapter", "merged"):
            tokenizer.save_pretrained(self.folder / name)
            (self.folder / name / "chat_template.jinja").write_text(self.renderer.template)
        write_json(self.folder / "manifest.json", {"result": {"template_hash": self.renderer.hash}})

    def _rows(self) -> list[dict[str, Any]]:
        talks = parity.play_held_out(self.config, self.synthesize / "tasks.jsonl", self.renderer)
        encoded = [self.renderer.encode(talk.messages, talk.tools) for talk in talks]
        return [
            {"id": talk.id, "input_ids": one.input_ids, "labels": one.labels}
            for talk, one in zip(talks, encoded, strict=True)
        ]

    @staticmethod
    def _loss(model: Any, row: dict[str, Any]) -> Any:
        import torch

        return model(input_ids=torch.tensor([row["input_ids"]]), labels=torch.tensor([row["labels"]])).loss

    def context(self, folder: Path) -> StageContext:
        folder.mkdir(exist_ok=True)
        return StageContext(self.config, folder, {"synthesize": self.synthesize, "train": self.folder})

    def copy(self, root: Path) -> "Tuned":
        twin = object.__new__(Tuned)
        twin.__dict__.update(self.__dict__, folder=Path(shutil.copytree(self.folder, root / "train")))
        return twin


@pytest.fixture(scope="module")
def tuned(weights_dir: Path, library: Domain, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    data = DataSpec(seed=5, size=60, split="test")
    walks = explore(library, data, 8, max_steps=8, blocked_share=0.0, seed=5, coverage=Coverage())
    tasks: list[Task] = []
    for trajectory in walks:
        rng = random.Random(trajectory.id)
        with contextlib.suppress(Unsuitable):
            tasks.append(write_task(Intent.GENERAL, Scene(library, trajectory, rng), "test", rng))
    return Tuned(tmp_path_factory.mktemp("tuned"), weights_dir, tasks)


def test_another_template_beside_the_weights_is_found(tuned: Tuned, tmp_path: Path):
    planted = tuned.copy(tmp_path)
    file = planted.folder / "merged" / "chat_template.jinja"
    file.write_text(file.read_text().replace("Tools:", "Functions:"))
    with pytest.raises(RunError, match=r"merged/chat_template\.jinja is not there or not model\.template=smollm2"):
        parity.run(planted.context(tmp_path / "parity"))


def test_another_tokenizer_beside_the_weights_is_found(tuned: Tuned, tmp_path: Path):
    planted = tuned.copy(tmp_path)
    file = planted.folder / "adapter" / "tokenizer.json"
    settings = json.loads(file.read_text())
    settings["model"]["merges"] = settings["model"]["merges"][:1000]
    file.write_text(json.dumps(settings))
    with pytest.raises(RunError, match="the tokenizer in .*adapter gives other ids"):
        parity.run(planted.context(tmp_path / "parity"))


def test_training_with_another_template_is_found(tuned: Tuned, tmp_path: Path):
    planted = tuned.copy(tmp_path)
    write_json(planted.folder / "manifest.json", {"result": {"template_hash": "0" * 64}})
    with pytest.raises(RunError, match="was trained with another template or tokenizer"):
        parity.run(planted.context(tmp_path / "parity"))


def test_labels_that_are_shifted_in_the_file_are_found(tuned: Tuned, tmp_path: Path):
    planted = tuned.copy(tmp_path)
    file = planted.folder / "check.json"
    found = json.loads(file.read_text())
    found["rows"][1]["labels"] = [IGNORED, *found["rows"][1]["labels"][:-1]]
    write_json(file, found)
    with pytest.raises(RunError, match=f"row {found['rows'][1]['id']} is not labelled as talks are"):
        parity.run(planted.context(tmp_path / "parity"))


@pytest.mark.training
@pytest.mark.timeout(1800)
def test_a_real_adapter_and_its_merged_twin_are_proved_equal(tuned: Tuned, tmp_path: Path):
    result = parity.run(tuned.context(tmp_path))
    assert result["count"] == result["rows"] == 3 and result["template_hash"] == tuned.renderer.hash
    written = json.loads((tmp_path / "parity.json").read_text())
    assert [len(written[part]) for part in ("prompts", "rows")] == [3, 3]
    assert set(written["rows"][0]["served"]) == {"merged", "adapter"}
    assert sum(prompt["tokens"] for prompt in written["prompts"]) > 40


@pytest.mark.training
@pytest.mark.timeout(1800)
def test_another_scaling_and_a_base_in_place_of_the_merged_model_are_found(tuned: Tuned, tmp_path: Path):
    """One real server of the base, in place of the merged model, and of the adapter at twice its strength."""
    doubled = Path(shutil.copytree(tuned.folder / "adapter", tmp_path / "doubled"))
    settings = json.loads((doubled / "adapter_config.json").read_text())
    settings["lora_alpha"] *= 2
    (doubled / "adapter_config.json").write_text(json.dumps(settings))
    config = tuned.config
    talks = parity.play_held_out(config, tuned.synthesize / "tasks.jsonl", tuned.renderer)
    rows = read_check(tuned.folder / "check.json")
    with Engines(
        config.model, config.engine, "base", tmp_path / "server.log", adapters={"doubled": doubled}
    ) as engines:

        async def ask(name: str) -> parity.Measured:
            scorer = Scorer(config.engine, engines.base_urls, name, engines.problem)
            return await parity.measure(scorer, rows, talks, tuned.renderer.stop_id)

        merged, adapter = (asyncio.run(ask(name)) for name in ("base", "doubled"))

    def served(name: str, losses: list[tuple[float, int]]) -> list[RowParity]:
        return [
            RowParity(row.id, count, row.loss, {name: loss}) for row, (loss, count) in zip(rows, losses, strict=True)
        ]

    assert "the merged weights" in find_failure([], served("merged", merged.losses), 0.02)
    assert "the adapter weights" in find_failure([], served("adapter", adapter.losses), 0.02)
    both = zip(talks, merged.choices, adapter.choices, strict=True)
    prompts = [compare_greedy(talk.id, one, other) for talk, one, other in both]
    trained = served("merged", [(row.loss, count) for row, (_, count) in zip(rows, merged.losses, strict=True)])
    assert "differently" in find_failure(prompts, trained, 0.02)
