# `make run` boots Debian's own kernel to a shell; `make test` is the whole test suite. README.md says more.
# ARGS='command': run that in the guest instead of a shell; its output and exit status are make's.

SHELL := /bin/bash
ARGS ?=
SECONDS_OF_FUZZ := $(if $(filter environment% command%,$(origin SECONDS)),$(SECONDS),60)
# Colours would be part of the compiler's command line: a run on a terminal after one in a pipe would build everything anew.
RELEASE := swift build -c release --no-color-diagnostics
VIV = .build/release/viv

.PHONY: run debian build test bench fuzz format lint check clean toolchain

run: build
	@Scripts/fetch-guest >&2
	@Scripts/run-guest $(VIV) '$(subst ','\'',$(ARGS))'

debian: build
	@Scripts/debian $(VIV)

build: toolchain
	@$(RELEASE) --product viv >&2

test: toolchain
	@Scripts/test

bench: build
	@Scripts/bench $(VIV)
	@Scripts/bench-debian $(VIV)
	@Scripts/bench-net $(VIV)

fuzz: toolchain
	@Scripts/fuzz $(SECONDS_OF_FUZZ)

format: toolchain
	swift format format --in-place --recursive --parallel Sources Tests Package.swift

lint: toolchain
	swift format lint --strict --recursive --parallel Sources Tests Package.swift
	Scripts/check-house

check: lint test

clean:
	rm -rf .build .cache

toolchain:
	@command -v swift >/dev/null || { echo "make: no 'swift' in PATH: install Swift 6.2 or later (https://swift.org/install)" >&2; exit 1; }
	@Scripts/packages /usr/include/slirp/libslirp.h:libslirp-dev /usr/include/zlib.h:zlib1g-dev /usr/include/zstd.h:libzstd-dev /usr/include/liburing.h:liburing-dev /usr/include/jansson.h:libjansson-dev \
		/usr/include/seccomp.h:libseccomp-dev
