/* arkfm bench data: decode, student view and teacher view of image files, in processor time of one thread. */
#include "app/cli/bench_data.h"
#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "data/augment.h"
#include "data/pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* VIEWS: random views differ in cost by a factor of ten, so a run times this many, the same ones in every
 * run. */
enum { SIZE_PX = 224, VIEWS = 16, WARM_UPS = 2, SYNTH_PX = 1024, SYNTH_QUALITY = 90 };

typedef enum stage { DECODE, STUDENT, TEACHER, STAGES } stage;

static const char *const stage_keys[STAGES] = {"decode_ms", "student_ms", "teacher_ms"};

typedef struct subject {
    const char *name;
    const ark_dataset *set; /* its images take turns; NULL = the file in bytes */
    char *bytes;
    size_t len;
    int width, height;
    double ms[STAGES]; /* medians over the runs */
} subject;

/* Of this thread, so that other programs disturb it little. */
static double thread_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int64_t n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

/* --- the images --- */

/* A film in the rough: bright mediastinum, two dark lungs with ribs across, grain. */
static void paint(uint8_t *px, int side) {
    ark_rng r = ark_rng_at(0, ARK_RNG_TEST, 0, 0, 0);
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++) {
            double u = 2.0 * x / side - 1, v = 2.0 * y / side - 1, a = fabs(u) - 0.45;
            double lung = exp(-pow(a * a / 0.09 + v * v / 0.5, 2));
            double ribs = 0.12 * (1 + sin(24 * (v + 0.3 * a * a))) * lung;
            double grey = 200 * (0.85 - 0.65 * lung + ribs) + 2.5 * ark_rng_normal(&r);
            px[(size_t)y * (size_t)side + (size_t)x] = (uint8_t)fmin(fmax(grey, 0), 255);
        }
    }
}

/* Write the painted picture as a temporary file and read it back. */
static ark_status synthesise(bool jpeg, const uint8_t *px, subject *s) {
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/arkfm-bench-%ld", dir && *dir ? dir : "/tmp", (long)getpid());
    if (n < 0 || (size_t)n >= sizeof path) {
        return ARK_ERR(ARK_EINVAL, "TMPDIR has more than %zu bytes", sizeof path);
    }
    s->name = jpeg ? "synthetic JPEG" : "synthetic PNG";
    ark_status st = jpeg ? ark_jpeg_write(path, SYNTH_PX, SYNTH_PX, px, SYNTH_QUALITY)
                         : ark_png_write(path, SYNTH_PX, SYNTH_PX, 1, px);
    if (st == ARK_OK) {
        st = ark_file_read(path, ark_image_default_limits().max_file_bytes, &s->bytes, &s->len);
        unlink(path);
    }
    return st;
}

static ark_status synthesise_both(subject *s) {
    uint8_t *px = ark_malloc((size_t)SYNTH_PX * SYNTH_PX);
    if (!px) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for %d x %d pixels", SYNTH_PX, SYNTH_PX);
    }
    paint(px, SYNTH_PX);
    ark_status st = synthesise(true, px, &s[0]);
    st = st ? st : synthesise(false, px, &s[1]);
    ark_free(px);
    return st;
}

static ark_status load(const cli_list *images, subject *s) {
    size_t limit = ark_image_default_limits().max_file_bytes;
    for (size_t i = 0; i < images->n; i++) {
        s[i].name = images->items[i];
        ARK_TRY(ark_file_read(s[i].name, limit, &s[i].bytes, &s[i].len));
    }
    return images->n ? ARK_OK : synthesise_both(s);
}

/* --- measuring --- */

static ark_status decode(const subject *s, size_t run, ark_image *im, bool *owned) {
    if (s->set) {
        return ark_dataset_image(s->set, run % s->set->n, NULL, im, owned);
    }
    ARK_TRY(ark_image_decode8(s->bytes, s->len, s->name, NULL, NULL, NULL, im));
    *owned = true;
    return ARK_OK;
}

/* One run; ms: what each stage took. */
static ark_status run_once(
    subject *s, size_t run, ark_viewer *viewer, int resize_px, float *out, double ms[STAGES]) {
    ark_augment augment = ark_augment_pretrain();
    ark_image im;
    bool owned;
    double start = thread_ms();
    ARK_TRY(decode(s, run, &im, &owned));
    ms[DECODE] = thread_ms() - start;
    s->width = im.width;
    s->height = im.height;
    ark_status st = ARK_OK;
    start = thread_ms();
    for (uint32_t i = 0; i < VIEWS && st == ARK_OK; i++) {
        ark_rng rng = ark_rng_at(0, ARK_RNG_AUGMENT, 0, 0, i);
        ark_view view = ark_view_draw(&augment, &rng, resize_px);
        const uint8_t *px;
        st = ark_viewer_render(viewer, &im, &view, &px);
        if (st == ARK_OK) {
            ark_viewer_normalise(viewer, px, view.intensity ? view.curve : NULL, out);
        }
    }
    ms[STUDENT] = (thread_ms() - start) / VIEWS;
    start = thread_ms();
    st = st ? st : ark_viewer_plain(viewer, &im, out);
    ms[TEACHER] = thread_ms() - start;
    if (owned) {
        ark_image_free(&im);
    }
    return st;
}

