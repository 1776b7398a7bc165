#include "eval/finding_names.h"

#include "base/str.h"

#include <ctype.h>
#include <string.h>

enum { SIMPLE = 96 };

/* One line per finding, names simplified: small letters and digits only. "pe" is VinDr-CXR's pleural
 * effusion. */
static const char *const groups[][6] = {
    {"nofinding", "normal", "nofindings", "healthy"},
    {"effusion", "pleuraleffusion", "pe"},
    {"cardiomegaly", "enlargedheart"},
    {"enlargedcardiomediastinum", "widenedmediastinum"},
    {"lungopacity", "opacity", "airspaceopacity"},
    {"edema", "oedema", "pulmonaryedema", "pulmonaryoedema"},
    {"consolidation", "lungconsolidation"},
    {"pneumonia"},
    {"atelectasis", "atelectases"},
    {"pneumothorax", "ptx"},
    {"infiltration", "infiltrate", "infiltrates"},
    {"mass", "lungmass"},
    {"nodule", "lungnodule", "pulmonarynodule"},
    {"lungtumor", "lungtumour"},
    {"emphysema", "pulmonaryemphysema"},
    {"fibrosis", "pulmonaryfibrosis"},
    {"pleuralthickening", "thickenedpleura"},
    {"hernia", "hiatalhernia"},
    {"fracture", "fractures", "ribfracture", "fractureold", "oldfracture"},
    {"supportdevices", "supportdevice"},
    {"tuberculosis", "tb"},
    {"covid19", "covid", "sarscov2"},
    {"otherdiseases", "otherdisease"},
};
enum { GROUPS = sizeof groups / sizeof groups[0], NAMES = sizeof groups[0] / sizeof groups[0][0] };

static void simplify(const char *name, char out[SIMPLE]) {
    size_t n = 0;
    for (; *name && n + 1 < SIMPLE; name++) {
        if (isalnum((unsigned char)*name)) {
            out[n++] = (char)tolower((unsigned char)*name);
        } else if ((unsigned char)*name >= 0x80) {
            out[n++] = *name; /* letters of other scripts stay */
        }
    }
    out[n] = '\0';
}

/* The finding's line, or GROUPS. */
static size_t group_of(const char *simple) {
    for (size_t g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < NAMES && groups[g][i]; i++) {
            if (!strcmp(simple, groups[g][i])) {
                return g;
            }
        }
    }
    return GROUPS;
}

bool ark_same_finding(const char *a, const char *b) {
    char x[SIMPLE], y[SIMPLE];
    simplify(a, x);
    simplify(b, y);
    if (!strcmp(x, y)) {
        return x[0] != '\0' || !strcmp(a, b);
    }
    size_t g = group_of(x);
    return g < GROUPS && g == group_of(y);
}

size_t ark_nearest_finding(const char *name, const char *const *names, size_t n) {
    char simple[SIMPLE], other[SIMPLE];
    size_t best = n;
    simplify(name, simple);
    for (size_t i = 0; i < n; i++) {
        char held[SIMPLE];
        const char *words[NAMES + 1];
        size_t n_words = 0;
        simplify(names[i], other);
        words[n_words++] = other;
        size_t g = group_of(other);
        for (size_t k = 0; g < GROUPS && k < NAMES && groups[g][k]; k++) {
            words[n_words++] = groups[g][k];
        }
        if (best < n) { /* the best so far competes */
            simplify(names[best], held);
            words[n_words++] = held;
        }
        const char *near = ark_nearest(simple, words, n_words < NAMES + 1 ? n_words : NAMES + 1);
        best = near && near != held ? i : best;
    }
    return best;
}
