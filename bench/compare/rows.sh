# The rows of the table. Sourced by bench/compare.sh.
# shellcheck shell=bash disable=SC2154

# best GROUP NAME...: the fastest that has a number
best() {
    local group=$1 name speed top='' found=''
    shift
    for name in "$@"; do
        speed=$(median "$group" "$name" .images_per_s)
        if [[ -n $speed && (-z $top || $(calc 'a > b' "a=$speed" "b=$top") == 1) ]]; then
            top=$speed found=$name
        fi
    done
    echo "$found"
}

# list GROUP NAME...: "PyTorch f32 1.10 images/s, PyTorch bf16 > limit (600 s)"
list() {
    local group=$1 name speed text=''
    shift
    for name in "$@"; do
        speed=$(median "$group" "$name" .images_per_s)
        text+="${text:+, }$name $(show '%.3g images/s' "$speed" "$(outcome "$group" "$name")")"
    done
    echo "${text:-none}"
}

# speed_row WHAT GROUP DTYPE PEERS FRACTION STRETCH RATIO: PEERS is a pattern of names; goals of 0 are none
speed_row() {
    local what=$1 group=$2 ours="arkfm $3" pattern=$4 fraction=$5 stretch=$6 ratio=$7
    local speed of_peak peak dtype peers top top_speed times goal='reported' met=- text=''
    mapfile -t peers < <(all_names "$group" "$pattern")
    speed=$(median "$group" "$ours" .images_per_s)
    of_peak=$(median "$group" "$ours" .fraction_of_peak)
    peak=$(median "$group" "$ours" .peak_flops)
    dtype=$(jq -nr --arg g "$group" --arg n "$ours" \
        'first(inputs | select(.group == $g and .name == $n) | .peak_dtype // empty)' "$runs_file")
    top=$(best "$group" "${peers[@]}")
    top_speed=$(median "$group" "${top:-none}" .images_per_s)
    times=$(calc 'a / b' "a=$speed" "b=$top_speed")
    if [[ $fraction != 0 ]]; then
        goal="at least $fraction % of peak"
        [[ $stretch == 0 ]] || goal+=" ($stretch in reach)"
        goal+=", ${ratio}x the best peer"
    fi
    if [[ -n $speed ]]; then
        text=$(printf '%.3g images/s, **%.1f %%** of %.0f GFLOP/s %s' "$speed" "$(calc '100 * a' "a=$of_peak")" \
            "$(calc 'a / 1e9' "a=$peak")" "$dtype")
    fi
    if [[ $fraction != 0 ]]; then
        met=$(verdict "$(calc 'a >= b / 100' "a=$of_peak" "b=$fraction")" "$(calc 'a >= b' "a=$times" "b=$ratio")")
    fi
    row "$what" "$goal" "${text:-$(outcome "$group" "$ours")}" "$(list "$group" "${peers[@]}")" \
        "$(show '**%.2fx**' "$times")${top:+ of $top}" "$met"
}

step_groups() {
    if [[ -n $quick ]]; then
        echo 'swin_tiny 2'
    else
        tr ',:' '\n ' <<< "$steps"
    fi
}

rows_step() {
    local model batch
    while read -r model batch <&3; do
        measure_step "$model" "$batch"
        speed_row "Ark step, $model 224, batch $batch, f32" "step $model $batch" f32 '^PyTorch.* f32$' 65 80 2.0
        speed_row "Ark step, $model 224, batch $batch, bf16 (peers of any dtype)" "step $model $batch" bf16 \
            '^PyTorch' 50 65 2.0
    done 3< <(step_groups)
}

rows_infer() {
    local model=swin_base batch batches='1 16'
    [[ -z $quick ]] || model=swin_tiny batches=1
    for batch in $batches; do
        measure_infer $model 224 "$batch"
        speed_row "inference, $model 224, batch $batch, f32" "infer ${model}_224 $batch" f32 \
            '^(PyTorch|ONNX|OpenVINO).* f32$' 70 0 1.3
        speed_row "inference, $model 224, batch $batch, bf16" "infer ${model}_224 $batch" bf16 \
            '^(PyTorch|ONNX|OpenVINO).* bf16$' 55 0 1.3
    done
}

rows_large() {
    local group='infer swin_large_768 1' dtype rss
    [[ -z $quick ]] || { say 'large: not with --quick' && return 0; }
    measure_infer swin_large 768 1
    for dtype in f32 bf16; do
        speed_row "inference, swin_large 768, batch 1, $dtype" "$group" $dtype "^(PyTorch|ONNX|OpenVINO).* $dtype\$" 0 0 0
        rss=$(median "$group" "arkfm $dtype" .peak_rss_bytes)
        memory_row "peak memory of inference, swin_large 768, batch 1, $dtype" 'at most 3 GB' "$group" "arkfm $dtype" \
            "^(PyTorch|ONNX|OpenVINO).* $dtype\$" "$(calc 'a <= 3e9' "a=$rss")"
    done
}

