# One entry point for people and for CI. Needs a Rust toolchain, root and Debian 12 or newer; the rest is installed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
HWTESTS := target/$(HOST)/release/hwtests

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

prepare: ## installs what this machine lacks (says what)
	@bash hwtests/lab/prepare-host.sh

build: prepare ## release binaries: the CNI plugins small, the daemons and hwtests fast
	cargo build --locked --profile small -p sriov -p multus-plugin
	cargo build --locked --profile crash -p sriov --features crash-points
	cargo build --locked --release -p sriovdp -p multus -p hwtests

demo: build ## the main job in the emulated lab, a row per step
	$(HWTESTS) demo

check: ## format and lints, warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

unit: prepare ## all tests that need no guest
	@command -v cargo-nextest >/dev/null || { echo "installing: cargo-nextest"; cargo install --quiet --locked --version 0.9.143 cargo-nextest; }
	cargo nextest run --locked --workspace

lab: build ## the lab's share of the tests
	$(HWTESTS) test

test: check unit lab ## all of it

crash-matrix: build ## sriov killed at every point on real VFs: the whole matrix as a table
	$(HWTESTS) demo --story sriov-crash --long

bench-sriov: build ## what ADD and DEL of sriov cost, beside bare netlink and the Go program in PEER_BIN
	$(HWTESTS) demo --story bench-sriov

bench-sriovdp: prepare ## a node of 1024 VFs in 50 pools: scan, start, update, memory; beside the Go program in PEER_BIN
	cargo bench --locked --quiet -p sriovdp --bench sriovdp

test-long: check unit build deny ## all of it, and what does not fit into CI's time
	$(HWTESTS) test --long
	cargo test --locked --workspace --doc --quiet
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

deny: ## licenses, sources and doubled dependencies
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

.PHONY: help prepare build demo check unit lab test crash-matrix bench-sriov bench-sriovdp test-long deny
