# arkfm zeroshot: maps by name, synonym and file; softmax and sigmoid heads; agreement with arkfm eval.
# shellcheck shell=bash disable=SC2154
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

"$ARKFM" synth "$work/ph" --images 60 --size 64 --seed 5 > "$work/log" || exit 1
cat > "$work/pretrain.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  datasets: [north_general, lakeside, childrens]
model:
  arch: "swin:embed=8,depths=1-1,heads=2-2,window=4,size=32"
  projector_dim: 8
train:
  epochs: 1
  batch: 16
  warmup_epochs: 0
  test_every: 0
YAML
"$ARKFM" pretrain "$work/pretrain.yaml" --out "$work/run" > "$work/log" 2>&1 || {
    cat "$work/log"
    exit 1
}
weights=$work/run/teacher.safetensors
data=$work/ph/datasets.yaml

# by name and synonym: Cardiomegaly and Enlarged_heart are one finding, so both heads speak for it
arkfm zeroshot "$weights" --data "$data" --dataset lakeside --out "$work/a" --set stats.bootstrap=30 --json
expect_exit 0
expect_json '.split == "test" and (.map | map({(.target): .from}) | add | .Enlarged_heart | map(.class)) ==
    ["Cardiomegaly", "Enlarged_heart"]'
expect_json '[.result.classes[] | select(.auroc != null)] | length >= 3'
for f in config.yaml results.json classes.csv predictions.csv report.html; do
    expect_file "$work/a/$f"
done

# one head class alone is that head: the same AUROC as arkfm eval of the same view
cat > "$work/zero.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  dataset: lakeside
zeroshot:
  ten_crop: true
map:
  Enlarged_heart: lakeside/Enlarged_heart
  Fluid: [lakeside/Fluid]
  Air_leak: Air_leak
  Lung_opacity: lakeside/Lung_opacity
YAML
arkfm eval "$weights" --data "$data" --dataset lakeside --ten-crop --json
expect_exit 0
cp "$work/.out" "$work/eval.json"
arkfm zeroshot "$work/zero.yaml" --from "$weights" --out "$work/b" --set stats.bootstrap=30 --json
expect_exit 0
expect_json '[.map[].by] == ["map", "map", "map", "map"]'
jq -s '[.[0].classes[].auroc], [.[1].result.classes[].auroc] | @json' "$work/eval.json" "$work/.out" > "$work/both"
[[ $(uniq "$work/both" | wc -l) -eq 1 ]] || fail "zeroshot and eval disagree: $(cat "$work/both")"
arkfm zeroshot "$work/zero.yaml" --from "$weights" --out "$work/c" --set stats.bootstrap=30 --threads 1
expect_exit 0
expect_same "$work/b/predictions.csv" "$work/c/predictions.csv"

# a softmax head gives softmax probabilities: they sum to one over its classes
sed -i 's/lakeside$/childrens/; /^map/,$d' "$work/zero.yaml"
arkfm zeroshot "$work/zero.yaml" --from "$weights" --out "$work/d" --json --set stats.bootstrap=30
expect_exit 0
expect_json '[.map[] | select(.from | length == 1) | .from[0].output] | index("softmax") != null'

# ensembles by log-odds and by probability differ, and rank between their members
sed 's/childrens/lakeside/' "$work/zero.yaml" > "$work/two.yaml"
for how in logit probability; do
    arkfm zeroshot "$work/two.yaml" --from "$weights" --out "$work/e-$how" --set zeroshot.ensemble=$how stats.bootstrap=30
    expect_exit 0
done
run cmp -s "$work/e-logit/predictions.csv" "$work/e-probability/predictions.csv"
[[ $status -ne 0 ]] || fail "logit and probability ensembles are equal"

# names that are not there
printf 'map:\n  Fluid: lakeside/Fluud\n' >> "$work/two.yaml"
arkfm zeroshot "$work/two.yaml" --from "$weights" --out "$work/x"
expect_exit 1 && expect_one_line_error "two.yaml:[0-9]+: map: unknown class 'Fluud' \(did you mean 'Fluid'\?\)"
sed -i 's/lakeside\/Fluud/lakesde\/Fluid/' "$work/two.yaml"
arkfm zeroshot "$work/two.yaml" --from "$weights" --out "$work/x"
expect_exit 1 && expect_one_line_error "unknown head 'lakesde' \(did you mean 'lakeside'\?\)"
sed -i 's/Fluid: lakesde.Fluid/Fluids: lakeside\/Fluid/' "$work/two.yaml"
arkfm zeroshot "$work/two.yaml" --from "$weights" --out "$work/x"
expect_exit 1 && expect_one_line_error "unknown target 'Fluids' \(did you mean 'Fluid'\?\)"
arkfm zeroshot "$weights" --data "$data" --dataset valley_target --out "$work/x"
expect_exit 1 && expect_err "no head has a class for 'Pleural_fluid', the nearest is "
expect_err 'the section map tells which stand for which'

# some classes without a head: named, never a number
cat > "$work/part.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  dataset: valley_target
stats:
  bootstrap: 30
map:
  Pleural_fluid: lakeside/Fluid
YAML
arkfm zeroshot "$work/part.yaml" --from "$weights" --out "$work/f" --json
expect_exit 0
expect_json '.result.classes_defined == 1 and (.result.classes[] | select(.name == "Cavitation") |
    .auroc == null and .auroc_undefined == "no head has a class for it")'
arkfm zeroshot "$work/part.yaml" --from "$weights" --out "$work/x" --set zeroshot.split=tset
expect_exit 1 && expect_err "did you mean 'test'"
arkfm zeroshot "$work/part.yaml" --embeddings x.npy --out "$work/x"
expect_exit 1 && expect_err 'needs weights'
finish
