/* arkfm data check --json. */
#include "app/cli/data_check.h"

#include "app/cli/cli.h"
#include "app/cli/model_cli.h"

static json_t *text(const char *s) {
    return s ? cli_text(s) : json_null();
}

static json_t *place(const ark_check *c, size_t cell) {
    return json_pack(
        "{s:o,s:s}", "dataset", text(c->sets[cell / 3].name), "split", ark_split_name((ark_split)(cell % 3)));
}

static json_t *image(const ark_check *c, uint32_t i) {
    size_t sample;
    const ark_check_set *s = ark_check_locate(c, i, &sample);
    return json_pack("{s:o,s:s,s:o}", "dataset", text(s->name), "split",
        ark_split_name((ark_split)s->data->split[sample]), "image",
        text(ark_dataset_image_name(s->data, sample)));
}

static json_t *split_of(const ark_check_set *s, int split) {
    json_t *classes = json_object();
    for (int k = 0; k < s->data->n_classes; k++) {
        const ark_check_labels *l = &s->labels[split][k];
        json_object_set_new_nocheck(classes, s->data->classes[k],
            json_pack("{s:I,s:I,s:I,s:I}", "positive", (json_int_t)l->positive, "negative",
                (json_int_t)l->negative, "uncertain", (json_int_t)l->uncertain, "missing",
                (json_int_t)l->missing));
    }
    return json_pack("{s:I,s:I,s:o}", "images", (json_int_t)s->data->rows_n[split], "patients",
        (json_int_t)s->patients[split], "classes", classes);
}

static json_t *set_of(const ark_check_set *s) {
    json_t *o = json_pack("{s:o,s:o}", "name", text(s->name), "error", text(s->error));
    if (!s->data) {
        return o;
    }
    json_t *splits = json_object();
    for (int k = 0; k < ARK_SPLIT_COUNT; k++) {
        json_object_set_new(splits, ark_split_name((ark_split)k), split_of(s, k));
    }
    json_object_set_new(o, "task", json_string(ark_task_name(s->data->task)));
    json_object_set_new(o, "splits", splits);
    json_object_set_new(o, "left_out",
        json_pack("{s:I,s:I,s:I}", "excluded", (json_int_t)s->data->n_excluded, "unlabelled",
            (json_int_t)s->data->n_unlabelled, "other_views", (json_int_t)s->data->n_other_views));
    json_object_set_new(o, "shared_patients",
        json_pack("{s:I,s:I,s:I}", "train_val", (json_int_t)s->shared[ARK_TRAIN_VAL], "train_test",
            (json_int_t)s->shared[ARK_TRAIN_TEST], "val_test", (json_int_t)s->shared[ARK_VAL_TEST]));
    json_object_set_new(o, "label_conflicts", json_integer((json_int_t)s->conflicts));
    return o;
}

static json_t *overlaps_of(const ark_check *c) {
    json_t *list = json_array();
    size_t width = 3 * c->n_sets;
    for (size_t a = 0; a < width; a++) {
        for (size_t b = 0; b < width; b++) {
            size_t n = c->overlap[a * width + b];
            if (n) {
                json_array_append_new(
                    list, json_pack("{s:o,s:o,s:I,s:b}", "of", place(c, b), "in", place(c, a), "images",
                              (json_int_t)n, "leak", (int)ark_check_leaks(a, b)));
            }
        }
    }
    return list;
}

static json_t *groups_of(const ark_check *c) {
    json_t *list = json_array();
    for (size_t g = 0; g < c->n_groups; g++) {
        json_t *members = json_array();
        bool leak = false;
        for (size_t i = c->start[g]; i < c->start[g + 1]; i++) {
            json_t *o = image(c, c->members[i]);
            json_object_set_new(o, "match", json_string(cli_match_name((ark_match)c->match[c->members[i]])));
            json_object_set_new(o, "bits", json_integer(c->distance[c->members[i]]));
            json_array_append_new(members, o);
            leak = leak || c->leaked[c->members[i]];
        }
        json_array_append_new(list, json_pack("{s:b,s:o}", "leak", (int)leak, "images", members));
    }
    return list;
}

json_t *cli_check_json(const cli_check *a, const ark_check *c) {
    json_t *sets = json_array(), *bad = json_array();
    for (size_t i = 0; i < c->n_sets; i++) {
        json_array_append_new(sets, set_of(&c->sets[i]));
    }
    for (size_t i = 0; i < c->bad_listed; i++) {
        json_t *o = image(c, c->bad[i].image);
        json_object_set_new(o, "reason", text(c->bad[i].reason));
        json_array_append_new(bad, o);
    }
    return json_pack("{s:o,s:I,s:o,s:I,s:o,s:i,s:f,s:I,s:I,s:b,s:o,s:o,s:I,s:b,s:{s:I,s:I,s:I},s:f}",
        "config", text(a->config), "images", (json_int_t)c->n, "datasets", sets, "unreadable_files",
        (json_int_t)c->n_bad, "unreadable", bad, "near_bits", a->opts.images ? a->opts.near_bits : -1,
        "min_correlation", a->opts.min_correlation, "candidates", (json_int_t)c->candidates, "confirmed",
        (json_int_t)c->confirmed, "complete", (int)c->complete, "overlaps", overlaps_of(c), "groups",
        groups_of(c), "leaked_images", (json_int_t)c->leaks, "leakage", (int)(c->leaks > 0), "exclusions",
        "picture", (json_int_t)c->dropped[ARK_DROP_PICTURE], "patient",
        (json_int_t)c->dropped[ARK_DROP_PATIENT], "unreadable", (json_int_t)c->dropped[ARK_DROP_UNREADABLE],
        "seconds", a->seconds);
}
