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
useful=$(jq .flop_per_image "$work/.out")
arkfm bench step --model $small --batch 1 --runs 1 --recompute --json
expect_json ".flop_per_image == $useful and .recompute"
arkfm bench infer --model $small --recompute
expect_exit 2

# Without files two pictures of its own, with files those, in their order.
arkfm bench data --runs 3 --json
expect_exit 0
expect_json '.mode == "data" and .size == 224 and .runs == 3 and (.images | length) == 2'
expect_json '.images | all(.width == 1024 and .height == 1024 and .decode_ms > 0 and .student_ms > 0 and .teacher_ms > 0)'
expect_json '.images | all((.decode_ms + .student_ms + .teacher_ms) / .total_ms - 1 | . < 1e-9 and . > -1e-9)'
expect_json '.images | all(.images_per_s * .total_ms / 1000 - 1 | . < 1e-9 and . > -1e-9)'
corpus=$ARK_SOURCE_DIR/tests/fuzz/corpus/image
arkfm bench data --runs 1 --image "$corpus/valid-png-rgba8" --image "$corpus/valid-jpeg-grey" --json
expect_exit 0
expect_json "[.images[].image] == [\"$corpus/valid-png-rgba8\", \"$corpus/valid-jpeg-grey\"]"
expect_json ".images[0].bytes == $(wc -c < "$corpus/valid-png-rgba8")"
arkfm bench data --runs 1
expect_exit 0
expect_out "synthetic JPEG .1024 x 1024, "
arkfm bench data --image "$corpus/png-bad-crc"
expect_exit 1
expect_err "png-bad-crc: PNG: "
arkfm bench data --image "$work/none.png"
expect_exit 1
expect_err none.png
# Images of datasets, from files and from a pack.
arkfm synth "$work/ph" --images 20 --size 48
arkfm data pack "$work/ph/datasets.yaml" "$work/packed" --size 64 --dataset lakeside --dataset harbour_tb
for sets in "$work/ph/datasets.yaml 5 48" "$work/packed 2 64"; do
    read -r path n side <<< "$sets"
    arkfm bench data --runs 3 --data "$path" --json
    expect_exit 0
    expect_json "(.images | length) == $n and (.images | all(.samples == 20 and .width == $side and .decode_ms > 0))"
done
arkfm bench data --runs 1 --data "$work/packed"
expect_out "lakeside .64 x 64, 20 images"
arkfm bench data --data "$work/packed" --image "$corpus/valid-jpeg-grey"
expect_exit 2
arkfm bench infer --image "$corpus/valid-png-rgba8"
expect_exit 2
expect_err "bench data"

arkfm bench
expect_exit 2
arkfm bench setp
expect_exit 2
expect_err "did you mean 'step'"
arkfm bench infer --model swin_huge
expect_exit 1
finish
