"""What the inference peers share: the same encoder and input as `arkfm bench infer`, the clock, the one line of JSON.

The network is timm's, with a linear layer to 1376 features, weights as initialised; the input is random f32 of shape
(batch, 3, size, size). Data loading is no part of it. Besides arkfm's names of Swins any name that timm knows will do.
"""
import argparse
import json
import resource
import statistics
import time

MODELS = {
    "swin_tiny": dict(embed_dim=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    "swin_small": dict(embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    "swin_base": dict(embed_dim=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
    "swin_large": dict(embed_dim=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48)),
}
# Other names of arkfm, as timm has them.
TIMM = {
    "vit_tiny": "vit_tiny_patch16_224",
    "vit_small": "vit_small_patch16_224",
    "vit_base": "vit_base_patch16_224",
    "vit_large": "vit_large_patch16_224",
}
FEATURES = 1376


def arguments(description, dtypes=("f32", "bf16")):
    """Parser of the options every peer has; --window 0 becomes 7 at 224 pixels and 12 at any other size."""
    p = argparse.ArgumentParser(description=description)
    p.add_argument("model", help="swin_tiny, vit_small, or a model of timm")
    p.add_argument("batch", type=int)
    p.add_argument("dtype", choices=dtypes)
    p.add_argument("--size", type=int, default=224, help="side of the image in pixels (default 224)")
    p.add_argument("--window", type=int, default=0, help="side of a window (default 7 at 224 pixels, else 12)")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5, help="timed runs after the warm-ups (default 5)")
    p.add_argument("--warm-ups", type=int, default=2)
    p.add_argument("--channels-last", action="store_true", help="PyTorch's memory format for convolutions")
    return p


def window(args):
    return args.window or (7 if args.size == 224 else 12)


def build(args):
    """The network in eval mode."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    net = timm_model(args.model, args.size, window(args)).eval()
    return net.to(memory_format=torch.channels_last) if args.channels_last else net


def timm_model(model, size, window, features=FEATURES):
    """timm's network of that name for images of that side, with a linear layer to the features (0: without)."""
    import timm
    from timm.models.swin_transformer import SwinTransformer

    if model in MODELS:
        return SwinTransformer(img_size=size, patch_size=4, window_size=window, num_classes=features, drop_path_rate=0.0,
                               **MODELS[model])
    name = TIMM.get(model, model)
    # Only networks with positions or windows are made for one size.
    sized = {"img_size": size} if name.startswith(("vit", "deit", "swin")) else {}
    return timm.create_model(name, pretrained=False, num_classes=features, **sized)


def export_onnx(args, path):
    """Write the network to `path` with a fixed batch."""
    import torch

    net = build(args)
    image = torch.randn(args.batch, 3, args.size, args.size)
    with torch.inference_mode():
        torch.onnx.export(net, (image,), path, input_names=["image"], output_names=["features"], dynamo=True,
                          external_data=True, verbose=False)


def in_child(function, *args):
    """Run function in a process of its own, so that its memory is not counted here; raise if it failed."""
    import multiprocessing

    child = multiprocessing.get_context("spawn").Process(target=function, args=args)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit(f"{function.__name__} failed with exit status {child.exitcode}")


def random_image(args):
    import numpy

    return numpy.random.default_rng(0).standard_normal((args.batch, 3, args.size, args.size), dtype=numpy.float32)


def measure(args, run):
    """Median, least and greatest seconds of args.runs calls after args.warm_ups."""
    for _ in range(args.warm_ups):
        run()
    seconds = []
    for _ in range(args.runs):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), min(seconds), max(seconds)


def report(args, seconds, mode="infer", **versions):
    """The line of JSON that bench/compare.sh reads."""
    middle, least, most = seconds
    print(json.dumps(dict(
        model=args.model, size=args.size, window=window(args), batch=args.batch, mode=mode, dtype=args.dtype,
        threads=args.threads, runs=args.runs, images_per_s=args.batch / middle, seconds_median=middle,
        seconds_min=least, seconds_max=most,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, **versions)))
