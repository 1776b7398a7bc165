#!/usr/bin/env python3
"""Writes small DICOM and TIFF files into a folder, and to standard output a header with what pydicom (and Pillow)
make of them. The pixels are formulas. Needs pydicom 3, pylibjpeg with its plug-ins, pyjpegls, imagecodecs, Pillow.

    python3 tests/golden/make_dicom.py tests/fuzz/corpus > tests/golden/dicom.h
"""
import io
import struct
import sys
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import PIL
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing, pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import UID

warnings.simplefilter("ignore")
OUT = Path(sys.argv[1])
W, H = 11, 9  # neither a multiple of a block nor even
IMPLICIT, EXPLICIT, DEFLATED, BIG = ("1.2.840.10008.1.2" + s for s in ("", ".1", ".1.99", ".2"))
RLE, BASELINE, EXTENDED, LOSSLESS, SV1, JLS, JLS_NEAR, J2K, J2K_LOSSY = (
    "1.2.840.10008.1.2." + s for s in "5 4.50 4.51 4.57 4.70 4.80 4.81 4.90 4.91".split())


def pattern(bits, signed=False, w=W, h=H):
    """A smooth slope with an edge and a little texture, over the whole range of the bits."""
    y, x = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
    top = (1 << bits) - 1
    a = (x * 3 + y * 5) * top // (3 * w + 5 * h) + (x * 7 + y * 11) % 5 * top // 97 + (x > w // 2) * top // 9
    a = np.clip(a, 0, top)
    a[0, 0], a[h - 1, w - 1] = 0, top
    return a - (1 << (bits - 1)) if signed else a


def smooth(bits):
    """What lossy codecs should not tear apart."""
    y, x = np.meshgrid(np.arange(H), np.arange(W), indexing="ij")
    return ((x * 9 + y * 13) * ((1 << bits) - 1) // (9 * W + 13 * H)).astype("u2" if bits > 8 else "u1")


def colour(w=W):
    return np.stack([pattern(8, w=w), pattern(8, w=w)[::-1], 255 - pattern(8, w=w)], axis=2).astype("u1")


def make(syntax, array, bits, *, allocated=None, signed=False, photometric="MONOCHROME2", samples=1, planar=0, shift=0,
         frames=None, **tags):
    allocated = allocated or (8 if bits <= 8 else 16)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    meta.TransferSyntaxUID = UID(syntax)
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128, is_implicit_VR=syntax == IMPLICIT,
                     is_little_endian=syntax != BIG)
    ds.SOPClassUID, ds.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    ds.Modality = "DX"
    ds.PatientName, ds.PatientID, ds.PatientSex, ds.PatientAge = "Secret^Name", "SECRET-ID", "F", "018M"
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = samples, photometric
    if samples == 3:
        ds.PlanarConfiguration = planar
    ds.Rows, ds.Columns = H, tags.pop("Columns", W)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = allocated, bits, bits - 1 + shift
    ds.PixelRepresentation = int(signed)
    if frames:
        ds.NumberOfFrames = frames
    if isinstance(array, bytes):
        ds.PixelData = encapsulate([array])
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    else:
        kind = {8: "i1" if signed else "u1", 16: "i2" if signed else "u2"}[allocated]
        order = ">" if syntax == BIG else "<"
        raw = (np.asarray(array) << shift).astype(order + kind).tobytes()
        ds.PixelData = raw + b"\0" * (len(raw) % 2)
        ds["PixelData"].VR = "OB" if allocated == 8 and syntax != IMPLICIT else "OW"
    for name, value in tags.items():
        if value is None:
            delattr(ds, name)
        else:
            setattr(ds, name, value)
    return ds


def saved(ds):
    f = io.BytesIO()
    ds.save_as(f, enforce_file_format=True)
    return f.getvalue()


def lut(name, first, values, bits, vr="US"):
    item = Dataset()
    item.add_new(0x00283002, "US" if first >= 0 else "SS", [len(values), first, bits])
    item.add_new(0x00283006, vr, values if vr == "US" else np.array(values, "<u2").tobytes())
    return {name: Sequence([item])}


