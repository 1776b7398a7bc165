# arkfm convert: .pth of PyTorch in its several shapes; what comes out computes what PyTorch computed, is the same bytes
# after a way through PyTorch, and what is wrong is said.
# shellcheck shell=bash disable=SC2154,SC2016,SC2012
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
golden=$ARK_SOURCE_DIR/tests/golden/pth

# expect_close FILE REFERENCE TOLERANCE: float32 arrays of one shape (numpy's headers of small arrays are 128 bytes)
expect_close() {
    [[ $(stat -c %s "$1") -eq $(stat -c %s "$2") ]] || fail "$1 and $2 differ in size"
    paste <(tail -c +129 "$1" | od -An -v -w4 -t f4) <(tail -c +129 "$2" | od -An -v -w4 -t f4) |
        awk -v tol="$3" '{ d = $1 - $2; n++; bad += !(d <= tol && -d <= tol) } END { exit !(n > 0 && bad == 0) }' ||
        fail "$1 is not within $3 of $2"
}

# Ark's checkpoint, read as it is: the teacher unless told otherwise, and said so.
ark=$golden/ark.pth.tar
for layer in encoder projector; do
    arkfm embed "$ark" --tensor "$golden/ark_x.npy" -o "$work/t.npy" --layer $layer
    expect_exit 0
    expect_err 'reads key teacher \(also there: state_dict\); --key chooses'
    expect_close "$work/t.npy" "$golden/ark_teacher_$layer.npy" 1e-5
    arkfm embed "$ark" --tensor "$golden/ark_x.npy" -o "$work/s.npy" --layer $layer --key state_dict
    expect_exit 0
    [[ ! -s $work/.err ]] || fail "something is said although the key was given"
    expect_close "$work/s.npy" "$golden/ark_student_$layer.npy" 1e-5
done

# torchvision's names.
arkfm embed "$golden/torchvision.pth" --tensor "$golden/torchvision_x.npy" -o "$work/tv.npy" --layer encoder
expect_exit 0
expect_close "$work/tv.npy" "$golden/torchvision_encoder.npy" 1e-5

# To ours, to .pth and back: not a byte is lost; and it still computes the same.
arkfm convert "$ark" "$work/a.safetensors" --json
expect_exit 0
expect_json '.format == "ark" and .tensors == 64 and .heads == 6 and .projector == "mlp" and .unmatched == []'
arkfm convert "$work/a.safetensors" "$work/b.pth" --json
expect_json '.format == "pth" and .left_out == 0'
arkfm convert "$work/b.pth" "$work/c.safetensors"
expect_exit 0
expect_same "$work/a.safetensors" "$work/c.safetensors"
arkfm embed "$work/b.pth" --tensor "$golden/ark_x.npy" -o "$work/b.npy" --layer projector
expect_exit 0
expect_close "$work/b.npy" "$golden/ark_teacher_projector.npy" 1e-5

# The encoder for timm.
arkfm convert "$ark" "$work/timm.safetensors" --format timm --json
expect_exit 0
expect_json '.format == "timm" and .tensors == 48 and .left_out == 16'

# inspect: what is beside the tensors.
arkfm inspect "$ark" --json
expect_exit 0
expect_json '.container == "torch zip" and .key == "teacher" and .unmatched == []'
expect_json '[.keys[] | select(.key == "epoch").value] == [50]'
expect_json '[.keys[] | select(.tensors) | .key] == ["state_dict", "teacher"]'
expect_json '[.heads[].dataset] == ["MIMIC","CheXpert","ChestXray14","RSNAPneumonia","VinDrCXR","Shenzhen"]'
expect_json '.heads[3].task == "multi-class" and .heads[5].classes == ["TB"]'
expect_json '[.tensors[] | select(.name == "module.projector.0.bias")][0].shape == [6]'
arkfm inspect "$ark"
expect_out '^key, shown +teacher: 70 tensors$'
expect_out '^key +epoch = 50$'
expect_out '^head 3 +RSNAPneumonia, multi-class, 3 classes: Normal, No Lung Opacity/Not Normal, Lung Opacity$'
arkfm inspect "$golden/microsoft.pth" --arch swin:embed=4,depths=2-2,heads=1-2,window=4,size=32 --json
expect_json '(.unmatched | length) == 13 and .unmatched[0] == "missing layers.1.blocks.1.norm1.weight"'
arkfm inspect "$golden/types_legacy.pth" --json
expect_json '.container == "torch legacy" and (has("architecture") | not) and (.tensors | length) == 22'

