# What was measured, where and when. Sourced by bench/compare.sh.
# shellcheck shell=bash disable=SC2154

# A network so small that little but the yardstick is timed.
yardstick() {
    "$ARKFM" bench infer --model swin:embed=8,depths=1,heads=1,window=4,size=32 --batch 1 --runs 1 --dtype "$1" \
        --threads "$threads" --json
}

peer_versions() {
    "$PEER_PYTHON" - << 'PYTHON' 2> /dev/null || true
from importlib import metadata
found = []
for name in ("torch", "timm", "onnxruntime", "openvino", "pillow", "albumentations"):
    try:
        found.append(f"{name} {metadata.version(name)}")
    except metadata.PackageNotFoundError:
        found.append(f"{name} absent")
print(", ".join(found))
PYTHON
}

commit() {
    local mark=''
    [[ -z $(git status --porcelain 2> /dev/null) ]] || mark=' with changes'
    echo "$(git rev-parse --short=12 HEAD 2> /dev/null || echo unknown)$mark"
}

header() {
    local cpu cores versions
    cpu=$(lscpu | sed -n 's/^Model name: *//p' | head -n 1)
    cores=$(nproc)
    versions=$(peer_versions)
    yardstick f32 > "$tmp/f32.json"
    yardstick bf16 > "$tmp/bf16.json"
    jq -n --arg date "$(date -u +%Y-%m-%d)" --arg cpu "$cpu" --arg cores "$cores" --arg flags "$(isa)" \
        --arg commit "$(commit)" --arg peers "${versions:-no Python with them}" --arg load "$(cut -d ' ' -f 1 /proc/loadavg)" \
        --argjson threads "$threads" --argjson rounds "$rounds" --argjson limit "$limit" \
        --slurpfile f32 "$tmp/f32.json" --slurpfile bf16 "$tmp/bf16.json" '
        {date: $date, cpu: $cpu, cores: ($cores | tonumber), isa: $flags, load: ($load | tonumber), commit: $commit,
         peers: $peers, threads: $threads, rounds: $rounds, limit_s: $limit, peak_f32: $f32[0].peak_flops,
         peak_bf16: (if $bf16[0].peak_dtype == "bf16" then $bf16[0].peak_flops else null end),
         copy_bytes_per_s: $f32[0].copy_bytes_per_s}' > "$tmp/machine.json"
    jq -r '
        def g: . / 1e8 | round / 10;
        "\(.date), commit \(.commit); \(.cpu) with \(.isa), \(.cores) cores, \(.threads) threads each; " +
        "load before the start \(.load).",
        "Measured peaks: \(.peak_f32 | g) GFLOP/s f32, " +
        (if .peak_bf16 then "\(.peak_bf16 | g) bf16" else
            "no bf16 instructions (a bf16 row is divided by the f32 peak)" end) +
        ", copy \(.copy_bytes_per_s | g) GB/s read and written.",
        "Peers: \(.peers).",
        "Medians of \(.rounds) turns, contenders alternating; of peak: divided by the peak measured in the same run."' \
        "$tmp/machine.json"
    printf '\n| what | goal | arkfm | peers | ratio | met |\n|---|---|---|---|---|---|\n'
}

isa() {
    local flags word list=''
    flags=" $(sed -n '/^flags/{s/.*: //p;q}' /proc/cpuinfo) "
    for word in avx2 avx512f avx512_bf16 amx_bf16; do
        [[ $flags != *" $word "* ]] || list+=${list:+, }${word^^}
    done
    echo "${list:-no AVX2}"
}
