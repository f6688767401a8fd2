"""The data set loads with `datasets.load_dataset`, and a row gives its task back."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from t2t.errors import RunError
from t2t.records import Expectation, Task, Validation
from t2t.report.artifacts import measure
from t2t.report.card import CardFacts, write_card
from t2t.report.export import Exporter

WRITE_TOOLS = {"library": {"renew_loan"}, "retail": {"cancel_order"}}

AWKWARD = 'a|b "quoted" \\ back\nnew\r\nline \u2028 separator \t tab `code` é 漢字 \U0001f600 \x07 {"json": [1]} ---'


def validate(task: Task) -> Validation:
    return Validation(id=task.id, domain=task.domain, intent=task.intent, checks={"replay": ""}, controls={})


def export(folder: Path, tasks: list[Task]) -> None:
    facts = CardFacts(WRITE_TOOLS)
    with Exporter(folder, WRITE_TOOLS) as exporter:
        for task in tasks:
            exporter.add(task, validate(task))
            facts.add(task, validate(task))
    write_card(folder, facts, name="books", funnel={}, artifacts=measure(tasks, WRITE_TOOLS, {}), settings="seed=1")


def load(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    return load_dataset(str(folder), cache_dir=str(folder.parent / "cache"))


@pytest.fixture
def tasks(make_task: Callable[..., Task]) -> list[Task]:
    return [
        make_task("library", number, split=split, text=AWKWARD).model_copy(
            update={"id": f"{split}-{number}", "traits": {"note": AWKWARD, "withheld": number}}
        )
        for split in ("train", "test")
        for number in range(6)
    ]


def test_a_folder_with_other_files_loads_and_gives_the_tasks_back(tmp_path, tasks, monkeypatch):
    folder = tmp_path / "synthesize"
    folder.mkdir()
    export(folder, tasks)
    (folder / "tasks.jsonl").write_text("".join(task.model_dump_json() + "\n" for task in tasks))
    (folder / "validation.jsonl").write_text("".join(validate(task).model_dump_json() + "\n" for task in tasks))
    (folder / "manifest.json").write_text('{"count": 12}')
    loaded = load(folder, monkeypatch)
    assert {name: len(rows) for name, rows in loaded.items()} == {"train": 6, "test": 6}
    for split in ("train", "test"):
        back = [Task.model_validate_json(row["task"]) for row in loaded[split]]
        assert back == [task for task in tasks if task.data.split == split]
        for row, task in zip(loaded[split], back, strict=True):
            assert row["opening"] == task.scenario.opening
            assert json.loads(row["traits"]) == task.traits
            assert json.loads(row["expectation"]) == task.expectation.model_dump(mode="json")
            assert json.loads(row["scenario"]) == task.scenario.model_dump(mode="json")
            assert Validation.model_validate_json(row["validation"]) == validate(task)
            assert (row["num_calls"], row["num_writes"], row["reference_tools"]) == (1, 1, ["renew_loan"])
            assert row["tell"] == list(task.expectation.tell)


def test_json_lines_hold_the_same_rows_as_parquet(tmp_path, tasks):
    export(tmp_path, tasks)
    for split in ("train", "test"):
        lines = (tmp_path / "data" / f"{split}.jsonl").read_bytes().removesuffix(b"\n").split(b"\n")
        assert [json.loads(line) for line in lines] == pq.read_table(tmp_path / "data" / f"{split}.parquet").to_pylist()


def test_a_split_without_tasks_has_no_file_and_still_loads(tmp_path, tasks, monkeypatch):
    folder = tmp_path / "one"
    folder.mkdir()
    export(folder, [task for task in tasks if task.data.split == "test"])
    assert sorted(file.name for file in (folder / "data").iterdir()) == ["test.jsonl", "test.parquet"]
    assert "split: train" not in (folder / "README.md").read_text()
    assert list(load(folder, monkeypatch)) == ["test"]


def test_a_second_run_replaces_what_an_interrupted_one_left(tmp_path, tasks):
    with pytest.raises(KeyboardInterrupt), Exporter(tmp_path, WRITE_TOOLS) as exporter:
        for task in tasks:
            exporter.add(task, validate(task))
        raise KeyboardInterrupt
    export(tmp_path, tasks[:2])
    assert [file.name for file in sorted((tmp_path / "data").iterdir())] == ["train.jsonl", "train.parquet"]
    assert pq.read_table(tmp_path / "data" / "train.parquet").column("id").to_pylist() == ["train-0", "train-1"]


def test_rows_come_in_groups_of_a_thousand_with_one_schema(tmp_path, make_task):
    task = make_task("library", 0, split="train")
    # The first group has only empty lists, from which no type could be told.
    empty = task.model_copy(update={"expectation": Expectation(calls=(), final_hash="0f" * 16)})
    with Exporter(tmp_path, WRITE_TOOLS) as exporter:
        for number in range(2001):
            exporter.add(empty if number < 1000 else task, validate(task))
    file = pq.ParquetFile(tmp_path / "data" / "train.parquet")
    assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [1000, 1000, 1]
    assert str(file.schema_arrow.field("reference_tools").type) == "list<element: string>"
    assert file.read_row_group(0).column("num_calls").unique().to_pylist() == [0]
    assert file.read_row_group(2).column("reference_tools").to_pylist() == [["renew_loan"]]


def test_equal_tasks_give_equal_bytes(tmp_path, tasks):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        export(tmp_path / name, tasks)
    for file in ("README.md", "data/train.parquet", "data/test.parquet", "data/train.jsonl", "data/test.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_domain_whose_writing_tools_are_unknown_is_named(tmp_path, make_task):
    task = make_task("clinic", 0)
    with (
        pytest.raises(RunError, match="'clinic', whose writing tools are not given"),
        Exporter(tmp_path, WRITE_TOOLS) as e,
    ):
        e.add(task, validate(task))
