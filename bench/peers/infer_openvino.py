#!/usr/bin/env python3
"""Peer of `arkfm bench infer`: timm's Swin through OpenVINO on the CPU.

usage: infer_openvino.py MODEL BATCH f32|bf16 [--ir FILE.xml] [--size PX] [--window N] [--threads N] [--runs N]
FILE.xml is written by openvino.convert_model if it is not there (in a process of its own: the memory reported is
the runtime's). bf16 is the hint inference_precision; where the processor has no bf16 the plugin computes in f32, and
then this exits with 3. Prints one JSON object.
"""
import os
import sys
import tempfile

import swin_peer as peer


def convert(args, path):
    import openvino
    import torch

    net = peer.build(args)
    example = torch.randn(args.batch, 3, args.size, args.size)
    model = openvino.convert_model(net, example_input=example, input=list(example.shape))
    openvino.save_model(model, path, compress_to_fp16=False)


def main():
    p = peer.arguments(__doc__)
    p.add_argument("--ir", help="model file to read, made if absent (default: a temporary one)")
    args = p.parse_args()
    import openvino
    import openvino.properties as props

    with tempfile.TemporaryDirectory() as folder:
        path = args.ir or os.path.join(folder, "swin.xml")
        core = openvino.Core()
        if args.dtype == "bf16" and "BF16" not in core.get_property("CPU", props.device.capabilities()):
            print("OpenVINO has no bf16 on this processor", file=sys.stderr)
            sys.exit(3)
        if not os.path.exists(path):
            peer.in_child(convert, args, path)
        precision = openvino.Type.bf16 if args.dtype == "bf16" else openvino.Type.f32
        compiled = core.compile_model(path, "CPU", {
            props.hint.inference_precision(): precision,
            props.hint.performance_mode(): props.hint.PerformanceMode.LATENCY,
            props.inference_num_threads(): args.threads,
        })
        request = compiled.create_infer_request()
        image = peer.random_image(args)
        seconds = peer.measure(args, lambda: request.infer({0: image}, share_inputs=True))
    peer.report(args, seconds, openvino=openvino.__version__)


if __name__ == "__main__":
    main()
