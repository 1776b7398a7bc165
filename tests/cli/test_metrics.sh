# arkfm metrics on small tables: values by hand, undefined results, refused input, wrong usage.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failed=0

# expect NAME STATUS PATTERN COMMAND...: exit status, and an extended regex that stdout and stderr together contain
expect() {
    local name=$1 status=$2 pattern=$3
    shift 3
    "$@" >"$dir/out" 2>&1
    local got=$?
    if [ $got -ne "$status" ] || ! tr '\n' ' ' <"$dir/out" | grep -Eq -- "$pattern"; then
        echo "FAILED: $name: exit $got (expected $status), wanted /$pattern/, got:"
        cat "$dir/out"
        failed=1
    fi
}

# Pairs (positive, negative): 0.9 beats both, 0.5 beats 0.1 and ties 0.5: (2 + 1.5) / 4.
cat >"$dir/t.csv" <<'CSV'
id,y,p,p,name,patient
a,0,0.1,0.9,NORMAL,1
b,1,0.5,0.5,"PNEUMONIA, viral",1
c,0.0,0.5,0.5,NORMAL,2
d,true,0.9,0.1,"PNEUMONIA, viral",2
CSV
expect 'auroc by hand' 0 '"auroc": 0\.875[,}]' "$ARKFM" metrics "$dir/t.csv" --label y --score p --json
expect 'ap by hand' 0 '"ap": 0\.83333333333333' "$ARKFM" metrics "$dir/t.csv" --label y --score p --json
expect 'keys' 0 '"n": 4, "positives": 2, .*"ci": \[[0-9.]+, 1\.0\], "ci_method": "delong", "level": 0\.9' \
    "$ARKFM" metrics "$dir/t.csv" --label y --score p --json --level 0.9
expect 'repeated header' 0 '"auroc": 0\.125[,}]' "$ARKFM" metrics "$dir/t.csv" --label y --score p.1 --json
expect 'positive value' 0 '"auroc": 0\.875[,}]' \
    "$ARKFM" metrics "$dir/t.csv" --label name --positive 'PNEUMONIA, viral' --score p --json
expect 'bootstrap' 0 '"ci_method": "bootstrap".*"skipped": [1-9]' \
    "$ARKFM" metrics "$dir/t.csv" --label y --score p --bootstrap 200 --seed 4 --json
expect 'groups' 0 '"groups": 2' "$ARKFM" metrics "$dir/t.csv" --label y --score p --bootstrap 50 --group patient --json
expect 'text' 0 'AUROC +0\.8750 +95% CI 0\.[0-9]+ to 1\.0000, DeLong' "$ARKFM" metrics "$dir/t.csv" --label y --score p

for threads in 1 2; do
    "$ARKFM" metrics "$dir/t.csv" --label y --score p --bootstrap 300 --threads $threads --json >"$dir/t$threads.json"
done
cmp "$dir/t1.json" "$dir/t2.json" || failed=1

printf 'y,p\n1,0.2\n1,0.4\n' >"$dir/one.csv"
expect 'one class' 0 '"auroc": null.*"ci": null.*"undefined": "no negative row"' \
    "$ARKFM" metrics "$dir/one.csv" --label y --score p --json
expect 'one class, text' 0 'AUROC +undefined: no negative row' "$ARKFM" metrics "$dir/one.csv" --label y --score p

printf 'y,p\n1,0.2\nnan,0.4\n' >"$dir/nan.csv"
expect 'NaN label' 1 "nan\.csv:3: column 'y': expected a label 0 or 1, got 'nan'" \
    "$ARKFM" metrics "$dir/nan.csv" --label y --score p
printf 'y,p\n1,0.2\n,0.4\n' >"$dir/blank.csv"
expect 'blank label' 1 "blank\.csv:3: column 'y'" "$ARKFM" metrics "$dir/blank.csv" --label y --score p
printf 'y,p\n1,0.2\n0,inf\n' >"$dir/inf.csv"
expect 'infinite score' 1 "inf\.csv:3: column 'p': expected a finite number, got 'inf'" \
    "$ARKFM" metrics "$dir/inf.csv" --label y --score p
printf 'y,p\n' >"$dir/empty.csv"
expect 'no rows' 1 'empty\.csv: the table has no rows' "$ARKFM" metrics "$dir/empty.csv" --label y --score p
expect 'missing column' 1 "t\.csv.*'patientt'" "$ARKFM" metrics "$dir/t.csv" --label patientt --score p
expect 'missing file' 1 'none\.csv' "$ARKFM" metrics "$dir/none.csv" --label y --score p

expect 'no label' 2 '--label COL is required' "$ARKFM" metrics "$dir/t.csv" --score p
expect 'no table' 2 'missing argument' "$ARKFM" metrics --label y --score p
expect 'unknown option' 2 "did you mean '--label'" "$ARKFM" metrics "$dir/t.csv" --labl y --score p
expect 'level' 2 'not between 0 and 1' "$ARKFM" metrics "$dir/t.csv" --label y --score p --level 95
expect 'bootstrap range' 2 'outside 1\.\.1000000' "$ARKFM" metrics "$dir/t.csv" --label y --score p --bootstrap 0
expect 'group alone' 2 '--group needs --bootstrap' "$ARKFM" metrics "$dir/t.csv" --label y --score p --group patient
exit $failed
