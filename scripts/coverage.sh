#!/usr/bin/env bash
# scripts/coverage.sh BUILD: line coverage of src by the tests that ran in BUILD; details in BUILD/coverage.info.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:?usage: scripts/coverage.sh BUILD}
lcov --quiet --capture --directory "$build" --base-directory . --output-file "$build/all.info"
lcov --quiet --extract "$build/all.info" "$PWD/src/*" --output-file "$build/coverage.info"
lcov --list "$build/coverage.info"
