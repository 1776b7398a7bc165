#!/usr/bin/env bash
# The table of docs/performance.md: arkfm beside what else one could use, in turn, on this machine.
#
#   bench/compare.sh [--quick] [--rows LIST] [--steps LIST] [--rounds N] [--threads N]
#                    [--limit S] [--limit-bf16 S] [--json FILE] > table.md
#
#   --rows LIST   of step,infer,large,memory,data,start,threads (default: all)
#   --steps LIST  MODEL:BATCH,... of the training steps (default swin_tiny:16,swin_base:8)
#   --rounds N    how often every contender gets its turn; medians count (default 5, at least 5 for a table to keep)
#   --threads N   threads of every contender (default 2)
#   --limit S     seconds after which a run (start, export of the model in the first turn, warm-ups, timed steps) is
#                 given up and reported as such (default 600)
#   --limit-bf16 S  the same for peers in bf16, which take minutes a step where the processor has no bf16
#                 instructions (default: as --limit)
#   --quick       one round of the smallest rows, to see that all works; no table to keep
#   --json FILE   every run and every row, too
#
# Environment: ARKFM (default build/release/arkfm), PEER_PYTHON (default python3; see bench/README.md), PEERS (default
# ../shared/peers: the folder with torch_ark_step.py), JPEG and PNG (images of 1024 pixels; default: a phantom).
# Progress goes to stderr. A peer that is absent, fails or exceeds the limit is named in its row.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C

ARKFM=${ARKFM:-build/release/arkfm}
PEER_PYTHON=${PEER_PYTHON:-python3}
PEERS=${PEERS:-../shared/peers}
rows=step,infer,large,memory,data,start,threads
steps=swin_tiny:16,swin_base:8 rounds=5 threads=2 limit=600 limit_bf16='' allowed='' quick='' json=''

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
}

while (($#)); do
    case $1 in
    --quick)
        quick=1
        shift
        continue
        ;;
    --rows) rows=${2?} ;;
    --steps) steps=${2?} ;;
    --rounds) rounds=${2?} ;;
    --threads) threads=${2?} ;;
    --limit) limit=${2?} ;;
    --limit-bf16) limit_bf16=${2?} ;;
    --json) json=${2?} ;;
    *) usage ;;
    esac
    shift 2
done
limit_bf16=${limit_bf16:-$limit}
[[ "$rounds $threads $limit $limit_bf16" =~ ^([1-9][0-9]*\ ?){4}$ ]] || usage
for row in ${rows//,/ }; do
    [[ ,step,infer,large,memory,data,start,threads, == *",$row,"* ]] || usage
done
[[ -z $quick ]] || rounds=1
[[ -x $ARKFM ]] || { echo "compare: no $ARKFM (make build)" >&2 && exit 1; }
command -v jq > /dev/null || { echo "compare: jq is not installed" >&2 && exit 1; }

tmp=$(mktemp -d)
runs_file=$tmp/runs.jsonl rows_file=$tmp/rows.jsonl
: > "$runs_file"
: > "$rows_file"

. bench/compare/turns.sh
. bench/compare/header.sh
. bench/compare/contenders.sh
. bench/compare/rows.sh
trap 'stop_running; rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM

wants() {
    [[ ,$rows, == *",$1,"* ]]
}

header
for row in step infer large memory data start threads; do
    if wants $row; then
        "rows_$row"
    fi
done
if [[ -n $json ]]; then
    jq -n --slurpfile machine "$tmp/machine.json" --slurpfile rows "$rows_file" --slurpfile runs "$runs_file" \
        '{machine: $machine[0], rows: $rows, runs: $runs}' > "$json"
fi
