# Sourced by tests/cli/test_*.sh. A script runs commands with `run` or `arkfm`, states what it expects of the last
# one, and ends with `finish`. Every failed expectation is printed; the first does not stop the script.
#
#   . "$ARK_SOURCE_DIR/tests/cli/lib.sh"
#   arkfm metrics "$work/t.csv" --label y --score p --json
#   expect_exit 0
#   expect_json '.auroc == 0.875 and .n == 4'
#   arkfm metrics missing.csv --label y --score p
#   expect_exit 1 && expect_err 'missing\.csv'
#   finish
#
# $work is an empty folder, removed at the end. Standard input of commands is empty.
# shellcheck shell=bash
set -u
: "${ARKFM:?path of the arkfm program, set by ctest}" "${ARK_SOURCE_DIR:?folder of the sources, set by ctest}"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
status=0
last=

# run COMMAND...: keeps exit status in $status, output in $work/.out and $work/.err
run() {
    last=$*
    "$@" > "$work/.out" 2> "$work/.err" < /dev/null
    status=$?
}

arkfm() {
    run "$ARKFM" "$@"
}

# fail MESSAGE: the last command did not do what was expected
fail() {
    failures=$((failures + 1))
    echo "FAILED: $1"
    echo "  command: $last"
    echo "  exit:    $status"
    head -c 2000 "$work/.out" | sed 's/^/  stdout:  /'
    head -c 2000 "$work/.err" | sed 's/^/  stderr:  /'
    return 1
}

expect_exit() {
    [[ $status -eq $1 ]] || fail "expected exit $1"
}

# Extended regular expressions, matched line by line.
expect_out() {
    grep -Eq -- "$1" "$work/.out" || fail "stdout lacks /$1/"
}

expect_err() {
    grep -Eq -- "$1" "$work/.err" || fail "stderr lacks /$1/"
}

# An error is one line: file and reason.
expect_one_line_error() {
    expect_err "$1" && { [[ $(wc -l < "$work/.err") -eq 1 ]] || fail "stderr is not one line"; }
}

# expect_json FILTER [FILE]: stdout (or FILE) is exactly one JSON value, and the jq filter is true of it
expect_json() {
    local file=${2:-$work/.out}
    [[ $(jq -s length "$file" 2> /dev/null) == 1 ]] || {
        fail "not one JSON value"
        return
    }
    jq -e "$1" "$file" > /dev/null || fail "JSON does not satisfy: $1"
}

expect_file() {
    [[ -s $1 ]] || fail "no file $1, or an empty one"
}

expect_same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

skip() {
    echo "SKIP: $1"
    exit 77
}

finish() {
    ((failures == 0)) || { echo "$failures expectations failed" && exit 1; }
    exit 0
}
