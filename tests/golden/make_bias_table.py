"""Writes bias_table.h: what torch makes of relative position bias tables for another window size.

    python3 tests/golden/make_bias_table.py > tests/golden/bias_table.h

Needs torch, scipy (committed output: the versions named in the file's first line). The input is a formula, so that
the test need not store it: source[i] = sin(0.7 i) + 0.01 i for flat index i of ((2m-1)^2, heads).

far_*: resized by distance. The places of the old entries are a geometric progression; scipy's interp2d of kind cubic,
which loaders used, is RectBivariateSpline without smoothing since scipy 1.14 removed it (both are FITPACK's regrid).
"""
import numpy as np
import scipy
import torch
from scipy.interpolate import RectBivariateSpline


def resize(m, n, heads):
    side, out = 2 * m - 1, 2 * n - 1
    i = torch.arange(side * side * heads, dtype=torch.float64)
    src = (torch.sin(0.7 * i) + 0.01 * i).reshape(side, side, heads).permute(2, 0, 1)[None]
    dst = torch.nn.functional.interpolate(src, size=(out, out), mode="bicubic", align_corners=False)
    return dst[0].permute(1, 2, 0).reshape(out * out, heads)


def places(source, target):
    """Bisection for the ratio whose geometric sum over half the old side is half the new side."""
    half = source // 2
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        if sum(q ** k for k in range(half)) > target // 2:
            high = q
        else:
            low = q
    right = np.cumsum([q ** k for k in range(half)])
    return np.concatenate([-right[::-1], [0], right])


def resize_far(m, n, heads):
    side, out = 2 * m - 1, 2 * n - 1
    i = np.arange(side * side * heads, dtype=np.float64)
    src = (np.sin(0.7 * i) + 0.01 * i).reshape(side, side, heads)
    x = places(side, out)
    at = np.clip(np.arange(out) - out // 2, x[0], x[-1])
    return torch.tensor(np.stack([RectBivariateSpline(x, x, src[:, :, h], kx=3, ky=3, s=0)(at, at)
                                  for h in range(heads)], 2).reshape(out * out, heads))


print(f"/* Written by make_bias_table.py with torch {torch.__version__}, scipy {scipy.__version__}; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_BIAS_TABLE_H\n#define ARK_TEST_GOLDEN_BIAS_TABLE_H\n")
cases = [("table", resize, *c) for c in ((3, 5, 2), (5, 3, 3), (1, 2, 1), (4, 2, 2))]
cases += [("far", resize_far, *c) for c in ((3, 5, 2), (4, 6, 1), (5, 3, 3), (3, 8, 1))]
for name, f, m, n, heads in cases:
    values = [f"{v:.9g}" for v in f(m, n, heads).flatten().tolist()]
    print(f"static const float {name}_{m}_to_{n}[{len(values)}] = {{ /* {heads} heads */")
    for k in range(0, len(values), 8):
        print("    " + ", ".join(values[k:k + 8]) + ",")
    print("};")
print("\n#endif")
