# make demo   set everything up, train a small model, serve it, onboard a person (ONCE=1 to exit after)
# make test   set everything up, lint, type-check, run every Rust and Python test
# make help   the rest

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ONCE   ?=
JOBS   ?= 3
SECONDS ?= 600
HOURS   ?= 8
SEED    ?= 0
EXAMPLES ?= 500
ADVISORIES ?=
KEY     ?=
MACHINES ?= x86_64
DENY    := .tools/bin/cargo-deny

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := false

.DEFAULT_GOAL := help
.PHONY: help install build demo test lint types floors rust python test-slow test-overload test-reloads test-kills test-train-kills test-stateful test-openapi test-slow-clients test-soak soak test-gpu fuzz fuzz-parsers fuzz-sanitized bench docs pictures looks promises audit hashes sbom release format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "gustibus needs Python 3.11 or later; set PYTHON=..."; exit 1; }
	@command -v cargo >/dev/null || { echo "gustibus needs Rust: no cargo on the PATH"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the demo needs; the tools of the tests come on top.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt maturin
	$(BIN)/python scripts/requirements.py train serve | $(BIN)/pip install -q -c constraints.txt -r /dev/stdin
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python scripts/requirements.py dev | $(BIN)/pip install -q -c constraints.txt -r /dev/stdin
	@touch $@

RUST := $(shell find rust -name '*.rs' -o -name Cargo.toml) Cargo.toml
$(VENV)/.built: $(RUST) pyproject.toml $(VENV)/.run
	PIP_QUIET=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet
	@touch $@

build: $(VENV)/.built ## compile the extension and install gustibus into the environment

install: $(VENV)/.dev $(VENV)/.built ## everything that development needs

demo: $(VENV)/.built ## train, serve, onboard a person, show three people's rankings
	$(BIN)/gustibus demo $(if $(ONCE),--once)

test: install lint types floors rust python ## every check, as CI runs it

lint: install
	cargo fmt --all --check
	$(BIN)/ruff format --check python tests benchmarks scripts
	$(BIN)/ruff check python tests benchmarks scripts
	cargo clippy --workspace --all-targets --profile tests --quiet -- -D warnings

types: install
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest gustibus._core --concise

floors: install
	$(BIN)/lint-imports

# Without optimisation: it runs for seconds, and would compile for minutes.
.tools/.deny-0.20.2:
	cargo install --quiet --locked --debug --root .tools --version 0.20.2 cargo-deny
	@touch $@

$(VENV)/.audit: pyproject.toml constraints.txt $(VENV)/.dev
	$(BIN)/python scripts/requirements.py audit | $(BIN)/pip install -q -c constraints.txt -r /dev/stdin
	@touch $@

audit: $(VENV)/.audit .tools/.deny-0.20.2 ## licences, sources and advisories of what this is made of; ADVISORIES=1 fails without the last
	$(BIN)/python scripts/audit.py --deny $(DENY) $(if $(ADVISORIES),--need-advisories)

hashes: install ## the hashes that the image is built by, again, after a change of constraints.txt
	@mkdir -p build
	$(BIN)/python scripts/hashes.py serve postgres client otel redis --python 3.12 --machine $(MACHINES) > build/requirements.txt
	$(BIN)/python scripts/hashes.py --only maturin --python 3.12 --machine $(MACHINES) > build/requirements-build.txt
	mv build/requirements.txt build/requirements-build.txt deploy/

sbom: install ## a bill of materials of the wheel, in build/sbom.json
	@mkdir -p build
	$(BIN)/python scripts/sbom.py > build/sbom.json.part
	mv build/sbom.json.part build/sbom.json

rust:
	cargo test --workspace --profile tests --quiet

python: install ## Python tests, the examples of docstrings and of the README among them
	$(BIN)/pytest -q -n $(JOBS) --dist loadfile --doctest-modules \
	  --ignore python/gustibus/store/migrations tests python/gustibus

test-slow: install ## the long runs: 100 kills on each engine, acceptance at full size
	$(BIN)/pytest -q -m slow

test-overload: install ## a minute of requests at five times the capacity
	$(BIN)/pytest -q -s -m slow tests/service/test_overload.py -k five_times

test-reloads: install ## a hundred hot reloads under load
	$(BIN)/pytest -q -s -m slow tests/service/test_versions.py

test-kills: install ## 250 kills of the service on each engine, 50 of PostgreSQL itself
	$(BIN)/pytest -q -s -m slow tests/service/test_kill.py tests/service/test_idempotency.py \
	  tests/service/test_database_kill.py

test-train-kills: install ## training killed 20 times, of four families: it ends as it would have
	$(BIN)/pytest -q -s -m slow tests/unit/test_training_kills.py

test-stateful: install ## 20 runs of 2,000 random steps on each engine, compared with a plain reference
	$(BIN)/pytest -q -s -m slow tests/service/test_stateful.py

test-openapi: install ## every phase and check of schemathesis, EXAMPLES=500 random requests an operation
	GUSTIBUS_EXAMPLES=$(EXAMPLES) $(BIN)/pytest -q -s -m slow tests/service/test_fuzz.py

test-slow-clients: install ## a thousand clients that send a byte a second, beside others that are timed
	$(BIN)/pytest -q -s -m slow tests/service/test_slow_clients.py

test-soak: install ## mixed requests for GUSTIBUS_SOAK=120 seconds: memory and descriptors stay as they are
	$(BIN)/pytest -q -s -m slow tests/service/test_overload.py -k memory

soak: install ## mixed reads and writes for HOURS=8: memory, descriptors and p99 stay as they are
	$(BIN)/python benchmarks/soak.py --hours $(HOURS)

test-gpu: install ## the tests that need a CUDA device
	$(BIN)/pytest -q -m gpu

fuzz: install ## random calls of every export for SECONDS=600; SEED numbers the first
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) --seed $(SEED)

