#!/usr/bin/env bash
# scripts/fuzz.sh BUILD SECONDS: run every fuzz target of BUILD for SECONDS, starting from tests/fuzz/corpus/NAME.
# A crash leaves its input in BUILD/crashes; after the fix it becomes a file of the corpus.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:?usage: scripts/fuzz.sh BUILD SECONDS}
seconds=${2:?usage: scripts/fuzz.sh BUILD SECONDS}
mkdir -p "$build/crashes"
found=0
for target in "$build"/tests/fuzz_*; do
    [[ -x $target && -f $target ]] || continue
    name=$(basename "$target")
    name=${name#fuzz_}
    mkdir -p "$build/corpus/$name"
    echo "== $name"
    "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/crashes/$name-" "$build/corpus/$name" "tests/fuzz/corpus/$name"
    found=$((found + 1))
done
((found)) || { echo "fuzz: no targets in $build/tests" >&2 && exit 1; }
echo "fuzz: $found targets, ${seconds} s each, no crash"
