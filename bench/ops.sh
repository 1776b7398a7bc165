#!/usr/bin/env bash
# Every op of a model beside its own floor, the slowest last: arkbench over a shape file.
#
#   bench/ops.sh [MODEL_SIZE] [ARKBENCH OPTION ...]
#   bench/ops.sh swin_tiny_224 --dtype bf16 --threads 2 --worst 20
#
# MODEL_SIZE is a file of bench/shapes (default swin_tiny_224). Defaults: all processors; 16 images at 224 pixels, 4 at
# 384, 1 at 768; --worst 10. ARKBENCH: the program (default build/release/bench/arkbench, which `make test` builds).
set -euo pipefail
cd "$(dirname "$0")/.."

ARKBENCH=${ARKBENCH:-build/release/bench/arkbench}
model=swin_tiny_224
if (($#)) && [[ $1 != -* ]]; then
    model=$1
    shift
fi
shapes=bench/shapes/$model.txt
if [[ ! -f $shapes ]]; then
    echo "ops: no $shapes; there are: $(cd bench/shapes && printf '%s ' swin_*.txt vit_*.txt)" >&2
    exit 2
fi
case $model in
*_768) batch=1 ;;
*_384) batch=4 ;;
*) batch=16 ;;
esac
exec "$ARKBENCH" --threads "$(nproc)" --batch $batch --worst 10 "$@" "@$shapes"
