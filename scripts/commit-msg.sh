#!/usr/bin/env bash
# Check the form of commit subjects: "area: imperative summary", at most 72 characters, no full
# stop. Areas are folders, or "folder/folder".
#
#   scripts/commit-msg.sh FILE            one message (as .git/hooks/commit-msg calls it)
#   scripts/commit-msg.sh --range A..B    every commit of a range
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"

areas="base io core backend nn data model train eval synth report api app include examples tests bench docs cmake scripts ci configs"
bad=0

complain() {
    echo "commit-msg: '$1': $2" >&2
    bad=1
}

check() {
    local subject=$1 area text
    [[ $subject =~ ^(Merge|Revert|fixup!|squash!)\  ]] && return
    if [[ ! $subject =~ ^([a-z,\ /]+):\ (.+)$ ]]; then
        complain "$subject" "not of the form 'area: summary'"
        return
    fi
    text=${BASH_REMATCH[2]}
    for area in ${BASH_REMATCH[1]//,/ }; do
        [[ " $areas " == *" ${area%%/*} "* ]] || complain "$subject" "area '$area' is none of: $areas"
    done
    ((${#subject} <= 72)) || complain "$subject" "${#subject} characters, limit 72"
    [[ $text != *. ]] || complain "$subject" "ends with a full stop"
}

case ${1:-} in
--range)
    while IFS= read -r subject; do
        check "$subject"
    done < <(git log --no-merges --format=%s "${2:?usage: commit-msg.sh --range A..B}")
    ;;
'' | -*) echo "usage: scripts/commit-msg.sh FILE | --range A..B" >&2 && exit 2 ;;
*)
    check "$(sed '/^#/d;/^$/d' "$1" | head -n 1)"
    [[ -z $(sed '/^#/d' "$1" | sed -n 2p) ]] || complain "$(head -n 1 "$1")" "second line must be blank"
    ;;
esac
exit $bad
