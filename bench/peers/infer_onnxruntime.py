#!/usr/bin/env python3
"""Peer of `arkfm bench infer`: timm's Swin through ONNX Runtime on the CPU.

usage: infer_onnxruntime.py MODEL BATCH f32 [--onnx FILE] [--size PX] [--window N] [--threads N] [--runs N]
FILE is written by torch.onnx if it is not there (in a process of its own: the memory reported is the runtime's).
f32 only: the kernels of the CPU provider have no bf16. Prints one JSON object.
"""
import os
import tempfile

import swin_peer as peer


def main():
    p = peer.arguments(__doc__, dtypes=("f32",))
    p.add_argument("--onnx", help="model file to read, made if absent (default: a temporary one)")
    args = p.parse_args()
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = args.onnx or os.path.join(folder, "swin.onnx")
        if not os.path.exists(path):
            peer.in_child(peer.export_onnx, args, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = args.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        image = {"image": peer.random_image(args)}
        seconds = peer.measure(args, lambda: session.run(None, image))
    peer.report(args, seconds, onnxruntime=onnxruntime.__version__)


if __name__ == "__main__":
    main()
