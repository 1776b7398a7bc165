"""Writes embed_*.safetensors and embed_*_{x,encoder,projector}.npy: state dicts and what PyTorch makes of an input.

    python3 tests/golden/make_embed.py

Needs torch, timm, safetensors, numpy (committed output: torch 2.15.0, timm 1.0.31). The network is timm's Swin with
Ark's projector and heads; features are computed in float64 from the weights as stored.

    new  current names, float32; every window padded, odd grids, linear projector, a classifier beside it
    old  timm 0.5.4's names as DataParallel saves them, with its buffers; float16, bfloat16 and float64 mixed;
         windows cut down to the grid in the last stage, MLP projector
"""
import os
import re

import numpy as np
import torch
from safetensors.torch import save_file
from timm.models.swin_transformer import SwinTransformer

HERE = os.path.dirname(os.path.abspath(__file__))
torch.manual_seed(20240607)


def randomize(module):
    """Values that make every tensor matter; initialisation leaves biases at zero and tables near it."""
    for name, p in module.named_parameters():
        with torch.no_grad():
            p.copy_(0.3 * torch.randn_like(p) + (1 if "norm" in name and name.endswith("weight") else 0))


def old_names(state):
    """Stage i's downsample at its end instead of at the start of stage i + 1; the classifier without fc."""
    def rename(key):
        key = re.sub(r"^layers\.(\d+)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key)
        return "module." + key.replace("head.fc.", "head.")
    return {rename(k): v for k, v in state.items()}


def write(case, size, window, embed, depths, heads, projector, types, old):
    encoder = SwinTransformer(img_size=size, patch_size=4, window_size=window, embed_dim=embed, depths=depths,
                              num_heads=heads, num_classes=2)
    width = encoder.num_features
    project = torch.nn.Linear(width, 6) if projector == "linear" else torch.nn.Sequential(
        torch.nn.Linear(width, 6), torch.nn.ReLU(), torch.nn.Linear(6, 6))
    head = torch.nn.Linear(6, 3)
    state = {}
    for prefix, module in (("", encoder), ("projector.", project), ("omni_heads.0.", head)):
        randomize(module)
        state.update({prefix + k: v for k, v in module.state_dict().items()})
    state = {k: v.to(types[i % len(types)]) for i, (k, v) in enumerate(state.items())}
    encoder.load_state_dict({k: v.float() for k, v in state.items() if not k.startswith(("projector", "omni"))},
                            strict=False)
    project.load_state_dict({k[10:]: v.float() for k, v in state.items() if k.startswith("projector.")})
    x = torch.randn(3, 3, size, size)
    with torch.no_grad():
        features = encoder.double().eval().forward_features(x.double()).mean(dim=(1, 2))
        projected = project.double()(features)
    if old:
        state = old_names(state)
        for name, module in encoder.named_modules():
            if hasattr(module, "attn_mask") and module.attn_mask is not None:
                state[f"module.{name}.attn_mask"] = module.attn_mask.float()
            if hasattr(module, "relative_position_index"):
                state[f"module.{name}.relative_position_index"] = module.relative_position_index
    base = os.path.join(HERE, "embed_" + case)
    save_file({k: v.contiguous() for k, v in state.items()}, base + ".safetensors")
    np.save(base + "_x.npy", x.numpy())
    np.save(base + "_encoder.npy", features.numpy().astype(np.float32))
    np.save(base + "_projector.npy", projected.numpy().astype(np.float32))


write("new", size=28, window=3, embed=8, depths=[2, 2], heads=[2, 2], projector="linear", types=[torch.float32],
      old=False)
write("old", size=32, window=4, embed=4, depths=[2, 1, 2], heads=[1, 2, 4], projector="mlp",
      types=[torch.float16, torch.bfloat16, torch.float64, torch.float16], old=True)
