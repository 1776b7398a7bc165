# arkfm finetune: trials, results, operating points that eval and predict use; killed anywhere and resumed, the bytes of
# an undisturbed run; test data change nothing; bad input is named.
# shellcheck shell=bash disable=SC2154,SC2016,SC2034
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

data=$work/data
arkfm synth "$data" --seed 3 --images 60 --size 32
expect_exit 0
arch="swin:embed=8,depths=1-1,heads=1-2,window=4,size=32"
arkfm pretrain "$data/pretrain.yaml" --out "$work/base" --set "model.arch=$arch" --set model.projector_dim=16 \
    --set train.epochs=1 --set train.batch=16 --set train.warmup_epochs=0
expect_exit 0
base=$work/base/teacher.safetensors

cat > "$data/run.yaml" << 'END'
data:
  config: datasets.yaml
  dataset: north_general
train:
  epochs: 3
  batch: 8
  trials: 2
  lr: 0.02
  layer_decay: 0.7
  label_smoothing: 0.1
test:
  bootstrap: 100
END
finetune() { # FOLDER [option...]
    local folder=$1
    shift
    arkfm finetune "$data/run.yaml" --from "$base" --out "$work/$folder" "$@"
}
same_run() { # every file of a trial that holds a result
    local f
    for f in results.json results.csv results.txt trial-{1,2}/{model.safetensors,val.csv,test.csv,result.json}; do
        expect_same "$work/whole/$f" "$work/$1/$f"
    done
}

finetune whole --threads 1
expect_exit 0
expect_out 'mean ± standard deviation over 2 trials'
expect_out '^trial 2, seed 2, epoch [1-3] of 3, test'
for f in config.yaml results.json results.csv model-card.md model.safetensors trial-2/test.csv; do expect_file "$work/whole/$f"; done
[[ ! -e $work/whole/trial-1/checkpoints ]] || fail "checkpoints of a finished trial are left"
expect_json '.trials | length == 2 and (.[0].seed == 1) and (.[1].seed == 2)' "$work/whole/results.json"
# Mean and standard deviation over the trials, recomputed.
expect_json '.summary.test.macro.auroc as $m | [.trials[].test.macro.auroc] as $v
    | ($v | add / 2) as $mean | ((($v[0] - $v[1]) | fabs) / (2 | sqrt)) as $sd
    | $m.n == 2 and (($m.mean - $mean) | fabs) < 1e-12 and (($m.sd - $sd) | fabs) < 1e-12' "$work/whole/results.json"
expect_json '.summary.test.classes | all(.auroc.values | length == 2)' "$work/whole/results.json"
# The epoch of lowest validation loss, of the log, is the one that was kept.
best=$(jq -s '[.[] | select(.event == "val")] | min_by(.loss) | .epoch' "$work/whole/trial-1/metrics.jsonl")
expect_json ".best_epoch == $best" "$work/whole/trial-1/result.json"

# Same bytes for any number of threads.
finetune threads --threads 2
expect_exit 0
same_run threads

# Killed without warning, wherever that falls, then resumed.
for delay in 0.1 0.2 0.3 0.4; do
    "$ARKFM" finetune "$data/run.yaml" --from "$base" --out "$work/killed" --resume --set train.checkpoint_steps=2 \
        > "$work/.kill" 2>&1 < /dev/null &
    pid=$!
    sleep "$delay"
    kill -9 "$pid" 2> /dev/null
    wait "$pid" 2> /dev/null
done
finetune killed --resume
expect_exit 0
same_run killed

# Ctrl-C: the step is finished, a checkpoint written, exit 130.
"$ARKFM" finetune "$data/run.yaml" --from "$base" --out "$work/stopped" --threads 1 > "$work/.out" 2> "$work/.err" < /dev/null &
pid=$!
while [[ ! -s $work/stopped/trial-1/metrics.jsonl ]] && kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
kill -INT "$pid"
wait "$pid"
status=$?
last="finetune, interrupted"
if [[ $status -ne 0 ]]; then # else it was faster than the signal
    expect_exit 130
    expect_err 'go on with --resume'
fi
finetune stopped --resume
expect_exit 0
same_run stopped

