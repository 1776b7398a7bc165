#!/usr/bin/env python3
"""Writes tests/golden/image.h: small PNG and JPEG files with the pixels that Pillow reads from them, and
Pillow's resizing of a formula image. Needs Pillow < 13 (13 reordered the two passes of some resizes) and numpy.

    python3 tests/golden/make_image.py > tests/golden/image.h
"""
import io
import struct
import zlib

import numpy as np
import PIL
from PIL import Image

assert int(PIL.__version__.split(".")[0]) < 13, PIL.__version__
W, H = 13, 9  # of the PNG samples: all seven Adam7 passes have pixels, no pass is a multiple of 8 wide
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def samples(channels, bits):
    """The formula image: sample (y,x,c) of the PNG files."""
    y, x, c = np.meshgrid(np.arange(H), np.arange(W), np.arange(channels), indexing="ij")
    return (x * 40503 + y * 30011 + c * 10007 + x * y * 257) % (1 << bits)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(a, bits):
    """Filter byte 0 and the row's samples, packed."""
    out = b""
    for row in a.reshape(a.shape[0], -1):
        if bits == 16:
            out += b"\0" + row.astype(">u2").tobytes()
        elif bits == 8:
            out += b"\0" + row.astype("u1").tobytes()
        else:
            text = "".join(format(v, "0%db" % bits) for v in row)
            text += "0" * (-len(text) % 8)
            out += b"\0" + bytes(int(text[i:i + 8], 2) for i in range(0, len(text), 8))
    return out


def png(colour, bits, interlaced=False, trns=b""):
    a = samples({0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour], bits)
    if interlaced:
        parts = [a[y0::dy, x0::dx] for x0, y0, dx, dy in ADAM7]
        raw = b"".join(pack_rows(p, bits) for p in parts if p.size)
    else:
        raw = pack_rows(a, bits)
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, colour, 0, 0, interlaced))
    if colour == 3:
        out += chunk(b"PLTE", bytes((i * 37 + j * 91) % 256 for i in range(1 << bits) for j in range(3)))
    if trns:
        out += chunk(b"tRNS", trns)
    return out + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def jpeg(mode, **options):
    y, x, c = np.meshgrid(np.arange(19), np.arange(21), np.arange(4), indexing="ij")
    a = ((x * 11 + y * 7 + c * 60 + x * y) % 256).astype("u1")
    im = Image.fromarray(a[:, :, 0]) if mode == "L" else Image.fromarray(a[:, :, :len(mode)], mode)
    f = io.BytesIO()
    im.save(f, "JPEG", quality=60, **options)
    return f.getvalue()


def adobe_transform(data, value):
    """The same file with another colour transform in its Adobe marker: 2 makes CMYK into YCCK."""
    at = data.index(b"Adobe") + 11
    return data[:at] + bytes([value]) + data[at + 1:]


def emit(name, values, ctype="unsigned char"):
    print(f"static const {ctype} {name}[] = {{")
    line = "   "
    for v in values:
        if len(line) > 100:
            print(line)
            line = "   "
        line += f" {v},"
    print(line + "\n};")


files = {}
for colour, word in ((0, "grey"), (2, "rgb"), (3, "palette"), (4, "grey_alpha"), (6, "rgba")):
    for bits in {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}.get(colour, (8, 16)):
        files[f"png_{word}{bits}"] = png(colour, bits)
for colour, bits, word in ((0, 1, "grey1"), (0, 8, "grey8"), (0, 16, "grey16"), (2, 8, "rgb8"), (3, 4, "palette4")):
    files[f"png_{word}_interlaced"] = png(colour, bits, interlaced=True)
files["png_grey8_trns"] = png(0, 8, trns=b"\0\7")
files["png_palette2_trns"] = png(3, 2, trns=b"\0\x80")
files["jpeg_grey"] = jpeg("L")
files["jpeg_grey_progressive"] = jpeg("L", progressive=True)
files["jpeg_ycc444"] = jpeg("RGB", subsampling=0)
files["jpeg_ycc420"] = jpeg("RGB", subsampling=2)
files["jpeg_ycc420_progressive"] = jpeg("RGB", subsampling=2, progressive=True)
files["jpeg_rgb"] = jpeg("RGB", keep_rgb=True)
files["jpeg_restart"] = jpeg("RGB", restart_marker_blocks=1)
files["jpeg_cmyk"] = jpeg("CMYK")
files["jpeg_ycck"] = adobe_transform(files["jpeg_cmyk"], 2)

