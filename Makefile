# Each command sets up all it needs, in .venv, and installs nothing again that is in place.
#   make chat     open the chat          make test    run the tests
#   make lint     check the code         make bench   measure, JSON in bench.json
#   make docs     write the generated tables again      make guide    build the guide, in build/guide
#   make icons    train the small model that paints (hours; goes on where it was stopped)
#   make adapters train and measure the adapters that come along (half an hour; goes on where it was stopped)

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
SETUP := $(PYTHON) .ci/setup.py --venv "$(VENV)"
TEST_MODEL := qwen2.5-coder-0.5b-instruct
ADAPTED_MODEL := qwen2.5-coder-1.5b-instruct
PAGES := README.md docs/reference.md $(wildcard docs/hooks/*.md) $(wildcard plugins/*/README.md)
SOURCES := pyproject.toml constraints.txt .ci/setup.py

.PHONY: chat test test-model lint bench docs guide icons adapters picture clean

chat: $(VENV)/.ready-chat
	@$(BIN)/chatapp

$(VENV)/.ready-chat: $(SOURCES)
	@$(SETUP) --extras all --stamp .ready-chat

$(VENV)/.ready-test: $(SOURCES)
	@$(SETUP) --extras all,test --stamp .ready-test

$(VENV)/.ready-icons: $(SOURCES)
	@$(SETUP) --extras all,icons --stamp .ready-icons

test: $(VENV)/.ready-test test-model
	@$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(ARGS)

test-model: $(VENV)/.ready-test
	@$(BIN)/chatapp models pull $(TEST_MODEL)
	@$(BIN)/chatapp embeddings pull
	@[ -z "$(CHATAPP_LONG)" ] || $(BIN)/chatapp models pull $(ADAPTED_MODEL)

lint: $(VENV)/.ready-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/cog --check --check-fail-msg "A page is behind the code: run make docs." -r $(PAGES)

bench: $(VENV)/.ready-test test-model
	@$(BIN)/python -m tests.bench.run --out bench.json $(ARGS)

docs: $(VENV)/.ready-test
	@$(BIN)/cog -r $(PAGES)

guide: $(VENV)/.ready-test
	@$(BIN)/sphinx-build -b html -W --keep-going -q -d build/guide-read docs build/guide
	@echo "The guide is build/guide/index.html"

icons: $(VENV)/.ready-icons
	@nice $(BIN)/python -m chatapp_images.training all $(ARGS)

adapters: $(VENV)/.ready-test
	@$(BIN)/chatapp models pull $(ADAPTED_MODEL)
	@nice $(BIN)/python -m chatapp_lora.making.bundle "$$($(BIN)/chatapp models path $(ADAPTED_MODEL))" $(ARGS)
	@$(BIN)/python -m chatapp_lora.making.measuring "$$($(BIN)/chatapp models path $(ADAPTED_MODEL))" $(ARGS)

picture: $(VENV)/.ready-chat
	@$(BIN)/chatapp models pull qwen2.5-coder-1.5b-instruct
	@$(BIN)/python docs/picture.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