def levels(ds):
    """Grey levels by pydicom's functions: modality LUT, VOI, inversion; rounded half up."""
    m = apply_modality_lut(ds.pixel_array, ds)
    if "VOILUTSequence" in ds:
        v = apply_voi(m.astype(int), ds) / ((1 << ds.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    elif "WindowWidth" in ds:
        lo, hi = (-(1 << ds.BitsStored - 1), (1 << ds.BitsStored - 1) - 1) if ds.PixelRepresentation else (
            0, (1 << ds.BitsStored) - 1)
        if "ModalityLUTSequence" in ds:
            lo, hi = 0, (1 << ds.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
        elif "RescaleSlope" in ds:
            lo, hi = (float(ds.RescaleSlope) * e + float(ds.RescaleIntercept) for e in (lo, hi))
        v = (apply_windowing(m, ds) - lo) / (hi - lo)
    else:
        v = (m - m.min()) / (m.max() - m.min())
    y = np.clip(np.floor(255 * v + 0.5), 0, 255).astype(int)
    return 255 - y if ds.PhotometricInterpretation == "MONOCHROME1" else y


def luma(ds):
    if ds.PhotometricInterpretation.startswith("YBR_FULL") and ds.file_meta.TransferSyntaxUID != BASELINE:
        return pixel_array(ds, raw=True)[:, :, 0].astype(int)
    rgb = ds.pixel_array
    return np.asarray(Image.fromarray(rgb.astype("u1")).convert("L")).astype(int)


def j2k(a, **options):
    return imagecodecs.jpeg2k_encode(a, codecformat="j2k", **options)


def predicted(a, bits, predictor):
    return imagecodecs.ljpeg_encode(a, bitspersample=bits) if predictor == 1 else imagecodecs.jpeg8_encode(
        a, bitspersample=bits, lossless=True, predictor=predictor)


p8, p12, p16 = pattern(8).astype("u1"), pattern(12).astype("u2"), pattern(16).astype("u2")
win = {"WindowCenter": 2000, "WindowWidth": 3000}
files = {
    "explicit-8": make(EXPLICIT, p8, 8),
    "explicit-8-window": make(EXPLICIT, p8, 8, WindowCenter=120, WindowWidth=100),
    "explicit-10": make(EXPLICIT, pattern(10), 10, WindowCenter=["500", "100"], WindowWidth=["700", "20"]),
    "explicit-12": make(EXPLICIT, p12, 12, **win),
    "explicit-12-width-1": make(EXPLICIT, p12, 12, WindowCenter=2000, WindowWidth=1),
    "implicit-12": make(IMPLICIT, p12, 12, **win),
    "implicit-12-mono1": make(IMPLICIT, p12, 12, photometric="MONOCHROME1", **win),
    "explicit-12-mono1-no-window": make(EXPLICIT, p12, 12, photometric="MONOCHROME1"),
    "explicit-12-exact": make(EXPLICIT, p12, 12, VOILUTFunction="LINEAR_EXACT", **win),
    "explicit-12-sigmoid": make(EXPLICIT, p12, 12, VOILUTFunction="SIGMOID", **win),
    "explicit-12-in-16": make(EXPLICIT, p12, 12, shift=4, **win),
    "explicit-14-signed": make(EXPLICIT, pattern(14, True), 14, signed=True, WindowCenter=-100, WindowWidth=9000),
    "explicit-16-rescale": make(EXPLICIT, p16, 16, RescaleSlope="0.5", RescaleIntercept="-1024",
                                RescaleType="US", WindowCenter="12000.5", WindowWidth="20000"),
    "big-16-signed-rescale": make(BIG, pattern(16, True), 16, signed=True, RescaleSlope=2, RescaleIntercept=-10,
                                  RescaleType="US", WindowCenter=1000, WindowWidth=50000),
    "big-8": make(BIG, p8, 8),
    "deflated-12": make(DEFLATED, p12, 12, **win),
    "modality-lut": make(EXPLICIT, pattern(10), 10, WindowCenter=9000, WindowWidth=15000,
                         **lut("ModalityLUTSequence", 40, [i * i // 50 for i in range(900)], 16)),
    "modality-lut-implicit": make(IMPLICIT, pattern(10), 10,
                                  **lut("ModalityLUTSequence", 40, [i * i // 50 for i in range(900)], 16)),
    "voi-lut": make(EXPLICIT, p12, 12, **lut("VOILUTSequence", 100, [i * 1023 // 3500 for i in range(3500)], 10),
                    **win),
    "voi-lut-big": make(BIG, p12, 12, **lut("VOILUTSequence", 100, [i * 1023 // 3500 for i in range(3500)], 10)),
    "voi-lut-signed": make(EXPLICIT, pattern(12, True), 12, signed=True, photometric="MONOCHROME1",
                           **lut("VOILUTSequence", -1500, [i * 65535 // 3000 for i in range(3001)], 16, "OW")),
    "rle-8": make(RLE, p8, 8),
    "rle-16": make(RLE, p16, 16, **win),
    "jpeg-8": make(BASELINE, imagecodecs.jpeg8_encode(smooth(8), level=90), 8),
    "jpeg-12": make(EXTENDED, imagecodecs.jpeg8_encode(smooth(12), level=95, bitspersample=12), 12, **win),
    "lossless-57-8": make(LOSSLESS, predicted(p8, 8, 4), 8),
    "lossless-57-16": make(LOSSLESS, predicted(p16, 16, 7), 16, **win),
    "lossless-57-12": make(LOSSLESS, predicted(p12, 12, 6), 12, **win),
    "lossless-70-12": make(SV1, predicted(p12, 12, 1), 12, **win),
    "lossless-70-16-signed": make(SV1, predicted(p16, 16, 1), 16, signed=True, WindowCenter=0, WindowWidth=40000),
    "jls-12": make(JLS, imagecodecs.jpegls_encode(p12), 12, **win),
    "jls-8": make(JLS, imagecodecs.jpegls_encode(p8), 8),
    "jls-near-12": make(JLS_NEAR, imagecodecs.jpegls_encode(np.clip(p12, 8, 4080), level=3), 12, **win),
    "j2k-12": make(J2K, j2k(p12, reversible=True, bitspersample=12), 12, **win),
    "j2k-8": make(J2K, j2k(p8, reversible=True), 8),
    "j2k-16-signed": make(J2K, j2k(pattern(16, True).astype("i2"), reversible=True), 16, signed=True,
                          WindowCenter=0, WindowWidth=40000),
    "j2k-lossy-12": make(J2K_LOSSY, j2k(smooth(12), level=60, bitspersample=12), 12, **win),
}
colours = {
    "rgb": make(EXPLICIT, colour(), 8, photometric="RGB", samples=3),
    "rgb-planar": make(EXPLICIT, colour().transpose(2, 0, 1), 8, photometric="RGB", samples=3, planar=1),
    "ybr-full": make(EXPLICIT, colour(), 8, photometric="YBR_FULL", samples=3),
    "rle-rgb": make(RLE, colour(), 8, photometric="RGB", samples=3, planar=1),
    "jpeg-ybr-422": make(BASELINE, imagecodecs.jpeg8_encode(colour(), level=95, subsampling="422"), 8,
                         photometric="YBR_FULL_422", samples=3),
    "lossless-rgb": make(SV1, imagecodecs.jpeg8_encode(colour(), lossless=True, predictor=1, colorspace="rgb",
                                                       outcolorspace="rgb"), 8, photometric="RGB", samples=3),
    "jls-rgb": make(JLS, imagecodecs.jpegls_encode(colour()), 8, photometric="RGB", samples=3),
    "j2k-rct": make(J2K, j2k(colour(), reversible=True, mct=True), 8, photometric="YBR_RCT", samples=3),
}


def rle(a, ds):
    from pydicom.pixels.encoders.native import _encode_frame
    from pydicom.pixels.encoders.base import EncodeRunner
    runner = EncodeRunner(RLE)
    runner.set_options(rows=H, columns=W, samples_per_pixel=ds.SamplesPerPixel, bits_allocated=ds.BitsAllocated,
                       bits_stored=ds.BitsStored, pixel_representation=0, number_of_frames=1, pixel_keyword="PixelData",
                       photometric_interpretation=ds.PhotometricInterpretation,
                       **({"planar_configuration": 0} if ds.SamplesPerPixel == 3 else {}))
    ds.PixelData = encapsulate([bytes(_encode_frame(a.tobytes(), runner))])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


rle(p8, files["rle-8"])
rle(p16, files["rle-16"])
rle(colour(), colours["rle-rgb"])


def ybr_422():
    c = colour(20)
    a = np.zeros((H, 10, 4), "u1")
    a[:, :, 0], a[:, :, 1], a[:, :, 2], a[:, :, 3] = c[:, ::2, 0], c[:, 1::2, 0], c[:, ::2, 1], c[:, ::2, 2]
    return make(EXPLICIT, a, 8, photometric="YBR_FULL_422", samples=3, Columns=20)


colours["ybr-422"] = ybr_422()

# Files that say the same in unusual ways: nested sequences of undefined length, several fragments, no preamble.
odd = make(IMPLICIT, p12, 12, **win)
inner = Dataset()
inner.CodeValue, inner.CodeMeaning = "R-10214", "postero-anterior"
outer = Dataset()
outer.PurposeOfReferenceCodeSequence = Sequence([inner])
outer.is_undefined_length_sequence_item = True
odd.ViewCodeSequence = Sequence([inner])
odd.ReferencedStudySequence = Sequence([outer])
for e in ("ReferencedStudySequence", "ViewCodeSequence"):
    odd[e].is_undefined_length = True
files["implicit-12-nested"] = odd
raw = {name: saved(ds) for name, ds in {**files, **colours}.items()}
raw["implicit-12-no-preamble"] = raw["implicit-12"][132 + 12 + struct.unpack("<I", raw["implicit-12"][140:144])[0]:]
files["implicit-12-no-preamble"] = files["implicit-12"]
pieces = make(JLS, b"\0\0", 12, **win)
stream = imagecodecs.jpegls_encode(p12)
stream += b"\0" * (len(stream) % 2)
cut = len(stream) // 4 * 2
pieces.PixelData = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(s)) + s for s in (b"", stream[:cut], stream[cut:]))
raw["jls-12-pieces"] = saved(pieces)
files["jls-12-pieces"] = files["jls-12"]

# pydicom leaves samples where they are: the same without a shift is what they are shifted to
files["explicit-12-in-16"] = files["explicit-12"]

refused = {
    "frames": (make(EXPLICIT, np.stack([p8, p8]), 8, frames=2), "2 frames"),
    "frames-unsaid": (make(EXPLICIT, np.stack([p8, p8, p8]), 8), f"bytes of pixels, {W} x {H} of them need {W * H}"),
    "palette": (make(EXPLICIT, p8, 8, photometric="PALETTE COLOR"), "palette colours are not read"),
    "ct": (make(EXPLICIT, p12, 12, Modality="CT"), "modality CT, expected a radiograph"),
    "ybr-partial": (make(EXPLICIT, colour(), 8, photometric="YBR_PARTIAL_422", samples=3), "YBR_PARTIAL_422"),
    "32-bit": (make(EXPLICIT, p16, 16, BitsAllocated=32, BitsStored=32, HighBit=31), "32 bits allocated"),
    "high-bit": (make(EXPLICIT, p12, 12, HighBit=3), "high bit 3"),
    "no-rows": (make(EXPLICIT, p8, 8, Rows=None), f"{W} x 0"),
    "too-short": (make(EXPLICIT, p8, 8, Rows=H + 1), f"{W} x {H + 1} of them need {W * (H + 1)}"),
    "huge-rows": (make(EXPLICIT, p8, 8, Rows=65535, Columns=65535), "limit"),
    "width-0": (make(EXPLICIT, p12, 12, WindowCenter=3, WindowWidth=0), "a window of width 0"),
    "slope-0": (make(EXPLICIT, p12, 12, RescaleSlope=0, RescaleIntercept=0), "rescale slope 0"),
    "function": (make(EXPLICIT, p12, 12, VOILUTFunction="CUBIC", **win), "(0028,1056)"),
    "number": (make(EXPLICIT, p12, 12, WindowWidth=1, WindowCenter="12"), "(0028,1050): not a decimal number"),
    "lut-short": (make(EXPLICIT, p12, 12, **lut("VOILUTSequence", 0, [1, 2, 3], 8)), "the VOI LUT declares"),
    "syntax": (make(EXPLICIT, p8, 8), "transfer syntax 1.2.840.10008.1.2.4.102 is not supported"),
    "j2k-size": (make(J2K, j2k(pattern(12, w=20).astype("u2"), reversible=True), 12), f"20 x {H} x 1, the header says {W}"),
    "j2k-as-jpeg": (make(SV1, j2k(p12, reversible=True), 12), "do not begin as JPEG does"),
    "jpeg-as-jls": (make(JLS, predicted(p12, 12, 1), 12), "that is not read"),
    "wrapped-native": (make(SV1, predicted(p12, 12, 1), 12), "compressed pixels under an uncompressed"),
    "native-wrapped": (make(EXPLICIT, p12, 12), "pixels as they are under a compressed"),
    "rle-short": (make(RLE, b"\1\0\0\0\x40\0\0\0" + b"\0" * 56 + b"\0\0\x81\7", 8), "RLE segment 1 is damaged"),
}
extra = {name: saved(ds) for name, (ds, _) in refused.items()}
extra["syntax"] = extra["syntax"].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.4.102\0")  # the length follows
extra["wrapped-native"] = extra["wrapped-native"].replace(b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.1\0\0\0")
extra["native-wrapped"] = extra["native-wrapped"].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")
at = extra["syntax"].index(b"1.2.840.10008.1.2.4.102") - 2
extra["syntax"] = extra["syntax"][:at] + struct.pack("<H", 24) + extra["syntax"][at + 2:]
extra["lut-short"] = extra["lut-short"].replace(struct.pack("<HHH", 3, 0, 8), struct.pack("<HHH", 9000, 0, 8))
extra["number"] = extra["number"].replace(b"DS\2\x0012", b"DS\2\0x2")

# TIFF: what Pillow or tifffile reads is what was stored
import tifffile


def tiff(a, **options):
    f = io.BytesIO()
    tifffile.imwrite(f, a, metadata=None, software="", **options)
    return f.getvalue()


def bad_tag(data, tag, value):
    """The LONG entry of a tag gets another value."""
    at = data.index(struct.pack("<HHI", tag, 4, 1))
    return data[:at + 8] + struct.pack("<I", value) + data[at + 12:]


b21 = pattern(8, w=21, h=17).astype("u1")
w21 = pattern(16, w=21, h=17).astype("u2")
c21 = np.stack([b21, b21[::-1], 255 - b21], axis=2)
palette = np.stack([np.arange(256) * k % 256 * 257 for k in (1, 3, 7)]).astype("u2")
tiffs = {
    "grey8": (tiff(b21), b21, 8),
    "grey16": (tiff(w21), w21, 16),
    "grey16-big-endian": (tiff(w21, byteorder=">"), w21, 16),
    "grey16-deflate-predictor": (tiff(w21, compression="zlib", predictor=True), w21, 16),
    "grey16-lzw-strips": (tiff(w21, compression="lzw", rowsperstrip=8), w21, 16),
    "grey16-tiles": (tiff(w21, tile=(16, 16)), w21, 16),
    "grey8-packbits": (tiff(b21, compression="packbits"), b21, 8),
    "grey8-white": (tiff(b21, photometric="miniswhite"), 255 - b21, 8),
    "grey16-white": (tiff(w21, photometric="miniswhite"), 65535 - w21, 16),
    "grey16-big": (tiff(w21, bigtiff=True), w21, 16),
    "rgb8": (tiff(c21, photometric="rgb"), np.asarray(Image.fromarray(c21).convert("L")), 8),
    "rgb8-planar-tiles": (tiff(c21.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", tile=(16, 16)),
                          np.asarray(Image.fromarray(c21).convert("L")), 8),
    "rgb16": (tiff(c21.astype("u2") * 257, photometric="rgb"), np.asarray(Image.fromarray(c21).convert("L")), 8),
    "palette8": (tiff(b21, photometric="palette", colormap=palette),
                 np.asarray(Image.fromarray(np.stack([p[b21] >> 8 for p in palette], 2).astype("u1")).convert("L")), 8),
}
tiff_refused = {
    "pages": (tiff(np.stack([b21, b21]), photometric="minisblack"), "more than one page"),
    "float": (tiff(b21.astype("f4")), "sample format 3"),
    "signed": (tiff(w21.astype("i2")), "sample format 2"),
    "32-bit": (tiff(w21.astype("u4")), "bits per sample 32"),
    "cmyk": (tiff(np.concatenate([c21, c21[:, :, :1]], 2), photometric="separated"), "photometric interpretation 5"),
    "rotated": (tiff(b21, extratags=[(274, 3, 1, 6, True)]), "orientation 6"),
    "huge": (bad_tag(bad_tag(tiff(b21, compression="zlib"), 256, 16000), 257, 4000), "pixels in only"),
}

for kind, data in (("dicom", {**{f"valid-{k}": v for k, v in raw.items()}, **extra}),
                   ("image", {**{f"valid-tiff-{k}": v[0] for k, v in tiffs.items()},
                              **{f"tiff-{k}": v[0] for k, v in tiff_refused.items()}})):
    (OUT / kind).mkdir(parents=True, exist_ok=True)
    for name, content in data.items():
        (OUT / kind / name).write_bytes(content)


def emit(name, values, ctype="int32_t"):
    print(f"static const {ctype} {name}[] = {{")
    line = "   "
    for v in np.asarray(values).ravel():
        if len(line) > 100:
            print(line)
            line = "   "
        line += f" {v},"
    print(line + "\n};")


print(f"""/* Written by make_dicom.py with pydicom {pydicom.__version__}, imagecodecs {imagecodecs.__version__}, Pillow \
{PIL.__version__}; not edited by hand. */
#ifndef ARK_TEST_GOLDEN_DICOM_H
#define ARK_TEST_GOLDEN_DICOM_H

#include <stdint.h>
""")
rows = []
for name, ds in {**files, **colours}.items():
    c = name.replace("-", "_")
    grey = name in files
    stored = ds.pixel_array if grey else luma(ds)
    if grey:
        emit(f"{c}_stored", stored)
    emit(f"{c}_levels", levels(ds) if grey else stored)
    rows.append(f'    {{"{name}", {stored.shape[1]}, {stored.shape[0]}, {ds.BitsStored}, '
                f'{f"{c}_stored" if grey else "NULL"}, {c}_levels}},')
print("static const struct {\n    const char *name; /* of fuzz/corpus/dicom/valid-NAME */\n    int width, height, bits;\n"
      "    const int32_t *stored; /* NULL: colour */\n    const int32_t *levels;\n} dicom_golden[] = {")
print("\n".join(rows) + "\n};")
rows = []
for name, (_, pixels, depth) in tiffs.items():
    emit(f"tiff_{name.replace('-', '_')}_pixels", pixels)
    rows.append(f'    {{"{name}", {pixels.shape[1]}, {pixels.shape[0]}, {depth}, tiff_{name.replace("-", "_")}_pixels}},')
print("static const struct {\n    const char *name; /* of fuzz/corpus/image/valid-tiff-NAME */\n"
      "    int width, height, depth;\n    const int32_t *pixels;\n} tiff_golden[] = {")
print("\n".join(rows) + "\n};")
for kind, cases in (("dicom", refused), ("tiff", tiff_refused)):
    print(f"static const struct {{\n    const char *name, *reason;\n}} {kind}_refused[] = {{")
    print("\n".join(f'    {{"{n}", "{r}"}},' for n, (_, r) in cases.items()) + "\n};")
print("#endif")
