#include "study/study.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "study/json.h"

#include <stdio.h>

enum { PATH_BYTES = 4400 };

const char *ark_study_path(const ark_study_job *job, const char *name, char *buf) {
    snprintf(buf, PATH_BYTES, "%.4096s/%.255s", job->out, name);
    return buf;
}

ark_status ark_study_begin(const ark_study_job *job) {
    char path[PATH_BYTES];
    ARK_TRY(ark_mkdirs(job->out));
    return ark_study_config_write(job->config, ark_study_path(job, "config.yaml", path));
}

json_t *ark_study_json(const ark_study_job *job, const ark_study_inputs *in) {
    json_t *o = json_object(), *rows = json_object();
    json_object_set_new(o, "command", json_string(ark_study_name(job->config->kind)));
    json_object_set_new(o, "dataset", ark_json_text(in->data->name));
    json_object_set_new(o, "task", json_string(ark_task_name(in->data->task)));
    json_object_set_new(o, "source", ark_json_text(in->source));
    json_object_set_new(o, "layer", json_string(in->layer));
    json_object_set_new(o, "features", json_integer((json_int_t)in->d));
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        json_object_set_new(rows, ark_split_name((ark_split)s), json_integer((json_int_t)in->f[s].n));
    }
    json_object_set_new(o, "rows", rows);
    json_object_set_new(o, "level", json_real(job->config->level));
    json_object_set_new(o, "seed", json_integer(job->config->seed));
    return o;
}

ark_status ark_study_html_end(
    const ark_study_job *job, const ark_study_inputs *in, const char *method, ark_html *h) {
    char path[PATH_BYTES], *text;
    size_t len;
    ark_html_section(h, "How this was made");
    ark_html_para(h, "%s", method);
    ark_html_para(h,
        "Dataset %s: %zu training, %zu validation and %zu test images. Embeddings: %s (%s), %zu numbers an "
        "image. Research software, not for diagnosis.",
        in->data->name, in->f[ARK_TRAIN].n, in->f[ARK_VAL].n, in->f[ARK_TEST].n, in->source, in->layer,
        in->d);
    if (job->command) {
        ark_html_code(h, job->command);
    }
    ARK_TRY(ark_file_read(ark_study_path(job, "config.yaml", path), 1 << 20, &text, &len));
    ark_html_code(h, text);
    ark_free(text);
    return ARK_OK;
}

ark_status ark_study_results(const ark_study_job *job, json_t *o) {
    char path[PATH_BYTES];
    return ark_json_write(ark_study_path(job, "results.json", path), json_incref(o));
}
