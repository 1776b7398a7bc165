# arkfm fewshot: sizes, draws, several models on the same samples, bad input.
# shellcheck shell=bash disable=SC2154
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
weights=$ARK_SOURCE_DIR/tests/golden/embed_new.safetensors

"$ARKFM" synth "$work/ph" --images 80 --size 64 --seed 4 > "$work/log" || exit 1
cat > "$work/few.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  dataset: lakeside
probe:
  C: [0.01, 1]
fewshot:
  shots: [5, 10, 100000]
  percent: [50, 100]
  repeats: 3
YAML

arkfm fewshot "$work/few.yaml" --from "one=$weights" --from "two=$weights" --out "$work/a" --json
expect_exit 0
expect_err '100000 shots left out'
expect_json '(.sources | length) == 2 and .repeats == 3 and [.sources[0].points[].shots] == ["5", "10", "50 %", "100 %"]'
expect_json '.sources[0].points == [.sources[1].points[] | del(.first_minus_this, .first_minus_this_ci)]'
expect_json '[.sources[1].points[].first_minus_this] == [0, 0, 0, 0]'
# the whole split is drawn once: a value, no interval
expect_json '.sources[0].points[3] | .draws == 1 and .ci == null and .auroc > 0 and .n > 40'
expect_json '.sources[0].points[0] | .ci[0] <= .auroc and .auroc <= .ci[1]'
for f in config.yaml results.json curve.csv classes.csv report.html; do
    expect_file "$work/a/$f"
done
[[ $(wc -l < "$work/a/curve.csv") -eq 9 ]] || fail "curve.csv has not 8 rows"

arkfm fewshot "$work/few.yaml" --from "one=$weights,two=$weights" --out "$work/b" --threads 1
expect_exit 0
expect_same "$work/a/curve.csv" "$work/b/curve.csv"
arkfm fewshot "$work/few.yaml" --from "one=$weights" --out "$work/c" --set stats.seed=2 --json
expect_exit 0
run cmp -s "$work/a/curve.csv" "$work/c/curve.csv"
[[ $status -ne 0 ]] || fail "another seed draws the same samples"

# shots of every class; a class that has fewer is named
arkfm fewshot "$work/few.yaml" --from "$weights" --out "$work/d" --set fewshot.shots_per=class \
    fewshot.shots=2,1000 fewshot.percent=100 --json
expect_exit 0
expect_json '[.sources[0].points[] | select(.shots == "1000 per class") | .lacking[0].missing > 0] == [true]'
expect_json '[.sources[0].points[] | select(.shots == "2 per class") | .lacking] == [[]]'

# the full split is what arkfm probe finds
arkfm probe "$work/few.yaml" --from "$weights" --out "$work/p" --set stats.bootstrap=10 --json
expect_exit 0
full=$(jq '.sources[0].points[3].auroc' "$work/a/results.json")
expect_json "(.test.mean_auroc - $full) | fabs < 1e-12"

arkfm fewshot "$work/few.yaml" --from "$weights" --out "$work/x" --set fewshot.shots=0
expect_exit 1 && expect_err "fewshot.shots: '0' is not a number"
arkfm fewshot "$work/few.yaml" --from "$weights" --out "$work/x" --set fewshot.repeats=1
expect_exit 2 && expect_err 'fewshot.repeats'
arkfm fewshot "$work/few.yaml" --from a/../b= --out "$work/x"
expect_exit 2
finish
