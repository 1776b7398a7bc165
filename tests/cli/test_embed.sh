# arkfm embed: features equal PyTorch's for foreign state dicts; sources, layers, refusals.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
golden=$ARK_SOURCE_DIR/tests/golden

# expect_close FILE REFERENCE TOLERANCE: float32 arrays of one shape (numpy's headers of small arrays are 128 bytes)
expect_close() {
    [[ $(stat -c %s "$1") -eq $(stat -c %s "$2") ]] || fail "$1 and $2 differ in size"
    paste <(tail -c +129 "$1" | od -An -v -w4 -t f4) <(tail -c +129 "$2" | od -An -v -w4 -t f4) |
        awk -v tol="$3" '{ d = $1 - $2; n++; bad += !(d <= tol && -d <= tol) } END { exit !(n > 0 && bad == 0) }' ||
        fail "$1 is not within $3 of $2"
}

for case in new old vit_timm vit_torchvision; do
    for layer in encoder projector; do
        for backend in cpu ref; do
            arkfm embed "$golden/embed_$case.safetensors" --tensor "$golden/embed_${case}_x.npy" \
                -o "$work/out.npy" --layer $layer --backend $backend --batch 2 --json
            expect_exit 0
            expect_json ".layer == \"$layer\" and .shape[0] == 3"
            expect_close "$work/out.npy" "$golden/embed_${case}_$layer.npy" 1e-5
        done
    done
    arkfm embed "$golden/embed_$case.safetensors" --tensor "$golden/embed_${case}_x.npy" -o "$work/bf16.npy" \
        --dtype bf16
    expect_exit 0
    expect_close "$work/bf16.npy" "$golden/embed_${case}_projector.npy" 4e-2
done

# The projector's features are the default where there is one.
arkfm embed "$golden/embed_new.safetensors" --tensor "$golden/embed_new_x.npy" -o "$work/default.npy"
expect_out 'default\.npy: 3 x 6, projector'

# Images: the same rows from arguments, a folder and a list, whatever the batch.
arkfm synth "$work/data" --images 20 --size 48 --seed 3
expect_exit 0
images=$work/data/childrens/images
ls "$images"/*.png > "$work/list.txt"
arkfm embed "$golden/embed_old.safetensors" "$images" -o "$work/a.npy" --json
expect_exit 0
expect_json ".shape == [$(wc -l < "$work/list.txt"), 6] and .skipped == []"
arkfm embed "$golden/embed_old.safetensors" --list "$work/list.txt" -o "$work/b.npy" --batch 3 --threads 1
expect_exit 0
expect_same "$work/a.npy" "$work/b.npy"
arkfm embed "$golden/embed_old.safetensors" "$images"/*.png -o "$work/c.npy"
expect_same "$work/a.npy" "$work/c.npy"

# One unreadable file among them.
first=$(head -n 1 "$work/list.txt")
head -c 200 "$first" > "$work/cut.png"
sed -i "1i $work/cut.png" "$work/list.txt"
arkfm embed "$golden/embed_old.safetensors" --list "$work/list.txt" -o "$work/d.npy"
expect_exit 1
expect_one_line_error 'cut\.png'
[[ ! -e $work/d.npy ]] || fail "a file is left behind by a failed run"
arkfm embed "$golden/embed_old.safetensors" --list "$work/list.txt" -o "$work/d.npy" --on-bad-sample skip --json
expect_exit 0
expect_err 'skipped: .*cut\.png'
expect_json ".skipped == [\"$work/cut.png\"]"
expect_same "$work/a.npy" "$work/d.npy"

# Refused: another size, no projector asked for, a key that does not fit, no architecture.
arkfm embed "$golden/embed_old.safetensors" --tensor "$golden/embed_old_encoder.npy" -o "$work/e.npy"
expect_exit 1
expect_one_line_error 'embed_old_encoder\.npy: not an array of shape \(B,3,S,S\)'
arkfm embed "$golden/embed_old.safetensors" --tensor "$golden/embed_old_x.npy" -o "$work/e.npy" \
    --arch swin:embed=4,depths=2-2-2,heads=1-2-4,window=4,size=32
expect_exit 1
expect_one_line_error 'embed_old\.safetensors.*missing layers\.1\.blocks\.1\.norm1\.weight.*and [0-9]+ more'
arkfm embed "$golden/embed_old.safetensors" --tensor "$golden/embed_old_x.npy" -o "$work/e.npy" \
    --arch swin:embed=4,depths=2-2-2,heads=1-2-4,window=4,size=32 --allow-missing
expect_exit 0
expect_err 'missing layers\.1\.blocks\.1\.norm1\.weight'
arkfm embed "$golden/flat.safetensors" "$images" -o "$work/e.npy"
expect_exit 1
expect_one_line_error 'flat\.safetensors.*no encoder of a known family'
arkfm embed "$golden/embed_new.safetensors" "$images" -o "$work/none/e.npy"
expect_exit 1
expect_err 'none/e\.npy'
mkdir "$work/empty"
arkfm embed "$golden/embed_new.safetensors" "$work/empty" -o "$work/e.npy"
expect_exit 1
expect_one_line_error 'no \.png, \.jpg or \.jpeg file'

# Wrong words.
arkfm embed "$golden/embed_new.safetensors" -o "$work/e.npy"
expect_exit 2
arkfm embed "$golden/embed_new.safetensors" "$images" --list "$work/list.txt" -o "$work/e.npy"
expect_exit 2
arkfm embed "$golden/embed_new.safetensors" "$images"
expect_exit 2
arkfm embed "$golden/embed_new.safetensors" "$images" -o "$work/e.npy" --layer encodr
expect_exit 2
expect_err "did you mean 'encoder'"
arkfm embed "$golden/embed_new.safetensors" "$images" -o "$work/e.npy" --dtype f16
expect_exit 2
finish
