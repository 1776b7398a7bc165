# arkfm explain: heat maps of a model trained for a moment; what is refused.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"

arkfm synth "$work/data" --images 40 --size 48 --seed 5
expect_exit 0
arkfm pretrain "$work/data/pretrain.yaml" --out "$work/run" --set train.epochs=1 --set model.projector_dim=16 \
    --set model.arch=swin:embed=8,depths=1-1,heads=1-2,window=4,size=32
expect_exit 0
weights=$work/run/teacher.safetensors
image=$(find "$work/data/childrens/images" -name '*.png' | sort | head -n 1)

arkfm explain "$weights" "$image" --head childrens --class Normal -o "$work/heat.png" --map "$work/heat.npy" --json
expect_exit 0
expect_json '.head == "childrens" and .class == "Normal" and .method == "grad-cam" and .grid == [4, 4]'
expect_json '.probability > 0 and .probability < 1'
cp "$work/.out" "$work/first.json"
[[ $(head -c 8 "$work/heat.png" | od -An -tx1 | tr -d ' ') == 89504e470d0a1a0a ]] || fail "a PNG is written"
[[ $(stat -c %s "$work/heat.npy") -eq $((128 + 64)) ]] || fail "a map of 4 x 4 float32 is written"

# The probability is the one that predict gives.
arkfm predict "$weights" "$image" --head childrens --json
expect_exit 0
jq -e --slurpfile e "$work/first.json" \
    '(.images[0].heads[0].predictions[] | select(.class == "Normal").probability) - $e[0].probability | fabs < 1e-6' \
    "$work/.out" > "$work/.ok" || fail "the probability of predict"

# The same bytes for any number of threads.
arkfm explain "$weights" "$image" --head childrens --class Normal -o "$work/one.png" --threads 1
expect_exit 0
expect_out 'childrens Normal: probability 0\.'
cmp -s "$work/heat.png" "$work/one.png" || fail "the same picture with one thread"

arkfm explain "$weights" "$image" --class Norml -o "$work/x.png"
expect_exit 1
expect_one_line_error "no class 'Norml'"
arkfm explain "$weights" "$image" --head nobody --class Normal -o "$work/x.png"
expect_exit 1
expect_one_line_error "no head 'nobody'"
arkfm explain "$weights" "$work/none.png" --head childrens --class Normal -o "$work/x.png"
expect_exit 1
expect_one_line_error 'none\.png'
arkfm explain "$weights" "$image" --head childrens --class Normal -o "$work/x.png" --strength 2
expect_exit 2
arkfm explain "$weights" "$image" --class Normal
expect_exit 2
[[ ! -e $work/x.png ]] || fail "no picture is left behind"
finish
