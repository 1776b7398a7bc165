/* ark/infer.h over model/: a model with the description users see, and sessions that prepare images. */
#include "ark/infer.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"
#include "data/augment.h"
#include "data/dataset.h"
#include "model/model.h"
#include "model/session.h"

#include <pthread.h>
#include <string.h>

enum { MAX_BATCH = 1024, MAX_SIDE = 16384 };

struct ark_infer_model {
    ark_dev *dev; /* holds the weights; sessions compute on devices of their own */
    ark_model *model;
    ark_dtype cdt;
    pthread_mutex_t *recording; /* a plan being recorded writes notes into the parameter store */
    ark_infer_info info;
    ark_infer_head *heads;
    char arch[256];
};

struct ark_infer_session {
    const ark_infer_model *model; /* borrowed */
    ark_dev *dev;
    ark_session *session;
    ark_viewer *viewer;
    int batch;
    float *images; /* (batch,3,S,S) */
    float *logits; /* (batch,K), head after head */
    float **heads; /* into logits: (batch,K_h) of each head */
};

/* ---- model ---- */

ark_infer_opts ark_infer_default_opts(void) {
    return (ark_infer_opts){0};
}

static ark_status describe(ark_infer_model *m) {
    static const char *const filters[] = {"bilinear", "bicubic", "box", "lanczos"};
    const ark_net *net = &m->model->net;
    const ark_preproc *pre = &m->model->pre;
    m->info = (ark_infer_info){
        .arch = ark_arch_print(&net->arch, m->arch, sizeof m->arch),
        .parameters = ark_params_numel(m->model->params),
        .size_px = pre->size_px,
        .size_assumed = m->model->size_assumed,
        .filter = filters[pre->filter],
        .encoder_dim = ark_arch_features(&net->arch),
        .projected_dim = ark_net_features(net),
        .n_heads = net->n_heads,
    };
    memcpy(m->info.mean, pre->mean, sizeof pre->mean);
    memcpy(m->info.std, pre->std, sizeof pre->std);
    if (net->n_heads == 0) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&m->heads, (size_t)net->n_heads, "heads"));
    for (int i = 0; i < net->n_heads; i++) {
        const ark_head *h = &net->heads[i];
        m->heads[i] = (ark_infer_head){.dataset = h->dataset,
            .task = ark_task_name(h->task),
            .n_classes = h->n_classes,
            .classes = (const char *const *)h->classes,
            .first = m->info.outputs};
        m->info.outputs += h->n_classes;
    }
    m->info.heads = m->heads;
    return ARK_OK;
}

static ark_status open_into(ark_infer_model *m, const char *path, const ark_infer_opts *o) {
    ark_model_opts mo = {
        .key = o->key, .heads = o->heads, .arch = o->arch, .size_px = o->size_px, .bf16 = o->bf16};
    m->cdt = o->bf16 ? ARK_BF16 : ARK_F32;
    ARK_TRY(ARK_NEW(&m->recording, 1, "a lock"));
    pthread_mutex_init(m->recording, NULL); /* with default attributes it cannot fail here */
    ARK_TRY(ark_dev_open(o->backend ? o->backend : "cpu", 0, &m->dev));
    ARK_TRY(ark_model_open(path, &mo, m->dev, &m->model));
    return describe(m);
}

ark_status ark_infer_open(const char *path, const ark_infer_opts *opts, ark_infer_model **model) {
    ark_infer_opts o = opts ? *opts : ark_infer_default_opts();
    ark_infer_model *m;
    ARK_TRY(ARK_NEW(&m, 1, "a model"));
    ark_status st = open_into(m, path, &o);
    if (st != ARK_OK) {
        ark_infer_close(m);
        return st;
    }
    *model = m;
    return ARK_OK;
}

void ark_infer_close(ark_infer_model *m) {
    if (!m) {
        return;
    }
    ark_model_free(m->model);
    ark_dev_close(m->dev);
    if (m->recording) {
        pthread_mutex_destroy(m->recording);
    }
    ark_free(m->recording);
    ark_free(m->heads);
    ark_free(m);
}

const ark_infer_info *ark_infer_describe(const ark_infer_model *m) {
    return &m->info;
}

/* ---- session ---- */

ark_infer_session_opts ark_infer_session_default_opts(void) {
    return (ark_infer_session_opts){.batch = 8};
}

static ark_status record(const ark_infer_model *m, ark_infer_session *s) {
    pthread_mutex_lock(m->recording);
    ark_status st = ark_session_new(&m->model->net, m->model->params, s->dev, s->batch, m->cdt, &s->session);
    pthread_mutex_unlock(m->recording);
    return st;
}

static ark_status new_into(const ark_infer_model *m, const ark_infer_session_opts *o, ark_infer_session *s) {
    if (o->batch < 1 || o->batch > MAX_BATCH || o->threads < 0) {
        return ARK_ERR(ARK_EINVAL, "batch %d and %d threads, allowed 1..%d and 0 or more", o->batch,
            o->threads, MAX_BATCH);
    }
    size_t batch = (size_t)o->batch, side = (size_t)m->info.size_px;
    s->model = m;
    s->batch = o->batch;
    ARK_TRY(ark_viewer_new(&m->model->pre, &s->viewer));
    ARK_TRY(ARK_NEW(&s->images, batch * 3 * side * side, "a batch of images"));
    ARK_TRY(ARK_NEW(&s->logits, batch * (size_t)m->info.outputs, "logits"));
    ARK_TRY(ARK_NEW(&s->heads, (size_t)m->info.n_heads, "heads"));
    for (int i = 0; i < m->info.n_heads; i++) {
        s->heads[i] = s->logits + batch * (size_t)m->heads[i].first;
    }
    ARK_TRY(ark_dev_open(m->dev->backend->name, o->threads, &s->dev));
    return record(m, s);
}