static ark_status measure(subject *subjects, size_t n, int64_t runs) {
    ark_preproc pre = ark_preproc_default(SIZE_PX);
    ark_viewer *viewer = NULL;
    float *out = NULL;
    double(*ms)[CLI_BENCH_MAX_RUNS] = NULL;
    ark_status st = ark_viewer_new(&pre, &viewer);
    st = st ? st : ARK_NEW(&out, 3 * SIZE_PX * SIZE_PX, "a view");
    st = st ? st : ARK_NEW(&ms, STAGES, "timings");
    for (size_t k = 0; k < n && st == ARK_OK; k++) {
        for (int64_t i = -WARM_UPS; i < runs && st == ARK_OK; i++) {
            double one[STAGES];
            st = run_once(&subjects[k], (size_t)(i + WARM_UPS), viewer, pre.resize_px, out, one);
            for (int g = 0; g < STAGES && i >= 0 && st == ARK_OK; g++) {
                ms[g][i] = one[g];
            }
        }
        for (int g = 0; g < STAGES && st == ARK_OK; g++) {
            subjects[k].ms[g] = median(ms[g], runs);
        }
    }
    ark_viewer_free(viewer);
    ark_free(out);
    ark_free(ms);
    return st;
}

/* --- printing --- */

static double total_ms(const subject *s) {
    return s->ms[DECODE] + s->ms[STUDENT] + s->ms[TEACHER];
}

static int print_json(const subject *s, size_t n, int64_t runs) {
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++) {
        json_t *o =
            json_pack("{s:o,s:i,s:i,s:I}", "image", cli_text(s[k].name), "width", s[k].width, "height",
                s[k].height, s[k].set ? "samples" : "bytes", (json_int_t)(s[k].set ? s[k].set->n : s[k].len));
        for (int g = 0; g < STAGES; g++) {
            json_object_set_new(o, stage_keys[g], cli_number(s[k].ms[g]));
        }
        json_object_set_new(o, "total_ms", cli_number(total_ms(&s[k])));
        json_object_set_new(o, "images_per_s", cli_number(1e3 / total_ms(&s[k])));
        json_array_append_new(list, o);
    }
    return cli_print_json(json_pack(
        "{s:s,s:i,s:I,s:o}", "mode", "data", "size", SIZE_PX, "runs", (json_int_t)runs, "images", list));
}

static int print_table(const subject *s, size_t n, int64_t runs) {
    printf(
        "data, student and teacher view of %d px, one thread: medians of %lld runs, ms of processor time\n",
        SIZE_PX, (long long)runs);
    printf("%8s %8s %8s %8s %9s\n", "decode", "student", "teacher", "all", "images/s");
    for (size_t k = 0; k < n; k++) {
        double all = total_ms(&s[k]);
        printf("%8.2f %8.2f %8.2f %8.2f %9.1f  ", s[k].ms[DECODE], s[k].ms[STUDENT], s[k].ms[TEACHER], all,
            1e3 / all);
        cli_put_text(stdout, s[k].name);
        printf(" (%d x %d", s[k].width, s[k].height);
        printf(", %zu %s)\n", s[k].set ? s[k].set->n : s[k].len, s[k].set ? "images" : "bytes");
    }
    return cli_flush();
}

/* What is measured: files, pictures made for it, or datasets. */
static ark_status new_subjects(
    const cli_list *images, const char *sets, ark_datasets **all, subject **s, size_t *n) {
    if (!sets) {
        *n = images->n ? images->n : 2;
        ARK_TRY(ARK_NEW(s, *n, "images"));
        return load(images, *s);
    }
    ARK_TRY(ark_datasets_read(sets, NULL, 0, all));
    ARK_TRY(ARK_NEW(s, (*all)->n, "datasets"));
    *n = (*all)->n;
    for (size_t k = 0; k < *n; k++) {
        (*s)[k] = (subject){.name = (*all)->items[k].name, .set = &(*all)->items[k]};
    }
    return ARK_OK;
}

int cli_bench_data(const cli_ctx *c, const cli_list *images, const char *sets, int64_t runs) {
    size_t n = 0;
    subject *s = NULL;
    ark_datasets *all = NULL;
    ark_status st = new_subjects(images, sets, &all, &s, &n);
    st = st ? st : measure(s, n, runs);
    int rc = st != ARK_OK ? cli_fail(c, st) : c->json ? print_json(s, n, runs) : print_table(s, n, runs);
    for (size_t k = 0; s && k < n; k++) {
        ark_free(s[k].bytes);
    }
    ark_free(s);
    ark_datasets_free(all);
    return rc;
}
