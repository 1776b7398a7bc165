# arkfm bench: the keys that other tools read, and that the numbers fit together.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
small=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32

for mode in step infer; do
    for dtype in f32 bf16; do
        arkfm bench $mode --model $small --batch 3 --dtype $dtype --runs 3 --threads 2 --json
        expect_exit 0
        expect_json ".mode == \"$mode\" and .model == \"$small\" and .batch == 3 and .dtype == \"$dtype\" and
            .threads == 2"
        expect_json '.seconds_min <= .seconds_median and .seconds_median <= .seconds_max and .seconds_min > 0'
        expect_json '(.images_per_s * .seconds_median / .batch - 1) as $d | $d < 1e-9 and $d > -1e-9'
        expect_json '(.images_per_s * .flop_per_image / .peak_flops / .fraction_of_peak - 1) as $d |
            $d < 1e-9 and $d > -1e-9'
        expect_json '.peak_rss_bytes > 1e6 and .peak_flops > 1e8 and .copy_bytes_per_s > 1e8'
    done
done

# A step is a teacher's forward, a student's forward and backward: four times the forward of inference, but for the
# head and losses.
arkfm bench infer --model $small --batch 1 --runs 1 --json
forward=$(jq .flop_per_image "$work/.out")
arkfm bench step --model $small --batch 1 --runs 1 --json
expect_json ".flop_per_image / $forward > 3.8 and .flop_per_image / $forward < 4.3"

arkfm bench
expect_exit 2
arkfm bench setp
expect_exit 2
expect_err "did you mean 'step'"
arkfm bench infer --model swin_huge
expect_exit 1
finish
