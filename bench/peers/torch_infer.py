#!/usr/bin/env python3
"""Peer of `arkfm bench infer`: a forward pass of timm's Swin in PyTorch, eager or compiled.

usage: torch_infer.py MODEL BATCH f32|bf16 [--compile] [--size PX] [--window N] [--threads N] [--runs N]
bf16 is torch.autocast. Prints one JSON object.
"""
import swin_peer as peer


def main():
    p = peer.arguments(__doc__)
    p.add_argument("--compile", action="store_true", help="through torch.compile")
    args = p.parse_args()
    import timm
    import torch

    net = peer.build(args)
    image = torch.randn(args.batch, 3, args.size, args.size)
    if args.channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    net = torch.compile(net) if args.compile else net

    def run():
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
            net(image)

    peer.report(args, peer.measure(args, run), compile=args.compile, torch=torch.__version__, timm=timm.__version__)


if __name__ == "__main__":
    main()
