# make run and make test are the two to know; make help lists the rest.
# Each target installs what it needs and lacks (Debian packages, as root).

.DEFAULT_GOAL := help
TARGET := $(or $(CARGO_TARGET_DIR),target)

BUILD_NEEDS := gcc git libc6-dev:/usr/include/stdio.h nodejs:node npm
# What the built-in templates and the stories of the tests start.
STORY_NEEDS := strace gdb git curl tmux python3 util-linux:setpriv passwd:useradd openssl zstd \
	openssh-client:ssh openssh-server:/usr/sbin/sshd python3-pip:/usr/lib/python3/dist-packages/pip \
	postgresql:/usr/lib/postgresql/*/bin/postgres sqlite3 default-jdk-headless:javac golang-go:go chromium firefox-esr pebble
# A stock machine under emulation.
VM_NEEDS := qemu-system-x86:qemu-system-x86_64 mmdebstrap e2fsprogs:mke2fs binutils:strip
# The built-in templates of agents and of Jupyter, with the real programs.
CLI_NEEDS := @anthropic-ai/claude-code:claude @openai/codex:codex opencode-ai:opencode

# Another terminal, to judge what ours draws.
XTERM_NEEDS := @xterm/headless@6.0.0:/usr/local/lib/node_modules/@xterm/headless \
	@xterm/addon-unicode11@0.9.0:/usr/local/lib/node_modules/@xterm/addon-unicode11

.PHONY: help build run test test-ablation state chaos fuzz test-vm test-xterm bench lint fmt clean lock need-rust need-nextest

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 16

build: need-rust Cargo.lock ## the three programs as one installs them, in target/dist (a quarter of an hour on two cores)
	@tools/need $(BUILD_NEEDS)
	tools/stage dist $(TARGET)/dist

run: need-rust Cargo.lock ## a demo: two agents in their sandboxes, and what they can and can't do
	@tools/need $(BUILD_NEEDS) $(STORY_NEEDS)
	tools/stage release $(TARGET)/release
	tools/demo $(TARGET)/release

test: need-rust need-nextest Cargo.lock ## everything that must pass (root, real kernel)
	@tools/need $(BUILD_NEEDS) $(STORY_NEEDS) $(VM_NEEDS) jupyter-notebook
	@tools/need-npm $(CLI_NEEDS) $(XTERM_NEEDS)
	@tools/alis/need
	tools/test

test-ablation: need-rust Cargo.lock ## the attack suite against sandboxes that lack one layer each (root)
	@tools/need $(BUILD_NEEDS) $(STORY_NEEDS)
	tools/ablation

RUNS ?= 20
state: need-rust need-nextest Cargo.lock ## RUNS=20 turns of each real agent: working, blocked, approved, idle (root)
	@tools/need $(BUILD_NEEDS) $(STORY_NEEDS)
	@tools/need-npm $(CLI_NEEDS)
	tools/stage dev $(TARGET)/stage
	WSM_BIN_DIR=$(abspath $(TARGET))/stage WSM_STATE_RUNS=$(RUNS) cargo nextest run -p wsm-tests state::

KILLS ?= 200
chaos: need-rust Cargo.lock ## KILLS=200 kill -9 of daemon, broker and shims at named points and by chance (root)
	@tools/need $(BUILD_NEEDS) $(STORY_NEEDS) bsdutils:script
	tools/chaos $(KILLS)

test-vm: need-rust Cargo.lock ## on a stock Debian 12 under qemu: systemd, unified cgroups, kernel 6.1 (root)
	@tools/need $(BUILD_NEEDS) $(VM_NEEDS)
	tools/stage dev $(TARGET)/vm/bin
	tests/vm/run $(TARGET)/vm/bin
	WSM_VM_APPEND=ipv6.disable=1 tests/vm/run --short $(TARGET)/vm/bin

WINDOWS ?= 20
test-xterm: need-rust Cargo.lock ## WINDOWS=20 what is drawn for who comes late, judged by xterm.js and tmux
	@tools/need $(BUILD_NEEDS) nodejs:node npm tmux
	@tools/need-npm $(XTERM_NEEDS)
	WSM_WINDOWS=$(WINDOWS) cargo test --locked --workspace --test oracle

SECONDS ?= 60
fuzz: need-rust Cargo.lock ## SECONDS=60 of every fuzz target; TARGETS="screen http" runs some, SECONDS=0 what is committed
	@tools/need $(BUILD_NEEDS) g++
	tools/fuzz "$(SECONDS)" $(TARGETS)

bench: build ## measure against bwrap, runc and tmux; ONLY=spawn,echo runs some
	@tools/need $(STORY_NEEDS) bubblewrap:bwrap runc openssl socat ripgrep:rg \
		nginx-light:/usr/sbin/nginx libnginx-mod-stream:/usr/lib/nginx/modules/ngx_stream_module.so \
		protobuf-compiler:protoc argon2
	@tools/peers $(TARGET)/peers
	python3 bench/bench.py --bin $(TARGET)/dist --out $(TARGET)/bench.json --only "$(ONLY)"

lint: need-rust Cargo.lock ## formatting, clippy, licences
	@tools/need $(BUILD_NEEDS)
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check licenses bans sources; \
	 else echo "cargo-deny is not installed: licences were not checked"; fi

fmt: ## format the code
	cargo fmt --all

clean: ## remove what was built
	rm -rf $(TARGET) Cargo.lock

lock: ## after a change of dependencies: update Cargo.lock.in
	cargo update --workspace
	tools/lock save

# cargo may touch Cargo.lock without changing it; only a newer Cargo.lock.in counts.
Cargo.lock: Cargo.lock.in | need-rust
	tools/lock restore

need-rust:
	@command -v cargo >/dev/null || { echo "no cargo on PATH: install Rust (rust-toolchain.toml names the version)" >&2; exit 1; }

need-nextest: need-rust
	@command -v cargo-nextest >/dev/null || cargo install --locked --quiet cargo-nextest
