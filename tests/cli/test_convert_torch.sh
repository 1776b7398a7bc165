# Ways through PyTorch itself: ours -> .pth -> torch.load -> torch.save -> ours is bit-exact, a stock torch.load reads
# what is written without trusting it, and timm loads the encoder strictly. ARK_TORCH_PYTHON names a Python with torch.
# shellcheck shell=bash disable=SC2154
. "$ARK_SOURCE_DIR/tests/cli/lib.sh"
python=${ARK_TORCH_PYTHON:-python3}
"$python" -c 'import torch' 2> /dev/null || skip "$python has no torch (ARK_TORCH_PYTHON names another)"

arkfm synth "$work/data" --images 20 --size 48 --seed 3
cat > "$work/run.yaml" << EOF
data: {config: data/datasets.yaml}
model: {arch: "swin:embed=8,depths=2-2,heads=2-2,window=4,size=32", projector: mlp, projector_dim: 6}
train: {epochs: 1, batch: 8, warmup_epochs: 0, test_every: 0}
EOF
arkfm pretrain "$work/run.yaml" --out "$work/run"
expect_exit 0
ours=$work/run/teacher.safetensors
arkfm convert "$ours" "$work/a.pth"
expect_exit 0
cat > "$work/way.py" << 'EOF'
import sys, torch
work = sys.argv[1]
d = torch.load(f"{work}/a.pth", weights_only=True)
assert set(d) == {"state_dict", "arkfm"} and d["arkfm"]["format"] == "arkfm", d.keys()
assert all(t.dtype == torch.float32 and t.is_contiguous() for t in d["state_dict"].values())
torch.save(d, f"{work}/zip.pth")
torch.save(d, f"{work}/old.pth", _use_new_zipfile_serialization=False)
views = {k: v.t().contiguous().t() if v.dim() == 2 else v for k, v in d["state_dict"].items()}
torch.save({"arkfm": d["arkfm"], "state_dict": {"module." + k: torch.nn.Parameter(v) for k, v in views.items()}},
           f"{work}/views.pth")
torch.save(d["state_dict"], f"{work}/bare.pth")
EOF
run "$python" "$work/way.py" "$work"
expect_exit 0
for way in zip old; do
    arkfm convert "$work/$way.pth" "$work/$way.safetensors"
    expect_exit 0
    expect_same "$ours" "$work/$way.safetensors"
    arkfm convert "$work/$way.pth" "$work/$way-again.pth"
    expect_same "$work/a.pth" "$work/$way-again.pth"
done

# A bare state dict has lost its description but no weight.
arkfm embed "$ours" "$work/data/childrens/images" -o "$work/1.npy" --layer projector
arkfm embed "$work/bare.pth" "$work/data/childrens/images" -o "$work/2.npy" --layer projector \
    --arch swin:embed=8,depths=2-2,heads=2-2,window=4,size=32
expect_exit 0
expect_same "$work/1.npy" "$work/2.npy"

"$python" -c 'import timm, safetensors' 2> /dev/null || finish
arkfm convert "$ours" "$work/timm.safetensors" --format timm
expect_exit 0
cat > "$work/strict.py" << 'EOF'
import sys, torch
from safetensors.torch import load_file
from timm.models.swin_transformer import SwinTransformer
m = SwinTransformer(img_size=32, window_size=4, embed_dim=8, depths=[2, 2], num_heads=[2, 2], num_classes=0)
m.load_state_dict(load_file(sys.argv[1] + "/timm.safetensors"), strict=True)
EOF
run "$python" "$work/strict.py" "$work"
expect_exit 0
finish
