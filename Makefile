# Diogenes: what people type. Each target says what it does; the steps themselves are in deploy/scripts.
.DEFAULT_GOAL := help
.PHONY: help toolchain engine images build build-test install uninstall demo demo-down test test-fast corpus check-metrics fuzz soak lint deny bench clean

SCRIPTS := deploy/scripts
# The tests that need a container engine; the others need nothing but Rust.
ENGINE_TESTS := package(diogenes-tests) + ((package(diogenes-testkit) + package(diogenes-corpus)) & kind(test))

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

toolchain: ## What the build needs: a C toolchain and Rust's static target
	@$(SCRIPTS)/toolchain.sh

engine: ## A container engine that answers, installed and started where there is none
	@$(SCRIPTS)/engine.sh

images: engine ## The images of the demo and of the tests
	@$(SCRIPTS)/images.sh

build: toolchain ## dist/diogenes and dist/diogenes-agent
	@$(SCRIPTS)/build.sh

build-test: toolchain ## dist/test/: small static programs that tests put into containers
	@$(SCRIPTS)/build.sh test

# Without a build of its own: root installs what a user has built.
install: ## What is in dist/ into PREFIX (/usr/local), with unit, completions and man pages; DESTDIR is honoured
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' $(SCRIPTS)/install.sh

uninstall: ## Removes exactly that; configuration and state stay
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' $(SCRIPTS)/install.sh remove

demo: ## Three real containers that know themselves: watch one fail and tell why
	@deploy/demo/demo.sh

demo-down: ## Ends what a demo left running
	@deploy/demo/demo.sh down

test: build build-test images ## Everything, also the end-to-end tests on the real Engine
	cargo nextest run --workspace
	cargo test --workspace --doc --quiet

test-fast: ## The tests that need no Engine
	cargo nextest run --workspace --filterset 'not ($(ENGINE_TESTS))'

corpus: build build-test images ## Real services, what is known of them, well and broken; CORPUS=redis,nginx for some
	@$(SCRIPTS)/corpus.sh

fuzz: ## Bytes made up by libFuzzer for every reader of untrusted bytes, a minute each
	@$(SCRIPTS)/fuzz.sh

# Nothing but the figures is asked of it; the machine decides how long it takes.
CYCLES ?= 2000
PARALLEL ?= 8
soak: build build-test images ## Containers that live and die by the thousand (CYCLES, PARALLEL), and what that leaves: nothing
	cargo run --package diogenes-tests --bin soak -- $(CYCLES) $(PARALLEL)

check-metrics: build ## Metrics and alert rules, by Prometheus' own programs
	@$(SCRIPTS)/promtool.sh

lint: ## Format, clippy, documentation and shell scripts, warnings refused
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items --quiet
	@$(SCRIPTS)/lint-shell.sh

deny: ## Licences, advisories, and which crate may use which
	@command -v cargo-deny >/dev/null || { echo 'cargo-deny is not installed: cargo install cargo-deny --locked' >&2; exit 1; }
	cargo deny check licenses bans sources
	cargo deny check advisories

bench: build build-test images ## Attach, answer and memory figures, measured on the real Engine
	cargo bench --package diogenes-tests

clean: demo-down ## Removes what was built; images and caches stay
	cargo clean
	rm -rf dist
