#!/usr/bin/env bash
# House rules that a compiler does not check:
#   include       the direction of includes (scripts/lint-modules.txt)
#   feature-if    #if on build features outside registries, backend folders and config.h
#   banned, omp   functions and pragmas with a safer door; printing or exiting in the library
#   file-size     600 lines a file;  function-size  80 lines a function
#   must-check    ark_status declared without ARK_MUST_CHECK;  prefix  names in headers without ark_
#   guard, alone  every header compiles alone as C, those of include/ as C++ too
#   width         110 columns, comments too (clang-format leaves them as written)
#   todo, blank, path
# Exceptions stand in scripts/lint-excuses.txt with a reason; an unused one is an error.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

c_files() {
    find . \( -path ./build -o -path './.?*' \) -prune -o \( -name '*.[ch]' -o -name '*.cpp' \) -print | sed 's|^\./||' | sort
}

findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

c_files | xargs awk -v modules=scripts/lint-modules.txt -f scripts/lint.awk > "$findings"

# Each header alone. One compiler process per header, as many at a time as there are processors.
alone() {
    local lang=$1 std=$2 header=$3 out
    if ! out=$(cc -x "$lang" -std="$std" -D_GNU_SOURCE -Iinclude -Isrc -Wall -Wextra -Werror -fsyntax-only "$header" 2>&1); then
        printf 'alone\t%s\t1\tnot self-contained as %s: %s\n' "$header" "$lang" "$(grep -m 1 error <<< "$out")"
    fi
}
export -f alone
{
    find src include -name '*.h' -exec echo c c17 {} \;
    find include -name '*.h' -exec echo c++ c++17 {} \;
} | xargs -P "$(nproc)" -L 1 bash -c 'alone "$@"' alone >> "$findings"

# Paths of one machine, in any text of the tree.
git ls-files -co --exclude-standard 2> /dev/null | grep -vE '\.(png|jpg|npy|safetensors|bin)$' | tr '\n' '\0' |
    xargs -0 grep -InE '(^|[^A-Za-z0-9_.])/(wor[k]|hom[e]|roo[t]|tmp/w[t])/' -- /dev/null |
    sed -E 's/^([^:]*):([0-9]+):(.*)/path\t\1\t\2\tpath of one machine: \3/' >> "$findings" || true

# Subtract the excuses, then report.
awk -F '\t' -v excuses=scripts/lint-excuses.txt '
    BEGIN {
        while ((getline line < excuses) > 0) {
            at++
            if (line !~ /^#/ && split(line, f, /[ \t]+/) > 1) {
                where[f[1], f[2]] = at
                if (f[3] == "") {
                    printf "%s:%d: excuse without a reason\n", excuses, at
                    bad++
                }
            }
        }
    }
    ($1, $2) in where {
        used[$1, $2] = 1
        next
    }
    {
        printf "%s:%s: [%s] %s\n", $2, $3, $1, $4
        bad++
    }
    END {
        for (key in where) {
            if (!(key in used)) {
                split(key, f, SUBSEP)
                printf "%s:%d: unused excuse: %s %s\n", excuses, where[key], f[1], f[2]
                bad++
            }
        }
        if (bad) {
            printf "lint: %d findings\n", bad
            exit 1
        }
    }' "$findings"
echo "lint: $(c_files | wc -l) files, no findings"
