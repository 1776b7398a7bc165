#!/usr/bin/env bash
# scripts/tidy.sh BUILD: clang-tidy 14 with .clang-tidy over src, from the compile commands of BUILD (made with
# clang). Another major version knows other checks, so it reports but does not judge.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:?usage: scripts/tidy.sh BUILD}
tool=$(command -v clang-tidy-14 || command -v clang-tidy)
judges=yes
"$tool" --version | grep -q 'version 14\.' || judges=no
if find src \( -name '*.c' -o -name '*.cpp' \) -print0 | xargs -0 -P "$(nproc)" -n 2 "$tool" -p "$build" --quiet 2> /dev/null; then
    echo "tidy: $(find src -name '*.c' | wc -l) files, no findings"
elif [[ $judges == no ]]; then
    echo "tidy: SKIP, version 14 judges, this is $("$tool" --version | grep version)"
else
    exit 1
fi
