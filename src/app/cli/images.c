/* Image files named on the command line. */
#include "app/cli/model_cli.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "base/str.h"
#include "data/loader.h"

#include <string.h>
#include <strings.h>

int cli_on_bad(const char *word, bool *skip) {
    static const char *const words[] = {"fail", "skip"};
    *skip = word && !strcmp(word, words[1]);
    return !word || *skip || !strcmp(word, words[0])
               ? 0
               : cli_unknown("--on-bad-sample", word, words, CLI_COUNT(words));
}

/* Takes path, also on failure. */
static ark_status add_path(cli_images *im, char *path) {
    char **more = path ? ark_realloc(im->paths, (im->n + 1) * sizeof *more) : NULL;
    if (!more) {
        ark_free(path);
        return ARK_ERR(ARK_ENOMEM, "out of memory for %zu paths", im->n);
    }
    im->paths = more;
    im->paths[im->n++] = path;
    return ARK_OK;
}

static bool named_as_image(const char *name) {
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < CLI_COUNT(ends); i++) {
        if (!strcasecmp(dot, ends[i])) {
            return true;
        }
    }
    return false;
}

static ark_status add_folder(cli_images *im, const char *folder) {
    char **names;
    size_t n;
    ARK_TRY(ark_list_dir(folder, &names, &n));
    ark_status st = ARK_OK;
    size_t before = im->n;
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        if (named_as_image(names[i])) {
            st = add_path(im, ark_path_join(folder, names[i]));
        }
    }
    ark_names_free(names, n);
    if (st == ARK_OK && im->n == before) {
        return ARK_ERR(
            ARK_EINVAL, "%s: no .png, .jpg, .jpeg, .tif, .tiff, .dcm or .dicom file in this folder", folder);
    }
    return st;
}

static ark_status ready(const cli_ctx *c, cli_images *im, ark_status st) {
    st = st ? st : ARK_NEW(&im->bad, im->n, "a list of images");
    st = st ? st : ARK_NEW(&im->info, im->n, "a list of images");
    if (st != ARK_OK) {
        cli_images_free(im);
        return st;
    }
    im->threads = c->threads ? c->threads : ark_cpu_count();
    return ARK_OK;
}

ark_status cli_images_from_args(const cli_ctx *c, size_t first, cli_images *out) {
    cli_images im = {0};
    ark_status st = ARK_OK;
    for (size_t i = first; i < c->npos && st == ARK_OK; i++) {
        st = ark_path_is_dir(c->pos[i]) ? add_folder(&im, c->pos[i]) : add_path(&im, ark_strdup(c->pos[i]));
    }
    ARK_TRY(ready(c, &im, st));
    *out = im;
    return ARK_OK;
}

ark_status cli_images_from_list(const cli_ctx *c, const char *path, cli_images *out) {
    enum { MAX_BYTES = 1 << 28 };
    cli_images im = {0};
    char *text;
    size_t len;
    ARK_TRY(ark_file_read(path, MAX_BYTES, &text, &len));
    ark_status st = ARK_OK;
    for (char *line = text; line < text + len && st == ARK_OK;) {
        size_t n = strcspn(line, "\r\n");
        st = n ? add_path(&im, ark_strndup(line, n)) : ARK_OK;
        line += n + 1;
    }
    ark_free(text);
    if (st == ARK_OK && im.n == 0) {
        st = ARK_ERR(ARK_EFORMAT, "%s: no path in this list", path);
    }
    ARK_TRY(ready(c, &im, st));
    *out = im;
    return ARK_OK;
}

void cli_images_free(cli_images *im) {
    for (size_t i = 0; i < im->n; i++) {
        ark_free(im->paths[i]);
    }
    ark_free(im->paths);
    ark_free(im->bad);
    ark_free(im->info);
    *im = (cli_images){0};
}

/* One batch being read: image i goes to pixels + i * pixels_each. */
typedef struct reading {
    const cli_images *im;
    const ark_preproc *pre;
    size_t first, pixels_each;
    float *pixels;
    ark_status *status;
    char (*message)[1024];
} reading;

static void read_one(void *ctx, int64_t task, int thread) {
    reading *r = ctx;
    size_t i = (size_t)task;
    (void)thread;
    const cli_images *im = r->im;
    r->status[i] = ark_load_view(im->paths[r->first + i], r->pre, im->frontal, &im->info[r->first + i],
        r->pixels + i * r->pixels_each);
    if (r->status[i] != ARK_OK) {
        snprintf(r->message[i], sizeof r->message[i], "%s", ark_err_msg());
    }
}

/* Read `count` files into pixels and close the gaps that bad ones leave; *n counts the good ones. */
static ark_status read_some(cli_images *im, const ark_preproc *pre, const char *verb, size_t count,
    float *pixels, size_t *index, int *n) {
    reading r = {.im = im,
        .pre = pre,
        .first = im->next,
        .pixels_each = 3 * (size_t)pre->size_px * (size_t)pre->size_px,
        .pixels = pixels};
    int good = 0;
    ark_status st = ARK_NEW(&r.status, count, "a batch of images");
    st = st ? st : ARK_NEW(&r.message, count, "a batch of images");
    if (st == ARK_OK) {
        ark_parallel(im->threads, (int64_t)count, read_one, &r);
    }
    for (size_t i = 0; i < count && st == ARK_OK; i++) {
        if (r.status[i] == ARK_OK) {
            memmove(pixels + (size_t)good * r.pixels_each, pixels + i * r.pixels_each,
                r.pixels_each * sizeof *pixels);
            index[good++] = im->next + i;
        } else if (im->skip && (r.status[i] == ARK_EFORMAT || r.status[i] == ARK_EIO)) {
            im->bad[im->next + i] = true;
            im->skipped++;
            fprintf(stderr, "arkfm %s: skipped: %s\n", verb, r.message[i]);
        } else {
            st = ark__err_copy(r.status[i], r.message[i]);
        }
    }
    im->next += count;
    ark_free(r.status);
    ark_free(r.message);
    *n = good;
    return st;
}

ark_status cli_images_next(cli_images *im, const ark_preproc *pre, const char *verb, int most, float *pixels,
    size_t *index, int *n) {
    size_t each = 3 * (size_t)pre->size_px * (size_t)pre->size_px;
    *n = 0;
    while (*n < most && im->next < im->n) {
        size_t left = im->n - im->next, room = (size_t)(most - *n);
        int more;
        ARK_TRY(read_some(
            im, pre, verb, left < room ? left : room, pixels + (size_t)*n * each, index + *n, &more));
        *n += more;
    }
    return ARK_OK;
}

json_t *cli_images_skipped(const cli_images *im) {
    json_t *list = json_array();
    for (size_t i = 0; i < im->n; i++) {
        if (im->bad[i]) {
            json_array_append_new(list, cli_text(im->paths[i]));
        }
    }
    return list;
}
