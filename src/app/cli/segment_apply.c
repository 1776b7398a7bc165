/* Applying a segmentation model to images. */
#include "app/cli/model_cli.h"
#include "app/cli/segment.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "eval/mask_picture.h"
#include "model/seg_model.h"

#include <math.h>
#include <stdio.h>

/* A model ready for one image at a time. */
typedef struct ready {
    ark_dev *dev;
    ark_seg_model *model;
    ark_plan *plan;
    ark_seg_tensors t;
    ark_space *space;
    float *pixels, *prob;
    cli_images images;
} ready;

static ark_status prepare(const cli_ctx *c, const char *backend, ready *r) {
    ARK_TRY(cli_images_from_args(c, 1, &r->images));
    ARK_TRY(ark_dev_open(backend, c->threads, &r->dev));
    ARK_TRY(ark_seg_model_open(c->pos[0], r->dev, &r->model));
    ARK_TRY(ark_plan_new(r->model->params, 1, ARK_F32, &r->plan));
    r->t = ark_seg_net_record(r->plan, r->model->params, &r->model->net);
    ARK_TRY(ark_plan_finish(r->plan, r->dev, ARK_PLAN_INFER));
    ARK_TRY(ark_space_new(r->dev, &r->plan, 1, false, &r->space));
    const size_t pixels = (size_t)r->model->pre.size_px * (size_t)r->model->pre.size_px;
    ARK_TRY(ARK_NEW(&r->pixels, 3 * pixels, "an image"));
    return ARK_NEW(&r->prob, pixels * (size_t)r->model->net.classes, "masks");
}

static void release(ready *r) {
    ark_space_free(r->space);
    ark_plan_free(r->plan);
    ark_seg_model_free(r->model);
    ark_dev_close(r->dev);
    cli_images_free(&r->images);
    ark_free(r->pixels);
    ark_free(r->prob);
}

static ark_status run_image(ready *r) {
    ark_run run = {.space = r->space, .params = r->model->params, .weights = ARK_COL_STUDENT, .batch = 1};
    ARK_TRY(ark_run_write(&run, r->plan, r->t.image, r->pixels));
    ARK_TRY(ark_run_forward(&run, r->plan));
    ARK_TRY(ark_run_read(&run, r->plan, r->t.logits, r->prob));
    const int64_t values = ark_numel_per_sample(r->t.logits);
    for (int64_t i = 0; i < values; i++) {
        r->prob[i] = (float)(1 / (1 + exp(-(double)r->prob[i])));
    }
    return ARK_OK;
}

/* Share of the image that each class covers, at the network's resolution. */
static json_t *areas(const ready *r) {
    const ark_seg_model *m = r->model;
    const size_t pixels = (size_t)m->pre.size_px * (size_t)m->pre.size_px, K = (size_t)m->net.classes;
    json_t *list = json_array();
    for (size_t k = 0; k < K; k++) {
        size_t inside = 0;
        for (size_t i = 0; i < pixels; i++) {
            inside += (double)r->prob[i * K + k] >= m->threshold;
        }
        json_array_append_new(list, json_pack("{s:o,s:f}", "class", cli_text(m->classes[k]), "area",
                                        (double)inside / (double)pixels));
    }
    return list;
}

static ark_status apply(ready *r, const char *out, json_t *list) {
    ARK_TRY(ark_mkdirs(out));
    for (size_t done = 0;; done++) {
        size_t index;
        int n;
        ARK_TRY(cli_images_next(&r->images, &r->model->pre, "segment", 1, r->pixels, &index, &n));
        if (n == 0) {
            return ARK_OK;
        }
        const char *path = r->images.paths[index];
        ARK_TRY(run_image(r));
        ARK_TRY(ark_mask_pictures_write(out, path, r->prob, r->model->pre.size_px, r->model->net.classes,
            (const char *const *)r->model->classes, r->model->threshold));
        json_array_append_new(list, json_pack("{s:o,s:o}", "path", cli_text(path), "classes", areas(r)));
    }
}

int cli_segment_apply(cli_ctx *c, const char *out, const char *backend) {
    ready r = {0};
    json_t *list = json_array();
    ark_status st = prepare(c, backend, &r);
    st = st ? st : apply(&r, out, list);
    release(&r);
    if (st != ARK_OK) {
        json_decref(list);
        return cli_fail(c, st);
    }
    if (c->json) {
        return cli_print_json(
            json_pack("{s:o,s:o,s:o}", "model", cli_text(c->pos[0]), "out", cli_text(out), "images", list));
    }
    printf("%zu images, masks and overlays in %s\n", json_array_size(list), out);
    json_decref(list);
    return cli_flush();
}
