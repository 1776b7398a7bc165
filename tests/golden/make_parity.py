#!/usr/bin/env python3
"""Writes tests/golden/parity.h: what Pillow's resize and torchvision's CenterCrop and TenCrop make of formula images,
before normalisation, as 8-bit levels of ToTensor. Needs Pillow, torchvision and numpy.

    python3 tests/golden/make_parity.py > tests/golden/parity.h
"""
import numpy as np
import PIL
import torchvision
from PIL import Image
from torchvision import transforms

S, R = 10, 12
FILTERS = {"ARK_BILINEAR": transforms.InterpolationMode.BILINEAR, "ARK_BICUBIC": transforms.InterpolationMode.BICUBIC}


def formula(w, h):
    """As in test_parity.c: a smooth chest-like slope with edges and texture."""
    y, x = np.meshgrid(np.arange(h), np.arange(w), indexing="ij")
    return ((x * 97 // w + y * 61 // h + (x * y // 7) % 23 + (x // 9 + y // 13) % 2 * 70) % 256).astype("u1")


def levels(tensor):
    return np.rint(tensor[0].numpy() * 255).astype(int).ravel()


def emit(values):
    out, line = [], "        "
    for v in values:
        if len(line) > 100:
            out.append(line.rstrip())
            line = "        "
        line += f"{v}, "
    return "\n".join(out + [line.rstrip()])


print(f"""/* Written by make_parity.py with Pillow {PIL.__version__}, torchvision {torchvision.__version__}; not edited by hand. */
#ifndef ARK_TEST_GOLDEN_PARITY_H
#define ARK_TEST_GOLDEN_PARITY_H

#include "io/image.h"

enum {{ PARITY_SIZE = {S}, PARITY_RESIZE = {R} }};

static const struct {{
    int width, height;
    ark_filter filter;
    uint8_t plain[{S * S}], ten[{10 * S * S}];
}} parity_golden[] = {{""")
for w, h in ((160, 120), (97, 203), (300, 300), (23, 17)):
    im = Image.fromarray(formula(w, h))
    for name, mode in FILTERS.items():
        to_tensor = transforms.ToTensor()
        plain = to_tensor(transforms.Resize((S, S), mode)(im))
        ten = transforms.TenCrop(S)(transforms.Resize((R, R), mode)(im))
        centre = to_tensor(transforms.CenterCrop(S)(transforms.Resize((R, R), mode)(im)))
        ten = [to_tensor(c) for c in ten]
        assert (ten[4] == centre).all()
        print(f"    {{{w}, {h}, {name},\n        {{\n{emit(levels(plain))}\n        }},\n        {{\n"
              f"{emit(np.concatenate([levels(c) for c in ten]))}\n        }}}},")
print("};\n#endif")
