#include "eval/overlap.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/rng.h"
#include "eval/significance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ark_status ark_overlap_count(const float *prob, const float *truth, const float *count, size_t n,
    size_t stride, double threshold, ark_overlap *out) {
    ark_overlap o = {0};
    for (size_t i = 0; i < n; i++) {
        size_t at = i * stride;
        if (count[at] == 0) {
            continue;
        }
        if (isnan(prob[at])) {
            return ARK_ERR(ARK_EINVAL, "pixel %zu: the probability is not a number", i);
        }
        bool predicted = (double)prob[at] >= threshold, is = truth[at] != 0;
        o.both += predicted && is;
        o.predicted += predicted;
        o.truth += is;
        o.counted++;
    }
    *out = o;
    return ARK_OK;
}

static ark_metric ratio(const ark_overlap *o, double part, double whole) {
    const char *why = o->counted == 0 ? "no pixel counts" : o->truth == 0 ? "the true mask is empty" : NULL;
    return (ark_metric){.value = why ? NAN : part / whole, .why = why};
}

ark_metric ark_dice(const ark_overlap *o) {
    return ratio(o, 2 * (double)o->both, (double)(o->predicted + o->truth));
}

ark_metric ark_iou(const ark_overlap *o) {
    return ratio(o, (double)o->both, (double)(o->predicted + o->truth - o->both));
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sum and number of the defined values of each group; without groups each row is its own. */
typedef struct group_sum {
    double sum;
    size_t n;
} group_sum;

static double resample(const group_sum *g, size_t groups, const ark_bootstrap_opts *o, int64_t replicate) {
    ark_rng r = ark_rng_at(o->seed, ARK_RNG_BOOTSTRAP, (uint64_t)replicate, 0, 0);
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < groups; i++) {
        const group_sum *drawn = &g[ark_rng_below(&r, (uint32_t)groups)];
        sum += drawn->sum;
        n += drawn->n;
    }
    return n ? sum / (double)n : NAN;
}

static ark_status check(const ark_bootstrap_opts *o, size_t n) {
    if (!(o->level > 0 && o->level < 1) || o->replicates < 1 || o->replicates > 1000000) {
        return ARK_ERR(
            ARK_EINVAL, "bootstrap: level %g of %lld replicates", o->level, (long long)o->replicates);
    }
    for (size_t i = 0; o->group && i < n; i++) {
        if (o->group[i] >= o->groups) {
            return ARK_ERR(ARK_EINVAL, "row %zu: group %u of %zu", i, o->group[i], o->groups);
        }
    }
    return ARK_OK;
}

/* sorted: the n defined values, ascending; n > 0. */
static void describe(const double *sorted, size_t n, ark_mean_stat *s) {
    ark_mean_sd(sorted, n, &s->mean.estimate.value, &s->sd);
    s->median = ark_quantile_sorted(sorted, n, 0.5);
    s->lowest = sorted[0];
}

static void interval(double *draws, const ark_bootstrap_opts *o, ark_boot_stat *s) {
    for (int64_t i = 0; i < o->replicates; i++) {
        if (!isnan(draws[i])) {
            draws[s->used++] = draws[i];
        }
    }
    qsort(draws, s->used, sizeof *draws, ascending);
    s->ci = (ark_interval){.low = ark_quantile_sorted(draws, s->used, 0.5 - o->level / 2),
        .high = ark_quantile_sorted(draws, s->used, 0.5 + o->level / 2)};
}

ark_status ark_bootstrap_mean(
    const double *value, size_t n, const ark_bootstrap_opts *o, ark_mean_stat *out) {
    static const char nothing[] = "no image has a value";
    ARK_TRY(check(o, n));
    size_t groups = o->group ? o->groups : n;
    ark_mean_stat s = {.sd = NAN, .median = NAN, .lowest = NAN};
    double *defined = NULL, *draws = NULL;
    group_sum *g = NULL;
    ark_status st = ARK_NEW(&defined, n, "values");
    st = st ? st : ARK_NEW(&draws, (size_t)o->replicates, "bootstrap means");
    st = st ? st : ARK_NEW(&g, groups, "groups");
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        if (!isnan(value[i])) {
            group_sum *mine = &g[o->group ? o->group[i] : i];
            defined[s.defined++] = value[i];
            mine->sum += value[i];
            mine->n++;
        }
    }
    s.undefined = n - s.defined;
    if (st == ARK_OK && s.defined == 0) {
        s.mean.estimate = (ark_metric){.value = NAN, .why = nothing};
        s.mean.ci = (ark_interval){.low = NAN, .high = NAN, .why = nothing};
    } else if (st == ARK_OK) {
        qsort(defined, s.defined, sizeof *defined, ascending);
        describe(defined, s.defined, &s);
        for (int64_t i = 0; i < o->replicates; i++) {
            draws[i] = resample(g, groups, o, i);
        }
        interval(draws, o, &s.mean);
    }
    ark_free(defined);
    ark_free(draws);
    ark_free(g);
    ARK_TRY(st);
    *out = s;
    return ARK_OK;
}
