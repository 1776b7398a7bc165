/* arkfm data show: the grey levels a model gets from one image, as a PNG: decoded, windowed, cut and resized,
 * not yet normalised. */
#include "app/cli/data_verbs.h"

#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "data/augment.h"

#include <math.h>
#include <string.h>

enum { MAX_SIDE = 4096 };

typedef enum view { PLAIN, STUDENT, TEACHER, TEST } view;
static const char *const views[] = {"plain", "student", "teacher", "test"};

typedef struct args {
    const char *out, *weights, *view_name, *window_name, *filter;
    int64_t size, seed;
    view view;
    ark_window window;
} args;

/* --- what the model sees --- */

/* The preprocessing of a weight file, or the default one of a size. */
static ark_status find_preproc(const args *a, ark_preproc *out) {
    if (!a->weights) {
        *out = ark_preproc_default((int)a->size);
        out->filter = strcmp(a->filter, "bicubic") ? ARK_BILINEAR : ARK_BICUBIC;
        return ARK_OK;
    }
    ark_dev *dev;
    ark_model *m;
    ark_model_opts o = {.size_px = (int)a->size};
    ARK_TRY(ark_dev_open("cpu", 1, &dev));
    ark_status st = ark_model_open(a->weights, &o, dev, &m);
    if (st == ARK_OK) {
        *out = m->pre;
        ark_model_free(m);
    }
    ark_dev_close(dev);
    return st;
}

/* The whole image squashed to a square. */
static ark_status squash(const ark_preproc *pre, const ark_image *im, int side, uint8_t *px) {
    ark_resizer *r;
    ARK_TRY(ark_resizer_new(&r));
    ark_status st =
        ark_resize8(r, im->px8, im->width, im->height, (size_t)im->width, NULL, px, side, side, pre->filter);
    ark_resizer_free(r);
    return st;
}

/* Centre crop of the image squashed to resize_px. */
static ark_status render_test(const ark_preproc *pre, const ark_image *im, uint8_t *px) {
    uint8_t *whole;
    size_t r = (size_t)pre->resize_px, s = (size_t)pre->size_px;
    size_t at = (size_t)nearbyint((pre->resize_px - pre->size_px) / 2.0);
    ARK_TRY(ARK_NEW(&whole, r * r, "an image plane"));
    ark_status st = squash(pre, im, pre->resize_px, whole);
    for (size_t y = 0; y < s && st == ARK_OK; y++) {
        memcpy(px + y * s, whole + (at + y) * r + at, s);
    }
    ark_free(whole);
    return st;
}

/* A training view of epoch 0, sample 0, drawn from the seed. */
static ark_status render_student(const args *a, const ark_preproc *pre, const ark_image *im, uint8_t *px) {
    ark_viewer *v;
    ARK_TRY(ark_viewer_new(pre, &v));
    ark_augment augment = ark_augment_pretrain();
    ark_rng rng = ark_rng_at((uint64_t)a->seed, ARK_RNG_AUGMENT, 0, 0, 0);
    ark_view drawn = ark_view_draw(&augment, &rng, pre->resize_px);
    const uint8_t *rendered;
    ark_status st = ark_viewer_render(v, im, &drawn, &rendered);
    size_t n = (size_t)pre->size_px * (size_t)pre->size_px;
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        px[i] = drawn.intensity ? drawn.curve[rendered[i]] : rendered[i];
    }
    ark_viewer_free(v);
    return st;
}

static ark_status show(const args *a, const ark_preproc *pre, const ark_image *im) {
    uint8_t *px;
    size_t side = (size_t)pre->size_px;
    ARK_TRY(ARK_NEW(&px, side * side, "a view"));
    ark_status st = a->view == STUDENT ? render_student(a, pre, im, px)
                    : a->view == TEST  ? render_test(pre, im, px)
                                       : squash(pre, im, pre->size_px, px);
    st = st ? st : ark_png_write(a->out, pre->size_px, pre->size_px, 1, px);
    ark_free(px);
    return st;
}

/* --- the verb --- */

static const char *position_word(char v) {
    return v == 'P' ? "PA" : v == 'A' ? "AP" : v == 'L' ? "lateral" : v == 'O' ? "other" : "unknown";
}

static int print_json(const cli_ctx *c, const args *a, const ark_image_info *info, int size) {
    json_t *o = json_pack("{s:o,s:o,s:s,s:[i,i],s:i,s:s,s:{s:s},s:s,s:s,s:i}", "path", cli_text(c->pos[0]),
        "file", cli_text(a->out), "format", info->format, "source", info->width, info->height, "depth",
        info->depth, "photometric", info->photometric, "window", "kind", info->window, "position",
        position_word(info->view), "view", a->view_name, "size", size);
    if (isfinite(info->centre)) {
        json_t *window = json_object_get(o, "window");
        json_object_set_new(window, "centre", cli_number(info->centre));
        json_object_set_new(window, "width", cli_number(info->width_levels));
    }
    if (info->modality[0]) {
        json_object_set_new(o, "modality", cli_text(info->modality));
    }
    if (info->body_part[0]) {
        json_object_set_new(o, "body_part", cli_text(info->body_part));
    }
    return cli_print_json(o);
}

