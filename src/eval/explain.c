#include "eval/explain.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

struct ark_explainer {
    const ark_net *net;
    ark_params *params;
    ark_plan *plan; /* TRAIN, but watched: only what lies behind the tap is walked back */
    ark_net_tensors t;
    ark_tensor **logits; /* per head */
    ark_tensor *map, *nudge;
    ark_space *space;
    float *zeros, *features, *gradient; /* of the map's size */
    float *one_hot, *scores;            /* of the widest head */
    int rows, cols;
    int64_t first; /* tokens before those of the grid: 1 for a class token */
};

/* A map (B,H,W,C), or tokens (B,1+side*side,C) with the class token first. */
static ark_status find_grid(ark_explainer *e) {
    const ark_tensor *t = e->map;
    if (t->ndim == 4) {
        e->rows = (int)t->dims[1];
        e->cols = (int)t->dims[2];
        return ARK_OK;
    }
    while (t->ndim == 3 && (int64_t)e->rows * e->rows < t->dims[1] - 1) {
        e->rows++;
    }
    e->cols = e->rows;
    e->first = 1;
    return t->ndim == 3 && e->rows > 0 && (int64_t)e->rows * e->rows == t->dims[1] - 1
               ? ARK_OK
               : ARK_ERR(ARK_EINVAL, "the marked layer of %d dimensions is no map and no square of tokens",
                     t->ndim);
}

static ark_status build_plan(ark_explainer *e, ark_dev *dev) {
    ARK_TRY(ark_plan_new(e->params, 1, ARK_F32, &e->plan));
    ark_plan_watch(e->plan);
    e->t = ark_net_trunk(e->plan, e->net);
    for (int i = 0; i < e->net->n_heads; i++) {
        e->logits[i] = ark_net_head(e->plan, e->net, e->t.projected, i);
    }
    ARK_TRY(ark_plan_finish(e->plan, dev, ARK_PLAN_TRAIN));
    ARK_TRY(ark_plan_watched(e->plan, &e->map, &e->nudge));
    ARK_TRY(find_grid(e));
    return ark_space_new(dev, &e->plan, 1, false, &e->space);
}

static ark_status build(ark_explainer *e, ark_dev *dev) {
    int widest = 0;
    for (int i = 0; i < e->net->n_heads; i++) {
        widest = e->net->heads[i].n_classes > widest ? e->net->heads[i].n_classes : widest;
    }
    if (widest == 0) {
        return ARK_ERR(ARK_EINVAL, "a network without heads has no class to explain");
    }
    ARK_TRY(ARK_NEW(&e->logits, (size_t)e->net->n_heads, "heads"));
    ARK_TRY(build_plan(e, dev));
    size_t n = (size_t)ark_numel(e->map);
    ARK_TRY(ARK_NEW(&e->zeros, n, "a feature map"));
    ARK_TRY(ARK_NEW(&e->features, n, "a feature map"));
    ARK_TRY(ARK_NEW(&e->gradient, n, "a feature map"));
    ARK_TRY(ARK_NEW(&e->one_hot, (size_t)widest, "a head"));
    return ARK_NEW(&e->scores, (size_t)widest, "a head");
}

ark_status ark_explainer_new(const ark_net *net, ark_params *params, ark_dev *dev, ark_explainer **out) {
    ark_explainer *e;
    ARK_TRY(ARK_NEW(&e, 1, "an explainer"));
    e->net = net;
    e->params = params;
    ark_status st = build(e, dev);
    if (st != ARK_OK) {
        ark_explainer_free(e);
        return st;
    }
    *out = e;
    return ARK_OK;
}

void ark_explainer_free(ark_explainer *e) {
    if (!e) {
        return;
    }
    ark_space_free(e->space);
    ark_plan_free(e->plan);
    ark_free(e->logits);
    ark_free(e->zeros);
    ark_free(e->features);
    ark_free(e->gradient);
    ark_free(e->one_hot);
    ark_free(e->scores);
    ark_free(e);
}

void ark_explainer_grid(const ark_explainer *e, int *rows, int *cols) {
    *rows = e->rows;
    *cols = e->cols;
}

