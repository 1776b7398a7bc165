"""How the scripts beside this one write numbers into headers."""
import numpy as np


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
