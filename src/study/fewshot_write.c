#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "report/grid.h"
#include "study/fewshot_impl.h"
#include "study/json.h"
#include "study/scored.h"

#include <math.h>
#include <stdio.h>

static const char *const *classes_of(const ark__fewshot *f) {
    return (const char *const *)f->in[0].data->classes;
}

/* --- JSON --- */

static void put_stat(json_t *o, const ark__shot_stat *s) {
    json_object_set_new(o, "auroc", ark_json_number(s->mean));
    json_object_set_new(o, "sd", ark_json_number(s->sd));
    json_object_set_new(o, "ci", ark_json_interval(&s->ci));
    json_object_set_new(o, "draws", json_integer((json_int_t)s->used));
    if (s->why) {
        json_object_set_new(o, "auroc_undefined", json_string(s->why));
    }
}

static json_t *point_json(const ark__fewshot *f, size_t s, size_t k) {
    json_t *o = json_object(), *classes = json_array(), *lacking = json_array();
    ark__shot_stat mean = ark__fewshot_stat(f, s, k, f->K);
    json_object_set_new(o, "shots", json_string(f->shots[k].name));
    json_object_set_new(o, "n", json_integer((json_int_t)f->shots[k].n));
    put_stat(o, &mean);
    if (s > 0) {
        ark__shot_stat d = ark__fewshot_difference(f, s, k);
        json_object_set_new(o, "first_minus_this", ark_json_number(d.mean));
        json_object_set_new(o, "first_minus_this_ci", ark_json_interval(&d.ci));
    }
    for (size_t c = 0; c < f->K; c++) {
        ark__shot_stat v = ark__fewshot_stat(f, s, k, c);
        json_t *item = json_object();
        json_object_set_new(item, "name", ark_json_text(classes_of(f)[c]));
        put_stat(item, &v);
        json_array_append_new(classes, item);
        if (f->lacking[k * f->K + c] > 0) {
            json_array_append_new(lacking, json_pack("{s:o,s:I}", "name", ark_json_text(classes_of(f)[c]),
                                               "missing", (json_int_t)f->lacking[k * f->K + c]));
        }
    }
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "lacking", lacking);
    return o;
}

static json_t *all_json(const ark__fewshot *f) {
    json_t *o = ark_study_json(f->job, &f->in[0]), *sources = json_array();
    json_object_set_new(o, "repeats", json_integer((json_int_t)f->repeats));
    for (size_t s = 0; s < f->job->n; s++) {
        json_t *points = json_array();
        for (size_t k = 0; k < f->n_shots; k++) {
            json_array_append_new(points, point_json(f, s, k));
        }
        json_array_append_new(
            sources, json_pack("{s:o,s:o,s:s,s:I,s:o}", "name", ark_json_text(f->job->names[s]), "source",
                         ark_json_text(f->in[s].source), "layer", f->in[s].layer, "features",
                         (json_int_t)f->in[s].d, "points", points));
    }
    json_object_set_new(o, "sources", sources);
    return o;
}

/* --- CSV --- */

static ark_status write_curve(const ark__fewshot *f, const char *path, bool per_class) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "source,shots,n,%sauroc,sd,low,high,draws\n", per_class ? "class," : "");
    for (size_t i = 0; i < f->job->n * f->n_shots * (per_class ? f->K : 1); i++) {
        size_t c = per_class ? i % f->K : f->K, k = per_class ? i / f->K : i;
        size_t s = k / f->n_shots;
        k %= f->n_shots;
        ark__shot_stat v = ark__fewshot_stat(f, s, k, c);
        double values[] = {v.mean, v.sd, v.ci.low, v.ci.high};
        ark_csv_put(&w, f->job->names[s]);
        ark_writer_printf(&w, ",%s,%zu,", f->shots[k].name, f->shots[k].n);
        if (per_class) {
            ark_csv_put(&w, classes_of(f)[c]);
            ark_writer_put(&w, ",", 1);
        }
        for (size_t j = 0; j < 4; j++) {
            ark_csv_put_number(&w, values[j]);
            ark_writer_put(&w, ",", 1);
        }
        ark_writer_printf(&w, "%zu\n", v.used);
    }
    return ark_writer_commit(&w);
}

/* --- the report --- */

static ark_status add_plot(const ark__fewshot *f, ark_html *h) {
    size_t n = f->n_shots, sources = f->job->n;
    double *v; /* per source: x, mean, low, high */
    ark_series *series = NULL;
    ark_svg svg = {0};
    ark_axes axes = {.title = "Mean AUROC on the test split",
        .x_label = "training images",
        .y_label = "mean AUROC",
        .log_x = true,
        .width_px = 720,
        .height_px = 440};
    ARK_TRY(ARK_NEW(&v, sources * 4 * n, "a plot"));
    ark_status st = ARK_NEW(&series, sources, "a plot");
    for (size_t s = 0; s < sources && st == ARK_OK; s++) {
        double *x = v + s * 4 * n;
        for (size_t k = 0; k < n; k++) {
            ark__shot_stat p = ark__fewshot_stat(f, s, k, f->K);
            x[k] = (double)f->shots[k].n;
            x[n + k] = p.mean;
            x[2 * n + k] = p.ci.why ? p.mean : p.ci.low;
            x[3 * n + k] = p.ci.why ? p.mean : p.ci.high;
        }
        series[s] = (ark_series){
            .name = f->job->names[s], .x = x, .y = x + n, .low = x + 2 * n, .high = x + 3 * n, .n = n};
    }
    st = st ? st : ark_svg_lines(&axes, series, sources, &svg);
    if (st == ARK_OK) {
        char caption[200];
        snprintf(caption, sizeof caption, "Bands: Student's %.0f %% interval over up to %zu draws.",
            100 * f->job->config->level, f->repeats);
        ark_html_plot p = {.svg = &svg, .caption = caption};
        ark_html_plots(h, &p, 1);
    }
    ark_svg_free(&svg);
    ark_free(series);
    ark_free(v);
    return st;
}

