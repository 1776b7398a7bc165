# arkfm plan: known parameter counts and FLOPs, a memory map without collisions, wrong usage.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

# Encoders without a classifier; published: Swin-T 4.5, Swin-B 15.4 G multiply-adds at 224 pixels (Liu et al., ICCV
# 2021); 86,743,224 and 195,198,516 parameters are counted from timm's models.
arkfm plan swin_tiny --json
expect_json '.parameters == 27519354 and .flops_fwd_per_image / 2e9 > 4.35 and .flops_fwd_per_image / 2e9 < 4.55'
arkfm plan swin_base_224 --json
expect_json '.parameters == 86743224 and .flops_fwd_per_image / 2e9 > 15.2 and .flops_fwd_per_image / 2e9 < 15.5'
arkfm plan swin_large_768 --json
expect_json '.parameters == 195198516'
# Work per image does not depend on the batch; backward is twice the forward of every product.
arkfm plan swin_tiny --mode train --batch 4 --json
expect_json '.flops_bwd_per_image / .flops_fwd_per_image > 1.9 and .flops_bwd_per_image / .flops_fwd_per_image < 2.2'
expect_json '.flops_fwd_per_image / 2e9 > 4.35 and .flops_fwd_per_image / 2e9 < 4.55 and .parameter_columns == 4'

# Nothing that lives at the same time overlaps, and everything lies inside the arena; a time of -1 is before the run.
# Gradients that a residual passes on share their place: one's first step is the other's last.
for mode in infer train "train --recompute"; do
    # shellcheck disable=SC2086
    arkfm plan swin:embed=8,depths=1-2,heads=1-2,window=3,size=32 --mode $mode --batch 2 --memory --json
    expect_exit 0
    expect_json '[.memory[] | {a: .offset, b: (.offset + .bytes), s: .first_use, e: .last_use, g: .gradient}] as $m |
        [range(0; $m | length) as $i | range(0; $i) as $j |
            select($m[$i].s <= $m[$j].e and $m[$j].s <= $m[$i].e and
                $m[$i].a < $m[$j].b and $m[$j].a < $m[$i].b and
                ($m[$i].g and $m[$j].g and $m[$i].a == $m[$j].a and $m[$i].b == $m[$j].b and
                    ($m[$i].s == $m[$j].e or $m[$j].s == $m[$i].e) | not))] == []'
    expect_json '([.memory[] | .offset + .bytes] | max) <= .activation_bytes'
    expect_json "([.memory[] | select(.gradient)] | length > 0) == (\"$mode\" != \"infer\")"
done
# Recomputing keeps less and counts the same arithmetic: what is done twice is no use.
arkfm plan swin_tiny --mode train --batch 4 --json
kept=$(jq .activation_bytes "$work/.out")
work_per_image=$(jq '.flops_fwd_per_image + .flops_bwd_per_image' "$work/.out")
arkfm plan swin_tiny --mode train --batch 4 --recompute --json
expect_json ".activation_bytes * 2 < $kept and .flops_fwd_per_image + .flops_bwd_per_image == $work_per_image"
arkfm plan swin_tiny --recompute
expect_exit 2
arkfm plan swin_tiny --memory
expect_out '^ +# +node +op'
expect_out '[0-9]+ +[0-9]+ +-1\.\.0 +image$'
expect_out '^parameters +27519354$'

# Weights: their architecture and heads, without their memory.
arkfm plan "$ARK_SOURCE_DIR/tests/golden/embed_old.safetensors" --json
expect_json '.architecture == "swin:embed=4,depths=2-1-2,heads=1-2-4,window=4,size=32"'
expect_json '.nodes[-1].label == "omni_heads.0" and .nodes[-1].shape == [1, 3]'
# A plan of 147 GB is made in less than 1 GB of address space (sanitizers reserve far more than that).
if ! nm -D "$ARKFM" 2> /dev/null | grep -q __asan_init; then
    run bash -c 'ulimit -v 1000000 && "$ARKFM" plan swin_large_768 --mode train --batch 64 --json'
    expect_exit 0
    expect_json '.activation_bytes > 1e11'
fi

arkfm plan swin_tinny
expect_exit 1
expect_one_line_error 'did you mean swin_tiny'
arkfm plan swin_tiny --mode trian
expect_exit 2
expect_err "did you mean 'train'"
arkfm plan swin_tiny --batch 0
expect_exit 2
arkfm plan swin_tiny --batch 1x
expect_exit 2
arkfm plan swin_tiny --backend cdua
expect_exit 1
finish
