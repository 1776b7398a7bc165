/* The flat loops of every built backend: SGD, AdamW and EMA against torch.optim
 * (tests/golden/flat.safetensors), the rest against their definition, all of them with the same bytes for any
 * number of threads. ARK_TEST_BACKENDS=ref,cpu */
#include "backend/backend.h"
#include "common/check.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "io/safetensors.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const backends[] = {"ref", "cpu", "cuda"};
enum { N_BACKENDS = 3, MAX_N = 64, MAX_STEPS = 8, LONG_N = 100003 };
static const tolerance tol = {2e-6, 1e-3, 0}; /* four f32 updates */

/* NULL: not built, or not asked for. */
static ark_dev *open_device(const char *name, int threads) {
    const char *env = getenv("ARK_TEST_BACKENDS"), *list = env != NULL ? env : "ref,cpu";
    ark_dev *dev = NULL;
    ark_status st = strstr(list, name) != NULL ? ark_dev_open(name, threads, &dev) : ARK_ENOTBUILT;
    if (st == ARK_ENOTBUILT) {
        return NULL;
    }
    must(st);
    return dev;
}

/* Device memory holding n floats of host memory. */
static float *upload(ark_dev *dev, const float *host, int64_t n) {
    void *p = NULL;
    must(dev->backend->alloc(dev, (size_t)n * sizeof *host, &p));
    must(dev->backend->to_device(dev, p, host, (size_t)n * sizeof *host));
    return p;
}

/* One golden case: start, per-step inputs, expected values after each step. */
typedef struct golden {
    char name[64];
    float attr[8], w[MAX_N], g[MAX_STEPS * MAX_N];
    double out[MAX_STEPS * MAX_N];
    int64_t n, steps;
} golden;

static const ark_st_tensor *part(const ark_st_file *f, const char *name, const char *what) {
    char full[128];
    snprintf(full, sizeof full, "%s/%s", name, what);
    const ark_st_tensor *t = ark_st_find(f, full);
    require(t != NULL && t->numel <= MAX_STEPS * MAX_N, "flat.safetensors: %s", full);
    return t;
}

static void load(const ark_st_file *f, golden *c) {
    const ark_st_tensor *w = part(f, c->name, "w"), *g = part(f, c->name, "g"),
                        *out = part(f, c->name, "out");
    c->n = w->numel;
    c->steps = g->shape[0];
    require(c->n <= MAX_N && out->dtype == ARK_ST_F64 && out->numel == c->n * c->steps, "%s: sizes", c->name);
    must(ark_st_read_f32(part(f, c->name, "attr"), c->attr));
    must(ark_st_read_f32(w, c->w));
    must(ark_st_read_f32(g, c->g));
    memcpy(c->out, out->data, out->bytes);
}

static void step(ark_dev *dev, const golden *c, int64_t t, float *w, const float *g, float *m, float *v) {
    const ark_backend *be = dev->backend;
    const float *a = c->attr;
    if (strncmp(c->name, "sgd", 3) == 0) {
        ark_sgd o = {.lr = a[0],
            .momentum = a[1],
            .decay = a[2],
            .grad_scale = a[3],
            .nesterov = a[4] != 0,
            .first = t == 0};
        must(be->sgd(dev, w, g, m, c->n, &o));
    } else if (strncmp(c->name, "adamw", 5) == 0) {
        ark_adamw o = {.lr = a[0],
            .beta1 = a[1],
            .beta2 = a[2],
            .eps = a[3],
            .decay = a[4],
            .grad_scale = a[5],
            .t = t + 1};
        must(be->adamw(dev, w, g, m, v, c->n, &o));
    } else {
        must(be->ema(dev, w, g, a[0], c->n));
    }
}

static double run_golden(ark_dev *dev, const golden *c) {
    float garbage[MAX_N], zeros[MAX_N] = {0}, got[MAX_N];
    double worst = 0.0;
    for (int i = 0; i < MAX_N; i++) {
        garbage[i] = 1e30f; /* the first step of SGD must not read its buffer */
    }
    bool sgd = strncmp(c->name, "sgd", 3) == 0;
    float *w = upload(dev, c->w, c->n), *m = upload(dev, sgd ? garbage : zeros, c->n),
          *v = upload(dev, zeros, c->n);
    for (int64_t t = 0; t < c->steps; t++) {
        float *g = upload(dev, c->g + t * c->n, c->n);
        step(dev, c, t, w, g, m, v);
        must(dev->backend->to_host(dev, got, w, (size_t)c->n * sizeof *got));
        char what[128];
        snprintf(what, sizeof what, "%s %s, step %d", dev->backend->name, c->name, (int)t);
        worst = fmax(worst, check_close(got, c->out + t * c->n, c->n, c->n, tol, what));
        dev->backend->free(dev, g);
    }
    dev->backend->free(dev, w);
    dev->backend->free(dev, m);
    dev->backend->free(dev, v);
    return worst;
}

