#!/usr/bin/env python3
"""Image sets for the figures of docs/leakage.md; needs Pillow.

    leakage.py changes OUT IMAGE...    OUT/CHANGE.yaml for each change: the images to train on, changed ones to test on
    leakage.py crops OUT N IMAGE...    OUT/crops.yaml: N different pictures of 64 px, random windows of the images
"""
import io
import os
import random
import sys

from PIL import Image, ImageFilter, ImageOps


def curve(image, f):
    return image.point([max(0, min(255, round(f(v)))) for v in range(256)])


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def inner(image, share):
    w, h = image.size
    return image.crop((w * share / 2, h * share / 2, w * (1 - share / 2), h * (1 - share / 2)))


def square(image):
    side = min(image.size)
    return ImageOps.fit(image, (side, side))


CHANGES = {
    "jpeg20": lambda m: jpeg(m, 20),
    "jpeg5": lambda m: jpeg(m, 5),
    "quarter": lambda m: m.resize((m.width // 4, m.height // 4), Image.LANCZOS),
    "nearest128": lambda m: m.resize((128, 128), Image.NEAREST),
    "px64": lambda m: m.resize((64, 64), Image.BICUBIC),
    "brighter40": lambda m: curve(m, lambda v: v + 40),
    "darker60": lambda m: curve(m, lambda v: v - 60),
    "times1.4": lambda m: curve(m, lambda v: 1.4 * v),
    "contrast1.5": lambda m: curve(m, lambda v: 127 + 1.5 * (v - 127)),
    "gamma0.6": lambda m: curve(m, lambda v: 255 * (v / 255) ** 0.6),
    "gamma1.6": lambda m: curve(m, lambda v: 255 * (v / 255) ** 1.6),
    "equalized": ImageOps.equalize,
    "blur2": lambda m: m.filter(ImageFilter.GaussianBlur(2)),
    "square": lambda m: square(m).resize((128, 128), Image.BILINEAR),
    "crop2": lambda m: inner(m, 0.02),
    "crop5": lambda m: inner(m, 0.05),
    "turned1": lambda m: m.rotate(1, Image.BILINEAR),
    "mirrored": ImageOps.mirror,
    "negative": ImageOps.invert,
    "all": lambda m: jpeg(curve(m, lambda v: 1.2 * v + 10).resize((100, 100), Image.BILINEAR), 40),
}


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def entry(name, folder, lists):
    return f"{name}:\n  data_dir: {folder}\n{lists}  task_type: binary\n  classes: [A]\n"


def write_list(out, name, rows):
    os.makedirs(f"{out}/{name}", exist_ok=True)
    write(f"{out}/{name}.csv", "path,A\n" + "".join(f"{r},0\n" for r in rows))


def changes(out, images):
    source = ""
    for name, change in {"source": lambda m: m, **CHANGES}.items():
        rows = []
        os.makedirs(f"{out}/{name}", exist_ok=True)
        for i, path in enumerate(images):
            rows.append(f"{i}.png")
            change(Image.open(path).convert("L")).save(f"{out}/{name}/{i}.png")
        write_list(out, name, rows)
        if name == "source":
            source = entry(name, name, f"  train_list: {name}.csv\n")
        else:
            write(f"{out}/{name}.yaml", source + entry(name, name, f"  test_list: {name}.csv\n"))


def crops(out, n, images):
    draw = random.Random(1)
    rows = []
    for i in range(n):
        folder = f"{i // 1000:03d}"
        if i % 1000 == 0:
            os.makedirs(f"{out}/crops/{folder}", exist_ok=True)
        with Image.open(images[i % len(images)]) as m:
            m = m.convert("L")
        side = draw.uniform(0.5, 0.9)
        x, y = draw.uniform(0, 1 - side) * m.width, draw.uniform(0, 1 - side) * m.height
        m.resize((64, 64), Image.BILINEAR, (x, y, x + side * m.width, y + side * m.height)).save(
            f"{out}/crops/{folder}/{i}.jpg", quality=90)
        rows.append(f"{folder}/{i}.jpg")
    write_list(out, "crops", rows)
    write(f"{out}/crops.yaml", entry("crops", "crops", "  train_list: crops.csv\n"))


def main():
    what, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    if what == "changes":
        changes(out, sys.argv[3:])
    else:
        crops(out, int(sys.argv[3]), sys.argv[4:])


main()
