"""Writes probe.h: weights after five epochs of torch.optim.Adam on a linear layer in float64.

    python3 tests/golden/make_probe.py > tests/golden/probe.h

Needs numpy and PyTorch (committed output: numpy 2.4.6, torch 2.15).
"""
import numpy as np
import torch


def array(name, values, ctype="double"):
    words = ["NAN" if v != v else "%.17g" % v for v in np.ravel(values)]
    lines, line = [], "   "
    for w in words:
        if len(line) + len(w) + 2 > 108:
            lines.append(line)
            line = "   "
        line += " " + w + ","
    lines.append(line)
    print(f"static const {ctype} {name}[{len(words)}] = {{\n" + "\n".join(lines) + "\n};")


N, D, K, BATCH, EPOCHS, LR = 40, 4, 3, 16, 5, 0.05
rng = np.random.default_rng(11)
x = (rng.normal(size=(N, D)) * [1, 2, 0.5, 3] + [0, 1, -1, 2]).astype(np.float32)
y = (rng.random((N, K)) < 1 / (1 + np.exp(-x @ rng.normal(size=(D, K)) * 0.5))).astype(float)
y[rng.random((N, K)) < 0.2] = np.nan
cls = np.argmax(x @ rng.normal(size=(D, K)) + rng.normal(size=(N, K)), axis=1)


def run(loss):
    layer = torch.nn.Linear(D, K, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(layer.parameters(), lr=LR)
    out = []
    for _ in range(EPOCHS):
        for i in range(0, N, BATCH):
            adam.zero_grad()
            loss(layer(torch.from_numpy(x[i:i + BATCH].astype(np.float64))), slice(i, i + BATCH)).backward()
            adam.step()
        w = torch.cat([layer.weight, layer.bias[:, None]], 1)
        out.append(w.detach().numpy().copy())
    return np.array(out)


def multilabel(z, rows):
    t = torch.from_numpy(y[rows])
    keep = ~torch.isnan(t)
    return torch.nn.functional.binary_cross_entropy_with_logits(z[keep], t[keep])


def multiclass(z, rows):
    return torch.nn.functional.cross_entropy(z, torch.from_numpy(cls[rows]))


print("/* Written by make_probe.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_PROBE_H\n#define ARK_TEST_GOLDEN_PROBE_H\n\n#include <math.h>\n")
print(f"enum {{ ADAM_N = {N}, ADAM_D = {D}, ADAM_K = {K}, ADAM_BATCH = {BATCH}, ADAM_EPOCHS = {EPOCHS} }};")
print(f"static const double adam_lr = {LR};")
array("adam_x", x, "float")
array("adam_label", y)
array("adam_class", np.eye(K)[cls])
array("adam_w", run(multilabel))  # (epochs, K, d+1), bias last
array("adam_softmax_w", run(multiclass))
print("\n#endif")
