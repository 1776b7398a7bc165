"""Writes bias_table.h: what torch makes of relative position bias tables for another window size.

    python3 tests/golden/make_bias_table.py > tests/golden/bias_table.h

Needs torch (committed output: the version named in the file's first line). The input is a formula, so that the
test need not store it: source[i] = sin(0.7 i) + 0.01 i for flat index i of ((2m-1)^2, heads).
"""
import torch


def resize(m, n, heads):
    side, out = 2 * m - 1, 2 * n - 1
    i = torch.arange(side * side * heads, dtype=torch.float64)
    src = (torch.sin(0.7 * i) + 0.01 * i).reshape(side, side, heads).permute(2, 0, 1)[None]
    dst = torch.nn.functional.interpolate(src, size=(out, out), mode="bicubic", align_corners=False)
    return dst[0].permute(1, 2, 0).reshape(out * out, heads)


print(f"/* Written by make_bias_table.py with torch {torch.__version__}; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_BIAS_TABLE_H\n#define ARK_TEST_GOLDEN_BIAS_TABLE_H\n")
for m, n, heads in ((3, 5, 2), (5, 3, 3), (1, 2, 1), (4, 2, 2)):
    values = [f"{v:.9g}" for v in resize(m, n, heads).flatten().tolist()]
    print(f"static const float table_{m}_to_{n}[{len(values)}] = {{ /* {heads} heads */")
    for k in range(0, len(values), 8):
        print("    " + ", ".join(values[k:k + 8]) + ",")
    print("};")
print("\n#endif")
