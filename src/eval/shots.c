#include "eval/shots.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/rng.h"

#include <math.h>
#include <string.h>

static const double *labels_of(const ark_labelled *data, size_t i) {
    return data->label + ark_labelled_row(data, i) * data->K;
}

static ark_status shuffled(const ark_labelled *data, uint64_t seed, uint32_t repeat, uint32_t **out) {
    if (data->n > INT32_MAX) {
        return ARK_ERR(ARK_ESHAPE, "%zu rows to draw from, limit %d", data->n, INT32_MAX);
    }
    ARK_TRY(ARK_NEW(out, data->n, "an order of rows"));
    for (size_t i = 0; i < data->n; i++) {
        (*out)[i] = (uint32_t)i;
    }
    ark_rng rng = ark_rng_at(seed, ARK_RNG_SHOTS, repeat, 0, 0);
    ark_rng_shuffle(&rng, *out, (uint32_t)data->n);
    return ARK_OK;
}

/* --- stratified order --- */

typedef struct strata {
    const ark_labelled *data;
    bool exclusive; /* one stratum per class; else two: 2k positive, 2k + 1 negative */
    size_t n;
    const uint32_t *shuffled;
    size_t *rows, *taken, *next; /* [n] of the split, of the sample, where to look on in the shuffled order */
    bool *used;                  /* [rows] */
} strata;

static bool belongs(const strata *s, size_t row, size_t stratum) {
    const double *y = labels_of(s->data, row);
    return s->exclusive ? y[stratum] == 1 : y[stratum / 2] == (stratum % 2 ? 0 : 1);
}

/* The stratum that lacks most after `count` rows, among those with rows left; n when none is left. */
static size_t neediest(const strata *s, size_t count) {
    size_t best = s->n;
    double best_need = -INFINITY;
    for (size_t k = 0; k < s->n; k++) {
        if (s->taken[k] == s->rows[k]) {
            continue;
        }
        double share = (double)s->rows[k] / (double)s->data->n;
        double need = share * ((double)count + 1) - (double)s->taken[k];
        if (s->taken[k] == 0) {
            need = 1e18 * (2 - share); /* before all others, the rarest first */
        }
        if (need > best_need) {
            best = k;
            best_need = need;
        }
    }
    return best;
}

static void take(strata *s, size_t row) {
    s->used[row] = true;
    for (size_t k = 0; k < s->n; k++) {
        s->taken[k] += belongs(s, row, k);
    }
}

/* The next row of a stratum in the shuffled order; it has one. */
static size_t next_of(strata *s, size_t stratum) {
    for (;;) {
        size_t row = s->shuffled[s->next[stratum]];
        if (!s->used[row] && belongs(s, row, stratum)) {
            return row;
        }
        s->next[stratum]++;
    }
}

static void fill_order(strata *s, uint32_t *order) {
    size_t n = s->data->n, count = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < s->n; k++) {
            s->rows[k] += belongs(s, i, k);
        }
    }
    for (size_t k; (k = neediest(s, count)) < s->n;) {
        size_t row = next_of(s, k);
        take(s, row);
        order[count++] = (uint32_t)row;
    }
    for (size_t i = 0; i < n; i++) { /* rows without any label */
        if (!s->used[s->shuffled[i]]) {
            order[count++] = s->shuffled[i];
        }
    }
}

ark_status ark_shots_order(
    const ark_labelled *data, ark_readout_task task, uint64_t seed, uint32_t repeat, uint32_t *order) {
    bool exclusive = task == ARK_READOUT_MULTICLASS;
    strata s = {.data = data, .exclusive = exclusive, .n = exclusive ? data->K : 2 * data->K};
    uint32_t *rows = NULL;
    ark_status st = shuffled(data, seed, repeat, &rows);
    st = st ? st : ARK_NEW(&s.rows, s.n, "strata");
    st = st ? st : ARK_NEW(&s.taken, s.n, "strata");
    st = st ? st : ARK_NEW(&s.next, s.n, "strata");
    st = st ? st : ARK_NEW(&s.used, data->n, "strata");
    if (st == ARK_OK) {
        s.shuffled = rows;
        fill_order(&s, order);
    }
    ark_free(rows);
    ark_free(s.rows);
    ark_free(s.taken);
    ark_free(s.next);
    ark_free(s.used);
    return st;
}

/* --- shots of every class --- */

static bool without_finding(const double *y, size_t K) {
    bool any = false;
    for (size_t k = 0; k < K; k++) {
        if (y[k] == 1) {
            return false;
        }
        any = any || y[k] == 0;
    }
    return any;
}

ark_status ark_shots_per_class(const ark_labelled *data, size_t k, uint64_t seed, uint32_t repeat,
    uint32_t *out, size_t *n, size_t *lacking) {
    size_t *count = NULL, K = data->K; /* of every class, and of rows without any */
    uint32_t *rows = NULL;
    bool *used = NULL;
    ark_status st = shuffled(data, seed, repeat, &rows);
    st = st ? st : ARK_NEW(&count, K + 1, "classes");
    st = st ? st : ARK_NEW(&used, data->n, "rows");
    for (size_t i = 0; i < data->n && st == ARK_OK; i++) {
        const double *y = labels_of(data, rows[i]);
        for (size_t c = 0; c < K; c++) {
            if (y[c] == 1 && count[c] < k) {
                count[c]++;
                used[rows[i]] = true;
            }
        }
        if (without_finding(y, K) && count[K] < k) {
            count[K]++;
            used[rows[i]] = true;
        }
    }
    *n = 0;
    for (size_t i = 0; i < data->n && st == ARK_OK; i++) {
        if (used[i]) {
            out[(*n)++] = (uint32_t)i;
        }
    }
    for (size_t c = 0; c < K && lacking && st == ARK_OK; c++) {
        lacking[c] = k - count[c];
    }
    ark_free(rows);
    ark_free(count);
    ark_free(used);
    return st;
}