# Finished trials are kept, one more is added; another configuration is refused.
cp -r "$work/whole" "$work/more"
stamp=$(stat -c %Y.%i "$work/more/trial-1/model.safetensors")
finetune more --resume --set train.trials=3 --json
expect_exit 0
expect_json '(.trials | length) == 3 and .trials[2].seed == 3 and .summary.test.macro.auroc.n == 3'
[[ $(stat -c %Y.%i "$work/more/trial-1/model.safetensors") == "$stamp" ]] || fail "a finished trial was done again"
expect_err 'trial 1 of 3 is finished'
finetune whole
expect_exit 1 && expect_one_line_error 'already holds a run'
finetune whole --resume --set train.lr=0.1
expect_exit 1 && expect_err 'train\.lr: 0.02, now 0.1'

# The model brings its operating points: eval repeats the trial's own report, decisions of predict follow from them.
report=$work/whole/trial-1/result.json
arkfm eval "$work/whole/trial-1/model.safetensors" --data "$data/datasets.yaml" --dataset north_general --ten-crop --json
expect_exit 0
cp "$work/.out" "$work/eval.json"
jq -e --slurpfile r "$report" '[.classes[] | {name, auroc, points, ece_calibrated}] ==
    [$r[0].test.classes[] | {name, auroc, points, ece_calibrated}]' "$work/eval.json" > /dev/null || fail "eval and finetune differ"
expect_json '.temperature == null or .temperature > 0' "$work/eval.json"
expect_json '.classes | all(.points | length == 2)' "$work/eval.json"
expect_json '.classes | any(.points[0].sensitivity_ci | type == "array")' "$work/eval.json"
expect_json '[.n, .mean_auroc, .mean_ap, .accuracy, .loss, (.undefined | type)] | length == 6' "$work/eval.json"
arkfm predict "$work/whole/model.safetensors" "$data/north_general/images"
expect_exit 0
expect_out '^path,head,class,probability,calibrated,youden,sensitivity_0\.9$'
arkfm predict "$base" "$data/north_general/images"
expect_exit 0
expect_out '^path,head,class,probability$'
# A decision is the stored threshold of the plain view applied to the probability.
header() { # metadata of a weight file
    local n
    n=$(head -c 8 "$1" | od -An -tu8 | tr -d ' ')
    head -c $((n + 8)) "$1" | tail -c +9
}
arkfm predict "$work/whole/trial-1/model.safetensors" "$data/north_general/images" --json
cp "$work/.out" "$work/predict.json"
header "$work/whole/trial-1/model.safetensors" | jq '.__metadata__.operating_points | fromjson | .heads[0].views[]
    | select(.view == "plain") | .classes' > "$work/points.json"
jq -e --slurpfile p "$work/points.json" '.images | all(.heads[0].predictions | to_entries | all(
    $p[0][.key].points[0].threshold as $t | .value.decisions.youden == (if $t == null then null else .value.probability >= $t end)))' \
    "$work/predict.json" > /dev/null || fail "decisions do not follow from the thresholds"

# Nothing of the test split reaches a model: other test labels and other test images, the same bytes.
cp -r "$data" "$work/data2"
list=$work/data2/north_general/labels.csv
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) { col[$i] = i } }
    NR > 1 && $col["split"] == "test" { for (i = col["No_Finding"]; i <= NF; i++) { if ($i != "") { $i = $i == 1 ? 0 : 1 } } } 1' \
    "$list" > "$work/flipped.csv"
cmp -s "$list" "$work/flipped.csv" && fail "no test label was flipped"
cp "$work/flipped.csv" "$list"
some=$(find "$data/lakeside/images" -name '*.png' | sort | head -1)
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) { col[$i] = i } } NR > 1 && $col["split"] == "test" { print $col["path"] }' "$list" |
    while read -r image; do cp "$some" "$work/data2/north_general/$image"; done
arkfm finetune "$work/data2/run.yaml" --from "$base" --out "$work/other_test"
expect_exit 0
for i in 1 2; do
    expect_same "$work/whole/trial-$i/model.safetensors" "$work/other_test/trial-$i/model.safetensors"
    cmp -s "$work/whole/trial-$i/test.csv" "$work/other_test/trial-$i/test.csv" && fail "the test split was not changed"
done

# A frozen encoder: its tensors are those it started from, to the byte; the head moved.
tensor() { # FILE NAME: its bytes
    local n b e
    n=$(head -c 8 "$1" | od -An -tu8 | tr -d ' ')
    read -r b e < <(header "$1" | jq -r --arg t "$2" '.[$t].data_offsets | "\(.[0]) \(.[1])"')
    tail -c +$((n + 9 + b)) "$1" | head -c $((e - b))
}
finetune frozen --set train.freeze=encoder --set model.features=projected --set train.trials=1 --set test.ten_crop=false
expect_exit 0
model=$work/frozen/model.safetensors
for t in patch_embed.proj.weight layers.0.blocks.0.attn.qkv.weight layers.1.blocks.0.mlp.fc2.bias norm.weight; do
    tensor "$base" "$t" > "$work/a"
    tensor "$model" "$t" > "$work/b"
    expect_same "$work/a" "$work/b"
