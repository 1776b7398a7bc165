# arkfm data check on real images of several collections, with the overlaps that their descriptions state and those
# that were found by comparing all pairs (docs/leakage.md).
# shellcheck shell=bash disable=SC2154,SC2016
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

shared=${ARK_SHARED:-$ARK_SOURCE_DIR/../shared}/data
for d in nih1000 nih128 nih64 kermany3 kermany_lungseg hannover hannover_lungseg; do
    [[ -d $shared/$d/images ]] || skip "no $d in $shared"
    case $d in
    nih*) keys='task_type: multi-label, classes: [No_Finding, Pneumonia]' ;;
    kermany3) keys="task_type: multi-class, label: label, patient_in_path: 'person{}_'" ;;
    kermany_lungseg) keys='task_type: multi-class, label: label' ;;
    hannover) keys='task_type: binary, classes: [in_icu]' ;;
    *) keys='task_type: binary, classes: [has_ignore]' ;;
    esac
    echo "$d: {data_dir: $shared/$d, list: labels.csv, $keys}"
done > "$work/d.yaml"

arkfm data check "$work/d.yaml" --json
expect_exit 1
cp "$work/.out" "$work/r.json"
r=$work/r.json
expect_json '.images == 15395 and .unreadable_files == 0 and .complete' "$r"

# between A B N: N images of A are in B too, in whatever splits
between() {
    local n
    n=$(jq --arg a "$1" --arg b "$2" '[.overlaps[] | select(.of.dataset == $a and .in.dataset == $b) | .images] | add // 0' "$r")
    [[ $n -eq $3 ]] || fail "$n images of $1 in $2, expected $3"
}
between nih128 nih1000 281
between nih64 nih1000 7
between nih64 nih128 0
between hannover_lungseg hannover 71
between kermany_lungseg kermany3 1241
between kermany3 nih1000 0
between hannover nih128 0
expect_json '[.overlaps[] | select(.leak) | .of.dataset] | unique == ["kermany_lungseg"]' "$r"
# 170 person numbers are in both official sets; val was taken from the official training set
expect_json '.datasets[] | select(.name == "kermany3") | .shared_patients | .train_test + .val_test == 170' "$r"
# Every group is about one picture: the same name, or one of 32 films under two or three names (36 pairs).
expect_json '[.groups[].images | map(.image | sub(".*/"; "") | sub("\\.[a-z]+$"; "")) | unique | length - 1] | add == 34' "$r"
finish