static void test_golden(void **state) {
    (void)state;
    ark_st_file *f = NULL;
    must(ark_st_open(ARK_TEST_DIR "/golden/flat.safetensors", &f));
    for (int b = 0; b < N_BACKENDS; b++) {
        ark_dev *dev = open_device(backends[b], 2);
        double worst = 0.0;
        int cases = 0;
        for (size_t i = 0; dev != NULL && i < ark_st_count(f); i++) {
            const char *name = ark_st_at(f, i)->name, *slash = strchr(name, '/');
            golden c = {.n = 0};
            if (slash != NULL && strcmp(slash, "/attr") == 0) {
                snprintf(c.name, sizeof c.name, "%.*s", (int)(slash - name), name);
                load(f, &c);
                worst = fmax(worst, run_golden(dev, &c));
                cases++;
            }
        }
        if (dev != NULL) {
            require(cases >= 12, "only %d cases", cases);
            print_message("           %s: %d cases, largest error %.2g\n", backends[b], cases, worst);
        }
        ark_dev_close(dev);
    }
    ark_st_close(f);
}

/* --- the rest, on long ranges ----------------------------------------------------------------- */

typedef struct flat_result {
    float *ema, *sgd, *buf, *adamw, *m, *v;
    uint16_t *half;
    double squares;
} flat_result;

static float *random_floats(uint32_t key) {
    float *p = ark_calloc(LONG_N, sizeof *p);
    require(p != NULL, "out of memory");
    ark_rng rng = ark_rng_at(1, ARK_RNG_TEST, key, 0, 0);
    for (int64_t i = 0; i < LONG_N; i++) {
        p[i] = (float)ark_rng_normal(&rng);
    }
    return p;
}

/* Back to host memory of the library's allocator. */
static void *download(ark_dev *dev, void *p, size_t bytes) {
    void *host = ark_malloc(bytes);
    require(host != NULL, "out of memory");
    must(dev->backend->to_host(dev, host, p, bytes));
    dev->backend->free(dev, p);
    return host;
}

static flat_result run_long(ark_dev *dev) {
    const ark_backend *be = dev->backend;
    const int64_t n = LONG_N;
    const size_t bytes = LONG_N * sizeof(float);
    float *w = random_floats(1), *g = random_floats(2), *old = random_floats(3);
    float *grad = upload(dev, g, n), *ema = upload(dev, w, n), *sgd = upload(dev, w, n),
          *buf = upload(dev, old, n);
    float *adamw = upload(dev, w, n), *m = upload(dev, old, n), *v = upload(dev, w, n);
    void *half = NULL;
    flat_result r;
    must(be->alloc(dev, LONG_N * sizeof(uint16_t), &half));
    must(be->ema(dev, ema, grad, 0.95f, n));
    must(be->sgd(dev, sgd, grad, buf, n,
        &(ark_sgd){.lr = 0.1f, .momentum = 0.9f, .decay = 0.01f, .grad_scale = 0.5f, .nesterov = true}));
    float *squared = random_floats(1);
    for (int64_t i = 0; i < n; i++) {
        squared[i] *= squared[i]; /* second moments are not negative */
    }
    must(be->to_device(dev, v, squared, bytes));
    must(be->adamw(dev, adamw, grad, m, v, n,
        &(ark_adamw){.lr = 0.01f,
            .beta1 = 0.9f,
            .beta2 = 0.999f,
            .eps = 1e-8f,
            .decay = 0.05f,
            .grad_scale = 2.0f,
            .t = 7}));
    must(be->to_bf16(dev, half, grad, n));
    must(be->sum_squares(dev, grad, n, &r.squares));
    must(be->sync(dev));
    r.ema = download(dev, ema, bytes);
    r.sgd = download(dev, sgd, bytes);
    r.buf = download(dev, buf, bytes);
    r.adamw = download(dev, adamw, bytes);
    r.m = download(dev, m, bytes);
    r.v = download(dev, v, bytes);
    r.half = download(dev, half, LONG_N * sizeof(uint16_t));
    be->free(dev, grad);
    ark_free(w);
    ark_free(g);
    ark_free(old);
    ark_free(squared);
    return r;
}

