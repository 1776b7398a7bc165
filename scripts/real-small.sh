#!/usr/bin/env bash
# The real run of docs/results.md: Foundation Ark on three small public datasets against one model per dataset: the
# same network, optimizer and number of passes over the dataset, without a teacher. Several seeds. Needs ../shared/data beside the checkout, and jq.
#
#   scripts/real-small.sh [OUT]      finished runs are kept, stopped ones go on; ends with the table in Markdown
set -euo pipefail
cd "$(dirname "$0")/.."
arkfm=${ARKFM:-build/release/arkfm}
out=${1:-build/real-small}
seeds=${SEEDS:-1 2 3}
datasets=(nih128 kermany3 hannover)
[ -d ../shared/data ] || { echo "SKIP: ../shared/data is absent"; exit 0; }
mkdir -p "$out"

train() { # FOLDER SEED [--set ...]
    local folder=$out/$1 seed=$2
    shift 2
    [ -e "$folder/teacher.safetensors" ] && return
    "$arkfm" pretrain configs/real-small.yaml --out "$folder" --resume --set "train.seed=$seed" "$@" 2>> "$folder.log" >> "$out/times.txt"
}

for seed in $seeds; do
    train "ark-$seed" "$seed"
    for d in "${datasets[@]}"; do
        train "$d-$seed" "$seed" --set "data.datasets=$d" --set train.teacher=false
    done
done

# value FOLDER DATASET MODEL FIELD: of the last test evaluation
value() {
    jq -rs --arg d "$2" --arg m "$3" --arg f "$4" \
        '[.[] | select(.event == "test" and .dataset == $d and .model == $m)] | last | .[$f]' "$out/$1/metrics.jsonl"
}

# row LABEL PREFIX MODEL: mean and standard deviation over the seeds, per dataset
row() {
    local label=$1 prefix=$2 model=$3 d f seed
    printf '| %s |' "$label"
    for d in "${datasets[@]}"; do
        for f in auroc ap accuracy; do
            for seed in $seeds; do
                value "${prefix:-$d}-$seed" "$d" "$model" "$f"
            done | awk '{ n++; s += $1; q += $1 * $1 }
                END { m = s / n; v = n > 1 ? (q - n * m * m) / (n - 1) : 0; printf " %.2f ± %.2f |", 100 * m, 100 * sqrt(v > 0 ? v : 0) }'
        done
    done
    echo
}

printf '| model |'
for d in "${datasets[@]}"; do printf ' %s AUROC | AP | accuracy |' "$d"; done
printf '\n|---|'
for d in "${datasets[@]}"; do printf -- '---|---|---|'; done
echo
row "Ark teacher" ark teacher
row "Ark student" ark student
row "one dataset alone" "" student
