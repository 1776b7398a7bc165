#!/usr/bin/env python3
"""Whether arkfm computes what timm computes, at full size: a network of timm with weights as initialised (norms and
biases drawn too) goes through a safetensors file into `arkfm embed`, whose features are compared with float64.

usage: compare_embedding.py ARKFM MODEL [--size PX] [--batch N] [--dtype f32|bf16]
Prints one JSON object with the largest relative error of a feature vector; exits 1 above 1e-5 (f32) or 2e-2 (bf16).
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import swin_peer as peer


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("arkfm")
    p.add_argument("model", help="a name that arkfm and peers know: vit_small, swin_tiny")
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--batch", type=int, default=2)
    p.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    args = p.parse_args()
    import numpy
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    net = peer.timm_model(args.model, args.size, 7 if args.size == 224 else 12, features=0).eval()
    with torch.no_grad():
        for q in net.parameters():
            if q.ndim == 1:
                q.add_(0.1 * torch.randn_like(q))
    image = torch.randn(args.batch, 3, args.size, args.size)
    with tempfile.TemporaryDirectory() as folder:
        weights, x, out = (os.path.join(folder, n) for n in ("w.safetensors", "x.npy", "out.npy"))
        save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
        numpy.save(x, image.numpy())
        subprocess.run([args.arkfm, "embed", weights, "--tensor", x, "-o", out, "--layer", "encoder", "--dtype",
                        args.dtype], check=True, stdout=subprocess.DEVNULL)
        got = numpy.load(out).astype(numpy.float64)
    with torch.inference_mode():
        net = net.double()
        want = net.forward_head(net.forward_features(image.double()), pre_logits=True).flatten(1).numpy()
    error = float((numpy.linalg.norm(got - want, axis=1) / numpy.linalg.norm(want, axis=1)).max())
    limit = 1e-5 if args.dtype == "f32" else 2e-2
    print(json.dumps(dict(model=args.model, size=args.size, dtype=args.dtype, features=got.shape[1],
                          relative_error=error, limit=limit)))
    sys.exit(error > limit)


if __name__ == "__main__":
    main()
