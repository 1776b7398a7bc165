# arkfm synth: files, columns and counts; patients and splits; labels; errors.
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

out=$work/phantoms
sets=(north_general lakeside childrens harbour_tb valley_target)

# rows FILE: a table without its header
rows() {
    tail -n +2 "$1"
}

# every FILE CONDITION: the awk condition holds in every row
every() {
    awk -F, "NR > 1 && !($2) { exit 1 }" "$1" || fail "$1: a row is not: $2"
}

# header of a PNG of 48 x 48 pixels, 8 bits, grey
png_header=89504e470d0a1a0a0000000d4948445200000030000000300800

check_dataset() {
    local dir=$1 labels=$1/labels.csv
    expect_file "$labels"
    head -1 "$labels" | grep -q '^path,patient_id,split,sex,age,view,.*,mask_lungs,mask_heart,mask_clavicles$' || fail "$dir: columns"
    [[ $(rows "$labels" | wc -l) -eq 60 ]] || fail "$dir: 60 rows"
    [[ $(find "$dir/images" -name '*.png' | wc -l) -eq 60 ]] || fail "$dir: 60 images"
    every "$labels" '$3 ~ /^(train|val|test)$/ && $4 ~ /^[MF]$/ && $5 ~ /^[0-9]+$/ && $6 ~ /^(AP|PA)$/'
    # Every image and mask of the table is there, and all begin alike.
    [[ $(awk -F, 'NR > 1 { print $1, $(NF - 2), $(NF - 1), $NF }' "$labels" | (cd "$dir" && xargs head -q -c 26) |
        od -An -tx1 -v -w26 | tr -d ' ' | sort | uniq -c | xargs) == "240 $png_header" ]] || fail "$dir: 240 grey PNG of 48 x 48"

    # No patient is in two splits, every split is used, some patients have more than one image.
    [[ $(rows "$labels" | cut -d, -f2,3 | sort -u | cut -d, -f1 | uniq -d | wc -l) -eq 0 ]] || fail "$dir: a patient in two splits"
    [[ $(rows "$labels" | cut -d, -f3 | sort -u | wc -l) -eq 3 ]] || fail "$dir: three splits"
    [[ $(rows "$labels" | cut -d, -f2 | sort | uniq -d | wc -l) -gt 5 ]] || fail "$dir: patients with several images"

    # Every image is in the truth, with a cardiothoracic ratio that fits its findings.
    [[ $(rows "$dir/truth.csv" | cut -d, -f1 | sort -u | wc -l) -eq 60 ]] || fail "$dir: truth of every image"
    every "$dir/truth.csv" '$2 != "cardiomegaly" || $8 > 0.5'
    every "$dir/truth.csv" '$2 != "none" || $8 < 0.5'
    every "$dir/truth.csv" '$2 == "none" || ($4 > 0 && $4 < 1 && $5 > 0 && $5 < 1 && $6 > 0 && $6 < 1)'
}

arkfm synth "$out" --images 60 --size 48 --seed 7 --json
expect_exit 0
expect_json '.datasets == 5 and .images == 300 and .images_per_dataset == 60 and .size == 48 and .seconds >= 0'
expect_json ".files == $(find "$out" -type f | wc -l)"
for d in "${sets[@]}"; do
    check_dataset "$out/$d"
done
[[ $(for d in "${sets[@]}"; do rows "$out/$d/labels.csv" | cut -d, -f2 | sort -u; done | sort | uniq -d | wc -l) -eq 0 ]] ||
    fail "a patient id in two hospitals"

# Vocabularies: uncertain and missing entries, one column of names, binary, and words of its own for the target.
north=$out/north_general/labels.csv
rows "$north" | cut -d, -f7-13 | tr ',' '\n' | grep -qx -e -1 || fail "no uncertain entry"
rows "$north" | cut -d, -f7-13 | grep -qE '(^|,)(,|$)' || fail "no missing entry"
for k in 7 8 9 10 11 12 13; do
    every "$north" "\$3 != \"test\" || \$$k ~ /^[01]\$/"
done
[[ $(rows "$out/childrens/labels.csv" | cut -d, -f7 | sort -u | xargs) == "Consolidation_lobar Consolidation_patchy Normal" ]] ||
    fail "childrens: three classes"
[[ $(rows "$out/harbour_tb/labels.csv" | cut -d, -f7 | sort -u | xargs) == "0 1" ]] || fail "harbour_tb: binary"
head -1 "$out/valley_target/labels.csv" | grep -qE 'Cardiomegaly|Effusion|Nodule|Pneumothorax|Consolidation|Cavity' &&
    fail "valley_target: words of a training set"

[[ $(grep -c '^[a-z_]*:' "$out/datasets.yaml") -eq 5 ]] || fail "datasets.yaml: five datasets"
grep -q 'datasets: \[north_general, lakeside, childrens, harbour_tb\]' "$out/pretrain.yaml" || fail "the target is held out"

# The seed decides every byte; the folder is not overwritten unless asked.
arkfm synth "$work/again" --images 60 --size 48 --seed 7 --threads 1
expect_exit 0
diff -r "$out" "$work/again" > /dev/null || fail "the same seed gave other bytes"
arkfm synth "$out" --images 60
expect_exit 1
expect_one_line_error 'phantoms: the folder is not empty.*--force'
arkfm synth "$out" --images 20 --size 32 --force
expect_exit 0
[[ $(find "$out/lakeside/images" -type f | wc -l) -eq 20 ]] || fail "--force left old images"

arkfm synth "$work/few" --images 19
expect_exit 1
expect_one_line_error '19 images per dataset are too few'
arkfm synth "$work/few" --size 5000
expect_exit 1
expect_one_line_error '5000 is outside 32\.\.2048'
[[ ! -e $work/few ]] || fail "a refused run wrote something"
touch "$work/file"
arkfm synth "$work/file/x" --images 20
expect_exit 1
expect_one_line_error "$work/file"
arkfm synth "$work/few" --imagse 30
expect_exit 2
expect_err "did you mean '--images'"
arkfm synth
expect_exit 2
finish
