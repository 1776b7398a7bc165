/* Loader: life cycle, passes, and the side of the consumer. The side of the workers: loader_sample.c. */
#include "data/loader_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "data/pack.h"

#include <signal.h>
#include <string.h>

enum { MAX_WORKERS = 1024, MAX_RING = 1024, MAX_BATCH = 1 << 20, MAX_WIDTH = 1 << 16 };

ark_loader_opts ark_loader_default_opts(void) {
    return (ark_loader_opts){
        .batch = 16,
        .workers = 2,
        .ring = 3,
        .width = 1,
        .pre = ark_preproc_default(224),
        .limits = ark_image_default_limits(),
    };
}

static ark_status check_opts(const ark_loader_opts *o) {
    const struct {
        const char *name;
        int value, lo, hi;
    } fields[] = {
        {"batch", o->batch, 1, MAX_BATCH},
        {"workers", o->workers, 1, MAX_WORKERS},
        {"ring", o->ring, 2, MAX_RING},
        {"width", o->width, 1, MAX_WIDTH},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (fields[i].value < fields[i].lo || fields[i].value > fields[i].hi) {
            return ARK_ERR(ARK_EINVAL, "loader: %s is %d, expected %d to %d", fields[i].name, fields[i].value,
                fields[i].lo, fields[i].hi);
        }
    }
    return ark_preproc_check(&o->pre);
}

static ark_status new_views(const ark_loader *l, size_t rows, float **out) {
    size_t bytes;
    if (ark_mul(rows, l->view_floats, &bytes) || ark_mul(bytes, sizeof(float), &bytes)) {
        bytes = SIZE_MAX / 2;
    }
    float *p = ark_malloc_aligned(bytes);
    if (!p) {
        return ARK_ERR(
            ARK_ENOMEM, "out of memory: %zu images of %zu floats for the loader", rows, l->view_floats);
    }
    ark_free(*out);
    *out = p;
    return ARK_OK;
}

/* Student rows of every slot, as many as a pass needs. */
static ark_status ensure_rows(ark_loader *l, size_t rows) {
    if (rows <= l->slot_rows) {
        return ARK_OK;
    }
    for (int i = 0; i < l->opts.ring; i++) {
        ARK_TRY(new_views(l, rows, &l->slots[i].student));
    }
    l->slot_rows = rows;
    return ARK_OK;
}

static ark_status ensure_teacher(ark_loader *l) {
    for (int i = 0; !l->has_teacher && i < l->opts.ring; i++) {
        ARK_TRY(new_views(l, (size_t)l->opts.batch, &l->slots[i].teacher));
    }
    l->has_teacher = true;
    return ARK_OK;
}

static void reset_slot(ark_loader *l, ark__slot *s) {
    memset(s->bad, 0, (size_t)l->opts.batch * sizeof *s->bad);
    s->skipped.pos = s->fatal.pos = SIZE_MAX;
}

static ark_status new_slots(ark_loader *l) {
    size_t n = (size_t)l->opts.batch, wide = n * (size_t)l->opts.width;
    ARK_TRY(ARK_NEW(&l->slots, (size_t)l->opts.ring, "batches"));
    for (int i = 0; i < l->opts.ring; i++) {
        pthread_mutex_init(&l->slots[i].lock, NULL);
    }
    for (int i = 0; i < l->opts.ring; i++) {
        ark__slot *s = &l->slots[i];
        ARK_TRY(ARK_NEW(&s->labels, wide, "labels of a batch"));
        ARK_TRY(ARK_NEW(&s->mask, wide, "mask of a batch"));
        ARK_TRY(ARK_NEW(&s->sample, n, "samples of a batch"));
        ARK_TRY(ARK_NEW(&s->source, n, "sources of a batch"));
        ARK_TRY(ARK_NEW(&s->bad, n, "flags of a batch"));
    }
    return ensure_rows(l, n);
}

