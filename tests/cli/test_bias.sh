# arkfm bias: subgroup tables, probes by share of men, one-class and missing groups.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
weights=$ARK_SOURCE_DIR/tests/golden/embed_new.safetensors

"$ARKFM" synth "$work/ph" --images 160 --size 64 --seed 6 > "$work/log" || exit 1
cat > "$work/bias.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  dataset: lakeside
probe:
  C: [0.01, 1]
stats:
  bootstrap: 20
bias:
  repeats: 4
YAML

arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/a" --json
expect_exit 0
cp "$work/.out" "$work/a.json"
# the parts of each attribute add up to the whole; so do the positives of a class
expect_json '. as $o | ["sex", "age", "view"] | all(. as $a | ([$o.subgroups[] | select(.attribute == $a) | .n] | add)
    == $o.subgroups[0].n)'
expect_json '([.subgroups[] | select(.attribute == "sex") | .classes[0].positives] | add) == .subgroups[0].classes[0].positives'
expect_json '[.subgroups[].classes[] | .sensitivity + .fnr.value | select(. != null) | . - 1 | fabs < 1e-12] | all'
# the whole is what arkfm probe reports
arkfm probe "$work/bias.yaml" --from "$weights" --out "$work/p" --json
expect_exit 0
[[ $(jq -c '[.test.classes[].auroc]' "$work/.out") == "$(jq -c '[.subgroups[0].classes[].auroc]' "$work/a.json")" ]] ||
    fail "probe and bias disagree on the whole test split"
# the design: three shares, four draws, two sexes, four findings
[[ $(wc -l < "$work/a/design.csv") -eq 97 ]] || fail "design.csv has not 96 rows"
expect_json '.design.male_percent == [0, 50, 100] and (.design.tests | length) == 16' "$work/a.json"
expect_json '[.design.tests[] | select(.p != null and .p_holm != null) | .p_holm >= .p] | all' "$work/a.json"
expect_json '.design | .train_rows <= .women.train and .train_rows <= .men.train' "$work/a.json"
for f in config.yaml results.json subgroups.csv report.html; do
    expect_file "$work/a/$f"
done
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/b" --threads 1
expect_exit 0
expect_same "$work/a/design.csv" "$work/b/design.csv"
expect_same "$work/a/subgroups.csv" "$work/b/subgroups.csv"

# all training images of both sexes at every share: every draw of an extreme share is the same, so there is no p
most=$(jq '[.design.women.train, .design.men.train] | min' "$work/a.json")
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/x" --set bias.train_rows=$((most + 1))
expect_exit 1 && expect_err "bias.train_rows: $((most + 1)) training images of one sex are asked for, there are"
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/x" --set bias.male_percent=50
expect_exit 1 && expect_err 'at least two different shares'
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/x" --set bias.age_bands=60,40
expect_exit 1 && expect_err 'limit 40 does not follow 60'

# one-class subgroups have no AUROC, and no false negative rate without positives
labels=$work/ph/lakeside/labels.csv
cp "$labels" "$work/keep.csv"
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) { c = $i == "Fluid" ? i : c; s = $i == "sex" ? i : s } }
    NR > 1 && $s == "F" && $3 == "test" { $c = 0 } 1' "$work/keep.csv" > "$labels"
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/c" --json
expect_exit 0
expect_json '.subgroups[] | select(.group == "F") | .classes[] | select(.name == "Fluid") | .positives == 0 and
    .auroc == null and .auroc_undefined == "no positive row" and .fnr.value == null and .fpr.value >= 0'
expect_json '.design.tests[] | select(.finding == "Fluid" and .test_sex == "F") | .p == null and .p_holm == null and
    (.biased | not) and .p_undefined != null'

# sexes unknown: one group, and no design, with the reason
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) s = $i == "sex" ? i : s } NR > 1 { $s = "" } 1' \
    "$work/keep.csv" > "$labels"
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/d" --json
expect_exit 0
expect_json '[.subgroups[] | select(.attribute == "sex") | .group] == ["unknown"] and
    (.design.left_out | test("sex"))'

# a split that is missing is named
awk -F, 'NR == 1 || $3 != "val"' "$work/keep.csv" > "$labels"
arkfm bias "$work/bias.yaml" --from "$weights" --out "$work/x"
expect_exit 1 && expect_err 'lakeside: no image in split val'
finish