done
tensor "$base" projector.weight > "$work/a"
tensor "$model" projector.weight > "$work/b"
cmp -s "$work/a" "$work/b" && fail "the projector did not learn"
expect_json '.trials[0].test.view == "centre"' "$work/frozen/results.json"

# From scratch; early stopping: patience 1 ends soon after the best epoch. At another input side than the weights'.
arkfm finetune "$data/run.yaml" --from random --out "$work/scratch" --set "model.arch=$arch" --set train.trials=1 --json
expect_exit 0 && expect_json '.from == "random" and (.trials | length) == 1'
finetune early --set train.epochs=40 --set train.patience=1 --set train.trials=1 --set train.lr=0.3 --set train.select=auroc \
    --set test.ten_crop=false --json
expect_exit 0
expect_json '.trials[0] | .epochs < 40 and .epochs == .best_epoch + 1 and .selected_by == "auroc"'
finetune larger --set "model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=48" --set train.trials=1 --set train.epochs=1
expect_exit 0

# Other tasks: multi-class, and one class.
finetune multi --set data.dataset=childrens --set train.trials=1 --json
expect_exit 0 && expect_json '.summary.test.macro.accuracy.mean >= 0'
finetune binary --set data.dataset=harbour_tb --set train.trials=1 --json
expect_exit 0 && expect_json '.summary.test.classes | length == 1'

# Bad input: a class that a split lacks is named and has no value; nothing to select by; no such dataset.
cp "$data/north_general/labels.csv" "$work/keep.csv"
edit() { # AWK-PROGRAM on the rows, with col[] by name
    awk -F, -v OFS=, "NR == 1 { for (i = 1; i <= NF; i++) { col[\$i] = i } } NR > 1 { $1 } 1" "$work/keep.csv" \
        > "$data/north_general/labels.csv"
}
edit 'if ($col["split"] == "val") { $col["Nodule"] = 0 }'
finetune absent --set train.trials=1 --json
expect_exit 0
expect_err 'undefined: Nodule'
expect_json '.summary.val.classes[] | select(.name == "Nodule") | .auroc.mean == null and .undefined == "no positive row"'
expect_json '.summary.test.classes[] | select(.name == "Nodule") | (.auroc.mean | type) == "number" and has("youden.f1") == false'
arkfm predict "$work/absent/model.safetensors" "$data/north_general/images"
expect_exit 0
expect_out ',Nodule,[0-9.e-]+,[0-9.e-]*,,$'
edit 'if ($col["split"] == "test") { $col["Nodule"] = 1 }'
finetune onesided --set train.trials=1 --json
expect_exit 0
expect_json '.summary.test.classes[] | select(.name == "Nodule") | .auroc.mean == null and .undefined == "no negative row"'
edit 'if ($col["split"] == "val") { for (i = col["No_Finding"]; i <= NF; i++) { $i = 0 } }'
finetune nothing --set train.select=auroc
expect_exit 1 && expect_err 'north_general: no class of the validation split has a positive and a negative image'
edit 'if ($col["split"] == "val") { $col["split"] = "train" }'
finetune noval
expect_exit 1 && expect_err 'north_general: no validation image'
cp "$work/keep.csv" "$data/north_general/labels.csv"
finetune wrong --set data.dataset=north
expect_exit 1 && expect_err "north"
finetune wrong --set data.dataset=
expect_exit 1 && expect_err 'data\.dataset: .*datasets\.yaml has 5 datasets; name one'
finetune wrong --set train.epoch=4
expect_exit 2 && expect_err "train\.epochs"
arkfm finetune "$data/run.yaml" --out "$work/wrong"
expect_exit 2 && expect_err '--from'
arkfm finetune "$data/run.yaml" --from random --out "$work/wrong"
expect_exit 1 && expect_one_line_error 'model\.arch'
finetune wrong --set train.freeze=encoder --set model.features=projected --from "$work/whole/model.safetensors"
expect_exit 1 && expect_one_line_error 'has no projector'
arkfm finetune "$data/run.yaml" --from "$work/none.safetensors" --out "$work/wrong"
expect_exit 1 && expect_one_line_error 'none\.safetensors'
[[ ! -e $work/wrong ]] || fail "a run that could not start left a folder"

finish
