# arkfm metrics on small tables: values by hand, undefined results, refused input, wrong usage.
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

# Pairs (positive, negative): 0.9 beats both, 0.5 beats 0.1 and ties 0.5: AUROC = 3.5 / 4.
# Thresholds from above: 1/1 at recall 1/2, then 2/3 at recall 1: AP = 5/6.
table=$work/t.csv
cat > "$table" << 'CSV'
id,y,p,p,name,patient
a,0,0.1,0.9,NORMAL,1
b,1,0.5,0.5,"PNEUMONIA, viral",1
c,0.0,0.5,0.5,NORMAL,2
d,true,0.9,0.1,"PNEUMONIA, viral",2
CSV
arkfm metrics "$table" --label y --score p --json --level 0.9
expect_exit 0
expect_json '.n == 4 and .positives == 2 and .auroc == 0.875 and (.ap - 5/6 | fabs) < 1e-15'
expect_json '.ci_method == "delong" and .level == 0.9 and .ci[0] < 0.875 and .ci[1] == 1 and (.ci | length) == 2'
expect_json '.threshold == 0.5 and .accuracy == 0.75 and .sensitivity == 1 and .specificity == 0.5'
arkfm metrics "$table" --label y --score p.1 --json
expect_json '.auroc == 0.125'
arkfm metrics "$table" --label name --positive 'PNEUMONIA, viral' --score p --json
expect_json '.auroc == 0.875 and .positives == 2'
arkfm metrics "$table" --label y --score p
expect_exit 0 && expect_out '^AUROC +0\.8750 +95% CI 0\.[0-9]+ to 1\.0000, DeLong$'

# All four rows drawn from one class: (2/4)^4 twice, 1/8 of the resamples. By patient each has both: none.
arkfm metrics "$table" --label y --score p --bootstrap 4000 --seed 4 --threads 1 --json
expect_json '.ci_method == "bootstrap" and .seed == 4 and .skipped > 400 and .skipped < 600'
cp "$work/.out" "$work/one-thread"
arkfm metrics "$table" --label y --score p --bootstrap 4000 --seed 4 --threads 3 --json
expect_same "$work/.out" "$work/one-thread"
arkfm metrics "$table" --label y --score p --bootstrap 50 --group patient --json
expect_json '.groups == 2 and .skipped == 0'

# One class: no value and a reason, never 0.5.
printf 'y,p\n1,0.2\n1,0.4\n' > "$work/one.csv"
arkfm metrics "$work/one.csv" --label y --score p --json
expect_exit 0
expect_json '.auroc == null and .ap == null and .ci == null and .undefined == "no negative row" and .n == 2'
expect_err 'one\.csv: no negative row'
arkfm metrics "$work/one.csv" --label y --score p
expect_exit 0 && expect_out '^AUROC +undefined: no negative row$'

# Input that is not a table of labels and scores: one line naming file, line and column, exit 1.
refused() { # CONTENT MESSAGE
    printf '%b' "$1" > "$work/bad.csv"
    arkfm metrics "$work/bad.csv" --label y --score p --json
    expect_exit 1 && expect_one_line_error "$2"
}
refused 'y,p\n1,0.2\nnan,0.4\n' "bad\.csv:3: column 'y': expected a label 0 or 1, got 'nan'"
refused 'y,p\n1,0.2\n,0.4\n' "bad\.csv:3: column 'y'"
refused 'y,p\n1,0.2\n-1,0.4\n' "bad\.csv:3: column 'y'"
refused 'y,p\n1,0.2\n0,inf\n' "bad\.csv:3: column 'p': expected a finite number, got 'inf'"
refused 'y,p\n1,0.2\n0,\n' "bad\.csv:3: column 'p'"
refused 'y,p\n' 'bad\.csv: the table has no rows'
refused 'y,q\n1,0.2\n' "bad\.csv.*'p'"
refused 'y,p\n1\n' 'bad\.csv:2'
arkfm metrics "$work/none.csv" --label y --score p
expect_exit 1 && expect_one_line_error 'none\.csv'

# A threshold chosen on another table, by hand: Youden's lies between 0.6 and 0.4; the fixed sensitivity 0.6 is reached
# between 0.8 and 0.7. Brier (2 0.45^2 + 2 0.7^2) / 4; every score has a bin of its own, so ECE is the mean distance.
printf 'y,p\n1,0.9\n1,0.8\n0,0.7\n1,0.6\n0,0.4\n0,0.3\n0,0.2\n0,0.1\n' > "$work/val.csv"
printf 'y,p\n1,0.55\n0,0.45\n1,0.3\n0,0.7\n' > "$work/test.csv"
arkfm metrics "$work/test.csv" --label y --score p --operating-point youden --chosen-on "$work/val.csv" --json
expect_exit 0
expect_json '.threshold == 0.5 and .sensitivity == 0.5 and .specificity == 0.5 and .npv == 0.5 and .n == 4'
expect_json '.operating_point | .rule == "youden" and .tp == 3 and .fp == 1 and .tn == 4 and .fn == 0'
expect_json '(.sensitivity_ci[0] - 0.0945312 | fabs) < 1e-6 and (.sensitivity_ci[1] - 0.9054688 | fabs) < 1e-6'
expect_json '(.brier - 0.34625 | fabs) < 1e-12 and (.ece - 0.575 | fabs) < 1e-12'
arkfm metrics "$work/test.csv" --label y --score p --operating-point sensitivity=0.6 --chosen-on "$work/val.csv"
expect_exit 0 && expect_out 'at score >= 0.75, sensitivity=0.6 of' && expect_out 'PPV +0\.0000|PPV +undefined'
printf 'y,p\n0,0.9\n0,0.8\n' > "$work/val.csv"
arkfm metrics "$work/test.csv" --label y --score p --operating-point youden --chosen-on "$work/val.csv" --json
expect_exit 0 && expect_json '.threshold == null and .sensitivity == null and .operating_point.undefined == "no positive row"'
printf 'y,p\n1,2.5\n0,-1\n' > "$work/logits.csv" # no probabilities: no calibration
arkfm metrics "$work/logits.csv" --label y --score p --json
expect_exit 0 && expect_json '.brier == null and .ece == null and .threshold == 0.5'

# Wrong usage.
wrong() { # MESSAGE ARGUMENT...
    local message=$1
    shift
    arkfm metrics "$@"
    expect_exit 2 && expect_err "$message"
}
wrong '--label COL is required' "$table" --score p
wrong '--score COL is required' "$table" --label y
wrong 'missing argument' --label y --score p
wrong "did you mean '--label'" "$table" --labl y --score p
wrong 'not between 0 and 1' "$table" --label y --score p --level 95
wrong 'outside 1\.\.1000000' "$table" --label y --score p --bootstrap 0
wrong 'whole number' "$table" --label y --score p --bootstrap many
wrong '--group needs --bootstrap' "$table" --label y --score p --group patient
wrong 'go together' "$table" --label y --score p --operating-point youden
wrong "did you mean 'youden'" "$table" --label y --score p --operating-point yuden --chosen-on "$table"
wrong 'needs a target' "$table" --label y --score p --operating-point sensitivity --chosen-on "$table"
wrong 'exclude each other' "$table" --label y --score p --operating-point youden --chosen-on "$table" --threshold 1
finish
