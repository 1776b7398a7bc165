#include "eval/resample.h"

#include "base/err.h"
#include "base/rng.h"

#include <string.h>

static void draw(ark_rng *rng, size_t units, uint32_t *count) {
    memset(count, 0, units * sizeof *count);
    for (size_t i = 0; i < units; i++) {
        count[ark_rng_below(rng, (uint32_t)units)]++;
    }
}

void ark__resample(
    const ark_bootstrap_opts *o, size_t n, uint64_t replicate, uint32_t *weight, uint32_t *drawn) {
    ark_rng rng = ark_rng_at(o->seed, ARK_RNG_BOOTSTRAP, replicate, 0, 0);
    if (!o->group) {
        draw(&rng, n, weight);
        return;
    }
    draw(&rng, o->groups, drawn);
    for (size_t i = 0; i < n; i++) {
        weight[i] = drawn[o->group[i]];
    }
}

ark_status ark__resample_check(const ark_bootstrap_opts *o, size_t n) {
    if (!(o->level > 0 && o->level < 1)) {
        return ARK_ERR(ARK_EINVAL, "confidence level %g is not between 0 and 1", o->level);
    }
    if (o->replicates < 1 || o->replicates > 1000000) {
        return ARK_ERR(
            ARK_EINVAL, "bootstrap: %lld replicates, allowed 1..1000000", (long long)o->replicates);
    }
    if (o->group && (o->groups == 0 || o->groups > n)) {
        return ARK_ERR(ARK_EINVAL, "bootstrap: %zu groups for %zu rows", o->groups, n);
    }
    for (size_t i = 0; o->group && i < n; i++) {
        if (o->group[i] >= o->groups) {
            return ARK_ERR(ARK_EINVAL, "row %zu: group %u of %zu", i, o->group[i], o->groups);
        }
    }
    return ARK_OK;
}
