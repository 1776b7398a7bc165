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


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["ops", "net"]
    if "ops" in wanted:
        upsample()
        pool_bins()
        dice_logits()