print(f"""/* Written by make_image.py with Pillow {PIL.__version__}; not edited by hand. */
#ifndef ARK_TEST_GOLDEN_IMAGE_H
#define ARK_TEST_GOLDEN_IMAGE_H

#include "io/image.h"

#include <stdbool.h>
#include <stdint.h>
""")
rows = []
for name, data in files.items():
    depth = 16 if name in ("png_grey16", "png_grey_alpha16", "png_grey16_interlaced") else 8
    if depth == 16:  # Pillow has no 16-bit grey with alpha: the truth is what was stored
        pixels = samples(1, 16)[:, :, 0] if "alpha" not in name else samples(2, 16)[:, :, 0]
        if "alpha" not in name:
            assert (np.asarray(Image.open(io.BytesIO(data))) == pixels).all()
    else:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    emit(f"{name}_file", data)
    emit(f"{name}_pixels", pixels.ravel(), "uint16_t")
    rows.append(f'    {{"{name}", {name}_file, sizeof {name}_file, {pixels.shape[1]}, {pixels.shape[0]}, {depth}, '
                f"{name}_pixels}},")
print("static const struct {\n    const char *name;\n    const unsigned char *file;\n    size_t bytes;\n"
      "    int width, height, depth;\n    const uint16_t *pixels;\n} image_golden[] = {")
print("\n".join(rows))
print("};")

# Resizing: the source is formula(x,y) below (the test has the same), results are whole small images, or the CRC-32 of
# a larger one with its middle row.
FILTERS = {"ARK_BILINEAR": Image.BILINEAR, "ARK_BICUBIC": Image.BICUBIC, "ARK_BOX": Image.BOX,
           "ARK_LANCZOS": Image.LANCZOS}


def formula(w, h):
    y, x = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
    return ((x * x * 3 + y * y * 5 + x * y * 7 + (x // 3 + y // 5) % 2 * 128) % 256).astype("u1")


cases = []
for w, h, ow, oh, box in ((50, 37, 16, 11, None), (13, 17, 29, 33, None), (40, 30, 40, 9, None), (40, 30, 17, 30, None),
                          (33, 21, 20, 12, (3, 2, 30, 20)), (33, 21, 25, 14, (1.25, 0.5, 17.75, 20.125)),
                          (7, 5, 1, 1, None), (1, 1, 5, 3, None), (64, 48, 16, 12, (10, 7, 26, 19)),
                          (20, 20, 20, 20, None), (321, 257, 224, 224, None), (1024, 700, 256, 256, None),
                          (96, 64, 230, 190, (0.1, 0.2, 95.9, 63.7)), (50, 37, 260, 31, None), (9, 70, 530, 16, None),
                          (150, 100, 15, 64, (33.5, 0, 149.25, 99.5))):
    for f in FILTERS:
        out = np.asarray(Image.fromarray(formula(w, h)).resize((ow, oh), FILTERS[f], box=box))
        i = len(cases)
        emit(f"resized_{i}", out.ravel() if out.size <= 200 else out[oh // 2])
        text = "{%s}" % ", ".join(repr(float(v)) for v in (box or (0, 0, w, h)))
        cases.append(f"    {{{w}, {h}, {ow}, {oh}, {text}, {'true' if box else 'false'}, {f}, "
                     f"0x{zlib.crc32(out.tobytes()):08x}u, resized_{i}, {'true' if out.size <= 200 else 'false'}}},")
print("static const struct {\n    int width, height, out_w, out_h;\n    double box[4];\n    bool has_box;\n"
      "    ark_filter filter;\n    uint32_t crc32;\n    const unsigned char *pixels; /* all, or the middle row */\n"
      "    bool whole;\n} resize_golden[] = {")
print("\n".join(cases))
print("};")
print("\n#endif")
