/* Numbers of several trials as mean and standard deviation. */
#include "base/alloc.h"
#include "eval/significance.h"
#include "train/finetune_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

/* The numbers of a class (or of the means) under flat names: "auroc", "youden.f1", "sensitivity_0.9.ppv".
 * What counts rows is no number of a trial and stays out. */
static json_t *flat(const json_t *o) {
    json_t *out = json_object();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v) {
        if (json_is_real(v) || json_is_null(v)) {
            json_object_set(out, key, v);
        }
    }
    const json_t *points = json_object_get(o, "points");
    for (size_t i = 0; i < json_array_size(points); i++) {
        json_t *p = json_array_get(points, i);
        char prefix[NAME_BYTES], name[2 * NAME_BYTES];
        const char *rule = json_string_value(json_object_get(p, "rule"));
        double target = json_number_value(json_object_get(p, "target"));
        snprintf(prefix, sizeof prefix, target > 0 ? "%.60s_%g" : "%.60s", rule ? rule : "", target);
        json_object_foreach(p, key, v) {
            bool number = (json_is_real(v) || json_is_null(v)) && strcmp(key, "target") != 0;
            if (number && !strstr(key, "_ci")) {
                snprintf(name, sizeof name, "%s.%s", prefix, key);
                json_object_set(out, name, v);
            }
        }
    }
    return out;
}

/* One name over the trials: {mean, sd, n, values}; n counts the trials in which it exists. */
static json_t *over_trials(json_t *const *flats, size_t trials, const char *name, double *room) {
    json_t *values = json_array();
    size_t n = 0;
    for (size_t i = 0; i < trials; i++) {
        json_t *v = json_object_get(flats[i], name);
        json_array_append(values, json_is_real(v) ? v : json_null());
        if (json_is_real(v)) {
            room[n++] = json_real_value(v);
        }
    }
    double mean = NAN, sd = NAN;
    if (n) {
        ark_mean_sd(room, n, &mean, &sd);
    }
    return json_pack("{s:o,s:o,s:I,s:o}", "mean", n ? json_real(mean) : json_null(), "sd",
        isfinite(sd) ? json_real(sd) : json_null(), "n", (json_int_t)n, "values", values);
}

/* objects: one per trial, of the same class. */
static json_t *summarise(const json_t *const *objects, size_t trials, json_t **flats, double *room) {
    json_t *out = json_object(), *v;
    const char *name;
    for (size_t i = 0; i < trials; i++) {
        flats[i] = flat(objects[i]);
    }
    json_object_foreach(flats[0], name, v) {
        json_object_set_new(out, name, over_trials(flats, trials, name, room));
    }
    for (size_t i = 0; i < trials; i++) {
        json_decref(flats[i]);
    }
    return out;
}

typedef struct scratch {
    const json_t **objects;
    json_t **flats;
    double *room;
} scratch;

static json_t *summarise_split(const json_t *trials, const char *split, const scratch *s) {
    size_t n = json_array_size(trials);
    const json_t *first = json_object_get(json_array_get(trials, 0), split);
    json_t *classes = json_array();
    if (!first) {
        json_decref(classes);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        s->objects[i] = json_object_get(json_object_get(json_array_get(trials, i), split), "macro");
    }
    json_t *macro = summarise(s->objects, n, s->flats, s->room);
    size_t K = json_array_size(json_object_get(first, "classes"));
    for (size_t k = 0; k < K; k++) {
        for (size_t i = 0; i < n; i++) {
            const json_t *report = json_object_get(json_array_get(trials, i), split);
            s->objects[i] = json_array_get(json_object_get(report, "classes"), k);
        }
        static const char *const same[] = {"name", "n", "positives", "undefined"};
        json_t *c = summarise(s->objects, n, s->flats, s->room);
        for (size_t j = 0; j < sizeof same / sizeof same[0]; j++) {
            json_t *v = json_object_get(s->objects[0], same[j]);
            if (v) {
                json_object_set(c, same[j], v);
            }
        }
        json_array_append_new(classes, c);
    }
    json_t *out = json_object();
    static const char *const same[] = {"n", "patients", "view"};
    for (size_t j = 0; j < sizeof same / sizeof same[0]; j++) {
        json_object_set(out, same[j], json_object_get(first, same[j]));
    }
    json_object_set(out, "classes_defined", json_object_get(json_object_get(first, "macro"), "classes"));
    json_object_set_new(out, "macro", macro);
    json_object_set_new(out, "classes", classes);
    return out;
}

json_t *ark__finetune_summary(const json_t *trials) {
    static const char *const splits[] = {"val", "test"};
    size_t n = json_array_size(trials);
    scratch s = {.objects = ark_calloc(n, sizeof *s.objects),
        .flats = ark_calloc(n, sizeof *s.flats),
        .room = ark_calloc(n, sizeof *s.room)};
    json_t *out = n && s.objects && s.flats && s.room ? json_object() : NULL;
    for (int i = 0; i < 2 && out; i++) {
        json_t *split = summarise_split(trials, splits[i], &s);
        if (split) {
            json_object_set_new(out, splits[i], split);
        }
    }
    ark_free(s.objects);
    ark_free(s.flats);
    ark_free(s.room);
    return out;
}
