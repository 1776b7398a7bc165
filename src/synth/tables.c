#include "synth/tables.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>

void ark_synth_image_name(const ark_cohort *c, uint32_t image, char name[ARK_SYNTH_NAME_MAX]) {
    const ark_cohort_image *im = &c->images[image];
    snprintf(name, ARK_SYNTH_NAME_MAX, "%s%05u_%d.png", c->spec->prefix, im->patient, im->study);
}

static ark_status open_in(ark_writer *w, const char *dir, const char *name) {
    char *path = ark_path_join(dir, name);
    if (!path) {
        return ARK_ERR(ARK_ENOMEM, "out of memory");
    }
    ark_status st = ark_writer_open(w, path);
    ark_free(path);
    return st;
}

static const char *split_name(int split) {
    static const char *const names[ARK_SPLITS] = {"train", "val", "test"};
    return names[split];
}

static void put_label(ark_writer *w, int label) {
    if (label == ARK_LABEL_BLANK) {
        ark_writer_printf(w, ",");
    } else {
        ark_writer_printf(w, ",%d", label);
    }
}

ark_status ark_synth_write_labels(const ark_cohort *c, const char *dir) {
    ark_writer w;
    ARK_TRY(open_in(&w, dir, "labels.csv"));
    int classes = ark_cohort_classes(c->spec);
    bool one_column = c->spec->task == ARK_MULTICLASS;
    ark_writer_printf(&w, "path,patient_id,split,sex,age,view");
    for (int i = 0; i < (one_column ? 1 : classes); i++) {
        ark_writer_printf(&w, ",%s", one_column ? "label" : c->spec->classes[i].name);
    }
    ark_writer_printf(&w, ",mask_lungs,mask_heart,mask_clavicles\n");
    for (uint32_t i = 0; i < c->nimages; i++) {
        ark_case k;
        char name[ARK_SYNTH_NAME_MAX];
        int labels[ARK_COHORT_CLASSES_MAX];
        ark_cohort_case(c, i, &k);
        ark_cohort_labels(c, i, &k, labels);
        ark_synth_image_name(c, i, name);
        ark_writer_printf(&w, "images/%s,%s%05u,%s,%c,%d,%s", name, c->spec->prefix, k.id.patient,
            split_name(c->patients[k.id.patient].split), k.patient.female ? 'F' : 'M', k.patient.age,
            k.exam.ap ? "AP" : "PA");
        for (int q = 0; q < classes; q++) {
            if (!one_column) {
                put_label(&w, labels[q]);
            } else if (labels[q] == 1) {
                ark_writer_printf(&w, ",%s", c->spec->classes[q].name);
            }
        }
        ark_writer_printf(&w, ",masks/lungs/%s,masks/heart/%s,masks/clavicles/%s\n", name, name, name);
    }
    return ark_writer_commit(&w);
}

ark_status ark_synth_write_truth(const ark_cohort *c, const char *dir) {
    ark_writer w;
    ARK_TRY(open_in(&w, dir, "truth.csv"));
    ark_writer_printf(&w, "path,finding,side,x,y,size,strength,cardiothoracic_ratio\n");
    for (uint32_t i = 0; i < c->nimages; i++) {
        ark_case k;
        char name[ARK_SYNTH_NAME_MAX];
        ark_cohort_case(c, i, &k);
        ark_synth_image_name(c, i, name);
        for (int q = 0; q < k.exam.nfindings; q++) {
            const ark_finding *f = &k.exam.findings[q];
            ark_point at = ark_project(&k.anatomy, f->x, f->y, 0);
            ark_writer_printf(&w, "images/%s,%s,%c,%.4f,%.4f,%.4f,%.3f,%.4f\n", name,
                ark_finding_name(f->kind), f->side == ARK_RIGHT ? 'R' : 'L', at.x, at.y,
                ark_finding_extent(&k.anatomy, f), f->strength, k.patient.ctr);
        }
        if (!k.exam.nfindings) {
            ark_writer_printf(&w, "images/%s,none,,,,,,%.4f\n", name, k.patient.ctr);
        }
    }
    return ark_writer_commit(&w);
}

static ark_status write_datasets_yaml(const char *dir) {
    static const char *const tasks[] = {
        [ARK_MULTILABEL] = "multi-label", [ARK_BINARY] = "binary", [ARK_MULTICLASS] = "multi-class"};
    ark_writer w;
    ARK_TRY(open_in(&w, dir, "datasets.yaml"));
    ark_writer_printf(
        &w, "# Phantom chest X-rays written by arkfm synth. Paths are relative to this file.\n");
    for (uint32_t i = 0; i < ark_cohort_spec_count; i++) {
        const ark_cohort_spec *s = &ark_cohort_specs[i];
        ark_writer_printf(&w, "\n%s:%s\n  format: csv\n  data_dir: %s\n  list: %s/labels.csv\n", s->name,
            s->training ? "" : "   # held out: not in pretrain.yaml", s->name, s->name);
        ark_writer_printf(&w,
            "  image: path\n  patient: patient_id\n  split: split\n  sex: sex\n  age: age\n  view: view\n");
        ark_writer_printf(&w, "  task_type: %s classification\n", tasks[s->task]);
        if (s->task == ARK_MULTICLASS) {
            ark_writer_printf(&w, "  label: label\n");
        }
        ark_writer_printf(&w, "  classes: [");
        for (int k = 0, n = ark_cohort_classes(s); k < n; k++) {
            ark_writer_printf(&w, "%s%s", k ? ", " : "", s->classes[k].name);
        }
        ark_writer_printf(&w, "]\n%s", s->uncertain > 0 ? "  uncertain: lsr-ones\n" : "");
    }
    return ark_writer_commit(&w);
}

static ark_status write_pretrain_yaml(const char *dir) {
    ark_writer w;
    ARK_TRY(open_in(&w, dir, "pretrain.yaml"));
    ark_writer_printf(
        &w, "# arkfm pretrain pretrain.yaml --out OUT\ndata:\n  config: datasets.yaml\n  datasets: [");
    for (uint32_t i = 0, n = 0; i < ark_cohort_spec_count; i++) {
        if (ark_cohort_specs[i].training) {
            ark_writer_printf(&w, "%s%s", n++ ? ", " : "", ark_cohort_specs[i].name);
        }
    }
    ark_writer_printf(&w, "]   # cyclic order; the target stays out\n%s",
        "  cache_mb: 256\n"
        "model:\n"
        "  arch: swin:embed=32,depths=2-2-2,heads=2-4-8,window=4,size=64\n"
        "  projector: linear\n"
        "  projector_dim: 256\n"
        "  drop_path: 0\n"
        "augment:\n"
        "  crop_scale_min: 0.7\n"
        "train:\n"
        "  epochs: 20\n"
        "  batch: 16\n"
        "  seed: 1\n"
        "  optimizer: adamw\n"
        "  lr: 5e-4\n"
        "  warmup_epochs: 1\n"
        "  weight_decay: 0.05\n"
        "  clip_grad: 5\n"
        "  ema_momentum: 0.6 # for tens of epochs; Ark's 0.9 is made for hundreds\n"
        "  test_every: 0\n");
    return ark_writer_commit(&w);
}

ark_status ark_synth_write_configs(const char *dir) {
    ARK_TRY(write_datasets_yaml(dir));
    return write_pretrain_yaml(dir);
}
