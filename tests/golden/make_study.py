"""Writes study.h: a ROC curve read at a grid, quartiles with whiskers, Student's interval, a subgroup's rates.

    python3 tests/golden/make_study.py > tests/golden/study.h

Needs numpy, scipy and scikit-learn (committed output: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1).
"""
import numpy as np
from scipy import stats
from sklearn.metrics import brier_score_loss, confusion_matrix, f1_score, matthews_corrcoef, roc_auc_score, roc_curve


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


rng = np.random.default_rng(21)
n = 90
y = (rng.random(n) < 0.35).astype(float)
p = np.round(1 / (1 + np.exp(-(1.2 * y - 0.8 + rng.normal(size=n)))), 2)  # rounded: many ties
print("/* Written by make_study.py; not edited by hand. */")
print("#ifndef ARK_TEST_GOLDEN_STUDY_H\n#define ARK_TEST_GOLDEN_STUDY_H\n\n#include <math.h>\n#include <stdint.h>\n")
print(f"enum {{ STUDY_N = {n} }};")
array("study_score", p)
array("study_label", y)
fpr, tpr, _ = roc_curve(y, p, drop_intermediate=False)
grid = np.linspace(0, 1, 101)
# at equal x the highest point counts: numpy.interp takes the last of equal abscissae
array("study_roc", np.interp(grid, fpr, tpr))
number("study_auroc", roc_auc_score(y, p))
number("study_brier", brier_score_loss(y, p))
t = 0.405
tn, fp, fn, tp = confusion_matrix(y, p >= t).ravel()
number("study_threshold", t)
number("study_f1", f1_score(y, p >= t))
number("study_mcc", matthews_corrcoef(y, p >= t))
number("study_fnr", fn / (fn + tp))
number("study_fpr", fp / (fp + tn))
v = rng.normal(size=11) * 0.1 + 0.7
array("study_values", v)
array("study_t_interval", stats.t.interval(0.95, len(v) - 1, loc=v.mean(), scale=stats.sem(v)))
print("\n#endif")