/* Workers start with all signals blocked: Ctrl-C is for the thread that trains. */
static ark_status start_workers(ark_loader *l) {
    ARK_TRY(ARK_NEW(&l->workers, (size_t)l->opts.workers, "loader threads"));
    for (int i = 0; i < l->opts.workers; i++) {
        l->workers[i].loader = l;
        ARK_TRY(ark_viewer_new(&l->opts.pre, &l->workers[i].viewer));
    }
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = 0;
    for (int i = 0; err == 0 && i < l->opts.workers; i++) {
        ark__worker *w = &l->workers[i];
        err = pthread_create(&w->thread, NULL, ark__loader_work, w);
        w->started = err == 0;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err ? ARK_ERR(ARK_ENOMEM, "cannot start %d loader threads: %s", l->opts.workers, strerror(err))
               : ARK_OK;
}

static ark_status build(ark_loader *l) {
    ARK_TRY(ark__ring_init(&l->ring, (size_t)l->opts.ring));
    l->per_batch = 1; /* until the first pass */
    l->view_floats = 3 * (size_t)l->opts.pre.size_px * (size_t)l->opts.pre.size_px;
    if (l->opts.cache_mb) {
        size_t bytes;
        if (ark_mul(l->opts.cache_mb, (size_t)1 << 20, &bytes)) {
            return ARK_ERR(ARK_EINVAL, "loader: cache of %zu MiB", l->opts.cache_mb);
        }
        ARK_TRY(ark__image_cache_new(bytes, &l->cache));
    }
    ARK_TRY(new_slots(l));
    return start_workers(l);
}

ark_status ark_loader_new(const ark_loader_opts *opts, ark_loader **out) {
    ARK_TRY(check_opts(opts));
    ark_loader *l;
    ARK_TRY(ARK_NEW(&l, 1, "loader"));
    l->opts = *opts;
    ark_status st = build(l);
    if (st != ARK_OK) {
        ark_loader_free(l);
        return st;
    }
    *out = l;
    return ARK_OK;
}

void ark_loader_free(ark_loader *l) {
    if (!l) {
        return;
    }
    if (l->ring.left) {
        ark__ring_close(&l->ring);
    }
    for (int i = 0; l->workers && i < l->opts.workers; i++) {
        if (l->workers[i].started) {
            pthread_join(l->workers[i].thread, NULL);
        }
        ark_viewer_free(l->workers[i].viewer);
    }
    for (int i = 0; l->slots && i < l->opts.ring; i++) {
        ark__slot *s = &l->slots[i];
        ark_free(s->student);
        ark_free(s->teacher);
        ark_free(s->labels);
        ark_free(s->mask);
        ark_free(s->sample);
        ark_free(s->source);
        ark_free(s->bad);
        pthread_mutex_destroy(&s->lock);
    }
    ark__ring_deinit(&l->ring);
    ark__image_cache_free(l->cache);
    ark_free(l->workers);
    ark_free(l->slots);
    ark_free(l->order);
    ark_free(l);
}

/* Number of samples of a pass, after every check that its sources need. */
static ark_status count_samples(const ark_loader *l, const ark_pass *p, size_t *out) {
    size_t total = 0;
    for (size_t i = 0; i < p->n_sources; i++) {
        const ark_source *s = &p->sources[i];
        for (int k = 0; k < s->data->n_classes; k++) {
            int column = s->columns ? s->columns[k] : k;
            if (column < 0 || column >= l->opts.width) {
                return ARK_ERR(ARK_EINVAL, "loader: class %d of %s goes to column %d of %d", k, s->data->name,
                    column, l->opts.width);
            }
        }
        ARK_TRY(ark_dataset_fits(s->data, &l->opts.pre));
        total += s->data->rows_n[s->split];
    }
    if (total == 0 || total > UINT32_MAX) {
        return ARK_ERR(ARK_EINVAL, "loader: %zu samples in the %s split%s%s", total,
            p->n_sources ? ark_split_name(p->sources[0].split) : "", p->n_sources ? " of " : "",
            p->n_sources ? p->sources[0].data->name : "");
    }
    *out = total;
    return ARK_OK;
}

static ark_status make_order(ark_loader *l, const ark_pass *p, size_t n) {
    if (n > l->order_cap) {
        uint32_t *order = ark_realloc(l->order, n * sizeof *order);
        if (!order) {
            return ARK_ERR(ARK_ENOMEM, "out of memory: order of %zu samples", n);
        }
        l->order = order;
        l->order_cap = n;
    }
    for (size_t i = 0; i < n; i++) {
        l->order[i] = (uint32_t)i;
    }
    if (p->shuffle) {
        ark_rng r = ark_rng_at(l->opts.seed, ARK_RNG_ORDER, p->epoch, p->sources[0].id, 0);
        ark_rng_shuffle(&r, l->order, (uint32_t)n);
    }
    return ARK_OK;
}

/* Leave no pass running. */
static void end_pass(ark_loader *l) {
    ark__ring_stop(&l->ring);
    l->holding = false;
    l->n_items = 0;
}

ark_status ark_loader_begin(ark_loader *l, const ark_pass *pass) {
    end_pass(l);
    size_t total = 0;
    bool ten = pass->views == ARK_VIEWS_TENCROP;
    ARK_TRY(count_samples(l, pass, &total));
    l->augment = pass->augment                       ? *pass->augment
                 : pass->views == ARK_VIEWS_FINETUNE ? ark_augment_finetune()
                                                     : ark_augment_pretrain();
    ARK_TRY(ark_augment_check(&l->augment));
    ARK_TRY(make_order(l, pass, total));
    if (pass->views == ARK_VIEWS_PRETRAIN) {
        ARK_TRY(ensure_teacher(l));
    }
    if (ten) {
        ARK_TRY(ensure_rows(l, ARK__CROPS));
    }
    l->per_batch = (size_t)l->opts.batch / (ten ? ARK__CROPS : 1);
    l->per_batch += l->per_batch == 0;
    l->pass = *pass;
    l->pass.augment = NULL;
    bool training = pass->views == ARK_VIEWS_PRETRAIN || pass->views == ARK_VIEWS_FINETUNE;
    l->n_items = l->opts.drop_last && training ? total / l->per_batch * l->per_batch : total;
    l->skipped = 0;
    l->first_skipped[0] = '\0';
    for (int i = 0; i < l->opts.ring; i++) {
        reset_slot(l, &l->slots[i]);
    }
    size_t batches = ark_loader_batches(l);
    ark__ring_start(
        &l->ring, l->n_items, l->per_batch, pass->first_batch < batches ? pass->first_batch : batches);
    return ARK_OK;
}

size_t ark_loader_batches(const ark_loader *l) {
    return (l->n_items + l->per_batch - 1) / l->per_batch;
}

/* Rows of skipped samples are closed up, the order of the others kept. Returns how many stay. */
static size_t compact(const ark_loader *l, ark__slot *s, size_t n) {
    size_t row = ark__loader_rows(l) * l->view_floats, width = (size_t)l->opts.width, to = 0;
    for (size_t from = 0; from < n; from++) {
        if (s->bad[from]) {
            continue;
        }
        if (to != from) {
            memcpy(s->student + to * row, s->student + from * row, row * sizeof(float));
            if (l->pass.views == ARK_VIEWS_PRETRAIN) {
                memcpy(s->teacher + to * row, s->teacher + from * row, row * sizeof(float));
            }
            memcpy(s->labels + to * width, s->labels + from * width, width * sizeof(float));
            memcpy(s->mask + to * width, s->mask + from * width, width * sizeof(float));
            s->sample[to] = s->sample[from];
            s->source[to] = s->source[from];
        }
        to++;
    }
    return to;
}

/* Hand out a complete batch: its number of samples, 0 when all were skipped. */
static ark_status deliver(ark_loader *l, size_t index) {
    ark__slot *s = &l->slots[index % (size_t)l->opts.ring];
    size_t first = index * l->per_batch, n = l->n_items - first;
    n = n < l->per_batch ? n : l->per_batch;
    if (s->fatal.pos != SIZE_MAX) {
        return ark__err_copy(s->fatal.st, s->fatal.msg);
    }
    size_t kept = n;
    if (s->skipped.pos != SIZE_MAX) {
        if (l->skipped == 0) {
            memcpy(l->first_skipped, s->skipped.msg, sizeof l->first_skipped);
        }
        kept = compact(l, s, n);
        l->skipped += n - kept;
    }
    l->batch = (ark_batch){
        .n = (int)kept,
        .rows = (int)(kept * ark__loader_rows(l)),
        .index = index,
        .student = s->student,
        .teacher = l->pass.views == ARK_VIEWS_PRETRAIN ? s->teacher : NULL,
        .labels = s->labels,
        .mask = s->mask,
        .sample = s->sample,
        .source = s->source,
    };
    return ARK_OK;
}

ark_status ark_loader_next(ark_loader *l, const ark_batch **out) {
    size_t index = l->batch.index;
    for (;;) {
        if (l->holding) {
            reset_slot(l, &l->slots[index % (size_t)l->opts.ring]);
            ark__ring_release(&l->ring);
            l->holding = false;
        }
        if (!ark__ring_wait(&l->ring, &index)) {
            *out = NULL;
            return ARK_OK;
        }
        l->holding = true;
        ark_status st = deliver(l, index);
        if (st != ARK_OK) {
            end_pass(l);
            return st;
        }
        if (l->batch.n > 0) {
            *out = &l->batch;
            return ARK_OK;
        }
    }
}

size_t ark_loader_skipped(const ark_loader *l, const char **first) {
    if (first) {
        *first = l->first_skipped;
    }
    return l->skipped;
}

double ark_loader_wait_s(const ark_loader *l) {
    return l->ring.wait_s; /* written by the thread that calls ark_loader_next alone */
}

static ark_status render_plain(const ark_preproc *pre, const ark_image *im, float *out) {
    ark_viewer *v;
    ARK_TRY(ark_viewer_new(pre, &v));
    ark_status st = ark_viewer_plain(v, im, out);
    ark_viewer_free(v);
    return st;
}

ark_status ark_load_plain(
    const char *path, const ark_preproc *pre, const ark_image_limits *limits, float *out) {
    ark_image im;
    ARK_TRY(ark_image_read8(path, limits, NULL, NULL, &im));
    ark_status st = render_plain(pre, &im, out);
    ark_image_free(&im);
    return st;
}

ark_status ark_load_view(
    const char *path, const ark_preproc *pre, bool frontal, ark_image_info *info, float *out) {
    ark_image im;
    ARK_TRY(ark_image_read8(path, NULL, NULL, info, &im));
    ark_status st = ARK_OK;
    if (frontal && (info->view == 'L' || info->view == 'O')) {
        st = ARK_ERR(ARK_EFORMAT, "%s: %s (view position %s), expected PA or AP", path,
            info->view == 'L' ? "a lateral view" : "not a frontal view", info->view_position);
    }
    st = st ? st : render_plain(pre, &im, out);
    ark_image_free(&im);
    return st;
}
