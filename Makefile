# One entry point for people and for CI. Needs a Rust toolchain, root and Debian 12 or newer; the rest is installed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# What `make image` is for; another one needs its standard library (rustup target add) and, on Debian, its gcc and libc.
TARGET ?= $(HOST)
CROSS := $(if $(filter-out $(HOST),$(TARGET)),--target $(TARGET))
ifneq ($(CROSS),)
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER ?= aarch64-linux-gnu-gcc
endif
HWTESTS := target/$(HOST)/release/hwtests
# Where the reference plugins are missing, nextest counts the tests that call them as skipped. Asked after prepare.
PLUGINS = $(firstword $(wildcard $(addsuffix /macvlan,$(CNI_PLUGINS) /usr/lib/cni /opt/cni/bin /usr/libexec/cni)))
UNPLAYED = $(if $(PLUGINS),,-E 'not (package(sriov) & (test(/^fallback::/) | test(pods_that_come_and_go)))')

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

prepare: ## installs what this machine lacks (says what)
	@bash hwtests/lab/prepare-host.sh

programs: prepare ## what is shipped: the CNI plugins and the daemons, all small
	cargo build --locked $(CROSS) --profile small -p sriov -p multus-plugin
	cargo build --locked $(CROSS) --release -p sriovdp -p multus

build: programs ## that, and what the lab needs
	cargo build --locked --profile crash -p sriov --features crash-points
	cargo build --locked --release -p sriovdp -p multus -p hwtests

image: programs ## the container image in target/image, without a container engine; the last line is its digest
	@bash deploy/image/build.sh target/image $(addprefix target/$(TARGET)/,small/multus small/sriov release/multus-daemon release/sriovdp)

demo: build ## the main job in the emulated lab, a row per step
	$(HWTESTS) demo

check: ## format and lints, warnings are errors
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

unit: prepare ## all tests that need no guest
	@bash deploy/tools.sh || bash deploy/tools.sh --check
	@command -v cargo-nextest >/dev/null || { echo "installing: cargo-nextest"; cargo install --quiet --locked --version 0.9.143 cargo-nextest; }
	$(if $(PLUGINS),,@echo "skipped: what calls macvlan and host-local, since no folder has them (CNI_PLUGINS)")
	cargo nextest run --locked --workspace $(UNPLAYED)

soak: prepare ## 10,000 pods that come and go on software slots, on this machine's kernel
	FERROVIA_SOAK=10000 cargo nextest run --locked --workspace --no-capture -E 'binary(netns_soak)'

lab: build ## the lab's share of the tests
	$(HWTESTS) test

test: check unit lab ## all of it

crash-matrix: build ## sriov killed at every point on real VFs: the whole matrix as a table
	$(HWTESTS) demo --story sriov-crash --long

bench-sriov: build ## what ADD and DEL of sriov cost, beside bare netlink and the Go program in PEER_BIN
	$(HWTESTS) demo --story bench-sriov

bench-multus: build ## what ADD and DEL of multus cost on this machine, beside the Go programs in PEER_BIN (with KUBEBUILDER_ASSETS)
	unshare --net --mount $(HWTESTS) bench-multus

bench-sriovdp: prepare ## a node of 1024 VFs in 50 pools: scan, start, update, memory; beside the Go program in PEER_BIN
	cargo bench --locked --quiet -p sriovdp --bench sriovdp

test-long: check unit soak build deny ## all of it, and what does not fit into CI's time
	$(HWTESTS) test --long
	cargo test --locked --workspace --doc --quiet
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

deploy-render: ## what is made from the Helm chart: kustomize base, Carvel package, table of values
	bash deploy/tools.sh
	FERROVIA_BLESS=1 cargo nextest run --locked -p hwtests -E 'binary(deploy) and (test(generated) or test(the_package_carries) or test(the_table))'

deny: ## licenses, sources and doubled dependencies
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check bans licenses sources

.PHONY: help prepare programs build image demo check unit soak lab test crash-matrix bench-sriov bench-multus bench-sriovdp test-long deploy-render deny
