# What a fresh clone needs: python3 >= 3.11 and make. Everything else goes into .venv, made on first use.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LAB    ?= hol
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help lab-hol labs learn test lint types site serve bundle clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

lab-hol: $(VENV)/.labs ## head-of-line blocking, seen and measured (ARGS="--scenario lost-segment --seed 3" and so on)
	@$(BIN)/python -m labs run hol $(ARGS)

labs: $(VENV)/.labs ## the labs there are, and the worlds this machine offers
	@$(BIN)/python -m labs list

learn: $(VENV)/.labs ## the exercises: which there are, and how far you are (ARGS="udp/01" does one)
	@$(BIN)/python -m lessons learn $(ARGS)

test: $(VENV)/.dev ## all the tests (ARGS="-k pool" and so on)
	@$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.dev ## style: ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## types: mypy and pyright, both strict
	@$(BIN)/mypy
	@$(BIN)/pyright

site: $(VENV)/.dev ## build the site into site/
	@$(BIN)/python -m lessons.playground assets
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

serve: $(VENV)/.dev ## show the site on http://127.0.0.1:8800/, and follow changes
	@$(BIN)/python -m lessons.playground assets
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve --strict --dev-addr 127.0.0.1:8800

bundle: $(VENV)/.dev ## the site, its captures and the wheels in one zip, for a room without a network; then tries it
	@$(BIN)/python -m lessons.playground assets
	@$(BIN)/python -m lessons.bundle

clean: ## remove what make made; results in out/ stay
	rm -rf $(VENV) site build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/.labs: EXTRAS := labs
$(VENV)/.dev: EXTRAS := labs,dev,docs
$(VENV)/.dev: | $(VENV)/.labs

$(VENV)/.labs $(VENV)/.dev: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sleepy needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what $@ stands for into $(VENV), once ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	@touch $@
