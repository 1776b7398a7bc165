# Running contenders in turn, and asking for their medians. Sourced by bench/compare.sh.
# shellcheck shell=bash disable=SC2154,SC2034

running=
declare -A measured=() # groups whose rounds are over
names=() commands=()   # contenders of the group that is being set up

say() {
    printf 'compare: %s\n' "$*" >&2
}

# Kill the running contender with all its children (it leads a process group of its own).
stop_running() {
    [[ -z $running ]] || kill -KILL -- "-$running" 2> /dev/null || true
    running=
}

# high_water PID: the highest resident memory so far, in bytes
high_water() {
    awk '/^VmHWM/ { print 1024 * $2 }' "/proc/$1/status" 2> /dev/null || true
}

# run_limited COMMAND...: output in $tmp/out and $tmp/err; 124 after $allowed seconds, and then the memory it had taken
# until then in $tmp/rss
run_limited() {
    local end=$((SECONDS + allowed)) status=0
    : > "$tmp/rss"
    setsid "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null &
    running=$!
    while kill -0 "$running" 2> /dev/null; do
        if ((SECONDS >= end)); then
            high_water "$running" > "$tmp/rss"
            stop_running
            wait 2> /dev/null || true
            return 124
        fi
        sleep 0.3
    done
    wait "$running" || status=$?
    running=
    return $status
}

# Why the last command failed, in a few words.
reason() {
    local status=$1 word
    word=$(sed -n 's/^.*No module named .\([A-Za-z_]*\).*$/\1/p' "$tmp/err" | head -n 1)
    if ((status == 124)); then
        echo "> limit ($allowed s)"
    elif ((status == 127)) || grep -q "can't open file" "$tmp/err"; then
        echo 'absent'
    elif ((status == 2)); then
        echo 'not an option of this version'
    elif [[ -n $word ]]; then
        echo "absent ($word)"
    else
        tail -n 1 "$tmp/err" | tr -d '|' | cut -c 1-80 | grep . || echo "exit status $status"
    fi
}

# contend NAME COMMAND...: enter a contender of the next group; its command prints one JSON object
contend() {
    names+=("$1")
    shift
    commands+=("$(printf '%q ' "$@")")
}

# record GROUP NAME ROUND: keep what the last command printed (of a list of images, the only one)
record() {
    jq -c --arg group "$1" --arg name "$2" --argjson round "$3" \
        '. + (.images[0]? // {}) + {group: $group, name: $name, round: $round}' "$tmp/out" >> "$runs_file" 2> "$tmp/err"
}

give_up() {
    say "  $2: $4"
    jq -nc --arg group "$1" --arg name "$2" --argjson round "$3" --arg reason "$4" --arg rss "$(cat "$tmp/rss" 2> /dev/null)" \
        '{group: $group, name: $name, round: $round, reason: $reason} +
         if $rss == "" then {} else {rss_at_limit: ($rss | tonumber)} end' >> "$runs_file"
}

# take_turns GROUP: every contender once a round, in the order they were entered; one that fails is left out of the
# rounds that follow
take_turns() {
    local group=$1 round i status command
    local -A out=()
    for ((round = 1; round <= rounds; round++)); do
        for i in "${!names[@]}"; do
            [[ -z ${out[$i]:-} ]] || continue
            status=0 allowed=$limit
            [[ ${names[i]} == arkfm* || ${names[i]} != *bf16* ]] || allowed=$limit_bf16
            eval "command=(${commands[i]})"
            say "$group, round $round of $rounds: ${names[i]}"
            run_limited "${command[@]}" || status=$?
            if ((status)) || ! record "$group" "${names[i]}" "$round"; then
                give_up "$group" "${names[i]}" "$round" "$(reason "$status")"
                out[$i]=1
            fi
        done
    done
    names=() commands=()
    measured[$group]=1
}

# median GROUP NAME FILTER: of a number of its runs; nothing if it has none
median() {
    jq -nr --arg group "$1" --arg name "$2" "[inputs | select(.group == \$group and .name == \$name) | $3 | numbers]
        | sort | length as \$n | if \$n == 0 then empty
          else (.[((\$n - 1) / 2) | floor] + .[(\$n / 2) | floor]) / 2 end" "$runs_file"
}

# outcome GROUP NAME: why it has no number, or nothing
outcome() {
    jq -nr --arg group "$1" --arg name "$2" \
        'first(inputs | select(.group == $group and .name == $name and .reason) | .reason) // empty' "$runs_file"
}

# all_names GROUP PATTERN: contenders of a group whose name matches, in order of entry
all_names() {
    jq -nr --arg group "$1" --arg pattern "$2" '[inputs | select(.group == $group) | .name | select(test($pattern))]
        | reduce .[] as $n ([]; if index([$n]) then . else . + [$n] end) | .[]' "$runs_file"
}

# calc EXPRESSION [x=VALUE ...]: arithmetic on numbers that may be missing (empty)
calc() {
    local expression=$1 pair
    shift
    for pair in "$@"; do
        [[ ${pair#*=} =~ ^[-+0-9.e]+$ ]] || return 0
    done
    awk "${@/#/-v}" "BEGIN { x = $expression; if (x != \"\") printf \"%.17g\", x }" < /dev/null
}

# show FORMAT VALUE [ABSENT]: a number as printf writes it, or a dash
show() {
    if [[ -n $2 ]]; then
        # shellcheck disable=SC2059
        printf "$1" "$2"
    else
        printf '%s' "${3:--}"
    fi
}

# verdict CONDITION...: each 1, 0 or empty (not known)
verdict() {
    local c result=yes
    for c in "$@"; do
        case $c in
        0) result=no ;;
        '') [[ $result == no ]] || result='not known' ;;
        esac
    done
    echo "$result"
}

# row WHAT GOAL OURS PEERS RATIO MET
row() {
    printf '| %s | %s | %s | %s | %s | %s |\n' "$@"
    jq -nc '$ARGS.positional | {what: .[0], goal: .[1], arkfm: .[2], peers: .[3], ratio: .[4], met: .[5]}' \
        --args -- "$@" >> "$rows_file"
}
