"""Writes readout.h: a small table of features and labels, and scikit-learn's LogisticRegression on it.

    python3 tests/golden/make_readout.py > tests/golden/readout.h

Needs numpy and scikit-learn (committed output: numpy 2.4.6, scikit-learn 1.9.1).
"""
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.preprocessing import StandardScaler


def array(name, values, ctype="double"):
    form = "%d" if ctype.startswith(("int", "uint")) else "%.17g"
    words = ["NAN" if v != v else form % v for v in np.ravel(values)]
    lines, line = [], "   "
    for w in words:
        if len(line) + len(w) + 2 > 108:
            lines.append(line)
            line = "   "
        line += " " + w + ","
    lines.append(line)
    print(f"static const {ctype} {name}[{len(words)}] = {{\n" + "\n".join(lines) + "\n};")


def number(name, value):
    print(f"static const double {name} = {value:.17g};")


def fit(x, y, C):
    return LogisticRegression(C=C, solver="lbfgs", tol=1e-12, max_iter=100000).fit(x, y)


GRID = [1e-3, 1e-2, 1e-1, 1, 10]
rng = np.random.default_rng(4)
n, m, d = 90, 60, 5
mix = rng.normal(size=(d, d))
x = (rng.normal(size=(n + m, d)) @ mix + [0, 3, -1, 10, 0.5]) * [1, 20, 0.1, 1, 5]
x = x.astype(np.float32)
scaler = StandardScaler().fit(x[:n].astype(np.float64))
z = scaler.transform(x.astype(np.float64))
truth = rng.normal(size=(d, 3))
y = ((z @ truth + rng.normal(size=(n + m, 3))) > [0, 1, 2.2]).astype(float)
y[rng.random(n + m) < 0.25, 1] = np.nan
cls = np.argmax(z @ rng.normal(size=(d, 3)) + 1.5 * rng.normal(size=(n + m, 3)), axis=1)

print("/* Written by make_readout.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_READOUT_H\n#define ARK_TEST_GOLDEN_READOUT_H\n\n#include <math.h>\n#include <stdint.h>\n")
print(f"enum {{ GOLDEN_TRAIN = {n}, GOLDEN_VAL = {m}, GOLDEN_D = {d}, GOLDEN_K = 3, GOLDEN_C = {len(GRID)} }};")
array("golden_train", x[:n], "float")
array("golden_val", x[n:], "float")
array("golden_train_label", y[:n])
array("golden_val_label", y[n:])
array("golden_train_class", np.eye(3)[cls[:n]])
array("golden_val_class", np.eye(3)[cls[n:]])
array("golden_grid", GRID)

weights, auroc, loss = [], [], []
softmax, softmax_auroc, softmax_loss = [], [], []
for C in GRID:
    p, w = np.full((m, 3), np.nan), []
    for k in range(3):
        keep = ~np.isnan(y[:n, k])
        model = fit(z[:n][keep], y[:n, k][keep], C)
        w.append(np.append(model.coef_[0], model.intercept_[0]))
        p[:, k] = model.predict_proba(z[n:])[:, 1]
    keep = ~np.isnan(y[n:])
    auroc.append(np.mean([roc_auc_score(y[n:, k][keep[:, k]], p[:, k][keep[:, k]]) for k in range(3)]))
    loss.append(log_loss(y[n:][keep], p[keep]))
    weights.append(w)
    model = fit(z[:n], cls[:n], C)
    p = model.predict_proba(z[n:])
    softmax.append(np.column_stack([model.coef_, model.intercept_]))
    softmax_auroc.append(np.mean([roc_auc_score(cls[n:] == k, p[:, k]) for k in range(3)]))
    softmax_loss.append(log_loss(cls[n:], p))
    if C == 1:
        array("golden_softmax_probability", p)  # (n_val, 3) at C = 1
array("golden_w", weights)  # (C, 3, d+1), bias last, on standardised features
array("golden_auroc", auroc)
array("golden_loss", loss)
array("golden_softmax_w", softmax)
array("golden_softmax_auroc", softmax_auroc)
array("golden_softmax_loss", softmax_loss)
print("\n#endif")
