#!/usr/bin/env bash
# Encoders beside PyTorch eager: arkfm and timm take turns, each keeps its best time.
#
#   PEER_PYTHON=VENV/bin/python bench/encoders.sh [--rounds N] [--runs N] [--threads N] [--only REGEX] [MODEL ...]
#
# MODEL is a name that `arkfm --model` and bench/peers know (default vit_small vit_base). Per model three lines of a
# Markdown table: inference of 1 and of 16 images, a training step of 8 (--only picks among "infer 1", "infer 16",
# "step 8"). Where the user may, runs have real-time priority, which keeps others on the machine out of the figures.
set -euo pipefail
cd "$(dirname "$0")/.."

ARKFM=${ARKFM:-build/release/arkfm} PEER_PYTHON=${PEER_PYTHON:-python3}
rounds=3 runs=3 threads=2 only=. models=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --rounds) rounds=$2 && shift ;;
        --runs) runs=$2 && shift ;;
        --threads) threads=$2 && shift ;;
        --only) only=$2 && shift ;;
        -*) echo "encoders: unknown option $1" >&2 && exit 2 ;;
        *) models+=("$1") ;;
    esac
    shift
done
[[ ${#models[@]} -gt 0 ]] || models=(vit_small vit_base)
first=()
if chrt -f 50 true 2> /dev/null; then
    first=(chrt -f 50)
fi

# best FILE COMMAND...: append the least seconds of a run of the command
best() {
    local file=$1
    shift
    "${first[@]}" "$@" 2> /dev/null | jq '.seconds_min' >> "$file"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '| encoder | arkfm | PyTorch eager | ratio |'
echo '|---|---|---|---|'
for model in "${models[@]}"; do
    layouts=('')
    [[ ! $model =~ ^(resnet|densenet|convnext) ]] || layouts=('' --channels-last) # whichever PyTorch is faster with
    for what in 'infer 1' 'infer 16' 'step 8'; do
        [[ $what =~ $only ]] || continue
        read -r mode batch <<< "$what"
        peer=torch_infer.py
        [[ $mode == infer ]] || peer=torch_step.py
        rm -f "$work"/*
        for ((i = 0; i < rounds; i++)); do
            best "$work/ours" "$ARKFM" bench "$mode" --model "$model" --batch "$batch" --runs "$runs" \
                --threads "$threads" --json
            for layout in "${layouts[@]}"; do
                best "$work/theirs" "$PEER_PYTHON" "bench/peers/$peer" "$model" "$batch" f32 --runs "$runs" \
                    --threads "$threads" --warm-ups 1 ${layout:+"$layout"}
            done
        done
        jq -rn --slurpfile a "$work/ours" --slurpfile b "$work/theirs" --arg what "$model, $mode, batch $batch" '
            ($a | min) as $x | ($b | min) as $y |
            "| \($what) | \($x * 1000 | round) ms | \($y * 1000 | round) ms | **\($y / $x * 100 | round / 100)x** |"'
    done
done
