# Everything a user needs; `make` alone lists it. Set-up happens inside: bootstrap.sh finds or makes
# what is missing, and costs nothing once it is there.
#
# PROVIDER=, KEEP=, K0S_BINARY=, K0S_HARNESS_MIRROR=, YES=1 and NO_INSTALL=1, given to make or in the
# environment, reach every command; so do SEED=, BOX_URL= with BOX_SHA256=, BOX_SOURCES= and
# REUSE=1 (begin on the lab that the last command left), JOBS=2 (labs side by side),
# SHARD=2/5 (a part of the scenarios) and SAME_NAT_ADDRESS=1 (docs/boxes.md, docs/providers.md,
# docs/nightly.md). LAYERS=integration makes `make test` run that layer alone. Exit statuses: make
# turns all into 2, the last line on stderr (`k0s-harness: exit N: ...`) has the real one.
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

lab := sh ./bootstrap.sh --lab
dev := sh ./bootstrap.sh --dev
harness := k0s-harness

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name what; \
	do printf '  make %-22s %s\n' "$$name" "$$what"; done

.PHONY: test-konnectivity-off
test-konnectivity-off: ## issue 5781 on a real cluster: konnectivity off breaks the metrics API, on repairs it
	@$(lab) $(harness) run scenarios/konnectivity-off.yaml

.PHONY: demo
demo: ## a first look: a recorded run judged again in seconds; nothing is started
	@sh ./bootstrap.sh $(harness) demo

.PHONY: test-konnectivity-on
test-konnectivity-on: ## a real cluster with konnectivity: the metrics API is available and holds
	@$(lab) $(harness) run scenarios/konnectivity-on.yaml

.PHONY: test-scenario
test-scenario: ## one scenario: make test-scenario SCENARIO=scenarios/NAME.yaml
	@if [ -z "$$SCENARIO" ]; then \
	  echo 'k0s-harness: exit 2: name one: make test-scenario SCENARIO=scenarios/NAME.yaml' >&2; exit 2; fi
	@$(lab) $(harness) run "$$SCENARIO"

.PHONY: test-all
test-all: ## every scenario that the provider's machines can run
	@$(lab) $(harness) run scenarios/*.yaml $(if $(filter libvirt virtualbox,$(PROVIDER)),scenarios/vms/*.yaml)

.PHONY: test
test: ## the tests of the harness: unit, integration on real machines, real clusters where artifacts are
	@sh ./bootstrap.sh --tests --dev true
	@set --; for layer in $${LAYERS:-unit integration cluster}; do \
	  if [ "$$layer" = cluster ] && ! sh ./bootstrap.sh $(harness) artifacts list --check >/dev/null 2>&1; then \
	    echo 'cluster layer: skipped, the k0s artifacts are not on this host (k0s-harness artifacts list)' >&2; \
	  else set -- "$$@" "tests/$$layer"; fi; done; \
	[ $$# = 0 ] || $(dev) pytest "$$@" $(PYTEST_ARGS)

.PHONY: test-libvirt
test-libvirt: ## the integration tests on VMs: box, machines, isolation, snapshot, removal
	@PROVIDER=libvirt sh ./bootstrap.sh --lab --dev pytest tests/integration/test_machines.py \
	  tests/integration/test_host_keys.py tests/integration/test_isolation.py \
	  tests/integration/test_snapshot.py tests/integration/test_libvirt_leftovers.py $(PYTEST_ARGS)

.PHONY: unit
unit: ## the unit tests alone; no machine is started
	@PYTHONDEVMODE=1 $(dev) pytest tests/unit $(PYTEST_ARGS)

.PHONY: lint
lint: ## style, types, import layers, schema, scenarios, workflow, shell
	@$(dev) sh .ci/lint

.PHONY: fuzz
fuzz: ## made-up scenarios, k0sctl.yaml, bundles, secrets, texts: K0S_HARNESS_FUZZ=1000 of each kind
	@K0S_HARNESS_FUZZ=$${K0S_HARNESS_FUZZ:-1000} $(dev) pytest tests/unit -q -m 'hypothesis or fuzz' \
	  --hypothesis-seed=0 $(PYTEST_ARGS)

.PHONY: audit
audit: ## whether a locked package has a known hole, where an index of advisories can be asked
	@$(dev) python -I .ci/audit.py

.PHONY: bench
bench: ## how long things take, as ratios within one run: half an hour of it, or BENCH="cold jobs"
	@$(lab) $(harness) bench $(BENCH) --json docs/bench

.PHONY: box
box: ## the box that VMs are made of, into the cache; PROVIDER=libvirt (default) or virtualbox
	@sh ./bootstrap.sh $(harness) box build

.PHONY: box-lock
box-lock: ## renew the box's package lock and its checksum in boxes/catalog.json
	@sh ./bootstrap.sh $(harness) box lock

.PHONY: doctor
doctor: ## what this host can do, what is missing and the command that gets it; changes nothing
	@sh ./bootstrap.sh --look $(harness) doctor

.PHONY: clean-labs
clean-labs: ## remove what earlier runs left on this host, and nothing else
	@sh ./bootstrap.sh $(harness) labs --clean

.PHONY: nightly
nightly: ## every scenario, runs kept, one JUnit file and a job summary
	@$(lab) sh -c 'exec $(harness) nightly $${GITHUB_STEP_SUMMARY:+--summary "$$GITHUB_STEP_SUMMARY"}'

.PHONY: lock
lock: ## renew the lock files from pyproject.toml (needs uv; other targets do not)
	@printf 'hatchling>=1.27\neditables\n' | UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile --quiet \
	  pyproject.toml - --universal --upgrade --generate-hashes -o requirements.lock
	@printf 'hatchling>=1.27\neditables\n' | UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile --quiet \
	  pyproject.toml - --group pyproject.toml:dev -c requirements.lock --universal --upgrade --generate-hashes \
	  -o requirements-dev.lock