ark_status ark_infer_session_new(
    const ark_infer_model *model, const ark_infer_session_opts *opts, ark_infer_session **session) {
    ark_infer_session_opts o = opts ? *opts : ark_infer_session_default_opts();
    ark_infer_session *s;
    ARK_TRY(ARK_NEW(&s, 1, "a session"));
    ark_status st = new_into(model, &o, s);
    if (st != ARK_OK) {
        ark_infer_session_free(s);
        return st;
    }
    *session = s;
    return ARK_OK;
}

void ark_infer_session_free(ark_infer_session *s) {
    if (!s) {
        return;
    }
    ark_session_free(s->session);
    ark_dev_close(s->dev);
    ark_viewer_free(s->viewer);
    ark_free(s->heads);
    ark_free(s->logits);
    ark_free(s->images);
    ark_free(s);
}

/* ---- running ---- */

/* Probabilities of n images from the heads' blocks of logits to rows (n,K). */
static void gather(const ark_infer_session *s, size_t n, float *rows) {
    const ark_net *net = &s->model->model->net;
    size_t width = (size_t)s->model->info.outputs;
    for (int h = 0; h < net->n_heads; h++) {
        size_t k = (size_t)net->heads[h].n_classes;
        ark_logits_to_probabilities(net->heads[h].task, s->heads[h], (int64_t)n, (int)k);
        for (size_t i = 0; i < n; i++) {
            memcpy(rows + i * width + s->model->heads[h].first, s->heads[h] + i * k, k * sizeof *rows);
        }
    }
}

/* Images (n,3,S,S), n <= batch, whose results are rows at, at + 1, ... of out. */
static ark_status run(
    ark_infer_session *s, const float *images, size_t at, size_t n, const ark_infer_out *out) {
    const ark_infer_info *info = &s->model->info;
    ark_outputs o = {
        .encoder = out->encoder ? out->encoder + at * (size_t)info->encoder_dim : NULL,
        .projected = out->projected ? out->projected + at * (size_t)info->projected_dim : NULL,
        .logits = out->probabilities ? s->heads : NULL,
    };
    ARK_TRY(ark_session_run(s->session, ARK_COL_STUDENT, images, (int64_t)n, &o));
    if (out->probabilities) {
        gather(s, n, out->probabilities + at * (size_t)info->outputs);
    }
    return ARK_OK;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t image_numel(const ark_infer_session *s) {
    size_t side = (size_t)s->model->info.size_px;
    return 3 * side * side;
}

ark_status ark_infer_tensor(ark_infer_session *s, const float *images, size_t n, const ark_infer_out *out) {
    size_t batch = (size_t)s->batch;
    for (size_t at = 0; at < n; at += batch) {
        ARK_TRY(run(s, images + at * image_numel(s), at, least(batch, n - at), out));
    }
    return ARK_OK;
}

static ark_status load(ark_infer_session *s, const char *path, float *dst) {
    ark_image im;
    ARK_TRY(ark_image_read(path, NULL, &im));
    ark_image_to8(&im);
    ark_status st = ark_viewer_plain(s->viewer, &im, dst);
    ark_image_free(&im);
    return st;
}

ark_status ark_infer_files(
    ark_infer_session *s, const char *const *paths, size_t n, const ark_infer_out *out) {
    size_t batch = (size_t)s->batch;
    for (size_t at = 0; at < n; at += batch) {
        size_t now = least(batch, n - at);
        for (size_t i = 0; i < now; i++) {
            ARK_TRY(load(s, paths[at + i], s->images + i * image_numel(s)));
        }
        ARK_TRY(run(s, s->images, at, now, out));
    }
    return ARK_OK;
}

ark_status ark_infer_pixels(
    ark_infer_session *s, const uint8_t *pixels, size_t n, int height, int width, const ark_infer_out *out) {
    if (height < 1 || height > MAX_SIDE || width < 1 || width > MAX_SIDE) {
        return ARK_ERR(ARK_EINVAL, "image of %d x %d pixels, allowed 1..%d", width, height, MAX_SIDE);
    }
    size_t batch = (size_t)s->batch, each = (size_t)height * (size_t)width;
    for (size_t at = 0; at < n; at += batch) {
        size_t now = least(batch, n - at);
        for (size_t i = 0; i < now; i++) {
            uint8_t *px = (uint8_t *)(uintptr_t)(pixels + (at + i) * each); /* only read */
            ark_image im = {.width = width, .height = height, .depth = 8, .px8 = px};
            ARK_TRY(ark_viewer_plain(s->viewer, &im, s->images + i * image_numel(s)));
        }
        ARK_TRY(run(s, s->images, at, now, out));
    }
    return ARK_OK;
}
