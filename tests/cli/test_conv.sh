# Convolutional families end to end: pretraining, the bytes of an undisturbed run after a resume and for 1, 2 and 3 threads,
# running statistics in the files, and the commands that use the result.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

data=$work/data
arkfm synth "$data" --seed 3 --images 20 --size 64
expect_exit 0
small=(--set model.projector_dim=8 --set train.epochs=2 --set train.batch=6 --set train.warmup_epochs=1
    --set model.drop_path=0.2 --set train.keep_last=9)
image=$(find "$data" -name '*.png' | sort | head -1)

pretrain() { # FOLDER ARCH [option...]
    local folder=$1 arch=$2
    shift 2
    arkfm pretrain "$data/pretrain.yaml" --out "$work/$folder" --set "model.arch=$arch" "${small[@]}" "$@"
}
same_weights() { # FOLDER FOLDER
    expect_same "$work/$1/teacher.safetensors" "$work/$2/teacher.safetensors"
    expect_same "$work/$1/student.safetensors" "$work/$2/student.safetensors"
}

for arch in "resnet:layers=1-1-1-1,width=8,size=64" "densenet:growth=8,blocks=2-2-2-2,init=16,size=64" \
    "convnext:dims=16-32-64-128,depths=1-1-2-1,size=64"; do
    name=${arch%%:*}
    pretrain "$name" "$arch" --threads 1 --json
    expect_exit 0 && expect_json '.epochs == 2 and .images > 0'
    for threads in 2 3; do
        pretrain "$name-$threads" "$arch" --threads "$threads"
        expect_exit 0
        same_weights "$name" "$name-$threads"
    done
    pretrain "$name-recompute" "$arch" --set train.recompute=true
    expect_exit 0
    same_weights "$name" "$name-recompute"

    # Killed wherever that falls, then resumed.
    "$ARKFM" pretrain "$data/pretrain.yaml" --out "$work/$name-killed" --resume --set "model.arch=$arch" "${small[@]}" \
        --set train.checkpoint_steps=2 > "$work/.kill" 2>&1 < /dev/null &
    pid=$!
    sleep 0.3
    kill -9 "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
    pretrain "$name-killed" "$arch" --resume
    expect_exit 0
    same_weights "$name" "$name-killed"

    weights=$work/$name/teacher.safetensors
    arkfm inspect "$weights" --json
    expect_exit 0
    if [[ $name != convnext ]]; then
        grep -q running_var "$work/.out" || fail "no running statistics in the file"
        cmp -s "$weights" "$work/$name/student.safetensors" && fail "the teacher is the student"
    fi
    arkfm predict "$weights" "$image" --json
    expect_exit 0
    arkfm embed "$weights" "$image" -o "$work/$name.npy" --layer encoder
    expect_exit 0 && expect_file "$work/$name.npy"
    arkfm eval "$weights" --data "$data/datasets.yaml" --dataset lakeside --json
    expect_exit 0
    arkfm plan "$arch" --mode train --batch 2 --memory
    expect_exit 0
done

for model in resnet50 densenet121 convnext_base; do
    arkfm plan "$model" --mode infer --batch 1 --json
    expect_exit 0
done
arkfm plan resnet5 --json
expect_exit 1 && expect_err 'resnet50'
arkfm plan "densenet:growth=8,blocks=2-2-2-2-2-2,size=64"
expect_exit 1 && expect_err '64 is too small for 6 dense blocks, 128 at least'

finish
