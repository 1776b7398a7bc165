#!/usr/bin/env python3
"""Reference values for the ops of decoders and for UperNet, computed by PyTorch in float64.

    python make_decoder.py [ops] [net]     # needs torch >= 2 and timm >= 1.0; writes *.safetensors beside itself

Values, gradients and cases as in make_golden.py, whose helpers are used.

ops_<op>.safetensors     upsample, pool_bins, dice_logits
upernet.safetensors      see upernet()
"""
import sys

import make_golden as mg
import numpy as np
import torch
import torch.nn.functional as F
from make_golden import add_case, f32, f64, normal

SEED = 20250620
mg.rng = np.random.default_rng(SEED)


def save(name, file, **more):
    mg.save(name, file, generator="tests/golden/make_decoder.py", seed=str(SEED), **more)


def last(t):
    """(B,C,H,W) -> (B,H,W,C)"""
    return t.permute(0, 2, 3, 1)


def first(t):
    return t.permute(0, 3, 1, 2)


# --- single ops -------------------------------------------------------------------------------------------------------

def upsample():
    file = {}
    for shape, size in [((1, 1, 1, 2), (3, 4)), ((2, 3, 4, 5), (6, 8)), ((1, 2, 5, 3), (7, 9)), ((2, 4, 4, 1), (4, 4)),
                        ((1, 7, 6, 2), (3, 5))]:
        fn = lambda x: last(F.interpolate(first(x), size=size, mode="bilinear", align_corners=False))
        add_case(file, "x".join(map(str, shape + size)), size, [normal(*shape)], fn, [0])
    save("ops_upsample", file)


def pool_bins():
    file = {}
    for shape, bins in [((1, 1, 1, 2), 1), ((2, 4, 6, 5), 2), ((1, 7, 7, 3), 4), ((2, 7, 5, 4), 6), ((1, 2, 3, 2), 6)]:
        fn = lambda x: last(F.adaptive_avg_pool2d(first(x), bins))
        add_case(file, "x".join(map(str, shape)) + f"_{bins}", [bins], [normal(*shape)], fn, [0])
    save("ops_pool_bins", file)


def soft_dice(z, t, m, smooth):
    p = torch.sigmoid(z)
    both, mass = (m * p * t).sum((1, 2)), (m * p).sum((1, 2)) + (m * t).sum((1, 2))
    counts = m.amax((1, 2))
    return (((1 - (2 * both + smooth) / (mass + smooth)) * counts).sum() / counts.sum().clamp(min=1)).reshape(1)


def dice_logits():
    file = {}
    for b, h, w, k in [(1, 1, 1, 1), (2, 5, 4, 1), (2, 6, 7, 3)]:
        some = torch.from_numpy((mg.rng.random((b, h, w, k)) < 0.7).astype(np.float64))
        some[0, :, :, 0] = 0  # a plane of which nothing counts
        for name, m in {"all": torch.ones(b, h, w, k), "some": some, "none": torch.zeros(b, h, w, k)}.items():
            for smooth in (1.0, 0.125):
                t = torch.from_numpy((mg.rng.random((b, h, w, k)) < 0.4).astype(np.float64))
                add_case(file, f"{b}x{h}x{w}x{k}_{name}_{smooth}", [smooth], [normal(b, h, w, k, scale=2), t, m],
                         lambda z, t, m: soft_dice(z, t, m, smooth), [0])
    empty = torch.zeros(1, 3, 3, 1)
    add_case(file, "empty_target", [1.0], [normal(1, 3, 3, 1), empty, torch.ones(1, 3, 3, 1)],
             lambda z, t, m: soft_dice(z, t, m, 1.0), [0])
    save("ops_dice_logits", file)


# --- UperNet on the tiny Swin -------------------------------------------------------------------------------------------

SIZE, CHANNELS, CLASSES = 48, 6, 2