static ark_status add_table(const ark__fewshot *f, ark_html *h) {
    const char *head[2 + 16] = {"shots", "images"};
    size_t sources = f->job->n < 16 ? f->job->n : 16;
    ark_grid g;
    ark_status st = ark_grid_new(&g, f->n_shots, 2 + sources);
    for (size_t s = 0; s < sources; s++) {
        head[2 + s] = f->job->names[s];
    }
    for (size_t k = 0; k < f->n_shots && st == ARK_OK; k++) {
        ark_grid_put(&g, false, "%s", f->shots[k].name);
        ark_grid_put(&g, false, "%zu", f->shots[k].n);
        for (size_t s = 0; s < sources; s++) {
            ark__shot_stat v = ark__fewshot_stat(f, s, k, f->K);
            ark_grid_stat(&g, false, v.mean, &v.ci);
        }
    }
    if (st == ARK_OK) {
        ark_grid_add(h, &g, head, 1, "Mean AUROC over the classes that could be fitted and tested.");
    }
    ark_grid_free(&g);
    return st;
}

static ark_status add_classes(const ark__fewshot *f, size_t s, ark_html *h) {
    const char *head[ARK_STUDY_NUMBERS * 2 + 1] = {"class"};
    ark_grid g;
    char caption[200];
    ark_status st = ark_grid_new(&g, f->K, 1 + f->n_shots);
    for (size_t k = 0; k < f->n_shots; k++) {
        head[1 + k] = f->shots[k].name;
    }
    for (size_t c = 0; c < f->K && st == ARK_OK; c++) {
        ark_grid_put(&g, false, "%.40s", classes_of(f)[c]);
        for (size_t k = 0; k < f->n_shots; k++) {
            ark__shot_stat v = ark__fewshot_stat(f, s, k, c);
            ark_grid_stat(&g, false, v.mean, NULL);
        }
    }
    if (st == ARK_OK) {
        snprintf(caption, sizeof caption, "%.100s: mean AUROC per class over the draws.", f->job->names[s]);
        ark_grid_add(h, &g, head, 1, caption);
    }
    ark_grid_free(&g);
    return st;
}

static ark_status fill(const ark__fewshot *f, ark_html *h) {
    ark_html_section(h, "Curve");
    ARK_TRY(add_plot(f, h));
    ARK_TRY(add_table(f, h));
    for (size_t k = 0; k < f->n_shots; k++) {
        for (size_t c = 0; c < f->K; c++) {
            if (f->lacking[k * f->K + c] > 0) {
                ark_html_note(h, "%s: %s has %zu positive images fewer in train than asked for.",
                    f->shots[k].name, classes_of(f)[c], f->lacking[k * f->K + c]);
            }
        }
    }
    ark_html_section(h, "Classes");
    for (size_t s = 0; s < f->job->n; s++) {
        ARK_TRY(add_classes(f, s, h));
    }
    return ark_study_html_end(f->job, &f->in[0],
        "Probes of frozen embeddings on samples of the training split. Samples of one draw are nested and "
        "stratified; all sources see the same ones. The regularisation is chosen on the whole validation "
        "split; the test split gives the numbers above.",
        h);
}

static ark_status report(const ark__fewshot *f) {
    char path[4400], subtitle[200];
    ark_html *h;
    snprintf(subtitle, sizeof subtitle, "%.100s, %zu training and %zu test images", f->in[0].data->name,
        f->in[0].f[ARK_TRAIN].n, f->in[0].f[ARK_TEST].n);
    ARK_TRY(ark_html_new("Few-shot probes", subtitle, &h));
    ark_status st = fill(f, h);
    st = st ? st : ark_html_write(h, ark_study_path(f->job, "report.html", path));
    ark_html_free(h);
    return st;
}

ark_status ark__fewshot_write(const ark__fewshot *f, json_t **result) {
    char path[4400];
    json_t *o = all_json(f);
    ark_status st = ark_study_results(f->job, o);
    st = st ? st : write_curve(f, ark_study_path(f->job, "curve.csv", path), false);
    st = st ? st : write_curve(f, ark_study_path(f->job, "classes.csv", path), true);
    st = st ? st : report(f);
    if (st != ARK_OK) {
        json_decref(o);
        return st;
    }
    *result = o;
    return ARK_OK;
}
