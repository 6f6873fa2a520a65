# The commands of this repository. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
TOOLS := $(CURDIR)/target/tools
CARGO_DENY_VERSION := 0.20.2

.PHONY: help
help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build and start Keybearer on SQLite, on http://127.0.0.1:4356, with its data in ./data.
	@scripts/require.sh
	@scripts/build_console.sh
	cargo build --locked -p keybearer
	@exec cargo run --quiet --locked -p keybearer -- serve

.PHONY: test
test: ## Install what the tests need and run all of them, on SQLite and PostgreSQL.
	@scripts/install_test_requisites.sh
	@scripts/with_postgres.py scripts/run_tests.py

.PHONY: release
release: ## Build the binary as it ships, with the console in it: target/release/keybearer.
	@scripts/install_release_requisites.sh
	@scripts/build_console.sh
	@scripts/build_release.py

.PHONY: console
console: ## Serve the console's sources with live reload, in front of a running `make run`.
	@scripts/build_console.sh
	cd console && npm run dev

.PHONY: bench
bench: ## Measure CPU time, latency and memory beside a bare nginx; takes some minutes and wants a quiet machine.
	@scripts/install_bench_requisites.sh
	@scripts/build_console.sh
	@scripts/build_release.py --bench
	@scripts/bench.py

.PHONY: faults
faults: ## Break what is around it for ten minutes: slow clients, wild and lying providers, a lost database, a full disk.
	@scripts/require.sh
	cargo build --locked -p keybearer
	@scripts/faults.py

.PHONY: slow-clients
slow-clients: ## Measure for a minute what one good client notices of 2,000 that are slow on purpose; wants a quiet machine.
	@scripts/require.sh
	cargo build --locked -p keybearer
	@scripts/slow_clients.py

.PHONY: faults-short
faults-short: ## The faults that take seconds: lies about usage, a lost database, a full disk.
	@scripts/require.sh
	cargo build --locked -p keybearer
	@scripts/faults.py --seconds 3 --only lying_provider --only locked_database --only stopped_database \
		--only frozen_database --only full_disk --only files_that_may_not_grow

.PHONY: fuzz
fuzz: ## Give the readers of hostile bytes random input, each for FUZZ_SECONDS (10).
	@scripts/fuzz.sh

.PHONY: check
check: export FUZZ_SECONDS := 5
check: format lint test deny rustdoc fresh fuzz faults-short ## Everything that a change must pass.

.PHONY: format
format: ## Check the formatting.
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check

.PHONY: lint
lint: ## Run clippy; a warning is an error.
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: deny
deny: ## Check licences, sources and banned crates.
	@command -v cargo-deny >/dev/null || test -x $(TOOLS)/bin/cargo-deny || \
		cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --locked check bans licenses sources

.PHONY: advisories
advisories: deny ## Check for known vulnerabilities; fetches the advisory database.
	PATH="$(TOOLS)/bin:$$PATH" cargo deny --locked check advisories

.PHONY: rustdoc
rustdoc: ## Build the API documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

.PHONY: fresh
fresh: ## Check that generated files are up to date.
	cargo run --quiet --locked -p xtask -- check

.PHONY: generate
generate: ## Write the generated files.
	cargo run --quiet --locked -p xtask -- generate
	@scripts/build_console.sh --install
	cd console && npm run --silent generate

.PHONY: catalog
catalog: ## Write the catalog of list prices from the locked version of its source.
	@scripts/catalog.py

.PHONY: catalog-check
catalog-check: ## Check that the catalog of list prices is what its source says.
	@scripts/catalog.py --check

.PHONY: lock-sdk
lock-sdk: ## Update the lock files of the SDK tests.
	@scripts/lock_sdk.sh
