# arkfm data check: phantoms with planted duplicates, a patient in two splits, damaged files; the exclusion list, and
# that pretrain and eval honour it.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

data=$work/data
arkfm synth "$data" --seed 5 --images 24 --size 64
expect_exit 0
row() { # DATASET SPLIT N: image path of the Nth row of a split
    awk -F, -v s="$2" -v n="$3" '$3 == s && ++k == n { print $1 }' "$data/$1/labels.csv"
}

arkfm data check "$data/datasets.yaml" --json --html "$work/clean.html" --write-exclusions "$work/none.csv"
expect_exit 0
expect_json '.images == 120 and (.leakage | not) and .leaked_images == 0 and .groups == [] and .unreadable == []'
expect_json '.datasets | length == 5 and all(.error == null)'
expect_json '.datasets[0].splits.train.classes.No_Finding | .positive + .negative + .uncertain + .missing > 0'
expect_json '[.datasets[].splits[].images] | add == 120'
grep -q 'No picture occurs twice' "$work/clean.html" || fail "the report says that nothing occurs twice"
[[ $(cat "$work/none.csv") == dataset,split,image,reason ]] || fail "an exclusion list without rows"

# Of a run file the datasets that it trains on.
arkfm data check "$data/pretrain.yaml" --json --no-images
expect_exit 0
expect_json '[.datasets[].name] == ["north_general", "lakeside", "childrens", "harbour_tb"]'

# A training image resized over a test image of another dataset; another copied within one; a patient moved.
a=$(row north_general train 1) b=$(row valley_target test 1) c=$(row lakeside train 2) d=$(row lakeside val 1)
arkfm data show "$data/north_general/$a" -o "$data/valley_target/$b" --size 51
expect_exit 0
cp "$data/lakeside/$c" "$data/lakeside/$d"
patient=$(awk -F, '$3 == "train" { print $2; exit }' "$data/harbour_tb/labels.csv")
awk -F, -v OFS=, -v p="$patient" '$3 == "test" && !done { $2 = p; done = 1 } { print }' "$data/harbour_tb/labels.csv" \
    > "$work/moved.csv" && mv "$work/moved.csv" "$data/harbour_tb/labels.csv"
images=$(awk -F, -v p="$patient" '$2 == p && $3 == "train"' "$data/harbour_tb/labels.csv" | wc -l)

arkfm data check "$data/datasets.yaml" --json --html "$work/leak.html" --write-exclusions "$work/x.csv" --threads 1
expect_exit 1
cp "$work/.out" "$work/one.json"
expect_json '.leakage and .leaked_images == 3 and (.groups | length) == 2 and all(.groups[]; .leak)'
expect_json '[.overlaps[] | select(.leak) | [.of.dataset, .of.split, .in.dataset, .in.split, .images]] ==
    [["valley_target", "test", "north_general", "train", 1], ["lakeside", "val", "lakeside", "train", 1]]'
expect_json '.datasets[] | select(.name == "harbour_tb") | .shared_patients == {train_val: 0, train_test: 1, val_test: 0}'
jq -e --arg a "$a" --arg b "$b" '.groups[0].images | map([.image, .match]) == [[$a, "near"], [$b, "near"]]' \
    "$work/one.json" > /dev/null || fail "the resized image is near"
jq -e --arg c "$c" --arg d "$d" '.groups[1].images | map([.image, .match]) == [[$c, "file"], [$d, "file"]]' \
    "$work/one.json" > /dev/null || fail "the copied file is the same file"
grep -q LEAK "$work/leak.html" || fail "the report shows the leaks"
[[ $(grep -c . "$work/x.csv") -eq $((3 + images)) ]] || fail "one row per picture, one per image of the patient"
grep -qx "\"north_general\",\"train\",\"$a\",\"the same picture is in another split\"" "$work/x.csv" || fail "exclusion of $a"

# The same for any number of threads.
arkfm data check "$data/datasets.yaml" --json --threads 3
jq 'del(.seconds)' "$work/one.json" > "$work/a.json"
jq 'del(.seconds)' "$work/.out" > "$work/b.json"
expect_same "$work/a.json" "$work/b.json"
arkfm data check "$data/datasets.yaml"
expect_exit 1
expect_out '^LEAK: 1 images of valley_target test are also in north_general train$'
expect_out '^  LEAK: 1 patients in train and test$'
arkfm data check "$data/datasets.yaml" --json --no-images
expect_exit 1
expect_json '.leaked_images == 1 and .groups == [] and .near_bits == -1'

