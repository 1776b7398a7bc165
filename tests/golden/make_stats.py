"""Writes stats.h: tables and what scikit-learn, scipy and plain numpy make of them.

    python3 tests/golden/make_stats.py > tests/golden/stats.h

Needs numpy, scipy, scikit-learn (committed output: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1).
DeLong is computed here by its definition, all m x n comparisons; the library uses ranks.
"""
import numpy as np
from scipy.stats import norm
from sklearn import metrics as sk

from make_stats_common import array, number


def delong(scores, y):
    """AUROCs and their covariance by definition (DeLong, DeLong, Clarke-Pearson 1988)."""
    v10, v01 = [], []
    for s in scores:
        x, z = s[y == 1][:, None], s[y == 0][None, :]
        psi = (x > z) + 0.5 * (x == z)
        v10.append(psi.mean(1))
        v01.append(psi.mean(0))
    auc = np.array([v.mean() for v in v10])
    return auc, np.atleast_2d(np.cov(v10)) / (y == 1).sum() + np.atleast_2d(np.cov(v01)) / (y == 0).sum()


rng = np.random.default_rng(20240607)
print("/* Written by make_stats.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_STATS_H\n#define ARK_TEST_GOLDEN_STATS_H\n\n#include <math.h>\n#include <stdint.h>\n")

# Many ties: five distinct scores in 40 rows; integer weights as a resample has them.
y = (rng.random(40) < 0.4).astype(float)
s = np.clip(np.round(4 * (0.3 * y + 0.7 * rng.random(40))) / 4, 0, 1)
w = rng.integers(0, 4, 40)
array("ties_score", s)
array("ties_label", y)
array("ties_weight", w, "uint32_t")
number("ties_auroc", sk.roc_auc_score(y, s))
number("ties_ap", sk.average_precision_score(y, s))
number("ties_weighted_auroc", sk.roc_auc_score(y, s, sample_weight=w))
number("ties_weighted_ap", sk.average_precision_score(y, s, sample_weight=w))
call = s >= 0.5
number("ties_accuracy", sk.accuracy_score(y, call))
number("ties_f1", sk.f1_score(y, call))
number("ties_mcc", sk.matthews_corrcoef(y, call))
number("ties_precision", sk.precision_score(y, call))
number("ties_sensitivity", sk.recall_score(y, call))
number("ties_specificity", sk.recall_score(1 - y, ~call))
fpr, tpr, _ = sk.roc_curve(y, s, drop_intermediate=False)
array("ties_fpr", fpr)
array("ties_tpr", tpr)
precision, recall, _ = sk.precision_recall_curve(y, s)
array("ties_recall", recall[::-1])
array("ties_pr_precision", precision[::-1])

# Two models on the same 300 rows, scores rounded so that ties cross the classes.
n = 300
y = (rng.random(n) < 0.25).astype(float)
common = rng.normal(size=n)
a = np.round(1 / (1 + np.exp(-(1.2 * y - 1 + 0.8 * common + 0.6 * rng.normal(size=n)))), 2)
b = np.round(1 / (1 + np.exp(-(0.8 * y - 1 + 0.8 * common + 0.6 * rng.normal(size=n)))), 2)
array("pair_label", y)
array("pair_a", a)
array("pair_b", b)
auc, cov = delong([a, b], y)
z95, z90 = norm.ppf(0.975), norm.ppf(0.95)
number("pair_auroc_a", sk.roc_auc_score(y, a))
number("pair_auroc_b", sk.roc_auc_score(y, b))
assert abs(auc[0] - sk.roc_auc_score(y, a)) < 1e-14
number("pair_ap_a", sk.average_precision_score(y, a))
number("pair_variance_a", cov[0, 0])
number("pair_low95_a", auc[0] - z95 * cov[0, 0] ** 0.5)
number("pair_high95_a", auc[0] + z95 * cov[0, 0] ** 0.5)
number("pair_low90_b", auc[1] - z90 * cov[1, 1] ** 0.5)
number("pair_high90_b", auc[1] + z90 * cov[1, 1] ** 0.5)
var = cov[0, 0] + cov[1, 1] - 2 * cov[0, 1]
number("pair_se", var**0.5)
number("pair_z", (auc[0] - auc[1]) / var**0.5)
number("pair_p", 2 * norm.sf(abs(auc[0] - auc[1]) / var**0.5))

# Percentile bootstrap by numpy, 40000 resamples: the limits our generator must come close to.
aucs, aps, diffs = [], [], []
patient = np.arange(n) // 3  # three rows per patient
grouped = []
for _ in range(40000):
    i = rng.integers(0, n, n)
    aucs.append(delong([a[i], b[i]], y[i])[0])
    p = rng.integers(0, n // 3, n // 3)
    i = (3 * p[:, None] + np.arange(3)).ravel()
    x, zz = a[i][y[i] == 1][:, None], a[i][y[i] == 0][None, :]
    grouped.append(((x > zz) + 0.5 * (x == zz)).mean())
aucs = np.array(aucs)
array("pair_boot95_a", np.quantile(aucs[:, 0], [0.025, 0.975]))
array("pair_boot95_diff", np.quantile(aucs[:, 0] - aucs[:, 1], [0.025, 0.975]))
array("pair_boot95_grouped", np.quantile(grouped, [0.025, 0.975]))

# A multi-label table (60,4): class 1 has missing labels, class 2 no positive, class 3 is rare.
n, k = 60, 4
y = (rng.random((n, k)) < [0.5, 0.3, 0.0, 0.0]).astype(float)
y[[7, 31], 3] = 1
s = np.round(0.4 * y + 0.6 * rng.random((n, k)), 2)
y[rng.random(n) < 0.3, 1] = np.nan
array("table_label", y)
array("table_score", s)
keep = ~np.isnan(y)
use = [0, 1, 3]
array("table_auroc", [sk.roc_auc_score(y[keep[:, c], c], s[keep[:, c], c]) for c in use])
array("table_ap", [sk.average_precision_score(y[keep[:, c], c], s[keep[:, c], c]) for c in use])

# Quantiles of the normal distribution, of a small sample.
p = [1e-12, 1e-5, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9995]
array("quantile_p", p)
array("quantile_z", norm.ppf(p))
sample = np.sort(rng.normal(size=11))
array("sample_sorted", sample)
q = [0, 0.025, 0.1, 0.5, 0.77, 0.975, 1]
array("sample_q", q)
array("sample_quantile", np.quantile(sample, q))
print("\n#endif")
