#!/usr/bin/env python3
"""Peer of `arkfm bench step`: a training step of Ark in PyTorch, eager or compiled, with an encoder of timm.

usage: torch_step.py MODEL BATCH f32|bf16 [--compile] [--size PX] [--threads N] [--runs N]
A teacher's forward pass without gradients, a student's forward and backward, half BCE and half MSE on 1376 projected
features, one SGD-Nesterov update; random data. bf16 is torch.autocast. Prints one JSON object.
"""
import swin_peer as peer


def main():
    p = peer.arguments(__doc__)
    p.add_argument("--compile", action="store_true", help="through torch.compile")
    args = p.parse_args()
    import timm
    import torch
    import torch.nn.functional as F

    student, teacher = peer.build(args).train(), peer.build(args)
    head = torch.nn.Linear(peer.FEATURES, 14)
    optimizer = torch.optim.SGD([*student.parameters(), *head.parameters()], lr=0.01, momentum=0.9, nesterov=True)
    image = torch.randn(args.batch, 3, args.size, args.size)
    if args.channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    labels = (torch.rand(args.batch, 14) > 0.5).float()
    if args.compile:
        student, teacher = torch.compile(student), torch.compile(teacher)

    def step():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.dtype == "bf16"):
            with torch.no_grad():
                wanted = teacher(image)
            features = student(image)
            logits = head(features)
        loss = 0.5 * F.binary_cross_entropy_with_logits(logits.float(), labels) + 0.5 * F.mse_loss(
            features.float(), wanted.float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    peer.report(args, peer.measure(args, step), mode="step", compile=args.compile, torch=torch.__version__, timm=timm.__version__)


if __name__ == "__main__":
    main()
