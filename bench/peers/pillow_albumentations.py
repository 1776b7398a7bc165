#!/usr/bin/env python3
"""Student and teacher view of an image file with Pillow and albumentations, timed: the peer of `arkfm bench data`.

    pillow_albumentations.py [--runs 20] [--size 224] IMAGE...

The work of upstream's loader: open, decode, grey -> RGB; the student is resized to 8/7 of the size, cropped at random,
shifted, scaled, turned, changed in intensity and normalised; the teacher is resized and normalised. One line of JSON an
image, times in milliseconds of processor time, one thread. A run decodes once, makes VIEWS students and one teacher; the
median over runs counts. Needs pillow, albumentations 2, numpy, opencv.
"""
import argparse
import io
import json
import os
import statistics
import sys
import time
import warnings

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations
import cv2
import numpy as np
import PIL
from PIL import Image

VIEWS = 16  # as many as arkfm bench data averages over
WARM_UPS = 2
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def student_transform(size):
    """The published recipe in the arguments of albumentations 2."""
    return albumentations.Compose([
        albumentations.RandomResizedCrop(size=(size, size), scale=(0.08, 1), ratio=(3 / 4, 4 / 3)),
        albumentations.ShiftScaleRotate(
            shift_limit=0.0625, scale_limit=0.1, rotate_limit=10, border_mode=cv2.BORDER_REFLECT_101, p=0.5),
        albumentations.OneOf([
            albumentations.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=1),
            albumentations.RandomGamma(gamma_limit=(80, 120), p=1),
        ], p=0.3),
        albumentations.Normalize(**IMAGENET),
    ])


def planes(image):
    """(H,W,3) -> contiguous (3,H,W) float32, what a network is fed with."""
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


def decode(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def make_student(image, size, transform):
    squashed = image.resize((size * 8 // 7, size * 8 // 7), Image.Resampling.BILINEAR)
    return planes(transform(image=np.asarray(squashed))["image"])


def make_teacher(image, size, transform):
    return planes(transform(image=np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))["image"])


def timed(times, call):
    start = time.process_time_ns()
    result = call()
    times.append((time.process_time_ns() - start) * 1e-6)
    return result


def measure(path, runs, size):
    with open(path, "rb") as f:
        data = f.read()
    student, teacher = student_transform(size), albumentations.Compose([albumentations.Normalize(**IMAGENET)])
    decode_ms, student_ms, teacher_ms = [], [], []
    for _ in range(WARM_UPS + runs):
        image = timed(decode_ms, lambda: decode(data))
        timed(student_ms, lambda: [make_student(image, size, student) for _ in range(VIEWS)])
        timed(teacher_ms, lambda: make_teacher(image, size, teacher))
    medians = [statistics.median(times[WARM_UPS:]) for times in (decode_ms, student_ms, teacher_ms)]
    medians[1] /= VIEWS
    return {
        "image": path, "width": image.width, "height": image.height, "bytes": len(data), "size": size, "runs": runs,
        "decode_ms": medians[0], "student_ms": medians[1], "teacher_ms": medians[2], "total_ms": sum(medians),
        "images_per_s": 1000 / sum(medians), "pillow": PIL.__version__, "albumentations": albumentations.__version__,
        "opencv": cv2.__version__, "numpy": np.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description="time Pillow + albumentations on image files")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--runs", type=int, default=20, help="timed runs after two warm-ups")
    parser.add_argument("--size", type=int, default=224, help="side of both views in pixels")
    args = parser.parse_args()
    if args.runs < 1:
        parser.error("--runs must be at least 1")
    cv2.setNumThreads(0)
    warnings.filterwarnings("ignore", message="ShiftScaleRotate is a special case")
    for path in args.images:
        print(json.dumps(measure(path, args.runs, args.size)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
