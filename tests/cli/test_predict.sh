# arkfm predict and eval on a model trained for a moment: forms of output, agreement with each other and with
# arkfm metrics, refusals.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

arkfm synth "$work/data" --images 40 --size 48 --seed 5
expect_exit 0
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/run" --set train.epochs=1 --set model.projector_dim=16 \
    --set model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32
expect_exit 0
weights=$work/run/teacher.safetensors
images=$work/data/childrens/images
count=$(find "$images" -name '*.png' | wc -l)

# --- predict ---

arkfm predict "$weights" "$images"
expect_exit 0
expect_err 'not for diagnosis'
cp "$work/.out" "$work/all.csv"
[[ $(head -n 1 "$work/all.csv") == path,head,class,probability ]] || fail "header"
# 7 + 4 + 3 + 1 classes of four heads
[[ $(wc -l < "$work/all.csv") -eq $((1 + 15 * count)) ]] || fail "one line per image, head and class"
awk -F, 'NR > 1 && !($4 >= 0 && $4 <= 1) { exit 1 }' "$work/all.csv" || fail "probabilities lie in [0,1]"
awk -F, '$2 == "childrens" { s[$1] += $4 } END { for (p in s) if (s[p] < 0.9999 || s[p] > 1.0001) exit 1 }' \
    "$work/all.csv" || fail "a multi-class head's probabilities sum to 1"

arkfm predict "$weights" "$images" --head childrens --json --batch 7
expect_exit 0
expect_json ".images | length == $count"
expect_json 'all(.images[]; .heads | length == 1 and .[0].head == "childrens" and .[0].task == "multi-class")'
expect_json '.images[0].heads[0].predictions | map(.class) == ["Normal", "Consolidation_lobar", "Consolidation_patchy"]'
# The same numbers in both forms.
jq -r '.images[] | .path as $p | .heads[0].predictions[] | "\($p),childrens,\(.class) \(.probability)"' \
    "$work/.out" > "$work/json.txt"
grep ',childrens,' "$work/all.csv" | sed -E 's/,([^,]*)$/ \1/' | paste - "$work/json.txt" |
    awk '{ d = $2 - $4; if ($1 != $3 || d > 1e-5 || d < -1e-5) exit 1 }' || fail "CSV and JSON agree"

head -c 150 "$images/$(ls "$images" | head -n 1)" > "$work/cut.png"
arkfm predict "$weights" "$work/cut.png"
expect_exit 1
expect_err 'cut\.png'
arkfm predict "$weights" "$work/cut.png" "$images" --on-bad-sample skip --json
expect_exit 0
expect_json ".skipped == [\"$work/cut.png\"] and (.images | length == $count)"
arkfm predict "$weights" "$images" --head nobody
expect_exit 1
expect_err "no head 'nobody'; its heads are: north_general, lakeside, childrens, harbour_tb"
if [[ -w /dev/full ]]; then
    run bash -c '"$ARKFM" predict "$0" "$1" > /dev/full' "$weights" "$images"
    expect_exit 1
    expect_err 'cannot write to standard output'
fi
arkfm predict "$weights"
expect_exit 2
arkfm predict "$weights" "$images" --format xml
expect_exit 2

# --- eval ---

data=$work/data/datasets.yaml
arkfm eval "$weights" --data "$data" --dataset childrens --split train --predictions "$work/p.csv" --json
expect_exit 0
cp "$work/.out" "$work/eval.json"
expect_json '.head == "childrens" and .split == "train" and (.classes | map(.name)) ==
    ["Normal", "Consolidation_lobar", "Consolidation_patchy"]'
expect_json '.n == (.classes[0].n) and ([.classes[].positives] | add) == .n'
# An independent path to the same numbers.
arkfm metrics "$work/p.csv" --label Normal --score 'Normal score' --json
expect_json "(.auroc - $(jq '.classes[0].auroc' "$work/eval.json")) as \$d | \$d < 1e-12 and \$d > -1e-12"
expect_json "(.ap - $(jq '.classes[0].ap' "$work/eval.json")) as \$d | \$d < 1e-12 and \$d > -1e-12"
expect_json "(.ci[0] - $(jq '.classes[0].ci[0]' "$work/eval.json")) as \$d | \$d < 1e-12 and \$d > -1e-12"
expect_json '.mean_auroc as $m | ([.classes[].auroc] | add / 3) - $m | . < 1e-12 and . > -1e-12' "$work/eval.json"

arkfm eval "$weights" --data "$data" --dataset childrens --split train --ten-crop --bootstrap 50 --seed 1 --json
expect_exit 0
expect_json '.ten_crop and .ci_method == "bootstrap" and (.mean_auroc_ci | length == 2)'
arkfm eval "$weights" --data "$data" --dataset harbour_tb
expect_exit 0
expect_out '^Tuberculosis'

# A split without a positive: reported by name, left out of the mean, never 0.5.
sed -i -E '2,$ s/^(([^,]*,){6})[^,]*/\10/' "$work/data/harbour_tb/labels.csv"
arkfm eval "$weights" --data "$data" --dataset harbour_tb --json
expect_exit 0
expect_json '.mean_auroc == null and .undefined == ["Tuberculosis"] and .classes[0].auroc == null'
expect_json '.classes[0].undefined == "no positive row" and .classes[0].positives == 0 and .accuracy >= 0'
arkfm eval "$weights" --data "$data" --dataset harbour_tb
expect_out '^left out of the mean: Tuberculosis \(no positive row\)'

arkfm eval "$weights" --data "$data" --dataset valley_target
expect_exit 1
expect_err "no head 'valley_target'"
arkfm eval "$weights" --data "$data" --dataset valley_target --head lakeside
expect_exit 1
expect_one_line_error 'valley_target has classes \[.*\], head lakeside has \[Enlarged_heart, .*\]'
arkfm eval "$weights" --data "$data" --dataset childrns
expect_exit 1
expect_one_line_error "did you mean 'childrens'"
arkfm eval "$weights" --data "$data" --dataset childrens --split tset
expect_exit 2
expect_err "did you mean 'test'"
arkfm eval "$weights" --data "$data"
expect_exit 2
finish
