#!/usr/bin/env python3
"""Reference for tests/train/test_layer_lr.c: three AdamW steps of timm's Swin with a learning rate per layer, in float64.

    python make_finetune.py          # needs torch >= 2 and timm >= 1.0, and swin.safetensors beside itself

The encoder starts from param/* of swin.safetensors and sees its images56; the head reads the pooled features.

finetune.safetensors   head/weight, head/bias  float32 start of the head
                       labels, mask (3,3,5)    of each step's three images, images 3 i to 3 i + 2
                       loss (3)                before each step
                       scale/<name>            factor on the learning rate, timm param_groups_layer_decay
                       final/<name>            parameters of fewer than 512 elements after the steps
                       logits (2,5)            of images 10 and 11 after the steps
metadata               lr, weight_decay, layer_decay, beta1, beta2, eps
"""
import json
import os
import struct

import numpy as np
import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer
from timm.optim import param_groups_layer_decay

import make_golden as g

HERE = os.path.dirname(os.path.abspath(__file__))
K, STEPS, BATCH = 5, 3, 3
LR, DECAY, LAYER_DECAY, BETAS, EPS = 1 / 512, 0.0625, 0.75, (0.875, 0.984375), 2.0 ** -10  # exact in float32
rng = np.random.default_rng(20261125)


def read(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        header, data = json.loads(f.read(n)), f.read()
    kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "I32": "i4", "I8": "i1"}
    return {k: np.frombuffer(data[slice(*v["data_offsets"])], kinds[v["dtype"]]).reshape(v["shape"])
            for k, v in header.items() if k != "__metadata__"}


def main():
    start = read(os.path.join(HERE, "swin.safetensors"))
    net = SwinTransformer(img_size=56, num_classes=K, drop_path_rate=0.0, **g.ARCH)
    for m in net.modules():
        if hasattr(m, "fused_attn"):
            m.fused_attn = False
    head = {"weight": (rng.standard_normal(net.head.fc.weight.shape) / 8).astype(np.float16),
            "bias": (rng.standard_normal(K) / 8).astype(np.float16)}
    with torch.no_grad():
        for name, p in net.named_parameters():
            if name.startswith("head.fc."):
                p.copy_(torch.from_numpy(head[name[8:]].astype(np.float64)))
            else:
                p.copy_(torch.from_numpy(start["param/" + name].astype(np.float64)).reshape(p.shape))
    images = torch.from_numpy(start["images56"].astype(np.float64) / 32)

    groups = param_groups_layer_decay(net, weight_decay=DECAY, no_weight_decay_list=net.no_weight_decay(),
                                      layer_decay=LAYER_DECAY)
    names = {id(p): n for n, p in net.named_parameters()}
    file = {"head/weight": head["weight"].astype(np.float32), "head/bias": head["bias"].astype(np.float32)}
    for group in groups:
        group["lr"] = LR * group["lr_scale"]  # as timm's schedulers apply it
        for p in group["params"]:
            file["scale/" + names[id(p)]] = np.float64([group["lr_scale"]])
    opt = torch.optim.AdamW(groups, betas=BETAS, eps=EPS)

    labels = (rng.random((STEPS, BATCH, K)) < 0.4).astype(np.float32)
    mask = (rng.random((STEPS, BATCH, K)) < 0.8).astype(np.float32)
    file["labels"], file["mask"], losses = labels, mask, []
    for i in range(STEPS):
        y, m = (torch.from_numpy(a[i].astype(np.float64)) for a in (labels, mask))
        z = net(images[BATCH * i: BATCH * (i + 1)])
        loss = (F.binary_cross_entropy_with_logits(z, y, reduction="none") * m).sum() / m.sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    file["loss"] = np.float64(losses)
    for name, p in net.named_parameters():
        if p.numel() < 512:
            file["final/" + name] = p.detach().numpy().reshape(-1).astype(np.float64)
    with torch.no_grad():
        file["logits"] = net(images[10:12]).numpy()
    numbers = dict(lr=LR, weight_decay=DECAY, layer_decay=LAYER_DECAY, beta1=BETAS[0], beta2=BETAS[1], eps=EPS)
    g.save("finetune", file, generator="tests/golden/make_finetune.py", seed="20261125",
           **{k: repr(v) for k, v in numbers.items()})
    print("  losses", losses)


if __name__ == "__main__":
    main()
