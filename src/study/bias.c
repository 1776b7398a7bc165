#include "study/bias.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"
#include "study/bias_impl.h"

#include <string.h>

const char *const ark__sex_names[ARK__SEXES] = {"F", "M"};
const char *const ark__measure_names[ARK__MEASURES] = {"auroc", "fnr"};

static ark_status score(ark__bias *b, ark_split split, ark_scored *out) {
    ark_features *f = &b->in.f[split];
    ark_labelled rows = ark_features_labelled(f);
    double *p, *label = NULL;
    ARK_TRY(ARK_NEW(&p, f->n * f->K, "probabilities"));
    ark_status st = ARK_NEW(&label, f->n * f->K, "labels");
    st = st ? st : ark_readout_predict(&b->r, &rows, b->threads, p);
    if (st == ARK_OK) {
        memcpy(label, f->label, f->n * f->K * sizeof *label);
        ark_readout_mask_labels(&b->r, label, f->n);
        st = ark_scored_new(p, label, f, (const char *const *)b->in.data->classes, out);
        out->left_out = b->r.left_out;
    }
    ark_free(p);
    ark_free(label);
    return st;
}

/* The probe on the whole training split, cut by attribute on test. */
static ark_status subgroups(ark__bias *b) {
    const ark_study_config *c = b->job->config;
    ark_labelled train = ark_features_labelled(&b->in.f[ARK_TRAIN]),
                 val = ark_features_labelled(&b->in.f[ARK_VAL]);
    ark_study_fit fit;
    ark_scored chosen = {0};
    double limits[ARK_STUDY_NUMBERS];
    size_t n;
    ARK_TRY(ark_study_numbers(
        c->age_bands[0] ? c->age_bands : "20,40,60,80", "bias.age_bands", 0, 150, limits, &n));
    ARK_TRY(ark_study_fit_opts(c, b->in.data->task, b->threads, &fit));
    ARK_TRY(ark_readout_fit(&train, &val, &fit.opts, &b->r));
    ARK_TRY(ARK_NEW(&b->points, b->K, "operating points"));
    ark_status st = score(b, ARK_VAL, &chosen);
    st = st ? st : ark_choose_points(&chosen.t, ark_study_rule(c), c->target, b->points);
    ark_scored_free(&chosen);
    ARK_TRY(st);
    ARK_TRY(score(b, ARK_TEST, &b->test));
    ARK_TRY(ark_scored_evaluate(&b->test, c, b->points, b->in.data->task == ARK_MULTICLASS, b->threads));
    return ark_subgroups_new(&b->test, b->in.data, limits, n, c->level, &b->groups);
}

static ark_status read(ark__bias *b) {
    char cache[4400];
    ARK_TRY(ark_study_begin(b->job));
    ARK_TRY(ark_study_inputs_read(b->job->config, &b->job->sources[0],
        ark_study_path(b->job, "embeddings", cache), b->threads, &b->job->hooks, &b->in));
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        ARK_TRY(ark_study_need_split(&b->in, (ark_split)s));
    }
    b->K = b->in.f[ARK_TRAIN].K;
    return ARK_OK;
}

ark_status ark_study_bias(const ark_study_job *job, json_t **result) {
    ark__bias b = {.job = job,
        .repeats = (size_t)job->config->repeats,
        .threads = job->threads > 0 ? job->threads : ark_cpu_count()};
    ark_status st = read(&b);
    st = st ? st : subgroups(&b);
    st = st ? st : ark__bias_design(&b);
    st = st ? st : ark__bias_write(&b, result);
    ark_subgroups_free(&b.groups);
    ark_scored_free(&b.test);
    ark_free(b.points);
    ark_readout_free(&b.r);
    ark_free(b.value);
    ark_free(b.tests);
    ark_study_inputs_free(&b.in);
    return st;
}
