"""Writes inference.h: tests of means, corrections, intervals, calibration and operating points as scipy,
statsmodels and scikit-learn compute them.

    python3 tests/golden/make_inference.py > tests/golden/inference.h

Needs mpmath, numpy, scipy, scikit-learn, statsmodels (committed output: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1,
statsmodels 0.15.0).
"""
import mpmath
import numpy as np
from scipy import optimize, special, stats
from sklearn import calibration, metrics as sk
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from make_stats_common import array, number

rng = np.random.default_rng(20250615)
print("/* Written by make_inference.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_INFERENCE_H\n#define ARK_TEST_GOLDEN_INFERENCE_H\n\n#include <math.h>\n")

# Student's t: tails and quantiles.
t = np.array([0, 1e-8, 0.3, 1, 2.5, 7, 40, 1e6])
df = np.array([0.7, 1, 2.5, 9, 30.25, 400, 1e6])
tt, dd = (a.ravel() for a in np.meshgrid(t, df))
array("student_t", tt)
array("student_df", dd)
mpmath.mp.dps = 40  # scipy's tail is off by 3e-9 at t = 1e-8
array("student_p", [float(mpmath.betainc(d / mpmath.mpf(2), 0.5, 0, d / (d + mpmath.mpf(x) ** 2), regularized=True))
                    for x, d in zip(tt, dd)])
array("student_level", [0.5, 0.9, 0.95, 0.99, 0.95, 0.95])
array("student_level_df", [1, 3, 7.3, 20, 2, 1000])
array("student_quantile", stats.t.ppf(0.5 + np.array([0.5, 0.9, 0.95, 0.99, 0.95, 0.95]) / 2, [1, 3, 7.3, 20, 2, 1000]))

# Welch: three seeds against five, as results of repeated runs look.
a, b = np.round(rng.normal(0.83, 0.004, 5), 4), np.round(rng.normal(0.82, 0.011, 3), 4)
w = stats.ttest_ind(a, b, equal_var=False)
ci = w.confidence_interval(0.95)
array("welch_a", a)
array("welch_b", b)
array("welch_result", [w.statistic, w.df, w.pvalue, ci.low, ci.high])

# Holm with ties.
p = np.array([0.01, 0.04, 0.03, 0.005, 0.03, 0.6, 1.0])
array("holm_p", p)
array("holm_adjusted", multipletests(p, method="holm")[1])

# Wilson.
hits, rows = np.array([0, 1, 7, 50, 99, 100]), np.array([10, 9, 20, 100, 100, 100])
low, high = proportion_confint(hits, rows, 0.05, "wilson")
array("wilson_hits", hits)
array("wilson_n", rows)
array("wilson_low", low)
array("wilson_high", high)

# Calibration of one binary problem: overconfident, some values exactly on the edges of the bins.
n = 150
z = rng.normal(size=n) * 2.5
y = (rng.random(n) < special.expit(z / 1.8)).astype(float)
prob = special.expit(z)
prob[:6] = [0, 0.1, 0.2, 0.7, 0.9, 1]
z[:6] = 0.3
array("binary_prob", prob)
array("binary_label", y)
edges = np.arange(11) / 10
at = np.clip(np.searchsorted(edges, prob, side="left") - 1, 0, 9)
size = np.bincount(at, minlength=10)
mean = np.bincount(at, prob, 10) / size
seen = np.bincount(at, y, 10) / size
true, pred = calibration.calibration_curve(y, prob, n_bins=10)
assert np.allclose(true, seen) and np.allclose(pred, mean)
array("binary_bin_n", size)
array("binary_bin_mean", mean)
array("binary_bin_observed", seen)
number("binary_brier", sk.brier_score_loss(y, prob))
number("binary_ece", (size / n * abs(seen - mean)).sum())
number("binary_mce", abs(seen - mean).max())
keep = (prob > 0) & (prob < 1)
array("inside_prob", prob[keep])
array("inside_label", y[keep])
number("inside_log_loss", sk.log_loss(y[keep], prob[keep]))

# Temperature of sigmoids (two classes, some labels missing) and of a softmax.
logit = np.stack([z, rng.normal(size=n) * 3], 1)
label = np.stack([y, (rng.random(n) < special.expit(logit[:, 1] / 2.2)).astype(float)], 1)
label[rng.random(n) < 0.2, 1] = np.nan


def nll_sigmoid(b):
    seen = ~np.isnan(label)
    return np.mean(np.logaddexp(0, b * logit[seen]) - b * logit[seen] * label[seen])


best = optimize.minimize_scalar(nll_sigmoid, bracket=(0.1, 1), options={"xtol": 1e-14})
array("sigmoid_logit", logit)
array("sigmoid_label", label)
array("sigmoid_result", [1 / best.x, nll_sigmoid(1), best.fun])
k = 4
logits = rng.normal(size=(n, k)) * 3
gumbel = rng.gumbel(size=(n, k))
cls = np.argmax(logits / 2.6 + gumbel, 1)
onehot = np.eye(k)[cls]


def nll_softmax(b):
    return -np.mean(special.log_softmax(b * logits, 1)[np.arange(n), cls])


best = optimize.minimize_scalar(nll_softmax, bracket=(0.1, 1), options={"xtol": 1e-14})
array("softmax_logit", logits)
array("softmax_label", onehot)
array("softmax_result", [1 / best.x, nll_softmax(1), best.fun])
p = special.softmax(logits, 1)
conf, right = p.max(1), (p.argmax(1) == cls).astype(float)
at = np.clip(np.searchsorted(np.arange(16) / 15, conf, side="left") - 1, 0, 14)
ece = sum((at == b).mean() * abs(right[at == b].mean() - conf[at == b].mean()) for b in set(at))
array("softmax_prob", p)
array("softmax_calibration", [((p - onehot) ** 2).sum(1).mean(), ece, sk.log_loss(cls, p)])

# Operating points: brute force over every distinct score of rounded scores (ties).
score = np.round(special.expit(z / 2), 2)
array("point_score", score)
array("point_label", y)
rows = []
for threshold in np.unique(score)[::-1]:
    call = score >= threshold
    tp, fp = (call & (y == 1)).sum(), (call & (y == 0)).sum()
    rows.append((threshold, tp / (y == 1).sum(), 1 - fp / (y == 0).sum(), tp / (tp + fp), sk.f1_score(y, call)))
rows = np.array(rows)
below = np.append(rows[1:, 0], rows[-1, 0])


def best_of(value):
    i = int(np.argmax(np.round(value, 12)))
    return (rows[i, 0] + below[i]) / 2


array(
    "point_threshold",
    [
        best_of(rows[:, 1] + rows[:, 2]),
        best_of(np.where(rows[:, 1] >= 0.9, rows[:, 2], -1)),
        best_of(np.where(rows[:, 2] >= 0.8, rows[:, 1], -1)),
        best_of(np.where(rows[:, 3] >= 0.75, rows[:, 1], -1)),
        best_of(rows[:, 4]),
    ],
)
print("\n#endif")
