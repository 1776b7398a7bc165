#!/usr/bin/env bash
# Write the shape files of arkbench from the node lists of `arkfm plan`: every op of a training step.
#
#   bench/shapes/make.sh [FOLDER]       into FOLDER (default: this one)
#
# ARKFM: the program (default build/release/arkfm). A test compares what this writes with the committed files.
set -euo pipefail
cd "$(dirname "$0")/../.."
export LC_ALL=C

ARKFM=${ARKFM:-build/release/arkfm}
folder=${1:-bench/shapes}

# shapes MODEL_SIZE TITLE
shapes() {
    "$ARKFM" plan "$1" --mode train --dtype bf16 --backend ref --json |
        jq -r --arg title "$2" -f bench/shapes/make.jq > "$folder/$1.txt"
}

for model in tiny base large; do
    for size in 224 384 768; do
        shapes "swin_${model}_$size" "Swin-${model^} at $size"
    done
done
for model in small base; do
    shapes "vit_${model}_224" "ViT-${model^} at 224"
done
