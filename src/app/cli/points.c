#include "app/cli/points.h"

#include "app/cli/model_cli.h"
#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- eval --- */

static void put_metric(ark_metric m) {
    if (m.why) {
        printf(" %8s", "-");
    } else {
        printf(" %8.4f", m.value);
    }
}

static void put_name(const char *name) {
    cli_put_text(stdout, name);
    printf("%*s", strlen(name) < 28 ? (int)(28 - strlen(name)) : 0, "");
}

static void put_rule(const ark_split_report *r, int i) {
    char name[48];
    ark_decision_name(&r->rules[i], name, sizeof name);
    printf("\nat the operating point %s, chosen on validation\n%-28s %9s %8s %16s %8s %16s %8s %8s %8s %8s\n",
        name, "class", "threshold", "sensit.", "CI", "specif.", "CI", "PPV", "NPV", "F1", "MCC");
    for (int k = 0; k < r->k; k++) {
        const ark_class_report *c = &r->classes[k];
        const ark_at_point *a = &c->at[i];
        put_name(c->name);
        if (a->accuracy.why) {
            printf(" undefined: %s\n", a->accuracy.why);
            continue;
        }
        printf(" %9.4g", r->points[k * r->n_rules + i].threshold);
        put_metric(a->sensitivity);
        printf(" %.4f to %.4f", a->sensitivity_ci.low, a->sensitivity_ci.high);
        put_metric(a->specificity);
        printf(" %.4f to %.4f", a->specificity_ci.low, a->specificity_ci.high);
        put_metric(a->ppv);
        put_metric(a->npv);
        put_metric(a->f1);
        put_metric(a->mcc);
        putchar('\n');
    }
}

void cli_put_points(const ark_split_report *r) {
    for (int i = 0; i < r->n_rules; i++) {
        put_rule(r, i);
    }
    printf("\ncalibration: Brier %.4f, ECE %.4f", r->brier.value, r->ece.value);
    if (!isnan(r->temperature)) {
        printf("; at temperature %.4g: Brier %.4f, ECE %.4f", r->temperature, r->brier_calibrated.value,
            r->ece_calibrated.value);
    }
    putchar('\n');
}

/* --- predict --- */

static ark_status add_columns(cli_decided *d, const ark_decisions *of) {
    for (int i = 0; i < of->n_rules; i++) {
        char name[48];
        int at = 0;
        ark_decision_name(&of->rules[i], name, sizeof name);
        while (at < d->n_columns && strcmp(d->columns[at], name) != 0) {
            at++;
        }
        if (at == CLI_DECISION_COLUMNS) {
            return ARK_ERR(ARK_EFORMAT, "more than %d kinds of operating points", CLI_DECISION_COLUMNS);
        }
        if (at == d->n_columns) {
            snprintf(d->columns[d->n_columns++], sizeof d->columns[0], "%s", name);
        }
    }
    return ARK_OK;
}

ark_status cli_decided_open(const ark_model *m, const char *weights, size_t batch, cli_decided *out) {
    ARK_TRY(ARK_NEW(&out->heads, (size_t)m->net.n_heads, "operating points"));
    ARK_TRY(ARK_NEW(&out->calibrated, (size_t)m->net.n_heads, "operating points"));
    for (int i = 0; i < m->net.n_heads; i++) {
        const ark_head *h = &m->net.heads[i];
        ARK_TRY(ark_decisions_parse(m->operating_points, weights, h, &out->heads[i]));
        const ark_decision_set *s = ark_decisions_for(&out->heads[i], ARK_SEEN_PLAIN);
        if (!s) {
            continue;
        }
        out->any = true;
        ARK_TRY(add_columns(out, &out->heads[i]));
        if (!isnan(s->temperature)) {
            ARK_TRY(ARK_NEW(&out->calibrated[i], batch * (size_t)h->n_classes, "calibrated probabilities"));
        }
    }
    return ARK_OK;
}

void cli_decided_close(cli_decided *d, const ark_net *net) {
    for (int i = 0; net && i < net->n_heads; i++) {
        if (d->heads) {
            ark_decisions_free(&d->heads[i]);
        }
        if (d->calibrated) {
            ark_free(d->calibrated[i]);
        }
    }
    ark_free(d->heads);
    ark_free(d->calibrated);
    *d = (cli_decided){0};
}

void cli_decided_temper(cli_decided *d, const ark_net *net, int head, const float *prob, int n) {
    const ark_head *h = &net->heads[head];
    if (d->calibrated[head]) {
        const ark_decision_set *s = ark_decisions_for(&d->heads[head], ARK_SEEN_PLAIN);
        ark_temper(h->task, s->temperature, prob, n, h->n_classes, d->calibrated[head]);
    }
}

void cli_decided_header(const cli_decided *d) {
    if (d->any) {
        printf(",calibrated");
    }
    for (int i = 0; i < d->n_columns; i++) {
        printf(",%s", d->columns[i]);
    }
}

/* 1, 0, or -1 where a head has no such point or it is undefined. */
static int decide(const ark_decisions *of, int k, const char *column, float p) {
    const ark_decision_set *s = ark_decisions_for(of, ARK_SEEN_PLAIN);
    for (int i = 0; s && i < of->n_rules; i++) {
        char name[48];
        ark_decision_name(&of->rules[i], name, sizeof name);
        double t = s->classes[k].at[i].threshold;
        if (!strcmp(name, column)) {
            return isnan(t) ? -1 : (double)p >= t;
        }
    }
    return -1;
}

static const float *calibrated(const cli_decided *d, const ark_net *net, int head, int i, int k) {
    const float *c = d->calibrated[head];
    return c ? c + (size_t)i * (size_t)net->heads[head].n_classes + k : NULL;
}

void cli_decided_csv(const cli_decided *d, const ark_net *net, int head, int i, int k, float p) {
    if (!d->any) {
        return;
    }
    const float *c = calibrated(d, net, head, i, k);
    putchar(',');
    if (c) {
        printf("%.6g", (double)*c);
    }
    for (int j = 0; j < d->n_columns; j++) {
        int decided = decide(&d->heads[head], k, d->columns[j], p);
        printf(",%s", decided < 0 ? "" : decided ? "1" : "0");
    }
}

void cli_decided_json(const cli_decided *d, const ark_net *net, int head, int i, int k, float p, json_t *o) {
    const float *c = calibrated(d, net, head, i, k);
    if (!ark_decisions_for(&d->heads[head], ARK_SEEN_PLAIN)) {
        return;
    }
    json_object_set_new(o, "calibrated", c ? cli_number((double)*c) : json_null());
    json_t *all = json_object();
    for (int j = 0; j < d->n_columns; j++) {
        int decided = decide(&d->heads[head], k, d->columns[j], p);
        json_object_set_new(all, d->columns[j], decided < 0 ? json_null() : json_boolean(decided));
    }
    json_object_set_new(o, "decisions", all);
}