fuzz-parsers: install ## random inputs of everything that strangers send, for SECONDS=600
	$(BIN)/python -m tests.fuzz.parsers --seconds $(SECONDS) --seed $(SEED)

fuzz-sanitized: install ## both of them, SECONDS=600 each, over a core that watches its memory and sums
	$(BIN)/python -m tests.fuzz.sanitized --seconds $(SECONDS) --seed $(SEED)

bench: install ## short versions of the benchmarks
	$(BIN)/python benchmarks/posterior.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/onboarding.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/growth.py --questions 10000 100000
	$(BIN)/python benchmarks/start.py --people 100000
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/bodies.py
	$(BIN)/python benchmarks/social_rules.py
	$(BIN)/python benchmarks/strength.py
	$(BIN)/python benchmarks/committees.py
	$(BIN)/python benchmarks/fairness.py
	$(BIN)/python scripts/requirements.py bench | $(BIN)/pip install -q -c constraints.txt -r /dev/stdin
	$(BIN)/python benchmarks/matching.py --sizes 1000

docs: install ## the documentation site, in build/site
	$(BIN)/python scripts/requirements.py docs | $(BIN)/pip install -q -c constraints.txt -r /dev/stdin
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

pictures: install ## pictures of the operator pages, for the documentation
	$(BIN)/python -m tests.service.pictures docs/figures

looks: install ## new pictures that the tests compare the pages with; look at them before they are kept
	GUSTIBUS_RENEW_LOOKS=1 $(BIN)/pytest -q tests/service/test_looks.py -k in_order

promises: install ## what the interface promises, for the test of the next releases; once for each release
	$(BIN)/python scripts/openapi_promises.py > tests/service/openapi_baseline.json

release: install sbom ## the wheel, its bill of materials and their sums, in dist/; KEY=FILE signs them with an SSH key
	rm -rf dist
	$(BIN)/maturin build --release --quiet -o dist
	cp build/sbom.json dist/
	$(BIN)/python scripts/sums.py dist $(if $(KEY),--key $(KEY))

format: install ## rewrite the sources in the house format
	cargo fmt --all
	$(BIN)/ruff format python tests benchmarks scripts
	$(BIN)/ruff check --fix python tests benchmarks scripts

clean: ## remove everything that was built or installed
	rm -rf $(VENV) target demo .tools
