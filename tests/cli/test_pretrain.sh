# arkfm pretrain: killed anywhere and resumed, the bytes of an undisturbed run; one-line errors for what goes wrong.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

data=$work/data
arkfm synth "$data" --seed 3 --images 30 --size 32
expect_exit 0

# A network small enough that a run takes a second or two.
small=(--set "model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32" --set model.projector_dim=16
    --set train.epochs=4 --set train.batch=8 --set train.warmup_epochs=1 --set train.keep_last=9)
pretrain() { # FOLDER [option...]
    local folder=$1
    shift
    arkfm pretrain "$data/pretrain.yaml" --out "$work/$folder" "${small[@]}" "$@"
}
same_weights() {
    expect_same "$work/whole/teacher.safetensors" "$work/$1/teacher.safetensors"
    expect_same "$work/whole/student.safetensors" "$work/$1/student.safetensors"
}

pretrain whole --json --threads 1
expect_exit 0
expect_json '.epochs == 4 and .skipped == 0 and .images > 0 and (.val_loss | type) == "number"'
expect_file "$work/whole/model-card.md"
expect_file "$work/whole/config.yaml"
[[ $(grep -c '"event":"val"' "$work/whole/metrics.jsonl") -eq 32 ]] || fail "4 epochs x 4 datasets x student and teacher"
jq -es 'all(.event != "train" or (.loss > 0 and .lr >= 0 and .momentum >= 0.6))' "$work/whole/metrics.jsonl" > /dev/null || fail "train events"

pretrain threads --threads 2
expect_exit 0
same_weights threads

# Killed without warning, several times, wherever that falls (also while a checkpoint is written), then resumed.
for delay in 0.15 0.3 0.45 0.6; do
    "$ARKFM" pretrain "$data/pretrain.yaml" --out "$work/killed" --resume "${small[@]}" --set train.checkpoint_steps=2 \
        > "$work/.kill" 2>&1 < /dev/null &
    pid=$!
    sleep "$delay"
    kill -9 "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
done
pretrain killed --resume
expect_exit 0
same_weights killed

# Ctrl-C: the step is finished, a checkpoint written, exit 130.
"$ARKFM" pretrain "$data/pretrain.yaml" --out "$work/stopped" "${small[@]}" --set train.epochs=4 --threads 1 > "$work/.out" 2> "$work/.err" < /dev/null &
pid=$!
while [[ ! -s $work/stopped/metrics.jsonl ]] && kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
kill -INT "$pid"
wait "$pid"
status=$?
last="pretrain, interrupted"
if [[ $status -ne 0 ]]; then # else it was faster than the signal
    expect_exit 130
    expect_err 'go on with --resume'
fi
pretrain stopped --resume
expect_exit 0
same_weights stopped

# A folder that holds a run; a run under other settings.
pretrain whole
expect_exit 1 && expect_err 'already holds a run'
pretrain whole --resume --set train.lr=0.2
expect_exit 1 && expect_err 'train\.lr'

# Wrong words: exit 2 with the nearest valid one.
pretrain wrong --set train.epoch=4
expect_exit 2 && expect_err "train\.epochs"
pretrain wrong --sett x
expect_exit 2 && expect_err "did you mean '--set'"
arkfm pretrain "$data/pretrain.yaml"
expect_exit 2 && expect_err '--out'
arkfm pretrian x
expect_exit 2 && expect_err "did you mean 'pretrain'"

# An unknown key, a missing column, a NaN label, a truncated image.
sed 's/epochs:/epoch:/' "$data/pretrain.yaml" > "$data/typo.yaml"
arkfm pretrain "$data/typo.yaml" --out "$work/typo"
expect_exit 1 && expect_one_line_error 'typo\.yaml:[0-9]+: unknown key .*did you mean .*train\.epochs'
labels=$data/harbour_tb/labels.csv
cp "$labels" "$work/labels.keep"
sed '1s/Tuberculosis/Tubercolosis/' "$work/labels.keep" > "$labels"
pretrain column
expect_exit 1 && expect_one_line_error 'labels\.csv.*Tuberculosis'
awk -F, -v OFS=, 'NR == 2 { $7 = "nan" } 1' "$work/labels.keep" > "$labels"
pretrain nan
expect_exit 1 && expect_err 'labels\.csv:2.*nan'
cp "$work/labels.keep" "$labels"
image=$(find "$data/harbour_tb/images" -name '*.png' | sort | head -1)
cp "$image" "$work/image.keep"
head -c 300 "$work/image.keep" > "$image"
pretrain truncated
expect_exit 1 && expect_err "$(basename "$image")"
pretrain skipped --on-bad-sample skip --json
expect_exit 0 && expect_json '.skipped > 0'
cp "$work/image.keep" "$image"

# A disk that takes no more: the file size limit stands in for it. The error is named and older checkpoints stay whole.
small+=(--set train.checkpoint_steps=3)
pretrain full --set train.epochs=1
expect_exit 0
(
    trap '' XFSZ
    ulimit -f 8
    "$ARKFM" pretrain "$data/pretrain.yaml" --out "$work/disk" "${small[@]}" > "$work/.out" 2> "$work/.err" < /dev/null
)
status=$?
last="pretrain on a full disk"
expect_exit 1 && expect_err 'cannot write: File too large'
[[ -z $(find "$work/disk/checkpoints" -mindepth 1 2> /dev/null) ]] || fail "a partial checkpoint is left"

finish