# Other names for the heads.
printf 'a:\n  classes: [%s]\n' "$(seq -s, 1 14)" > "$work/heads.yaml"
for d in b c; do printf '%s:\n  classes: [%s]\n' $d "$(seq -s, 1 14)"; done >> "$work/heads.yaml"
printf 'd:\n  diseases: [x, y, z]\n  task_type: multi-class\ne:\n  diseases: [1,2,3,4,5,6]\nf:\n  diseases: [q]\n' \
    >> "$work/heads.yaml"
arkfm inspect "$ark" --heads "$work/heads.yaml" --json
expect_json '[.heads[].dataset] == ["a","b","c","d","e","f"] and .heads[5].task == "binary"'
arkfm convert "$ark" "$work/named.safetensors" --heads "$work/heads.yaml"
expect_exit 0
arkfm inspect "$work/named.safetensors" --json
expect_json '.heads[3] == {dataset: "d", task: "multi-class", classes: ["x", "y", "z"]}'

# plan, and a bias table of another window.
arkfm plan "$ark" --key teacher --json
expect_exit 0
for how in bicubic geometric; do
    arkfm convert "$golden/microsoft.pth" "$work/$how.safetensors" --resize-tables $how \
        --arch swin:embed=4,depths=2-1,heads=1-2,window=7,size=56
    expect_exit 0
done
! cmp -s "$work/bicubic.safetensors" "$work/geometric.safetensors" || fail "--resize-tables changes nothing"

# Predictions under the released names.
arkfm synth "$work/data" --images 20 --size 48 --seed 3
arkfm predict "$ark" "$work/data/childrens/images" --json
expect_exit 0
expect_json '.images[0].heads[0].head == "MIMIC" and (.images[0].heads[3].predictions | map(.probability) | add) > 0.999'

# A pretraining that starts from a .pth.
cat > "$work/run.yaml" << EOF
data: {config: data/datasets.yaml, datasets: [childrens]}
model: {arch: "swin:embed=4,depths=2-1,heads=1-2,window=4,size=32", projector_dim: 6, init: "$ark", init_key: state_dict}
train: {epochs: 1, batch: 8, warmup_epochs: 0, test_every: 0}
EOF
arkfm pretrain "$work/run.yaml" --out "$work/run"
expect_exit 0
arkfm pretrain "$work/run.yaml" --out "$work/run2" --set model.init_key=ema
expect_exit 1
expect_err "ark\.pth\.tar: no key 'ema'; its keys are: state_dict \(70 tensors\)"

# Refused.
arkfm convert "$golden/module.pth" "$work/x.safetensors"
expect_exit 1
expect_one_line_error 'module\.pth: holds an object of torch\.nn\.modules\.linear\.Linear'
arkfm convert "$ARK_SOURCE_DIR/tests/fuzz/corpus/pth/code-posix-system" "$work/x.safetensors"
expect_exit 1
expect_one_line_error 'asks for posix\.system: a file that names code to run is refused'
arkfm convert "$golden/simmim.pth" "$work/x.safetensors"
expect_exit 1
expect_one_line_error 'unexpected decoder\.0\.bias; unexpected decoder\.0\.weight; unexpected mask_token'
[[ ! -e $work/x.safetensors ]] || fail "a file is left behind by a failed conversion"
arkfm convert "$golden/simmim.pth" "$work/x.safetensors" --allow-missing --json
expect_exit 0
expect_json '.unmatched == ["unexpected decoder.0.bias", "unexpected decoder.0.weight", "unexpected mask_token"]'
arkfm convert "$ark" "$work/x.safetensors" --key teachr
expect_exit 1
expect_one_line_error "no key 'teachr'"

# Wrong words.
arkfm convert "$ark"
expect_exit 2
arkfm convert "$ark" "$work/x.bin"
expect_exit 2
expect_err '\-\-format ark\|timm\|pth'
arkfm convert "$ark" "$work/x.bin" --format tim
expect_exit 2
expect_err "did you mean 'timm'"
arkfm convert "$ark" "$work/x.pth" --resize-tables cubic
expect_exit 2
expect_err "did you mean 'bicubic'"
finish
