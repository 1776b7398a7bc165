#include "study/subgroups.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PARTS = 80 };

typedef enum attribute { OF_ALL, OF_SEX, OF_AGE, OF_VIEW, ATTRIBUTES } attribute;

typedef struct cutting {
    const ark_scored *s;
    const ark_dataset *data;
    const double *limits;
    size_t n_limits;
    ark_subgroups *out;
} cutting;

static const char *const attribute_names[] = {"all", "sex", "age", "view"};

/* Number of the part that a row belongs to, and how many parts there are; the last one is "unknown". */
static size_t part_of(const cutting *c, attribute a, uint32_t sample) {
    const ark_dataset *d = c->data;
    double age = (double)d->age[sample];
    size_t band = 0;
    switch (a) {
    case OF_SEX:
        return d->sex[sample] == 'F' ? 0 : d->sex[sample] == 'M' ? 1 : 2;
    case OF_VIEW:
        return d->view[sample] == 'P' ? 0 : d->view[sample] == 'A' ? 1 : d->view[sample] == 'L' ? 2 : 3;
    case OF_AGE:
        while (band < c->n_limits && age >= c->limits[band]) {
            band++;
        }
        return isnan(age) ? c->n_limits + 1 : band;
    case OF_ALL:
    case ATTRIBUTES:
        break;
    }
    return 0;
}

static size_t parts_of(const cutting *c, attribute a) {
    const size_t n[] = {1, 3, c->n_limits + 2, 4};
    return n[a];
}

static void name_part(const cutting *c, attribute a, size_t part, char *buf, size_t cap) {
    static const char *const sexes[] = {"F", "M", "unknown"}, *const views[] = {
                                                                  "PA", "AP", "lateral", "unknown"};
    if (a == OF_ALL) {
        snprintf(buf, cap, "all");
    } else if (a == OF_SEX) {
        snprintf(buf, cap, "%s", sexes[part]);
    } else if (a == OF_VIEW) {
        snprintf(buf, cap, "%s", views[part]);
    } else if (part == c->n_limits + 1) {
        snprintf(buf, cap, "unknown");
    } else if (c->n_limits == 0) {
        snprintf(buf, cap, "known");
    } else if (part == 0) {
        snprintf(buf, cap, "under %g", c->limits[0]);
    } else if (part == c->n_limits) {
        snprintf(buf, cap, "%g and over", c->limits[part - 1]);
    } else {
        snprintf(buf, cap, "%g to under %g", c->limits[part - 1], c->limits[part]);
    }
}

/* How many patients the rows are of. */
static ark_status count_patients(const ark_scored *s, ark_subgroup *g) {
    bool *seen;
    if (!s->patient) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&seen, s->patients, "patients"));
    for (size_t i = 0; i < g->n; i++) {
        uint32_t p = s->patient[g->row[i]];
        g->patients += !seen[p];
        seen[p] = true;
    }
    ark_free(seen);
    return ARK_OK;
}

static ark_status evaluate(const cutting *c, double level, ark_subgroup *g) {
    const ark_eval_table *t = &c->s->t;
    size_t K = t->K;
    double *block = NULL;
    ark_status st = ARK_NEW(&block, 2 * g->n * K, "scores of a subgroup");
    st = st ? st : ARK_NEW(&g->r, K, "results of a subgroup");
    if (st == ARK_OK) {
        for (size_t i = 0; i < g->n; i++) {
            memcpy(block + i * K, t->score + g->row[i] * K, K * sizeof *block);
            memcpy(block + (g->n + i) * K, t->label + g->row[i] * K, K * sizeof *block);
        }
        ark_eval_table part = {
            .score = block, .label = block + g->n * K, .n = g->n, .K = K, .names = t->names};
        st = ark_class_results(&part, c->s->points, level, g->r);
    }
    st = st ? st : count_patients(c->s, g);
    ark_free(block);
    return st;
}

static ark_status cut(const cutting *c, attribute a, size_t part, double level) {
    ark_subgroup *g = &c->out->items[c->out->n];
    size_t n = 0;
    for (size_t i = 0; i < c->s->t.n; i++) {
        n += part_of(c, a, c->s->sample[i]) == part;
    }
    if (n == 0) {
        return ARK_OK;
    }
    c->out->n++;
    *g = (ark_subgroup){.attribute = attribute_names[a]};
    name_part(c, a, part, g->name, sizeof g->name);
    ARK_TRY(ARK_NEW(&g->row, n, "rows of a subgroup"));
    for (size_t i = 0; i < c->s->t.n; i++) {
        if (part_of(c, a, c->s->sample[i]) == part) {
            g->row[g->n++] = (uint32_t)i;
        }
    }
    return evaluate(c, level, g);
}

ark_status ark_subgroups_new(const ark_scored *s, const ark_dataset *data, const double *limits,
    size_t n_limits, double level, ark_subgroups *out) {
    ark_subgroups g = {.K = s->t.K};
    cutting c = {.s = s, .data = data, .limits = limits, .n_limits = n_limits, .out = &g};
    for (size_t i = 1; i < n_limits; i++) {
        if (!(limits[i] > limits[i - 1])) {
            return ARK_ERR(ARK_EINVAL, "age bands: limit %g does not follow %g", limits[i], limits[i - 1]);
        }
    }
    ark_status st = ARK_NEW(&g.items, MOST_PARTS, "subgroups");
    for (int a = 0; a < ATTRIBUTES; a++) {
        for (size_t p = 0; p < parts_of(&c, (attribute)a) && st == ARK_OK; p++) {
            st = cut(&c, (attribute)a, p, level);
        }
    }
    if (st != ARK_OK) {
        ark_subgroups_free(&g);
        return st;
    }
    *out = g;
    return ARK_OK;
}

void ark_subgroups_free(ark_subgroups *g) {
    for (size_t i = 0; i < g->n; i++) {
        ark_free(g->items[i].row);
        ark_free(g->items[i].r);
    }
    ark_free(g->items);
    *g = (ark_subgroups){0};
}

static ark_metric complement(ark_metric m, const ark_interval *of, ark_interval *ci) {
    *ci = *of;
    if (!of->why) {
        *ci = (ark_interval){.low = 1 - of->high, .high = 1 - of->low};
    }
    m.value = 1 - m.value; /* NaN stays NaN */
    return m;
}

ark_metric ark_fnr(const ark_at_point *a, ark_interval *ci) {
    return complement(a->sensitivity, &a->sensitivity_ci, ci);
}

ark_metric ark_fpr(const ark_at_point *a, ark_interval *ci) {
    return complement(a->specificity, &a->specificity_ci, ci);
}
