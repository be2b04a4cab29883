# `make` alone lists the targets.
.DEFAULT_GOAL := help
.PHONY: help demo dev build test test-quick bench lint fmt deny clean

# Empty it (`make test LOCKED=`) while Cargo.lock is being changed.
LOCKED ?= --locked
# The tests of the whole product mostly wait for something: more of them at once than there are cores are done sooner.
export RUST_TEST_THREADS ?= 6
# A test's name says which servers it needs.
WITHOUT_SERVERS := --skip on_mariadb --skip on_redis

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS="$$(printf '\t')" read -r target text; do printf '  make %-12s %s\n' "$$target" "$$text"; done

demo: ## sample data, a simulated Twitch and a living room; nothing else is needed
# Built without optimisation: that is ready several times sooner and fast enough for one visitor.
	cargo run $(LOCKED) -- demo

dev: ## all roles in one process, on SQLite; settings from config/local.toml and the environment
	cargo run -- serve

build: ## the executable as it is shipped: target/release/tca
	cargo build $(LOCKED) --release

test: lint deny ## everything: format, lints, licences, borders, all tests on both pairs of backends
	tests/with-servers cargo test $(LOCKED) --workspace --no-fail-fast

test-quick: ## all tests that need no server: SQLite and the in-process store
	cargo test $(LOCKED) --workspace --no-fail-fast -- $(WITHOUT_SERVERS)

bench: ## empty jobs a second through the queue, on SQLite and MariaDB, as built for release
	tests/with-servers cargo bench $(LOCKED) --bench queue

lint: ## format and lints, as strict as in CI
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings

fmt: ## format the code
	cargo fmt --all

deny: ## known vulnerabilities, where cargo-deny is installed (licences are a test)
	@if command -v cargo-deny >/dev/null; then cargo deny check; \
	else echo "cargo-deny is not installed: known vulnerabilities are not checked"; fi

clean: ## remove what was built
	cargo clean
