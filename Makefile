# What a newcomer runs. Every target first installs what it needs, or says what is missing (scripts/prepare.sh).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo exit-demo kotlin-demo swift-demo test fuzz torture mutants bench bindings docs fmt size test-shipped test-arm64 ios-lib android-check

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/virtual-channels
ifndef CARGO_TARGET_DIR
# Outside the checkout, so that a clean clone starts from what was built before; and slim, since it is built from clean
# clones more often than changed in place.
export CARGO_TARGET_DIR := $(cache)/target
export CARGO_INCREMENTAL := 0
export CARGO_PROFILE_DEV_DEBUG := line-tables-only
endif
export PATH := $(PATH):$(HOME)/.cargo/bin
debug := $(CARGO_TARGET_DIR)/debug
# The Kotlin test starts this program: bitcoind, Esplora, faucet and operator in one.
export REGTEST := $(debug)/regtest

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# OPERATOR, ESPLORA, FAUCET and UNIT reach the demo as environment variables, as make does with all variables it is given.
# The profile is dev: it shares all its parts with `make test`, and the C code in it is optimised.
ifdef OPERATOR
demo: ## fund, open, 1 000 offline payments, close, settle, refund (OPERATOR= ESPLORA= [FAUCET=]: against any arkd)
	@scripts/prepare.sh rust
	@cargo build --example demo
	@$(debug)/examples/demo
else
demo:
	@scripts/prepare.sh rust bitcoind
	@cargo build --example demo
	@BITCOIND="$$(scripts/bitcoind.sh)" $(debug)/examples/demo
endif

ifdef OPERATOR
exit-demo: ## the operator is gone for good, both sides get their money on chain (OPERATOR= ESPLORA= [FAUCET=]: as in make demo)
	@scripts/prepare.sh rust
	@cargo build --example exit_demo
	@$(debug)/examples/exit_demo
else
exit-demo:
	@scripts/prepare.sh rust bitcoind
	@cargo build --example exit_demo
	@BITCOIND="$$(scripts/bitcoind.sh)" $(debug)/examples/exit_demo
endif

kotlin-demo: ## two wallets in a terminal through the view models of the apps, in Kotlin, with QR codes (OPERATOR= … as in make demo)
	@scripts/kotlin-demo.sh

swift-demo: ## two wallets in a terminal through the view models of the apps, in Swift, with QR codes (OPERATOR= … as in make demo)
	@scripts/prepare.sh rust swift $(if $(filter undefined,$(origin OPERATOR)),bitcoind)
	@cargo build --workspace
	@scripts/bindings.sh --built
	@scripts/swift-demo.sh

test: ## formatting, lints, licences, all Rust, Kotlin and Swift tests
	@scripts/test.sh

fuzz: ## coverage-guided fuzzing, MINUTES=1 each target (TARGET=x: only that one); docs/fuzzing.md
	@scripts/prepare.sh rust fuzz
	@scripts/fuzz.sh $(or $(MINUTES),1) $(TARGET)

torture: ## random schedules with kills, faults, reorgs and cheating, each replayed by its seed: [SEED=n] [SCHEDULES=n] [KILLS=n]
	@scripts/torture.sh

mutants: ## deliberate bugs, and the schedule of make torture that finds each; docs/torture.md
	@scripts/torture-mutants.sh

bench: ## the figures, also in target/bench.json
	@scripts/prepare.sh rust
	@mkdir -p target
	@BENCH_JSON="$(CURDIR)/target/bench.json" cargo bench --bench channel
	@echo "bench: written to target/bench.json"

bindings: ## Kotlin and Swift sources from the built library, in bindings/generated
	@scripts/prepare.sh rust
	@scripts/bindings.sh

docs: ## the API reference in target/docs: Rust, Kotlin, Swift; fails where a public item has no text
	@scripts/prepare.sh rust kotlin
	@scripts/docs.sh

# These need parts of Rust that come from rustup's own host, and are not part of `make test`.
size: ## how large the shipped library is, by crate, beside the budget: x86_64 and arm64 Linux, arm64 iOS
	@scripts/prepare.sh rust bloat arm64 clang headers
	@scripts/size.sh

test-shipped: ## the Kotlin tests over the library as it is shipped
	@scripts/prepare.sh rust bitcoind kotlin
	@scripts/test-shipped.sh

test-arm64: ## tests of protocol, store and payments as arm64 Linux programs under qemu
	@scripts/prepare.sh rust arm64 qemu
	@scripts/test-arm64.sh

ios-lib: ## the static library for arm64 iOS, built on Linux and checked
	@scripts/prepare.sh rust clang headers
	@scripts/ios-lib.sh

android-check: ## type-checks for the three Android ABIs, all C code compiled; nothing to ship
	@scripts/prepare.sh rust clang headers
	@scripts/android-check.sh

fmt: ## formats all Rust code
	@cargo fmt --all
