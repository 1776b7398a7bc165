#!/usr/bin/env python3
"""What `arkfm data show` writes beside what Pillow, torchvision and pydicom make of the same files: the figures of
docs/parity.md.

    parity.py --arkfm build/release/arkfm FILE...

An image is resized (plain view) and cropped (test view) to several sizes with both filters; a DICOM file's levels are made
by pydicom's functions (modality LUT, VOI LUT or window, MONOCHROME1 inverted, rounded), then compared without a resize where
it is square, and after the resize. Of each comparison: the greatest difference in levels of 255, and the share of equal
pixels. Needs pillow, numpy, torchvision, pydicom 3 with pylibjpeg and pyjpegls.
"""
import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL
import pydicom
import torchvision
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from torchvision import transforms

warnings.simplefilter("ignore")
MODES = {"bilinear": transforms.InterpolationMode.BILINEAR, "bicubic": transforms.InterpolationMode.BICUBIC}
SIZES = {224: 256, 768: 896}


def levels(ds):
    """(H,W) 8-bit levels of a grey DICOM dataset."""
    if ds.file_meta.TransferSyntaxUID == pydicom.uid.JPEGBaseline8Bit:
        ds.pixel_array_options(decoding_plugin="pillow")  # libjpeg-turbo, as here; pylibjpeg rounds otherwise
    m = apply_modality_lut(ds.pixel_array, ds)
    v = apply_voi_lut(m, ds).astype(float)
    if "VOILUTSequence" in ds:
        low, high = 0, (1 << ds.VOILUTSequence[0].LUTDescriptor[2]) - 1
    elif "WindowWidth" in ds:  # the range pydicom spreads a window over
        low, high = 0, (1 << ds.BitsStored) - 1
        if ds.PixelRepresentation:
            low, high = -(1 << ds.BitsStored - 1), (1 << ds.BitsStored - 1) - 1
        if "RescaleSlope" in ds:
            low, high = (float(ds.RescaleSlope) * e + float(ds.RescaleIntercept) for e in (low, high))
    else:
        low, high = v.min(), v.max()
    y = np.clip(np.floor(255 * (v - low) / (high - low) + 0.5), 0, 255).astype("u1")
    return 255 - y if ds.PhotometricInterpretation == "MONOCHROME1" else y


class Show:
    def __init__(self, program):
        self.program = program
        self.folder = tempfile.TemporaryDirectory()

    def __call__(self, path, size, view, mode):
        out = Path(self.folder.name, "x.png")
        subprocess.run([self.program, "data", "show", path, "-o", out, "--size", str(size), "--view", view, "--filter", mode],
                       check=True, stdout=subprocess.DEVNULL)
        return np.asarray(Image.open(out)).astype(int)


def line(name, what, ours, theirs):
    d = np.abs(ours - np.asarray(theirs).astype(int))
    print(f"| {name} | {what} | {d.max()} | {100 * (d == 0).mean():.3f} |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--arkfm", required=True)
    p.add_argument("files", nargs="+")
    a = p.parse_args()
    show = Show(a.arkfm)
    print(f"Pillow {PIL.__version__}, torchvision {torchvision.__version__}, pydicom {pydicom.__version__}\n", file=sys.stderr)
    print("| file | compared | greatest difference | equal, % |\n|---|---|---|---|")
    for path in a.files:
        name = Path(path).name
        try:
            im = Image.fromarray(levels(pydicom.dcmread(path)))
            if im.width == im.height:
                line(name, f"levels, {im.width} px", show(path, im.width, "plain", "bilinear"), im)
        except pydicom.errors.InvalidDicomError:
            im = Image.open(path).convert("L")
        for mode, tv in MODES.items():
            for size, squashed in SIZES.items():
                if not path.endswith(".dcm") or (mode == "bilinear" and size == 224):
                    line(name, f"resize to {size}, {mode}", show(path, size, "plain", mode), transforms.Resize((size, size), tv)(im))
                if not path.endswith(".dcm"):
                    crop = transforms.CenterCrop(size)(transforms.Resize((squashed, squashed), tv)(im))
                    line(name, f"centre crop of {size}, {mode}", show(path, size, "test", mode), crop)


if __name__ == "__main__":
    main()
