/* Batches of images and masks, made by all threads between two steps: decoding and rendering a sample takes
 * milliseconds where a step takes seconds, so nothing is prepared ahead. */
#include "data/masks.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"

#include <stdio.h>
#include <string.h>

struct ark_mask_loader {
    ark_preproc pre;
    int n_classes, batch, threads;
    ark_viewer **viewers; /* per thread */
    uint8_t *levels;      /* (threads,S,S) one mask's view */
    ark_mask_batch out;
    ark_status *status; /* per sample */
    char (*message)[1024];
};

/* One call of ark_mask_loader_read. */
typedef struct job {
    ark_mask_loader *l;
    const ark_mask_set *s;
    const uint32_t *rows;
    const ark_augment *augment;
    uint64_t seed, epoch;
    uint32_t id;
} job;

/* The levels of a mask are names, so nothing may stretch them. */
static ark_status read_mask(const char *path, ark_image *mask) {
    ARK_TRY(ark_image_read(path, NULL, mask));
    if (mask->depth != 8) {
        ark_image_free(mask);
        return ARK_ERR(ARK_EFORMAT, "%s: a mask of 16 bits, expected 8", path);
    }
    return ARK_OK;
}

/* Column k of target and count, from the view of its mask; all zero without a mask. */
static void place(
    const ark_mask_set *s, const uint8_t *levels, size_t pixels, size_t k, float *target, float *count) {
    size_t K = (size_t)s->n_classes;
    for (size_t i = 0; i < pixels; i++) {
        bool counts = levels && levels[i] != s->ignore;
        count[i * K + k] = counts;
        target[i * K + k] = counts && levels[i] >= s->foreground;
    }
}

static ark_status make_masks(
    const job *j, size_t row, const ark_image *im, const ark_view *view, int thread, int slot) {
    const ark_mask_set *s = j->s;
    size_t side = (size_t)j->l->pre.size_px, pixels = side * side, K = (size_t)s->n_classes;
    uint8_t *levels = j->l->levels + (size_t)thread * pixels;
    for (size_t k = 0; k < K; k++) {
        const char *path = s->masks[row * K + k];
        ark_image mask = {0};
        if (path) {
            ARK_TRY(read_mask(path, &mask));
            if (mask.width != im->width || mask.height != im->height) {
                ark_status st = ARK_ERR(ARK_EFORMAT, "%s: mask of %d x %d for an image of %d x %d", path,
                    mask.width, mask.height, im->width, im->height);
                ark_image_free(&mask);
                return st;
            }
            uint8_t outside = (uint8_t)(s->ignore >= 0 ? s->ignore : 0);
            ark_mask_render(&mask, view, (int)side, outside, levels);
            ark_image_free(&mask);
        }
        place(s, path ? levels : NULL, pixels, k, j->l->out.target + (size_t)slot * pixels * K,
            j->l->out.count + (size_t)slot * pixels * K);
    }
    return ARK_OK;
}

static ark_status make_sample(const job *j, int slot, int thread) {
    ark_mask_loader *l = j->l;
    uint32_t row = j->rows[slot];
    size_t side = (size_t)l->pre.size_px;
    ark_image im = {0};
    ark_view view = ark_view_whole();
    const uint8_t *px;
    if (j->augment) {
        ark_rng r = ark_rng_at(j->seed, ARK_RNG_AUGMENT, j->epoch, j->id, row);
        view = ark_view_draw(j->augment, &r, l->pre.resize_px);
    }
    ARK_TRY(ark_image_read8(j->s->images[row], NULL, NULL, NULL, &im));
    ark_status st = ark_viewer_render(l->viewers[thread], &im, &view, &px);
    if (st == ARK_OK) {
        ark_viewer_normalise(l->viewers[thread], px, view.intensity ? view.curve : NULL,
            l->out.image + (size_t)slot * 3 * side * side);
        st = make_masks(j, row, &im, &view, thread, slot);
    }
    ark_image_free(&im);
    return st;
}

static void sample_task(void *ctx, int64_t task, int thread) {
    const job *j = ctx;
    ark_status st = make_sample(j, (int)task, thread);
    j->l->status[task] = st;
    if (st != ARK_OK) {
        snprintf(j->l->message[task], sizeof j->l->message[task], "%s", ark_err_msg());
    }
}

ark_status ark_mask_loader_read(ark_mask_loader *l, const ark_mask_set *s, const uint32_t *rows, int n,
    const ark_augment *augment, uint64_t seed, uint64_t epoch, uint32_t id, const ark_mask_batch **out) {
    job j = {.l = l, .s = s, .rows = rows, .augment = augment, .seed = seed, .epoch = epoch, .id = id};
    if (n < 1 || n > l->batch || s->n_classes != l->n_classes) {
        return ARK_ERR(ARK_EINVAL, "%d samples of %d classes for a loader of %d and %d", n, s->n_classes,
            l->batch, l->n_classes);
    }
    ark_parallel(l->threads, n, sample_task, &j);
    for (int i = 0; i < n; i++) {
        if (l->status[i] != ARK_OK) {
            return ARK_ERR(l->status[i], "%s", l->message[i]);
        }
    }
    l->out.n = n;
    *out = &l->out;
    return ARK_OK;
}

static ark_status build(ark_mask_loader *l) {
    size_t side = (size_t)l->pre.size_px, pixels = side * side, n = (size_t)l->batch;
    size_t K = (size_t)l->n_classes;
    ARK_TRY(ARK_NEW(&l->viewers, (size_t)l->threads, "viewers"));
    ARK_TRY(ARK_NEW(&l->levels, (size_t)l->threads * pixels, "mask views"));
    ARK_TRY(ARK_NEW(&l->out.image, n * 3 * pixels, "a batch of images"));
    ARK_TRY(ARK_NEW(&l->out.target, n * K * pixels, "a batch of masks"));
    ARK_TRY(ARK_NEW(&l->out.count, n * K * pixels, "a batch of masks"));
    ARK_TRY(ARK_NEW(&l->status, n, "a batch"));
    ARK_TRY(ARK_NEW(&l->message, n, "a batch"));
    for (int i = 0; i < l->threads; i++) {
        ARK_TRY(ark_viewer_new(&l->pre, &l->viewers[i]));
    }
    return ARK_OK;
}

ark_status ark_mask_loader_new(
    const ark_preproc *pre, int n_classes, int batch, int threads, ark_mask_loader **out) {
    ark_mask_loader *l;
    ARK_TRY(ARK_NEW(&l, 1, "a mask loader"));
    *l = (ark_mask_loader){.pre = *pre, .n_classes = n_classes, .batch = batch};
    l->threads = threads > 0 ? threads : ark_cpu_count();
    ark_status st = build(l);
    if (st != ARK_OK) {
        ark_mask_loader_free(l);
        return st;
    }
    *out = l;
    return ARK_OK;
}

void ark_mask_loader_free(ark_mask_loader *l) {
    if (!l) {
        return;
    }
    for (int i = 0; l->viewers && i < l->threads; i++) {
        ark_viewer_free(l->viewers[i]);
    }
    ark_free(l->viewers);
    ark_free(l->levels);
    ark_free(l->out.image);
    ark_free(l->out.target);
    ark_free(l->out.count);
    ark_free(l->status);
    ark_free(l->message);
    ark_free(l);
}
