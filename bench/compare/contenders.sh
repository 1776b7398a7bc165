# Who is measured, by what command, and the groups they take turns in. Sourced by bench/compare.sh.
# shellcheck shell=bash disable=SC2154

ark_bench() {
    local name=$1 mode=$2 model=$3 batch=$4 dtype=$5
    shift 5
    contend "$name" "$ARKFM" bench "$mode" --model "$model" --batch "$batch" --dtype "$dtype" --runs 3 \
        --threads "$threads" --json "$@"
}

has_option() {
    "$ARKFM" bench --help 2>&1 | grep -q -- "$1"
}

# One training step, on random data; group "step MODEL BATCH".
measure_step() {
    local model=$1 batch=$2 group="step $1 $2" dtype
    [[ -z ${measured[$group]:-} ]] || return 0
    for dtype in f32 bf16; do
        ark_bench "arkfm $dtype" step "$model" "$batch" $dtype
        contend "PyTorch $dtype" "$PEER_PYTHON" "$PEERS/torch_ark_step.py" "$model" "$batch" train $dtype \
            --threads "$threads"
        if has_option --recompute; then
            ark_bench "arkfm $dtype recompute" step "$model" "$batch" $dtype --recompute
        fi
        if [[ -z $quick ]]; then
            contend "PyTorch compile $dtype" "$PEER_PYTHON" "$PEERS/torch_ark_step.py" "$model" "$batch" train $dtype \
                --compile --threads "$threads"
        fi
    done
    take_turns "$group"
}

# peer_infer NAME PROGRAM MODEL SIZE BATCH DTYPE OPTION...
peer_infer() {
    local name=$1 program=$2 model=$3 size=$4 batch=$5 dtype=$6
    shift 6
    contend "$name" "$PEER_PYTHON" "bench/peers/$program" "$model" "$batch" "$dtype" --size "$size" \
        --threads "$threads" "$@"
}

# A forward pass; group "infer MODEL_SIZE BATCH".
measure_infer() {
    local model=$1 size=$2 batch=$3 group="infer $1_$2 $3" dtype file
    [[ -z ${measured[$group]:-} ]] || return 0
    file=$tmp/$1_$2_$3
    for dtype in f32 bf16; do
        ark_bench "arkfm $dtype" infer "$model"_"$size" "$batch" $dtype
        peer_infer "OpenVINO $dtype" infer_openvino.py "$model" "$size" "$batch" $dtype --ir "$file.xml"
        if [[ -z $quick && $dtype == f32 ]]; then
            peer_infer "ONNX Runtime $dtype" infer_onnxruntime.py "$model" "$size" "$batch" f32 --onnx "$file.onnx"
        fi
        peer_infer "PyTorch $dtype" torch_infer.py "$model" "$size" "$batch" $dtype
        if [[ -z $quick ]]; then
            peer_infer "PyTorch compile $dtype" torch_infer.py "$model" "$size" "$batch" $dtype --compile
        fi
    done
    take_turns "$group"
    rm -f "$file".*
}

# Images of 1024 pixels as JPEG and PNG: given ones, or a phantom that Pillow also writes as JPEG.
data_images() {
    [[ -z ${JPEG:-} || -z ${PNG:-} ]] || return 0
    "$ARKFM" synth "$tmp/images" --images 20 --size 1024 > /dev/null 2>&1
    PNG=${PNG:-$(find "$tmp/images" -name '*.png' | sort | head -n 1)}
    if [[ -z ${JPEG:-} ]]; then
        JPEG=$tmp/image.jpg
        "$PEER_PYTHON" -c 'import sys; from PIL import Image; Image.open(sys.argv[1]).convert("L").save(sys.argv[2], quality=90)' \
            "$PNG" "$JPEG" 2> /dev/null || JPEG=''
    fi
}

# Decode, resize, augment to both views, one thread; group "data KIND".
measure_data() {
    local file=$2 group="data $1"
    [[ -z ${measured[$group]:-} ]] || return 0
    contend arkfm "$ARKFM" bench data --image "$file" --runs 20 --threads 1 --json
    contend 'Pillow + albumentations' "$PEER_PYTHON" bench/peers/pillow_albumentations.py --runs 20 "$file"
    take_turns "$group"
}

# A step on one thread and on all; group "threads".
measure_threads() {
    local n batch=$1
    [[ -z ${measured[threads]:-} ]] || return 0
    for n in 1 "$threads"; do
        contend "$n" "$ARKFM" bench step --model swin_tiny --batch "$batch" --runs 3 --threads "$n" --json
    done
    take_turns threads
}

# Weights of Swin-Tiny at $tmp/tiny/teacher.safetensors and an image at $start_image: the shortest run there is.
start_weights() {
    local data=$tmp/start
    say 'weights for the cold start: one epoch on phantoms'
    "$ARKFM" synth "$data" --images 20 --size 256 > /dev/null 2> "$tmp/err" &&
        "$ARKFM" pretrain "$data/pretrain.yaml" --out "$tmp/tiny" --set model.arch=swin_tiny --set train.epochs=1 \
            --set train.batch=16 --set data.datasets=lakeside > /dev/null 2> "$tmp/err" || return
    start_image=$(find "$data" -name '*.png' | sort | head -n 1)
}

# Wall time of one whole process, as JSON.
timed() {
    local start=$EPOCHREALTIME end
    "$@" > /dev/null 2> "$tmp/err" || return
    end=$EPOCHREALTIME
    jq -n --argjson s "$start" --argjson e "$end" '{seconds: ($e - $s)}'
}

# arkfm predict on one image; group "start". Cold: the weights are dropped from the page cache before each run (dd asks
# for that with posix_fadvise, which needs no privileges; the kernel may decline).
measure_start() {
    local round state
    [[ -z ${measured[start]:-} ]] || return 0
    start_weights || { give_up start warm 1 "no weights: $(reason 1)" && measured[start]=1 && return 0; }
    for ((round = 0; round <= 2 * rounds; round++)); do
        for state in warm cold; do
            if [[ $state == cold ]]; then
                sync "$tmp/tiny/teacher.safetensors"
                dd if="$tmp/tiny/teacher.safetensors" iflag=nocache count=0 status=none
            fi
            timed "$ARKFM" predict "$tmp/tiny/teacher.safetensors" "$start_image" --threads "$threads" > "$tmp/out" ||
                { give_up start "$state" "$round" "$(reason 1)" && continue; }
            ((round == 0)) || record start "$state" "$round" # the first fills the cache
        done
    done
    measured[start]=1
}