static int print_result(const cli_ctx *c, const args *a, const ark_image_info *info, int size) {
    if (c->json) {
        return print_json(c, a, info, size);
    }
    cli_put_text(stdout, a->out);
    printf(": %s view of %d px; %s of %d x %d pixels, %s, %d bits, window %s", a->view_name, size,
        info->format, info->width, info->height, info->photometric, info->depth, info->window);
    if (isfinite(info->centre)) {
        printf(" (centre %g, width %g)", info->centre, info->width_levels);
    }
    printf("%s%s\n", info->view ? ", " : "", info->view ? position_word(info->view) : "");
    return cli_flush();
}

/* "auto", "data", "full" or CENTRE,WIDTH. */
static int parse_window(args *a) {
    static const char *const words[] = {"auto", "data", "full"};
    for (size_t i = 0; i < CLI_COUNT(words); i++) {
        if (!strcmp(a->window_name, words[i])) {
            a->window.kind = (ark_window_kind)i;
            return 0;
        }
    }
    char centre[64];
    size_t n = strcspn(a->window_name, ",");
    a->window.kind = ARK_WINDOW_FIXED;
    snprintf(centre, sizeof centre, "%.*s", (int)n, a->window_name);
    if (a->window_name[n] != ',' || n >= sizeof centre || !ark_parse_f64(centre, &a->window.centre) ||
        !ark_parse_f64(a->window_name + n + 1, &a->window.width) || a->window.width < 1) {
        return cli_usage("--window: expected auto, data, full or CENTRE,WIDTH, got '%s'", a->window_name);
    }
    return 0;
}

static int check_usage(args *a) {
    if (!a->out) {
        return cli_usage("-o OUT.png is required");
    }
    if (a->size < 0 || a->size > MAX_SIDE) {
        return cli_usage("--size: %lld is outside 1..%d", (long long)a->size, MAX_SIDE);
    }
    if (a->seed < 0) {
        return cli_usage("--seed: %lld is negative", (long long)a->seed);
    }
    a->size = a->size || a->weights ? a->size : 224;
    size_t i = 0;
    while (i < CLI_COUNT(views) && strcmp(a->view_name, views[i])) {
        i++;
    }
    if (i == CLI_COUNT(views)) {
        return cli_unknown("--view", a->view_name, views, CLI_COUNT(views));
    }
    a->view_name = views[i];
    a->view = (view)i;
    static const char *const filters[] = {"bilinear", "bicubic"};
    if (strcmp(a->filter, filters[0]) && strcmp(a->filter, filters[1])) {
        return cli_unknown("--filter", a->filter, filters, CLI_COUNT(filters));
    }
    return parse_window(a);
}

int cmd_data_show(cli_ctx *c, int argc, char **argv) {
    args a = {.view_name = "plain", .window_name = "auto", .filter = "bilinear", .seed = 1};
    const cli_opt opts[] = {
        {"-o", CLI_STR, "OUT.png", &a.out, "8-bit grey PNG, required"},
        {"--size", CLI_INT, "N", &a.size, "side of the model's input (default: 224, or the weights' own)"},
        {"--weights", CLI_STR, "FILE", &a.weights, "size and filter of this weight file"},
        {"--view", CLI_STR, "plain|student|teacher|test", &a.view_name,
            "plain: resized, as predict sees it (default), and as a teacher does; student: a random training "
            "view; test: resized and cropped in the centre"},
        {"--filter", CLI_STR, "bilinear|bicubic", &a.filter,
            "of the resize where no weights say it (default: bilinear)"},
        {"--seed", CLI_INT, "N", &a.seed, "of the student's view (default: 1)"},
        {"--window", CLI_STR, "auto|data|full|C,W", &a.window_name,
            "grey levels: as the file says (default), from its least to its largest, all it could have, or a "
            "centre and width"},
    };
    ark_image im = {0};
    ark_image_info info = {0};
    ark_preproc pre = {0};
    int rc = cli_parse(c, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    rc = rc ? rc : check_usage(&a);
    if (rc == 0) {
        ark_status st = find_preproc(&a, &pre);
        st = st ? st : ark_image_read8(c->pos[0], NULL, &a.window, &info, &im);
        st = st ? st : show(&a, &pre, &im);
        rc = st != ARK_OK ? cli_fail(c, st) : print_result(c, &a, &info, pre.size_px);
    }
    ark_image_free(&im);
    cli_done(c, opts, CLI_COUNT(opts));
    return rc;
}
