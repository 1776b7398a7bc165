#!/usr/bin/env python3
"""Reference values for the ViT family, computed by PyTorch and timm in float64; see make_golden.py for the layout.

    python make_vit.py            # writes ops_attention, ops_token_*, vit, embed_vit_* beside itself

vit.safetensors has what swin.safetensors has: 48 px with the class token pooled, 64 px with the mean pooled, where the
positions are those of 48 px resampled by timm (param64/pos_embed).

embed_vit_timm, embed_vit_torchvision: state dicts in float16 under those names (DataParallel's, with a classifier), an
input, and the features that PyTorch computes from them.
"""
import os

import numpy as np
import torch
from timm.layers import resample_abs_pos_embed
from timm.models.vision_transformer import Attention, VisionTransformer

import make_golden as g

GENERATOR = dict(generator="tests/golden/make_vit.py")
g.rng = np.random.default_rng(g.SEED + 1)

# --- ops --------------------------------------------------------------------------------------------------------------


def full_attention(qkv, heads):
    """timm's Attention from qkv on."""
    attn = Attention(qkv.shape[-1] // 3, num_heads=heads, qkv_bias=True)
    attn.fused_attn = False
    attn.qkv = torch.nn.Identity()
    attn.proj = torch.nn.Identity()
    return attn(qkv)


def attention():
    file = {}

    def case(name, b, n, heads, d, scale=1.0):
        g.add_case(file, name, [heads], [g.normal(b, n, 3 * heads * d, scale=scale)],
                   lambda qkv: full_attention(qkv, heads), [0])

    case("one_token", 1, 1, 1, 3)
    case("two_tokens", 2, 2, 2, 4)
    case("one_head", 1, 17, 1, 8)
    case("odd", 2, 10, 3, 5)
    case("block", 1, 65, 2, 4)
    case("sharp_extreme", 1, 9, 2, 8, scale=3.0)
    g.save("ops_attention", file, **GENERATOR)


def token_embed():
    def fn(x, cls, pos):
        b, c = x.shape[0], x.shape[-1]
        return torch.cat([cls.expand(b, 1, c), x.reshape(b, -1, c)], 1) + pos

    file = {}
    for b, h, w, c in [(1, 1, 1, 3), (2, 2, 3, 5), (3, 4, 4, 16)]:
        g.add_case(file, f"{b}x{h}x{w}x{c}", [], [g.normal(b, h, w, c), g.normal(c), g.normal(h * w + 1, c)], fn,
                   [0, 1, 2])
    g.save("ops_token_embed", file, **GENERATOR)


def token_slice():
    file = {}
    g.add_case(file, "class", [0, 0, 0], [g.normal(2, 5, 4)], lambda x: x[:, 0], [0])
    g.add_case(file, "last", [6, 0, 0], [g.normal(1, 7, 3)], lambda x: x[:, 6], [0])
    g.add_case(file, "grid", [1, 2, 3], [g.normal(3, 7, 5)], lambda x: x[:, 1:].reshape(3, 2, 3, 5), [0])
    g.add_case(file, "inner", [2, 1, 2], [g.normal(2, 6, 3)], lambda x: x[:, 2:4].reshape(2, 1, 2, 3), [0])
    g.save("ops_token_slice", file, **GENERATOR)


# --- a tiny ViT -------------------------------------------------------------------------------------------------------

ARCH = dict(patch_size=16, embed_dim=48, depth=4, num_heads=3)
ARCH_TEXT = "vit:embed=48,depth=4,heads=3,patch=16,size={}{}"
POOL = {48: "token", 64: "avg"}


class ArkVit(torch.nn.Module):
    """timm's ViT -> linear projector -> one linear head per dataset."""

    def __init__(self, size):
        super().__init__()
        self.vit = VisionTransformer(img_size=size, num_classes=0, drop_path_rate=0.0, global_pool=POOL[size], **ARCH)
        self.projector = torch.nn.Linear(ARCH["embed_dim"], g.PROJECTOR)
        self.omni_heads = torch.nn.ModuleList([torch.nn.Linear(g.PROJECTOR, k) for k in g.CLASSES])
        for m in self.modules():
            if hasattr(m, "fused_attn"):
                m.fused_attn = False

    def named(self):
        return {k.removeprefix("vit."): v for k, v in self.named_parameters()}

    def stages(self, x):
        """Patches after each block, as grids."""
        out = []
        x = self.vit._pos_embed(self.vit.patch_embed(x))
        for block in self.vit.blocks:
            x = block(x)
            side = round((x.shape[1] - 1) ** 0.5)
            out.append(x[:, 1:].reshape(len(x), side, side, -1))
        return out

    def encode(self, x):
        return self.vit.forward_head(self.vit.forward_features(x), pre_logits=True)

    def forward(self, x):
        return self.projector(self.encode(x))


def random_parameter(name, p):
    if name in ("cls_token", "pos_embed"):
        return g.normal(*p.shape, scale=0.5, dtype=np.float16)
    return g.random_parameter(name.replace("fc_norm", "norm"), p)


def vit():
    g.ArkNet = ArkVit
    values = {name: random_parameter(name, p) for name, p in ArkVit(48).named().items()}
    file = {f"param/{k}": v.numpy().astype(np.float16) for k, v in values.items()}
    pos = resample_abs_pos_embed(values["pos_embed"].float(), new_size=[4, 4], verbose=False)
    other = dict(values, pos_embed=pos.double())
    other |= {k: random_parameter(k, p) for k, p in ArkVit(64).named().items() if k not in values}
    file |= {f"param64/{k}": v.numpy().astype(np.float32) for k, v in other.items()
             if k not in values or k == "pos_embed"}
    images = {}
    for size, n in ((48, 12), (64, 2)):
        pixels = np.clip(np.rint(32 * g.rng.standard_normal((n, 3, size, size))), -127, 127).astype(np.int8)
        file[f"images{size}"] = pixels
        images[size] = torch.from_numpy(pixels.astype(np.float64) / 32)
    g.forward_and_gradients(file, 48, values, images[48][:2], matrices=True)
    g.forward_and_gradients(file, 64, other, images[64][:2], matrices=False)
    g.ten_steps(file, 48, values, images[48], images[48][:2])
    # and positions of a larger grid to a smaller one: 48 px with patches of 16 to 32 px
    small = resample_abs_pos_embed(values["pos_embed"].float(), new_size=[2, 2], verbose=False)
    file["pos_embed_2x2"] = small.numpy().astype(np.float32)
    print("  parameters", sum(v.numel() for v in values.values()))
    g.save("vit", file, arch48=ARCH_TEXT.format(48, ""), arch64=ARCH_TEXT.format(64, ",pool=avg"), **GENERATOR)


# --- state dicts under other programs' names --------------------------------------------------------------------------


def embed_case(name, net, encode, size):
    """Random float16 weights of net with a projector and one head; what encode makes of an input."""
    with torch.no_grad():
        for key, p in net.named_parameters():
            v = (1 if p.ndim == 1 and ("norm" in key or ".ln" in key) and key.endswith("weight") else 0) + g.normal(
                *p.shape, scale=0.1)
            p.copy_(v.half().double())
    project = torch.nn.Linear(64, 6)
    state = {f"module.{k}": v for k, v in net.state_dict().items()}
    for prefix, module in (("module.projector.", project), ("module.omni_heads.0.", torch.nn.Linear(6, 3))):
        for key, p in module.named_parameters():
            with torch.no_grad():
                p.copy_(g.normal(*p.shape, scale=0.125).half().double())
            state[prefix + key] = p.detach()
    x = g.normal(3, 3, size, size)
    with torch.no_grad():
        features = encode(net.eval(), x)
        projected = project(features)
    g.save(f"embed_vit_{name}", {k: v.numpy().astype(np.float16) for k, v in state.items()}, **GENERATOR)
    base = os.path.join(g.HERE, f"embed_vit_{name}_")
    for what, t in (("x", x), ("encoder", features), ("projector", projected)):
        np.save(base + what + ".npy", t.numpy().astype(np.float32))


def torchvision_features(net, x):
    x = net._process_input(x)
    return net.encoder(torch.cat([net.class_token.expand(len(x), -1, -1), x], 1))[:, 0]


def embed():
    net = VisionTransformer(img_size=24, patch_size=8, embed_dim=64, depth=2, num_heads=1, num_classes=2)
    embed_case("timm", net, lambda net, x: net.forward_head(net.forward_features(x), pre_logits=True), 24)
    import torchvision

    net = torchvision.models.VisionTransformer(24, 8, num_layers=1, num_heads=1, hidden_dim=64, mlp_dim=256,
                                               num_classes=2)
    embed_case("torchvision", net, torchvision_features, 24)


if __name__ == "__main__":
    for subject in (attention, token_embed, token_slice, vit, embed):
        subject()
