# Two commands do everything on a bare Debian with python3 and make:  make demo   and   make test
PY := .venv/bin

.PHONY: help demo test mutations campaign model bench soak kills hil powercut interop fuzz check format messages pages clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: ## a whole roadside cabinet on this machine; ARGS="--for 30 --outage 10:10 --kill 14"
	@./bootstrap.sh demo
	@$(PY)/roadside demo $(ARGS)

test: ## every test, two files at a time; ARGS are passed to pytest
	@./bootstrap.sh test
	@$(PY)/pytest -n 2 --dist worksteal $(ARGS)

campaign: ## the whole agent simulated, with everything going wrong: SEEDS=1000 FIRST=0
	@./bootstrap.sh test
	@$(PY)/python -m tests.simulation --seeds $(or $(SEEDS),200) --first $(or $(FIRST),0) $(ARGS)

model: ## the journal on disks that fail, against a model: EXAMPLES=20000 SEED=1
	@./bootstrap.sh test
	@EXAMPLES=$(or $(EXAMPLES),2000) $(PY)/pytest tests/journal/test_model.py $(if $(SEED),--hypothesis-seed=$(SEED)) $(ARGS)

interop: ## the servers that cities have: RabbitMQ, NATS and aedes are fetched into .interop, and nothing is installed
	@./bootstrap.sh test
	@tests/interop/fetch.sh
	@$(PY)/pytest tests/interop $(ARGS)

bench: ## what the agent costs on this machine, beside a plain script; ARGS="--quick", "decoders", "way --only a,f --runs 5 --json FILE"
	@./bootstrap.sh test
	@$(PY)/python -m tests.bench $(ARGS)

soak: ## a day's worth of readings through the real agent in minutes, with outages: does it grow? ARGS="--hours 24 --ratio 240 --json FILE"
	@./bootstrap.sh test
	@$(PY)/python -m tests.soak $(ARGS)

kills: ## SIGKILLs of the real agent at random system calls, judged by what strace saw written; KILLS=1000 SEED=1
	@./bootstrap.sh test
	@$(PY)/python -m tests.kills $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

mutations: ## one defect after the other is put into the agent, and its scenarios must fail; WORDS="echo siren"
	@./bootstrap.sh test
	@$(PY)/python -m tests.mutations $(WORDS)

hil: ## the scenarios on a rig: RIG=sim, or as root RIG=container, RIG=vm or RIG=vm-arm64 (x86-64; hours, so take some by ARGS="-k power"), or a RIG.toml
	@./bootstrap.sh $(or $(filter vm vm-arm64,$(RIG)),test)
	@$(PY)/pytest tests/scenarios $(if $(filter vm vm-arm64,$(RIG)),tests/hil/vm) --rig=$(or $(RIG),sim) $(ARGS)

powercut: ## the power of a virtual gateway is cut at random moments under load, until CUTS=200; goes on where it was left
	@./bootstrap.sh vm
	@$(PY)/python -m tests.hil.vm.powercut --cuts $(or $(CUTS),20) $(ARGS)

fuzz: ## every decoder is fed what atheris thinks of, on x86-64: SECONDS=240 NAMES="nmea vantage"
	@./bootstrap.sh fuzz
	@$(PY)/python -m tests.drivers.fuzz --seconds $(or $(SECONDS),240) $(NAMES)

check: ## lint, format, types and the arrows between the folders
	@./bootstrap.sh test
	@$(PY)/ruff check .
	@$(PY)/ruff format --check .
	@$(PY)/mypy
	@$(PY)/lint-imports

format: ## put the code into its one format
	@./bootstrap.sh test
	@$(PY)/ruff check --fix-only .
	@$(PY)/ruff format .

messages: ## gather the texts a technician reads and compile the Thai catalogue
	@./bootstrap.sh test
	@$(PY)/python -m tests.messages

pages: ## write docs/drivers and the table of drivers in README.md
	@./bootstrap.sh test
	@$(PY)/python -m tests.pages

clean: ## remove what was set up and built
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
