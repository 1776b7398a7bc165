#!/usr/bin/env bash
# The main job on phantom data: four training hospitals with different labels, one model trained cyclically on
# all of them and one per hospital, then a fifth hospital that no model has seen. Ends with a table and a report.
set -euo pipefail
cd "$(dirname "$0")/.."
arkfm=${ARKFM:-build/release/arkfm}
out=${1:-demo}
epochs=${DEMO_EPOCHS:-40}
images=${DEMO_IMAGES:-600}

if [ -e "$out" ] && [ ! -e "$out/.arkfm-demo" ]; then
    echo "demo: $out exists and is not a demo folder; choose another: scripts/demo.sh DIR" >&2
    exit 1
fi
rm -rf "$out"
mkdir -p "$out"
touch "$out/.arkfm-demo"
started=$SECONDS

echo "== phantom chest X-rays: five hospitals, $images images each"
"$arkfm" synth "$out/data" --seed 1 --images "$images" --severity 0.9 | head -n 1

train() { # FOLDER [--set ...]: the full log goes to a file, one line here
    local folder=$1
    shift
    "$arkfm" pretrain "$out/data/pretrain.yaml" --out "$out/$folder" "$@" 2> "$out/$folder.log" ||
        { tail -n 5 "$out/$folder.log" >&2; exit 1; }
}

hospitals=(north_general lakeside childrens harbour_tb)
echo "== Foundation Ark: cyclic training on ${#hospitals[@]} hospitals, each with its own head"
train ark --set "train.epochs=$epochs"

echo "== the same network on one hospital alone, as many passes over its images"
models=(--model "Ark teacher=$out/ark/teacher.safetensors" --model "Ark student=$out/ark/student.safetensors")
for h in "${hospitals[@]}"; do
    train "single-$h" --set "train.epochs=$epochs" --set "data.datasets=$h"
    models+=(--model "only $h=$out/single-$h/teacher.safetensors")
done

echo "== linear readout on the held-out hospital"
"$arkfm" readout --data "$out/data/datasets.yaml" --dataset valley_target "${models[@]}" --model "random weights=random" \
    --run "Ark=$out/ark" --html "$out/report.html" | tee "$out/table.txt"

# The first line says it plainly: the teacher against every other model, on the same resampled patients.
awk -F'  +' 'NR > 4 && $4 != "" {
    split($4, d, /[][, ]+/)
    word = d[2] > 0 ? "ahead of" : d[3] < 0 ? "behind" : "not distinguishable from"
    printf "%sThe Ark teacher is %s: %s\n", NR == 5 ? "\n" : "", word, $1
}' "$out/table.txt"
echo
echo "$((SECONDS - started)) s; report: $out/report.html"