# pretrain leaves them out and says so everywhere.
small=(--set "model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32" --set model.projector_dim=16
    --set train.epochs=1 --set train.batch=8 --set train.warmup_epochs=0 --set "data.exclusions=$work/x.csv")
arkfm pretrain "$data/pretrain.yaml" --out "$work/run" "${small[@]}"
expect_exit 0
expect_err "lakeside: left out by data.exclusions: 1 train, 0 val, 0 test images"
[[ $(jq -s 'map(select(.event == "exclusions") | .train) | add' "$work/run/metrics.jsonl") -eq $((2 + images)) ]] ||
    fail "metrics.jsonl counts the excluded images"
grep -q '^| lakeside | 1 | 0 | 0 |$' "$work/run/model-card.md" || fail "the model card counts the excluded images"
n=$(awk -F, '$3 == "train"' "$data/lakeside/labels.csv" | wc -l)
grep -q "^| lakeside | $((n - 1)) |" "$work/run/model-card.md" || fail "one training image less"
grep -q 'exclusions:.*x\.csv' "$work/run/config.yaml" || fail "the resolved configuration names the list"

arkfm eval "$work/run/teacher.safetensors" --data "$data/datasets.yaml" --dataset lakeside --split train \
    --exclusions "$work/x.csv" --json
expect_exit 0
expect_json ".excluded == 1 and .n == $((n - 1))"

# With the leaking images taken out by exclude_list, the check is content with that dataset.
awk -F, '$1 ~ /lakeside/ || NR == 1' "$work/x.csv" | tr -d '"' > "$data/lakeside/out.csv"
sed -i 's|^  list: lakeside/labels.csv|&\n  exclude_list: lakeside/out.csv|' "$data/datasets.yaml"
arkfm data check "$data/datasets.yaml" --json
expect_json '[.overlaps[] | select(.of.dataset == "lakeside")] == []'

# A list about other files is refused, not passed over.
printf 'dataset,split,image\nlakeside,train,images/none.png\n' > "$work/other.csv"
arkfm pretrain "$data/pretrain.yaml" --out "$work/run2" "${small[@]}" --set "data.exclusions=$work/other.csv"
expect_exit 1
expect_one_line_error "other\.csv:2: dataset 'lakeside' has no image 'images/none\.png'"

# Damaged and absent files, a list that cannot be read: named, and the other datasets are still checked.
printf 'GIF89a' > "$data/childrens/$(row childrens train 1)"
rm "$data/childrens/$(row childrens train 2)"
sed -i '2s/,[01],/,7,/' "$data/harbour_tb/labels.csv"
arkfm data check "$data/datasets.yaml" --json
expect_exit 1
expect_json '.unreadable_files == 2 and (.unreadable | map(.dataset) | unique) == ["childrens"]'
expect_json '.datasets[] | select(.name == "harbour_tb") | .error | test("labels.csv:2: column .Tuberculosis.: .7.")'
arkfm data check "$data/datasets.yaml"
expect_out '^UNREADABLE: .*childrens/images/'
expect_out '^harbour_tb: NOT READ: '

arkfm data check "$work/absent.yaml"
expect_exit 1
expect_one_line_error 'absent\.yaml'
arkfm data check "$data/datasets.yaml" --near 48
expect_exit 2
expect_err '0\.\.47'
arkfm data check
expect_exit 2

# Aliases that contain themselves, or multiply, are refused at once.
printf 'a: &x\n  b: *x\n' > "$work/cycle.yaml"
{
    echo 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]'
    for i in 1 2 3 4 5 6 7 8; do
        printf 'a%d: &a%d [' "$i" "$i"
        printf "*a$((i - 1)),%.0s" 1 2 3 4 5 6 7 8 9
        printf '*a%d]\n' "$((i - 1))"
    done
} > "$work/bomb.yaml"
for f in cycle bomb; do
    from=$(date +%s%N)
    arkfm data check "$work/$f.yaml"
    took=$((($(date +%s%N) - from) / 1000000))
    expect_exit 1
    expect_one_line_error "$f\.yaml:.*alias"
    ((took < 1000)) || fail "refused after $took ms"
done
finish
