#include "train/run_log.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "io/tfevents.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOG_LIMIT = 1 << 30 };

struct ark_run_log {
    char *path;
    FILE *f;
    ark_tfevents *events;
    json_t *line;
    char tag[128];
    int64_t step;
    ark_status failed;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Does a line belong to a step that the resumed run will not repeat? An unreadable line
 * (torn by a crash) does not. */
static int keeps(const char *line, size_t len, int64_t keep_step) {
    json_t *o = json_loadb(line, len, 0, NULL);
    const json_t *step = json_object_get(o, "step");
    int keep = json_is_integer(step) && json_integer_value(step) <= keep_step;
    json_decref(o);
    return keep;
}

/* Rewrite the log with the lines up to keep_step. */
static ark_status trim(const char *path, int64_t keep_step) {
    char *text = NULL;
    size_t len = 0;
    if (keep_step >= 0 && ark_path_exists(path)) {
        ARK_TRY(ark_file_read(path, LOG_LIMIT, &text, &len));
    }
    ark_writer w;
    ark_status st = ark_writer_open(&w, path);
    if (st == ARK_OK) {
        for (size_t at = 0; at < len;) {
            const char *nl = memchr(text + at, '\n', len - at);
            size_t n = nl ? (size_t)(nl - (text + at)) + 1 : len - at;
            if (nl && keeps(text + at, n, keep_step)) {
                ark_writer_put(&w, text + at, n);
            }
            at += n;
        }
        st = ark_writer_commit(&w);
    }
    ark_free(text);
    return st;
}

ark_status ark_run_log_open(const char *dir, int64_t keep_step, ark_run_log **out) {
    ark_run_log *l;
    ARK_TRY(ARK_NEW(&l, 1, "the run log"));
    char *events = ark_path_join(dir, "tensorboard");
    l->path = ark_path_join(dir, "metrics.jsonl");
    ark_status st =
        l->path && events ? trim(l->path, keep_step) : ARK_ERR(ARK_ENOMEM, "out of memory for the run log");
    if (st == ARK_OK) {
        l->f = fopen(l->path, "ab");
        st = l->f ? ARK_OK : ARK_ERR(ARK_EIO, "%s: cannot open: %s", l->path, strerror(errno));
    }
    if (st == ARK_OK) {
        st = ark_mkdirs(events);
    }
    if (st == ARK_OK) {
        st = ark_tfevents_open(events, now(), &l->events);
    }
    ark_free(events);
    if (st != ARK_OK) {
        ark_run_log_close(l);
        return st;
    }
    *out = l;
    return ARK_OK;
}

void ark_run_log_close(ark_run_log *l) {
    if (l) {
        if (l->f) {
            fclose(l->f);
        }
        ark_tfevents_close(l->events);
        json_decref(l->line);
        ark_free(l->path);
        ark_free(l);
    }
}

void ark_run_log_begin(ark_run_log *l, const char *event, const char *tag, int64_t step) {
    json_decref(l->line);
    l->line = json_object();
    l->step = step;
    l->failed = ARK_OK;
    snprintf(l->tag, sizeof l->tag, "%s", tag);
    ark_run_log_text(l, "event", event);
    json_object_set_new(l->line, "step", json_integer(step));
}

void ark_run_log_text(ark_run_log *l, const char *key, const char *value) {
    json_object_set_new(l->line, key, json_string(value));
}

void ark_run_log_int(ark_run_log *l, const char *key, int64_t value) {
    json_object_set_new(l->line, key, json_integer(value));
}

void ark_run_log_real(ark_run_log *l, const char *key, double value) {
    json_object_set_new(l->line, key, isfinite(value) ? json_real(value) : json_null());
    if (isfinite(value) && l->failed == ARK_OK) {
        char tag[256];
        snprintf(tag, sizeof tag, "%s/%s", l->tag, key);
        l->failed = ark_tfevents_scalar(l->events, now(), l->step, tag, (float)value);
    }
}

ark_status ark_run_log_end(ark_run_log *l) {
    ARK_TRY(l->failed);
    char *text = json_dumps(l->line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!text) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", l->path);
    }
    int bad = fprintf(l->f, "%s\n", text) < 0 || fflush(l->f) != 0;
    int why = errno;
    free(text);
    return bad ? ARK_ERR(ARK_EIO, "%s: cannot write: %s", l->path, strerror(why)) : ARK_OK;
}
