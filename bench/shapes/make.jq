# The plan of an encoder (arkfm plan --mode train --dtype bf16 --json) -> problems for arkbench (bench/problem.h).
# Heads and window come from the architecture's description, the rest from shapes: node i reads what node i - 1 wrote.

def field($key): capture("[:,]" + $key + "=(?<v>[0-9-]+)").v;
def by_x: map(tostring) | join("x");
def rows: .[1:-1] | reduce .[] as $d (1; . * $d);
def flat: [rows, .[-1]] | by_x;

(.architecture | {
    heads: field("heads") | split("-") | map(tonumber),
    window: ((field("window") // "0") | tonumber),
    patch: ((field("patch") // "4") | tonumber),
    size: field("size") | tonumber
}) as $arch |
1376 as $projected | 14 as $classes |

# One node as {op, dims, more (options), note}; $x is the shape of its input.
def problem($x):
    .shape as $y | (.label | test("[.]mlp$") and $x[-1] < $y[-1]) as $fc1 |
    (if .dtype == "f32" then " out=f32" else "" end) as $out |
    if .op == "patchify" then
        ($arch.size / $y[1]) as $patch |
        {op: "patchify", dims: [$y[-1] / ($patch * $patch), $arch.size] | by_x, more: " patch=\($patch) input=fixed"}
    elif .op == "linear" then
        {op, dims: [($x | rows), $x[-1], $y[-1]] | by_x,
         more: ((if $fc1 then " act=gelu" else "" end) + (if .label == "patch_embed" then " input=fixed" else "" end) + $out),
         note: (if .label == "patch_embed" then "patch embedding"
                elif .label | test("downsample$") then "reduction"
                elif .label | test("attn$") then (if $y[-1] == 3 * $x[-1] then "qkv" else "proj" end)
                elif $fc1 then "fc1" else "fc2" end)}
    elif .op == "window_attn" then
        (.label | capture("layers[.](?<s>[0-9]+)[.]blocks[.](?<b>[0-9]+)") | map_values(tonumber)) as $at |
        (if $y[1] <= $arch.window then [$y[1], 0] else [$arch.window, $at.b % 2 * ($arch.window / 2 | floor)] end) as [$m, $shift] |
        {op: "attn", dims: $y[1:] | by_x,
         more: " heads=\($arch.heads[$at.s]) window=\($m)\(if $shift > 0 then " shift=\($shift)" else "" end)"}
    elif .op == "attention" then {op, dims: $y[1:] | by_x, more: " heads=\($arch.heads[0])"}
    elif .op == "token_embed" then {op, dims: [$y[1] - 1, $y[2]] | by_x, more: ""}
    elif .op == "token_slice" then {op, dims: [($arch.size / $arch.patch) * ($arch.size / $arch.patch) + 1, $y[-1]] | by_x, more: ""}
    elif .op == "layernorm" then {op, dims: $y | flat, more: $out}
    elif .op == "residual" then {op, dims: $y | flat, more: ""}
    elif .op == "patch_merge" then {op, dims: $x[1:] | by_x, more: ""}
    elif .op == "avgpool" then {op, dims: $x | flat, more: ""}
    else error("no problem for \(.op)")
    end;

(.nodes | map(select(.op != "mse"))) as $n |
($n[-1].shape[-1]) as $features |
(.parameters + ($features + 1) * $projected + ($projected + 1) * $classes) as $all |
[range(0; $n | length) as $i | $n[$i] | problem($n[$i - 1].shape) + {at: $i}] |
# the same op and dims stand together where the first of them was
group_by([.op, .dims]) | map((map(.at) | min) as $first |
    group_by(.more) | map(.[0] + {first: $first, at: (map(.at) | min), count: length}) | .[]) |
sort_by([.first, .at]) as $ops |

def line: if .note then (.text + " " * ([47 - (.text | length), 1] | max)) + "# " + .note else .text end;

"# \($title): every op of a training step, weighted by how often it occurs. Made by make.sh.",
($ops[] | {note, text: "\(.op) \(.dims)\(.more)\(if .count > 1 then " count=\(.count)" else "" end)"} | line),
({text: "linear 1x\($features)x\($projected) out=f32", note: "projector"},
 {text: "linear 1x\($projected)x\($classes) out=f32", note: "head"} | line),
"bce \($classes)",
"mse \($projected)",
({text: "sgd \($all)", note: "parameters of encoder, projector and head"},
 {text: "to_bf16 \($all)", note: "with bf16 only"},
 {text: "ema \($all) count=0", note: "once per epoch of a dataset"},
 {text: "norm \($all) count=0", note: "with train.clip_grad"} | line)
