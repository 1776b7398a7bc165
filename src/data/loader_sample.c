/* One sample on a worker's thread: where it is, its labels, its image, its views. */
#include "data/loader_priv.h"

#include "base/err.h"
#include "data/labels.h"
#include "data/pack.h"

#include <stdio.h>

/* Which row of which source an item of the pass is. */
static const ark_source *locate(const ark_loader *l, size_t item, uint32_t *source, uint32_t *sample) {
    size_t i = l->order[item];
    for (*source = 0;; ++*source) {
        const ark_source *s = &l->pass.sources[*source];
        size_t n = s->data->rows_n[s->split];
        if (i < n) {
            *sample = s->data->rows[s->split][i];
            return s;
        }
        i -= n;
    }
}

/* 8-bit image of a sample; *owned tells whether the caller must free it. */
static ark_status read_image(
    ark_loader *l, const ark_source *s, uint32_t sample, ark_image *im, bool *owned) {
    *owned = false;
    if (l->cache && ark__image_cache_get(l->cache, s->id, sample, im)) {
        return ARK_OK;
    }
    ARK_TRY(ark_dataset_image(s->data, sample, &l->opts.limits, im, owned));
    if (*owned && l->cache) {
        *owned = !ark__image_cache_put(l->cache, s->id, sample, im);
    }
    return ARK_OK;
}

static ark_status make_random_views(
    ark_loader *l, ark_viewer *v, const ark_image *im, ark_rng rng, float *student, float *teacher) {
    ark_view view = ark_view_draw(&l->augment, &rng, l->opts.pre.resize_px);
    const uint8_t *px;
    ARK_TRY(ark_viewer_render(v, im, &view, &px));
    ark_viewer_normalise(v, px, view.intensity ? view.curve : NULL, student);
    if (!teacher) {
        return ARK_OK;
    }
    if (l->opts.teacher_geometry) {
        ark_viewer_normalise(v, px, NULL, teacher);
        return ARK_OK;
    }
    return ark_viewer_plain(v, im, teacher);
}

static ark_status make_views(
    ark_loader *l, ark_viewer *v, const ark_image *im, ark_rng rng, float *student, float *teacher) {
    switch (l->pass.views) {
    case ARK_VIEWS_PRETRAIN:
    case ARK_VIEWS_FINETUNE:
        return make_random_views(l, v, im, rng, student, teacher);
    case ARK_VIEWS_PLAIN:
        return ark_viewer_plain(v, im, student);
    case ARK_VIEWS_TEST:
        return ark_viewer_centre(v, im, student);
    case ARK_VIEWS_TENCROP:
        break;
    }
    return ark_viewer_ten(v, im, student);
}

size_t ark__loader_rows(const ark_loader *l) {
    return l->pass.views == ARK_VIEWS_TENCROP ? ARK__CROPS : 1;
}

static ark_status make_item(ark_loader *l, ark_viewer *v, ark__slot *s, size_t item, size_t pos) {
    uint32_t source, sample;
    const ark_source *src = locate(l, item, &source, &sample);
    size_t width = (size_t)l->opts.width, at = pos * ark__loader_rows(l) * l->view_floats;
    s->sample[pos] = sample;
    s->source[pos] = source;
    ark_labels_fill(src->data, src->id, sample, l->opts.seed, src->columns, l->opts.width,
        s->labels + pos * width, s->mask + pos * width);
    ark_image im;
    bool owned;
    ARK_TRY(read_image(l, src, sample, &im, &owned));
    ark_rng rng = ark_rng_at(l->opts.seed, ARK_RNG_AUGMENT, l->pass.epoch, src->id, sample);
    float *teacher = l->pass.views == ARK_VIEWS_PRETRAIN ? s->teacher + at : NULL;
    ark_status st = make_views(l, v, &im, rng, s->student + at, teacher);
    if (owned) {
        ark_image_free(&im);
    }
    return st;
}

/* Keep the failure that comes first in the batch, whichever thread met it. */
static void note_failure(ark_loader *l, ark__slot *s, size_t pos, ark_status st) {
    bool skip = l->opts.on_bad == ARK_BAD_SKIP && (st == ARK_EIO || st == ARK_EFORMAT);
    s->bad[pos] = true;
    ark__report *r = skip ? &s->skipped : &s->fatal;
    pthread_mutex_lock(&s->lock);
    if (pos < r->pos) {
        r->pos = pos;
        r->st = st;
        snprintf(r->msg, sizeof r->msg, "%s", ark_err_msg());
    }
    pthread_mutex_unlock(&s->lock);
}

void *ark__loader_work(void *arg) {
    ark__worker *w = arg;
    ark_loader *l = w->loader;
    size_t item;
    while (ark__ring_claim(&l->ring, &item)) {
        ark__slot *s = &l->slots[item / l->per_batch % (size_t)l->opts.ring];
        size_t pos = item % l->per_batch;
        ark_status st = make_item(l, w->viewer, s, item, pos);
        if (st != ARK_OK) {
            note_failure(l, s, pos, st);
        }
        ark__ring_done(&l->ring, item);
    }
    return NULL;
}
