/* What the groups of equal pictures mean for the splits: overlaps, leakage, images to drop. */
#include "data/check_priv.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

/* Groups of two and more: members in ascending order, groups by their first member. */
static ark_status collect(ark_check *c, ark__pictures *p) {
    uint32_t *count;
    ARK_TRY(ARK_NEW(&count, c->n, "groups of images"));
    size_t members = 0;
    for (size_t i = 0; i < c->n; i++) {
        count[ark__root(p->parent, (uint32_t)i)]++;
    }
    for (size_t i = 0; i < c->n; i++) {
        c->n_groups += count[i] > 1;
        members += count[i] > 1 ? count[i] : 0;
    }
    ark_status st = ARK_NEW(&c->start, c->n_groups + 1, "groups of images");
    st = st == ARK_OK ? ARK_NEW(&c->members, members, "groups of images") : st;
    if (st == ARK_OK) {
        uint32_t at = 0;
        size_t g = 0;
        for (size_t i = 0; i < c->n; i++) { /* count becomes where the next member goes */
            if (count[i] > 1) {
                uint32_t size = count[i];
                c->start[g++] = count[i] = at;
                at += size;
            } else {
                count[i] = UINT32_MAX;
            }
        }
        c->start[g] = at;
        for (size_t i = 0; i < c->n; i++) {
            uint32_t root = ark__root(p->parent, (uint32_t)i);
            if (count[root] != UINT32_MAX) {
                c->members[count[root]++] = (uint32_t)i;
            }
        }
    }
    ark_free(count);
    return st;
}

/* Against the first member: file, pixels, or near. */
static void set_match(ark_check *c, const ark__pictures *p, const uint32_t *m, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t other = i ? m[0] : m[1];
        if (p->file[m[i]] == p->file[other] && p->pixels[m[i]] == p->pixels[other]) {
            c->match[m[i]] = ARK_MATCH_FILE;
        } else if (p->pixels[m[i]] == p->pixels[other]) {
            c->match[m[i]] = ARK_MATCH_PIXELS;
        } else {
            c->match[m[i]] = ARK_MATCH_NEAR;
            continue;
        }
        c->distance[m[i]] = 0;
    }
}

/* Do the known labels of two samples contradict each other? */
static bool contradict(const ark_dataset *d, size_t a, size_t b) {
    size_t K = (size_t)d->n_classes;
    for (size_t k = 0; k < K; k++) {
        float x = d->labels[a * K + k], y = d->labels[b * K + k];
        if (x >= 0 && y >= 0 && x != y) {
            return true;
        }
    }
    return false;
}

static void count_conflicts(ark_check *c, const uint32_t *m, size_t n) {
    size_t first = SIZE_MAX, sample;
    const ark_check_set *in = NULL;
    bool counted = false;
    for (size_t i = 0; i < n; i++) { /* members of one set stand together */
        const ark_check_set *s = ark_check_locate(c, m[i], &sample);
        if (!in || s != in) {
            in = s;
            first = sample;
            counted = false;
        } else if (!counted && contradict(s->data, first, sample)) {
            c->sets[s - c->sets].conflicts++;
            counted = true;
        }
    }
}

/* Splits of the members: each cell once, with how many are in it. */
static size_t cells_of(const ark_check *c, const uint32_t *m, size_t n, size_t *cell, size_t *count) {
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = ark_check_cell(c, m[i]), k = 0;
        while (k < used && cell[k] != at) {
            k++;
        }
        cell[k] = at;
        count[k] = k == used ? 1 : count[k] + 1;
        used += k == used;
    }
    return used;
}

static void judge(ark_check *c, const uint32_t *m, size_t n, size_t *cell, size_t *count) {
    size_t used = cells_of(c, m, n, cell, count), width = 3 * c->n_sets;
    for (size_t a = 0; a < used; a++) {
        for (size_t b = 0; b < used; b++) {
            c->overlap[cell[a] * width + cell[b]] += a != b ? count[b] : count[b] > 1 ? count[b] : 0;
        }
    }
    for (size_t i = 0; i < n; i++) {
        size_t own = ark_check_cell(c, m[i]);
        bool knows = false, known = false;
        for (size_t k = 0; k < used; k++) {
            knows = knows || ark_check_leaks(own, cell[k]);
            known = known || ark_check_leaks(cell[k], own);
        }
        c->drop[m[i]] = knows && c->drop[m[i]] != ARK_DROP_UNREADABLE ? ARK_DROP_PICTURE : c->drop[m[i]];
        c->leaked[m[i]] |= known;
    }
}

ark_status ark__check_groups(ark_check *c, ark__pictures *p) {
    size_t *cell, *count = NULL;
    ARK_TRY(collect(c, p));
    ARK_TRY(ARK_NEW(&cell, 3 * c->n_sets, "splits"));
    ark_status st = ARK_NEW(&count, 3 * c->n_sets, "splits");
    for (size_t g = 0; g < c->n_groups && st == ARK_OK; g++) {
        const uint32_t *m = c->members + c->start[g];
        size_t n = c->start[g + 1] - c->start[g];
        set_match(c, p, m, n);
        count_conflicts(c, m, n);
        judge(c, m, n, cell, count);
    }
    ark_free(cell);
    ark_free(count);
    return st;
}
