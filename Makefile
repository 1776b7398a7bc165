# The commands people type; the build itself is CMake's (CMakePresets.json).
MAKEFLAGS += --no-print-directory
JOBS ?= $(shell nproc)
CTEST = ctest --no-label-summary

.PHONY: help setup build demo test lint format tidy asan tsan fuzz cov clean

help:
	@echo "make build    install what is missing, compile build/release/arkfm"
	@echo "make demo     build, then the whole Ark on phantoms: synth, pretrain, evaluate, report (demo/report.html)"
	@echo "make test     build, then every test"
	@echo
	@echo "make lint     house rules (scripts/lint.sh)      make format   rewrite with clang-format"
	@echo "make asan     tests under ASan and UBSan         make tsan     unit and op tests under TSan"
	@echo "make fuzz     every fuzz target for FUZZ_S=30 s  make cov      line coverage of the tests"
	@echo "make tidy     clang-tidy over src                make clean    remove build/ and demo/"
	@echo
	@echo "JOBS=N limits parallel compilation (now $(JOBS))"

setup:
	@scripts/setup.sh

build: setup
	@cmake --preset release
	@cmake --build --preset release --target arkfm -j $(JOBS)

demo: build
	@scripts/demo.sh

test: setup
	@cmake --preset release
	@cmake --build --preset release -j $(JOBS)
	@$(CTEST) --preset release

asan tsan: setup
	@cmake --preset $(PRESET)
	@cmake --build --preset $(PRESET) -j $(JOBS)
	@$(CTEST) --preset $(PRESET) $(LABELS)
asan: PRESET = asan-ubsan
tsan: PRESET = tsan
tsan: LABELS = -L 'unit|ops'

FUZZ_S ?= 30
fuzz:
	@scripts/setup.sh --with-dev
	@cmake --preset fuzz
	@cmake --build --preset fuzz -j $(JOBS)
	@scripts/fuzz.sh build/fuzz $(FUZZ_S)

cov:
	@scripts/setup.sh --with-dev
	@cmake --preset cov
	@cmake --build --preset cov -j $(JOBS)
	@$(CTEST) --preset cov
	@scripts/coverage.sh build/cov

lint:
	@scripts/lint.sh

format:
	@scripts/format.sh

tidy:
	@scripts/setup.sh --with-dev
	@cmake --preset dev -B build/tidy -DCMAKE_C_COMPILER=clang
	@scripts/tidy.sh build/tidy

clean:
	rm -rf build demo
