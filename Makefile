# Each target does on a laptop what it does in CI; `make setup` is instant when nothing changed.
PYTHON ?= python3
BIN := .venv/bin
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup setup-tau2 setup-ray weights quickstart check fix test test-fast test-models test-training test-faults test-mcp test-inspect test-tau2 test-ray bench docs clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Environment in .venv and model weights in weights/ (about 4 minutes once)
	@$(PYTHON) scripts/setup.py

setup-tau2: setup  ## Add tau2's domains, tasks, evaluator and runner to .venv
	@$(BIN)/python -I -m pip install --quiet --no-deps --no-compile -r constraints/tau2.txt

setup-ray: setup  ## Add Ray to .venv
	@$(BIN)/python -I -m pip install --quiet --no-deps --no-compile -r constraints/ray.txt

weights: setup  ## Model weights alone (part of setup)

quickstart: setup  ## The whole chain on this machine's CPU, from exploration to report
	$(BIN)/t2t run recipe=quickstart

check: setup  ## Format, lint, types, documentation links, versions
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python scripts/check_links.py
	$(BIN)/python scripts/check_versions.py

fix: setup  ## Format, and repair what lint can repair
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup  ## All tests, with a real vLLM server on the CPU
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not tau2 and not mcp and not inspect and not models and not training and not faults and not ray" $(PYTEST_ARGS)

test-fast: setup  ## Tests that need no model server
	$(BIN)/python -m pytest -m "not vllm and not slow and not tau2 and not mcp and not inspect and not models and not training and not faults and not ray" $(PYTEST_ARGS)

test-models: setup  ## Tests in which a real model explores, words and grades tasks (about 10 minutes)
	$(BIN)/python -m pytest -m models $(PYTEST_ARGS)

test-training: setup  ## Real weights trained and served, and several training processes cut short (about 25 minutes)
	$(BIN)/python -m pytest -m training $(PYTEST_ARGS)

test-faults: setup  ## Kills, broken services and full disks at length (about 15 minutes)
	$(BIN)/python -m pytest tests/faults $(PYTEST_ARGS)

test-mcp: setup  ## Tests against an MCP server of the package index, in build/
	$(BIN)/python -m pytest -m mcp $(PYTEST_ARGS)

test-inspect: setup  ## Tests that read exported logs with Inspect, in build/
	$(BIN)/python -m pytest -m inspect $(PYTEST_ARGS)

test-tau2: setup-tau2  ## Tests against tau2's own tools, evaluator and runner
	$(BIN)/python -m pytest -m tau2 $(PYTEST_ARGS)

test-ray: setup-ray  ## Talks and an engine over a local Ray cluster of two nodes
	$(BIN)/python -m pytest -m ray $(PYTEST_ARGS)

bench: setup  ## Benchmarks of this project's own code
	$(BIN)/python -m benchmarks

docs: setup  ## Check that every link and path in the documentation leads somewhere
	$(BIN)/python scripts/check_links.py

clean:  ## Remove caches and build output; keeps .venv, weights and runs
	rm -rf .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
