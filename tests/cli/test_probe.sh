# arkfm probe: from weights and from arrays, the cache, saved probes, bad input.
# shellcheck shell=bash disable=SC2154
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
weights=$ARK_SOURCE_DIR/tests/golden/embed_new.safetensors

"$ARKFM" synth "$work/ph" --images 60 --size 64 --seed 3 > "$work/log" || exit 1
cat > "$work/probe.yaml" <<'YAML'
data:
  config: ph/datasets.yaml
  dataset: lakeside
stats:
  bootstrap: 50
YAML

arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/a" --json
expect_exit 0
expect_json '.fit.optimizer == "lbfgs" and (.fit.tried | length) == 8 and .layer == "projector"'
expect_json '.test.n + .val.n + .rows.train == 60 and (.test.classes | length) == 4'
expect_json '[.test.classes[] | select(.auroc != null) | .auroc >= 0 and .auroc <= 1 and .ci[0] <= .auroc] | all'
expect_err 'train: embedding'
for f in config.yaml results.json classes.csv predictions-test.csv predictions-val.csv probe.safetensors report.html \
    embeddings/train.npy embeddings/test.json; do
    expect_file "$work/a/$f"
done
expect_json '.command == "probe"' "$work/a/results.json"
run grep -c '<svg' "$work/a/report.html"
run grep -E '(src|href)="(http|//)' "$work/a/report.html"
[[ $status -ne 0 ]] || fail "the report loads something"

# the second run computes no embedding and gives the same bytes; so does another number of threads
cp -r "$work/a" "$work/b"
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/b" --threads 1
expect_exit 0
expect_err 'train: embeddings of .* from'
expect_same "$work/a/classes.csv" "$work/b/classes.csv"
expect_same "$work/a/predictions-test.csv" "$work/b/predictions-test.csv"
expect_same "$work/a/probe.safetensors" "$work/b/probe.safetensors"
# other features are not taken from the cache; nor is a damaged array
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/b" --set features.layer=encoder
expect_exit 0
expect_err 'train: embedding'
cp -r "$work/a" "$work/c"
head -c 500 "$work/a/embeddings/train.npy" > "$work/c/embeddings/train.npy"
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/c"
expect_exit 0
expect_err 'train: embedding [0-9]+ images'
expect_same "$work/a/embeddings/train.npy" "$work/c/embeddings/train.npy"

# the same embeddings as arrays of another tool
e=$work/a/embeddings
arrays=train=$e/train.npy,val=$e/val.npy,test=$e/test.npy
arkfm probe "$work/probe.yaml" --embeddings "$arrays" --out "$work/d"
expect_exit 0
expect_same "$work/a/predictions-test.csv" "$work/d/predictions-test.csv"
arkfm probe "$work/probe.yaml" --embeddings "train=$e/val.npy,val=$e/val.npy,test=$e/test.npy" --out "$work/d"
expect_exit 1
expect_err 'val.npy has [0-9]+ rows, split train of lakeside has [0-9]+ images'
arkfm probe "$work/probe.yaml" --embeddings "trian=$e/train.npy" --out "$work/d"
expect_exit 1 && expect_err 'expected train=FILE'
# a number that is not finite is named with its image
cp "$e/test.npy" "$work/bad.npy"
printf '\x00\x00\xc0\x7f' | dd of="$work/bad.npy" bs=1 seek=$((128 + 4 * 6)) conv=notrunc status=none
arkfm probe "$work/probe.yaml" --embeddings "train=$e/train.npy,val=$e/val.npy,test=$work/bad.npy" --out "$work/d"
expect_exit 1
expect_err 'bad.npy: test row 1 \(.*png\), feature 0: not a finite number'
# one array of all images, its rows named by a list in another order
"$ARKFM" embed "$weights" "$work"/ph/lakeside/images/*.png -o "$work/all.npy" > "$work/log" || exit 1
(echo id && cd "$work/ph/lakeside/images" && for f in *.png; do echo "${f%.png}"; done) > "$work/ids.csv"
arkfm probe "$work/probe.yaml" --embeddings "$work/all.npy" --ids "$work/ids.csv" --out "$work/d"
expect_exit 0
expect_same "$work/a/predictions-test.csv" "$work/d/predictions-test.csv"
sed -i '3s/.*/nobody/' "$work/ids.csv"
arkfm probe "$work/probe.yaml" --embeddings "$work/all.npy" --ids "$work/ids.csv" --out "$work/d"
expect_exit 1
expect_err 'no row for 1 of the 60 images of lakeside, the first is .*png'

# a saved probe: on the run's test split, and on bare rows
arkfm probe "$work/probe.yaml" --apply "$work/a/probe.safetensors" --from "$weights" --out "$work/f" --json
expect_exit 0
expect_same "$work/a/predictions-test.csv" "$work/f/predictions-test.csv"
arkfm probe --apply "$work/a/probe.safetensors" --embeddings "$e/test.npy" --out "$work/g" --json
expect_exit 0 && expect_json '.classes == 4'
expect_file "$work/g/predictions.csv"
arkfm probe --apply "$weights" --embeddings "$e/test.npy" --out "$work/g"
expect_exit 1 && expect_err 'not a probe'
sed 's/lakeside/north_general/' "$work/probe.yaml" > "$work/other.yaml"
arkfm probe "$work/other.yaml" --apply "$work/a/probe.safetensors" --from "$weights" --out "$work/h"
expect_exit 1 && expect_err "probe.safetensors has no class 'No_Finding'"

# Adam as the released code, chosen on validation
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/a" --optimizer adam --set probe.epochs=7 --json
expect_exit 0
expect_json '.fit.epoch >= 1 and (.fit.tried | length) == 7 and (.fit.standardized | not)'

# images that a check excludes are in no split
img=$(awk -F, '$3 == "test" { print $1; exit }' "$work/ph/lakeside/labels.csv")
printf 'dataset,split,image\nlakeside,test,%s\n' "$img" > "$work/exclude.csv"
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/ex" --set data.exclusions="$work/exclude.csv" --json
expect_exit 0
expect_json ".test.n == $(($(jq .test.n "$work/f/results.json") - 1))"

# multi-class
sed 's/lakeside/childrens/' "$work/probe.yaml" > "$work/multi.yaml"
arkfm probe "$work/multi.yaml" --from "$weights" --out "$work/m" --json
expect_exit 0
expect_json '.task == "multi-class" and (.test.accuracy >= 0 or .test.accuracy_undefined != null)'

# a class that train lacks is named, and has no number
labels=$work/ph/lakeside/labels.csv
awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) c = $i == "Fluid" ? i : c } NR > 1 && $3 == "train" { $c = 0 } 1' \
    "$labels" > "$work/t" && cp "$work/t" "$labels"
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/n" --json
expect_exit 0
expect_json '.fit.left_out == [{"name": "Fluid", "why": "no positive row in train"}]'
expect_json '.test.classes[] | select(.name == "Fluid") | .auroc == null and .auroc_undefined == "no positive row in train"'

# wrong words
arkfm probe "$work/probe.yaml" --from "$weights"
expect_exit 2 && expect_err 'out DIR'
arkfm probe "$work/probe.yaml" --out "$work/x"
expect_exit 2 && expect_err 'from WEIGHTS'
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/x" --set probe.optimiser=adam
expect_exit 2 && expect_err "did you mean 'probe.optimizer'"
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/x" --set probe.C=1,0.1
expect_exit 1 && expect_err 'above the one before'
arkfm probe "$work/probe.yaml" --from "$weights" --out "$work/x" --set data.dataset=lakesde
expect_exit 1 && expect_err 'lakeside'
finish
