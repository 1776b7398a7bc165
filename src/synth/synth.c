#include "synth/synth.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "base/str.h"
#include "io/image.h"
#include "synth/cohort.h"
#include "synth/tables.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

ark_synth_opts ark_synth_default_opts(void) {
    return (ark_synth_opts){.seed = 1, .images = 200, .side = 128, .threads = 1};
}

static const char *const folders[] = {"images", "masks/lungs", "masks/heart", "masks/clavicles"};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* What the threads share while they render one dataset. */
typedef struct job {
    const ark_cohort *cohort;
    const char *dir;
    ark_scene *scenes; /* one per thread */
    atomic_int failed; /* the first failure to be noticed: its status and text */
    ark_status status;
    char message[1024];
} job;

static ark_status render(const job *j, uint32_t image, ark_scene *s) {
    ark_case k;
    ark_cohort_case(j->cohort, image, &k);
    ark_scene_render(s, &k.anatomy, &k.id);
    ark_detector_read(s, &k.exam, &j->cohort->spec->hospital, &k.id);
    const uint8_t *px[FOLDERS] = {s->grey, s->mask_lungs, s->mask_heart, s->mask_clavicles};
    char name[ARK_SYNTH_NAME_MAX];
    ark_synth_image_name(j->cohort, image, name);
    for (int f = 0; f < FOLDERS; f++) {
        char rel[ARK_SYNTH_NAME_MAX + 32];
        snprintf(rel, sizeof rel, "%s/%s", folders[f], name);
        char *path = ark_path_join(j->dir, rel);
        if (!path) {
            return ARK_ERR(ARK_ENOMEM, "out of memory");
        }
        ark_status st = ark_png_write(path, s->side, s->side, 1, px[f]);
        ark_free(path);
        ARK_TRY(st);
    }
    return ARK_OK;
}

static void render_task(void *ctx, int64_t task, int thread) {
    job *j = ctx;
    if (atomic_load(&j->failed)) {
        return;
    }
    ark_status st = render(j, (uint32_t)task, &j->scenes[thread]);
    if (st && !atomic_exchange(&j->failed, 1)) {
        j->status = st;
        snprintf(j->message, sizeof j->message, "%s", ark_err_msg());
    }
}

static ark_status write_images(
    const ark_cohort *c, const char *dir, const ark_synth_opts *o, ark_scene *scenes) {
    for (int f = 0; f < FOLDERS; f++) {
        char *path = ark_path_join(dir, folders[f]);
        if (!path) {
            return ARK_ERR(ARK_ENOMEM, "out of memory");
        }
        ark_status st = ark_mkdirs(path);
        ark_free(path);
        ARK_TRY(st);
    }
    job j = {.cohort = c, .dir = dir, .scenes = scenes};
    ark_parallel(o->threads, c->nimages, render_task, &j);
    return j.status ? ark__err_copy(j.status, j.message) : ARK_OK;
}

static ark_status write_dataset(
    uint32_t index, const char *root, const ark_synth_opts *o, ark_scene *scenes, ark_synth_result *r) {
    ark_cohort c = {0};
    char *dir = ark_path_join(root, ark_cohort_specs[index].name);
    ark_status st = dir ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory");
    if (st) {
        goto done;
    }
    if (o->replace) {
        st = ark_rmtree(dir);
        if (st) {
            goto done;
        }
    }
    st = ark_cohort_new(o->seed, index, (uint32_t)o->images, &c);
    c.severity = o->severity;
    if (st) {
        goto done;
    }
    st = write_images(&c, dir, o, scenes);
    if (st) {
        goto done;
    }
    st = ark_synth_write_labels(&c, dir);
    if (st) {
        goto done;
    }
    st = ark_synth_write_truth(&c, dir);
    r->datasets++;
    r->images += c.nimages;
    r->patients += c.npatients;
    r->files += (int64_t)FOLDERS * c.nimages + 2;
done:
    ark_cohort_free(&c);
    ark_free(dir);
    return st;
}

static ark_status check(const char *dir, const ark_synth_opts *o) {
    if (o->images < ARK_SYNTH_IMAGES_MIN) {
        return ARK_ERR(ARK_EINVAL,
            "%lld images per dataset are too few: at least %d, so that every split has positives",
            (long long)o->images, ARK_SYNTH_IMAGES_MIN);
    }
    if (o->images > ARK_SYNTH_IMAGES_MAX) {
        return ARK_ERR(
            ARK_EINVAL, "%lld images per dataset, limit %d", (long long)o->images, ARK_SYNTH_IMAGES_MAX);
    }
    if (o->side < ARK_SYNTH_SIDE_MIN || o->side > ARK_SYNTH_SIDE_MAX) {
        return ARK_ERR(ARK_EINVAL, "image size %lld is outside %d..%d pixels", (long long)o->side,
            ARK_SYNTH_SIDE_MIN, ARK_SYNTH_SIDE_MAX);
    }
    if (!(o->severity >= 0 && o->severity <= 1)) {
        return ARK_ERR(ARK_EINVAL, "severity %g is outside 0..1", o->severity);
    }
    if (!ark_path_exists(dir)) {
        return ARK_OK;
    }
    char **names;
    size_t n;
    ARK_TRY(ark_list_dir(dir, &names, &n));
    ark_names_free(names, n);
    if (n && !o->replace) {
        return ARK_ERR(
            ARK_EINVAL, "%s: the folder is not empty (%zu entries); --force writes into it", dir, n);
    }
    return ARK_OK;
}

ark_status ark_synth_write(const char *dir, const ark_synth_opts *opts, ark_synth_result *result) {
    ark_synth_opts o = *opts;
    o.threads = o.threads < 1 ? 1 : o.threads;
    ARK_TRY(check(dir, &o));
    ARK_TRY(ark_mkdirs(dir));
    ark_scene *scenes;
    ARK_TRY(ARK_NEW(&scenes, (size_t)o.threads, "rendering threads"));
    ark_status st = ARK_OK;
    for (int t = 0; !st && t < o.threads; t++) {
        st = ark_scene_new((int)o.side, &scenes[t]);
    }
    ark_synth_result r = {0};
    for (uint32_t i = 0; !st && i < ark_cohort_spec_count; i++) {
        st = write_dataset(i, dir, &o, scenes, &r);
    }
    if (!st) {
        st = ark_synth_write_configs(dir);
        r.files += 2;
    }
    for (int t = 0; t < o.threads; t++) {
        ark_scene_free(&scenes[t]);
    }
    ark_free(scenes);
    if (!st) {
        *result = r;
    }
    return st;
}