/* Forward, then the gradient of one logit at the map. */
static ark_status differentiate(
    ark_explainer *e, ark_column column, const float *image, int head, int k, float *logit) {
    size_t classes = (size_t)e->net->heads[head].n_classes;
    ark_run run = {.space = e->space, .params = e->params, .weights = column, .batch = 1};
    memset(e->one_hot, 0, classes * sizeof *e->one_hot);
    e->one_hot[k] = 1;
    ark_seed seed = {.t = e->logits[head], .data = e->one_hot};
    ARK_TRY(ark_run_write(&run, e->plan, e->t.image, image));
    ARK_TRY(ark_run_write(&run, e->plan, e->nudge, e->zeros));
    ARK_TRY(ark_run_forward(&run, e->plan));
    ARK_TRY(ark_run_read(&run, e->plan, e->logits[head], e->scores));
    ARK_TRY(ark_run_read(&run, e->plan, e->map, e->features));
    ARK_TRY(ark_run_backward(&run, e->plan, &seed, 1));
    *logit = e->scores[k];
    return ark_run_read_grad(&run, e->plan, e->nudge, e->gradient);
}

ark_status ark_explain(
    ark_explainer *e, ark_column column, const float *image, int head, int k, float *map, float *logit) {
    if (head < 0 || head >= e->net->n_heads || k < 0 || k >= e->net->heads[head].n_classes) {
        return ARK_ERR(ARK_EINVAL, "class %d of head %d: there is no such output", k, head);
    }
    ARK_TRY(differentiate(e, column, image, head, k, logit));
    const int64_t positions = (int64_t)e->rows * e->cols, channels = ark_last_dim(e->map);
    const float *features = e->features + e->first * channels;
    float *gradient = e->gradient + e->first * channels;
    bool finite = isfinite(*logit);
    for (int64_t i = 0; i < positions; i++) {
        double sum = 0;
        for (int64_t c = 0; c < channels; c++) {
            double weight = 0;
            for (int64_t j = 0; i == 0 && j < positions; j++) {
                weight += (double)gradient[j * channels + c];
            }
            if (i == 0) { /* the channel's weight takes the place of its first gradient */
                gradient[c] = (float)(weight / (double)positions);
            }
            sum += (double)gradient[c] * (double)features[i * channels + c];
        }
        map[i] = sum > 0 ? (float)sum : 0.0f;
        finite &= isfinite(sum) != 0;
    }
    return finite ? ARK_OK : ARK_ERR(ARK_EDEVICE, "the heat map of head %d class %d is not finite", head, k);
}

/* Source rows (or columns) of an output one, as torch interpolate places them without aligned corners. */
static double locate(int i, int in, int out, int *low, int *high) {
    double at = (i + 0.5) * in / out - 0.5;
    at = at < 0 ? 0 : at;
    *low = (int)at < in - 1 ? (int)at : in - 1;
    *high = *low + 1 < in ? *low + 1 : *low;
    return at - *low;
}

void ark_map_resize(const float *map, int rows, int cols, float *out, int height, int width) {
    for (int y = 0; y < height; y++) {
        int y0, y1, x0, x1;
        double fy = locate(y, rows, height, &y0, &y1);
        for (int x = 0; x < width; x++) {
            double fx = locate(x, cols, width, &x0, &x1);
            double top = map[y0 * cols + x0] * (1 - fx) + map[y0 * cols + x1] * fx;
            double low = map[y1 * cols + x0] * (1 - fx) + map[y1 * cols + x1] * fx;
            out[(size_t)y * (size_t)width + (size_t)x] = (float)(top * (1 - fy) + low * fy);
        }
    }
}

void ark_heat_resize(const float *map, int rows, int cols, float *out, int height, int width) {
    float most = 0;
    for (int i = 0; i < rows * cols; i++) {
        most = map[i] > most ? map[i] : most;
    }
    ark_map_resize(map, rows, cols, out, height, width);
    for (size_t i = 0; i < (size_t)height * (size_t)width && most > 0; i++) {
        out[i] /= most;
    }
}

void ark_heat_overlay(const uint8_t *grey, const float *heat, size_t pixels, double strength, uint8_t *rgb) {
    for (size_t i = 0; i < pixels; i++) {
        double h = heat[i] < 0 ? 0 : heat[i] > 1 ? 1 : (double)heat[i], weight = strength * h;
        /* Red rises over the first third, green over the second, blue over the last. */
        for (int c = 0; c < 3; c++) {
            double level = 3 * h - c, colour = level < 0 ? 0 : level > 1 ? 255 : 255 * level;
            rgb[3 * i + (size_t)c] = (uint8_t)lround((1 - weight) * grey[i] + weight * colour);
        }
    }
}
