"""Writes explain.h: Grad-CAM of embed_new.safetensors by PyTorch's autograd, in float64.

    python3 tests/golden/make_explain.py > tests/golden/explain.h

Needs torch, timm, safetensors, numpy (committed output: torch 2.15.0, timm 1.0.31). The map is
relu(sum_c mean_xy(d logit / d A_c) A_c), A the output of the encoder's last norm, for the first image of embed_new_x.
"""
import os

import numpy as np
import torch
from safetensors.torch import load_file
from timm.models.swin_transformer import SwinTransformer

from make_stats_common import array

HERE = os.path.dirname(os.path.abspath(__file__))
state = {k: v.double() for k, v in load_file(os.path.join(HERE, "embed_new.safetensors")).items()}
encoder = SwinTransformer(img_size=28, patch_size=4, window_size=3, embed_dim=8, depths=[2, 2], num_heads=[2, 2],
                          num_classes=2).double().eval()
encoder.load_state_dict({k: v for k, v in state.items() if not k.startswith(("projector", "omni"))}, strict=False)
x = torch.from_numpy(np.load(os.path.join(HERE, "embed_new_x.npy"))[:1]).double()
features = encoder.forward_features(x).detach().requires_grad_()
projected = features.mean(dim=(1, 2)) @ state["projector.weight"].T + state["projector.bias"]
logits = projected @ state["omni_heads.0.weight"].T + state["omni_heads.0.bias"]
maps = []
for k in range(3):
    (grad,) = torch.autograd.grad(logits[0, k], features, retain_graph=True)
    maps.append(torch.relu((grad.mean(dim=(1, 2), keepdim=True) * features).sum(-1))[0].detach().numpy())


def vit():
    """The same on embed_vit_timm.safetensors, A what the last attention reads: its patch tokens."""
    from timm.models.vision_transformer import VisionTransformer

    state = {k.removeprefix("module."): v.double() for k, v in
             load_file(os.path.join(HERE, "embed_vit_timm.safetensors")).items()}
    net = VisionTransformer(img_size=24, patch_size=8, embed_dim=64, depth=2, num_heads=1, num_classes=2).double().eval()
    net.load_state_dict({k: v for k, v in state.items() if not k.startswith(("projector", "omni"))})
    seen = []
    net.blocks[-1].norm1.register_forward_hook(lambda m, i, o: seen.append(o) or o.retain_grad())
    x = torch.from_numpy(np.load(os.path.join(HERE, "embed_vit_timm_x.npy"))[:1]).double()
    feature = net.forward_head(net.forward_features(x), pre_logits=True)
    projected = feature @ state["projector.weight"].T + state["projector.bias"]
    logits = projected @ state["omni_heads.0.weight"].T + state["omni_heads.0.bias"]
    maps = []
    for k in range(3):
        (grad,) = torch.autograd.grad(logits[0, k], seen[0], retain_graph=True)
        tokens, weight = seen[0][0, 1:], grad[0, 1:].mean(0)
        maps.append(torch.relu(tokens @ weight).detach().numpy())
    array("explain_vit_map", maps)
    array("explain_vit_logit", logits.detach().numpy())


print("/* Written by make_explain.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_EXPLAIN_H\n#define ARK_TEST_GOLDEN_EXPLAIN_H\n")
array("explain_map", maps)
array("explain_logit", logits.detach().numpy())
wide = torch.nn.functional.interpolate(torch.from_numpy(maps[0])[None, None] / maps[0].max(), size=(9, 13),
                                       mode="bilinear", align_corners=False)
array("explain_wide", wide.numpy())
vit()
print("\n#endif")