class ConvModule(torch.nn.Module):
    def __init__(self, i, o, k):
        super().__init__()
        self.conv = torch.nn.Conv2d(i, o, k, padding=k // 2, bias=False)
        self.bn = torch.nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class UperHead(torch.nn.Module):
    """Xiao et al. 2018 with mmseg's names of modules."""

    def __init__(self, widths):
        super().__init__()
        c = CHANNELS
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(w, eps=1e-5) for w in widths)
        self.bins = (1, 2, 4, 6)
        self.psp_modules = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(b), ConvModule(widths[-1], c, 1)) for b in self.bins)
        self.bottleneck = ConvModule(widths[-1] + 4 * c, c, 3)
        self.lateral_convs = torch.nn.ModuleList(ConvModule(w, c, 1) for w in widths[:-1])
        self.fpn_convs = torch.nn.ModuleList(ConvModule(c, c, 3) for _ in widths[:-1])
        self.fpn_bottleneck = ConvModule(len(widths) * c, c, 3)
        self.conv_seg = torch.nn.Conv2d(c, CLASSES, 1)

    def forward(self, maps):
        def up(x, like):
            return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)

        maps = [first(n(m)) for n, m in zip(self.norms, maps)]
        last_map = maps[-1]
        pyramid = torch.cat([last_map] + [up(m(last_map), last_map) for m in self.psp_modules], 1)
        level = [m(x) for m, x in zip(self.lateral_convs, maps)] + [self.bottleneck(pyramid)]
        for i in range(len(level) - 2, -1, -1):
            level[i] = level[i] + up(level[i + 1], level[i])
        level = [m(x) for m, x in zip(self.fpn_convs, level)] + level[-1:]
        fused = self.fpn_bottleneck(torch.cat([level[0]] + [up(x, level[0]) for x in level[1:]], 1))
        return last(F.interpolate(self.conv_seg(fused), size=(SIZE, SIZE), mode="bilinear", align_corners=False))


def upernet():
    """upernet.safetensors: weights as float32 under our names; x (3,3,S,S), target, mask (3,S,S,K); eval_logits by the
    running statistics as given; loss = dice (smooth 1) + bce in training mode, train_logits, grad/<name>, and the running
    statistics after that pass under after/<name>. Metadata arch, channels."""
    net = torch.nn.Module()
    net.swin = mg.SwinTransformer(img_size=SIZE, num_classes=0, drop_path_rate=0.0, **mg.ARCH)
    net.decode_head = UperHead([8, 16, 32, 64])
    with torch.no_grad():
        for name, t in list(net.named_parameters()) + list(net.named_buffers()):
            if t.dtype != torch.float64 or "relative" in name or "attn_mask" in name:
                continue
            one = 1.0 if name.endswith(("running_var",)) or ("norm" in name or ".bn." in name) and name.endswith("weight") else 0.0
            noise = normal(*t.shape, scale=0.2, dtype=np.float32)
            t.copy_((one + (noise.abs() if name.endswith("running_var") else noise)).float().double())
        for name, t in net.named_parameters():
            if "relative_position_bias_table" in name:
                t.copy_(normal(*t.shape, scale=0.2))
    x = normal(3, 3, SIZE, SIZE, scale=0.5)
    target = torch.from_numpy((mg.rng.random((3, SIZE, SIZE, CLASSES)) < 0.4).astype(np.float64))
    mask = torch.from_numpy((mg.rng.random((3, SIZE, SIZE, CLASSES)) < 0.9).astype(np.float64))

    def run():
        h, maps = net.swin.patch_embed(x), []
        for layer in net.swin.layers:
            h = layer(h)
            maps.append(h)
        return net.decode_head(maps)

    def name_of(n):
        return n.removeprefix("swin.")

    file = {"x": f32(x), "target": target.numpy().astype(np.int8), "mask": mask.numpy().astype(np.int8)}
    state = {name_of(n): t for n, t in net.state_dict().items()
             if "relative_position_index" not in n and "attn_mask" not in n and "num_batches" not in n
             and not n.startswith("swin.head")}
    for n, t in state.items():
        file["w/" + n] = f32(t)
    net.eval()
    with torch.no_grad():
        file["eval_logits"] = f64(run())
    net.train()
    logits = run()
    bce = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * mask).sum() / mask.sum()
    loss = soft_dice(logits, target, mask, 1.0) + bce
    loss.backward()
    file["train_logits"], file["loss"] = f64(logits), f64(loss)
    for n, p in net.named_parameters():
        if p.grad is not None and not n.startswith(("swin.norm.", "swin.head")):
            file["grad/" + name_of(n)] = f64(p.grad).astype(np.float32)
    for n, t in net.named_buffers():
        if "running" in n:
            file["after/" + n] = f64(t).astype(np.float32)
    save("upernet", file, arch=mg.ARCH_TEXT.format(SIZE), channels=str(CHANNELS))


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["ops", "net"]
    if "ops" in wanted:
        upsample()
        pool_bins()
        dice_logits()
    if "net" in wanted:
        upernet()
