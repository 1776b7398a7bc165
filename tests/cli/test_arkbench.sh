# arkbench: shape files that follow the plans, right on small shapes, numbers that fit together.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

# The committed shape files are what their generator writes from today's plans.
mkdir "$work/shapes"
run "$ARK_SOURCE_DIR/bench/shapes/make.sh" "$work/shapes"
expect_exit 0
for file in swin_{tiny,base,large}_{224,384,768}.txt vit_{small,base}_224.txt; do
    expect_same "$ARK_SOURCE_DIR/bench/shapes/$file" "$work/shapes/$file"
done

arkbench=${ARKFM%/*}/bench/arkbench
[[ -x $arkbench ]] || finish
run "$arkbench" --mode C --threads 2 --batch 3 'linear 49x12x20 act=gelu' 'linear 49x12x20 input=fixed' \
    'patchify 3x16 patch=4 input=fixed'
expect_exit 0
expect_out '^pass d2 '
run "$arkbench" --threads 1 --batch 2 --json 'linear 49x12x20 count=3' 'layernorm 49x96' 'to_bf16 1000' \
    'patchify 3x16 patch=4 input=fixed' 'sgd 1000'
expect_exit 0
expect_json '.ops | map(.op + " " + .pass) ==
    ["linear fwd", "linear bwd", "layernorm fwd", "layernorm bwd", "patchify fwd", "sgd bwd"]'
expect_json '.ops[0].flop == 2 * 49 * 12 * 20 * 2 and .ops[1].flop == 2 * .ops[0].flop and .ops[0].count == 3'
# x and W are read, out written; f32
expect_json '.ops[0].bytes == 4 * (2 * 49 * 12 + 12 * 20 + 20 + 2 * 49 * 20)'
expect_json '. as $o | all(.ops[]; (.floor_ms / ([.flop / $o.peak_flops, .bytes / $o.copy_bytes_per_s] | max * 1e3) - 1)
    | fabs < 1e-4)'
expect_json '(.step_ms / (2 * .fwd_ms + .bwd_ms) - 1 | fabs) < 1e-4 and .step_floor_ms <= .step_ms'
run "$arkbench" --threads 1 --batch 2 --worst 1 'linear 49x12x20'
expect_out '^most time above the floor'
run "$arkbench" --worse 1 'linear 49x12x20'
expect_exit 2
run "$arkbench" 'linear 49x12x20 rate=x'
expect_exit 1
finish