# memory_row WHAT GOAL GROUP OURS PEERS MET|LIMIT: LIMIT "<=X" judges the ratio; sets $memory_ratio, and $memory_bound
# where it is only a bound. The peer that takes least counts. Of one that was stopped at the limit, what it had taken by
# then is known.
memory_row() {
    local what=$1 goal=$2 group=$3 ours=$4 pattern=$5 met=$6 mine peers name bytes least='' text='' note
    memory_bound=''
    mapfile -t peers < <(all_names "$group" "$pattern")
    mine=$(median "$group" "$ours" .peak_rss_bytes)
    for name in "${peers[@]}"; do
        bytes=$(median "$group" "$name" .peak_rss_bytes) note=''
        [[ -n $bytes ]] || { bytes=$(median "$group" "$name" .rss_at_limit) && note='> '; }
        text+="${text:+, }$name $(show "$note%.2f GB" "$(calc 'a / 1e9' "a=$bytes")" "$(outcome "$group" "$name")")"
        if [[ -n $bytes && (-z $least || $(calc 'a < b' "a=$bytes" "b=$least") == 1) ]]; then
            least=$bytes memory_bound=$note
        fi
    done
    memory_ratio=$(calc 'a / b' "a=$mine" "b=$least")
    [[ $met != '<='* ]] || met=$(calc 'a <= b' "a=$memory_ratio" "b=${met#<=}")
    [[ -z $memory_bound || $met == 1 ]] || met='' # the peer would have taken more: not known
    row "$what" "$goal" "$(show '%.2f GB' "$(calc 'a / 1e9' "a=$mine")" "$(outcome "$group" "$ours")")" \
        "${text:-none}" "$(show '**%.2fx**' "$memory_ratio")" "$(verdict "$met")"
}

rows_memory() {
    local model batch dtype group
    while read -r model batch <&3; do
        measure_step "$model" "$batch"
        group="step $model $batch"
        for dtype in f32 bf16; do
            memory_row "peak memory of the step, $model, batch $batch, $dtype" "at most 0.5x PyTorch's" "$group" \
                "arkfm $dtype" "^PyTorch.* $dtype\$" '<=0.5'
            recompute_row "$model" "$batch" $dtype
        done
    done 3< <(step_groups)
}

recompute_row() {
    local group="step $1 $2" name="arkfm $3 recompute" plain again slower small
    local what="the same with recomputation" goal="at most 0.25x PyTorch's at 1.35x the time"
    if ! has_option --recompute; then
        row "$what" "$goal" 'not in this build' - - 'not known'
        return
    fi
    plain=$(median "$group" "arkfm $3" .images_per_s)
    again=$(median "$group" "$name" .images_per_s)
    slower=$(calc 'a / b' "a=$plain" "b=$again")
    memory_row "$what" "$goal" "$group" "$name" "^PyTorch.* $3\$" '<=0.25' > "$tmp/row"
    small=$(calc 'a <= 0.25' "a=$memory_ratio")
    [[ -z $memory_bound || $small == 1 ]] || small=''
    # One row with both ratios: replace the one that memory_row wrote.
    sed -i '$d' "$rows_file"
    mapfile -t cells < <(tr '|' '\n' < "$tmp/row" | sed 's/^ *//; s/ *$//; /^$/d')
    row "$what" "$goal" "${cells[2]}" "${cells[3]}" "${cells[4]} at $(show '**%.2fx**' "$slower") the time" \
        "$(verdict "$small" "$(calc 'a <= 1.35' "a=$slower")")"
}

rows_data() {
    local kind file ours theirs times peer='Pillow + albumentations'
    data_images
    for kind in JPEG PNG; do
        file=${!kind}
        [[ -n $file ]] || { say "data: no $kind to decode" && continue; }
        measure_data $kind "$file"
        ours=$(median "data $kind" arkfm .images_per_s)
        theirs=$(median "data $kind" "$peer" .images_per_s)
        times=$(calc 'a / b' "a=$ours" "b=$theirs")
        row "decode, resize, augment: 1024 px $kind to a 224 px student and teacher view, one core" 'at least 3x' \
            "$(show '%.1f images/s' "$ours" "$(outcome "data $kind" arkfm)")" \
            "$peer $(show '%.1f images/s' "$theirs" "$(outcome "data $kind" "$peer")")" \
            "$(show '**%.2fx**' "$times")" "$(verdict "$(calc 'a >= 3' "a=$times")")"
    done
}

rows_start() {
    local state seconds
    local -A cache=([warm]='page cache warm' [cold]='weights dropped from the page cache before each run')
    measure_start
    for state in warm cold; do
        seconds=$(median start $state .seconds)
        row "\`arkfm predict\`, one image, swin_tiny: whole process, ${cache[$state]}" 'at most 0.3 s' \
            "$(show '**%.3f s**' "$seconds" "$(outcome start $state)")" - - \
            "$(verdict "$(calc 'a <= 0.3' "a=$seconds")")"
    done
}

rows_threads() {
    local batch=16 one all times goal
    [[ -z $quick ]] || batch=2
    goal=$(calc '0.95 * n' "n=$threads")
    measure_threads $batch
    one=$(median threads 1 .images_per_s)
    all=$(median threads "$threads" .images_per_s)
    times=$(calc 'a / b' "a=$all" "b=$one")
    row "Ark step, swin_tiny 224, batch $batch, f32: $threads threads against 1" "at least $(show '%.2f' "$goal")x" \
        "$(show '%.3g' "$one") and $(show '%.3g images/s' "$all")" - "$(show '**%.2fx**' "$times")" \
        "$(verdict "$(calc 'a >= g' "a=$times" "g=$goal")")"
}