static void free_result(flat_result *r) {
    void *all[] = {r->ema, r->sgd, r->buf, r->adamw, r->m, r->v, r->half};
    for (int i = 0; i < 7; i++) {
        ark_free(all[i]);
    }
}

static void compare_long(const char *name, const flat_result *got, const flat_result *want, bool exact) {
    const float *a[] = {got->ema, got->sgd, got->buf, got->adamw, got->m, got->v};
    const float *b[] = {want->ema, want->sgd, want->buf, want->adamw, want->m, want->v};
    static const char *const names[] = {"ema", "sgd", "sgd buffer", "adamw", "adamw m", "adamw v"};
    for (int i = 0; i < 6; i++) {
        double *expected = widen(b[i], LONG_N);
        char what[64];
        snprintf(what, sizeof what, "%s %s", name, names[i]);
        require(!exact || memcmp(a[i], b[i], LONG_N * sizeof(float)) == 0, "%s: bytes differ", what);
        check_close(a[i], expected, LONG_N, LONG_N, (tolerance){2e-6, 1e-3, 0}, what);
        ark_free(expected);
    }
    assert_memory_equal(got->half, want->half, LONG_N * sizeof(uint16_t));
    require(fabs(got->squares - want->squares) <= (exact ? 0.0 : 1e-6 * want->squares),
        "%s sum of squares: %.17g, not %.17g", name, got->squares, want->squares);
}

static void test_threads_and_ref(void **state) {
    (void)state;
    ark_dev *ref = NULL;
    must(ark_dev_open("ref", 1, &ref));
    flat_result want = run_long(ref);
    ark_dev_close(ref);
    for (int b = 0; b < N_BACKENDS; b++) {
        flat_result first = {.squares = 0};
        for (int threads = 1; threads <= 3; threads++) {
            ark_dev *dev = open_device(backends[b], threads);
            if (dev == NULL) {
                break;
            }
            flat_result got = run_long(dev);
            compare_long(backends[b], &got, &want, false);
            if (threads == 1) {
                first = got;
            } else {
                compare_long(backends[b], &got, &first, true);
                free_result(&got);
            }
            ark_dev_close(dev);
        }
        free_result(&first);
    }
    free_result(&want);
}

/* Round to nearest, ties to even: values and results worked out by hand from the bit patterns. */
static void test_bf16_rounding(void **state) {
    (void)state;
    static const struct {
        uint32_t f32;
        uint16_t bf16;
    } rows[] = {
        {0x3f800000, 0x3f80},
        {0x3f808000, 0x3f80}, /* tie, even below */
        {0x3f818000, 0x3f82}, /* tie, even above */
        {0x3f808001, 0x3f81},
        {0x3f807fff, 0x3f80},
        {0xbf808001, 0xbf81},
        {0x00000000, 0x0000},
        {0x80000000, 0x8000},
        {0x7f7fffff, 0x7f80}, /* the largest f32 becomes infinity */
        {0x7f800000, 0x7f80},
        {0xff800000, 0xff80},
        {0x00000001, 0x0000},
        {0x00018000, 0x0002},
    };
    enum { N = sizeof rows / sizeof rows[0] };
    for (int b = 0; b < N_BACKENDS; b++) {
        ark_dev *dev = open_device(backends[b], 1);
        if (dev == NULL) {
            continue;
        }
        float src[N + 1];
        uint16_t out[N + 1];
        void *half = NULL;
        for (int i = 0; i < N; i++) {
            memcpy(&src[i], &rows[i].f32, sizeof src[i]);
        }
        src[N] = NAN;
        float *d = upload(dev, src, N + 1);
        must(dev->backend->alloc(dev, sizeof out, &half));
        must(dev->backend->to_bf16(dev, half, d, N + 1));
        must(dev->backend->to_host(dev, out, half, sizeof out));
        for (int i = 0; i < N; i++) {
            require(out[i] == rows[i].bf16, "%s: %08x became %04x, not %04x", backends[b], rows[i].f32,
                out[i], rows[i].bf16);
        }
        require(isnan(ark_bf16_to_f32(out[N])), "%s: NaN became %04x", backends[b], out[N]);
        dev->backend->free(dev, d);
        dev->backend->free(dev, half);
        ark_dev_close(dev);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_threads_and_ref),
        cmocka_unit_test(test_bf16_rounding),
    };
    return cmocka_run_group_tests_name("flat loops", tests, NULL, NULL);
}
