/* Presets: the lists of the released Ark code under its own configuration file, and the publishers' lists.
 * Files: tests/lists (invented rows in the published layouts); expected values are read off them. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "data/dataset.h"
#include "data/presets.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LISTS ARK_TEST_DIR "/lists/"

static ark_datasets *read_all(const char *path) {
    ark_datasets *d = NULL;
    if (ark_datasets_read(path, NULL, 0, &d) != ARK_OK) {
        fail_msg("%s", ark_err_msg());
    }
    return d;
}

static const ark_dataset *find(const ark_datasets *all, const char *name) {
    const ark_dataset *d = ark_datasets_find(all, name);
    assert_non_null(d);
    return d;
}

/* Labels of a sample as text: 1, 0, u(ncertain), . (missing). */
static void assert_labels(const ark_dataset *d, size_t i, const char *want) {
    char got[64] = "";
    for (int k = 0; k < d->n_classes; k++) {
        float v = d->labels[i * (size_t)d->n_classes + (size_t)k];
        got[k] = v == 1 ? '1' : v == 0 ? '0' : v == -1 ? 'u' : '.';
    }
    assert_string_equal(got, want);
}

static void assert_sizes(const ark_dataset *d, size_t train, size_t val, size_t test) {
    assert_int_equal(d->rows_n[ARK_TRAIN], train);
    assert_int_equal(d->rows_n[ARK_VAL], val);
    assert_int_equal(d->rows_n[ARK_TEST], test);
}

static void released_configuration(void **state) {
    (void)state;
    ark_datasets *all = read_all(LISTS "released/datasets_config.yaml");
    assert_int_equal(all->n, 7);
    const ark_dataset *d = find(all, "ChestXray14");
    assert_sizes(d, 3, 1, 1);
    assert_string_equal(d->paths[1], "/cxr/nih/99000001_001.png");
    assert_labels(d, 1, "00100000000001");
    assert_labels(d, 4, "00000010000000");
    assert_int_equal(d->patient[0], d->patient[1]); /* the first eight digits of the name */
    assert_int_not_equal(d->patient[1], d->patient[2]);
    d = find(all, "CheXpert");
    assert_sizes(d, 3, 1, 1);
    assert_string_equal(d->paths[4], "/cxr/test/patient90701/study1/view1_frontal.jpg");
    assert_labels(d, 0, "1........0...1");
    assert_labels(d, 2, "..u1.uu.u.u.1.");
    assert_labels(d, 4, "01100000100000");
    assert_int_equal(d->patient[0], d->patient[1]); /* patient90001 */
    assert_int_not_equal(d->patient[0], d->patient[2]);
    assert_memory_equal(d->view, ((const char[]){'A', 'L', 'P', 'A', 0}), 5);
    assert_int_equal(d->n_test_classes, 5);
    /* What -1 and blank mean stays as without a preset: docs/adr/0009 and 0021. */
    assert_int_equal(d->missing, ARK_MISSING_MASK);
    d = find(all, "Shenzhen");
    assert_sizes(d, 2, 0, 2);
    assert_labels(d, 1, "1");
    d = find(all, "VinDrCXR");
    assert_sizes(d, 2, 1, 1);
    assert_string_equal(d->paths[0], "/cxr/vindr/train_jpeg/9a0f.jpeg");
    assert_labels(d, 1, "100010");
    d = find(all, "RSNAPneumonia");
    assert_string_equal(d->paths[1], "/cxr/rsna/9e000000-0000-4000-8000-000000000002.png");
    assert_labels(d, 1, "001");
    assert_labels(d, 2, "010");
    d = find(all, "MIMIC");
    assert_string_equal(d->paths[0], "/cxr/mimic/files/p19/p19000001/s59000001/9d-1.jpg");
    assert_labels(d, 0, "1.............");
    assert_labels(d, 1, "..u..0..1.1..1"); /* by name: the columns are in alphabetical order */
    assert_int_equal(d->patient[0], d->patient[1]);
    d = find(all, "COVIDx");
    assert_string_equal(d->paths[0], "/cxr/covidx/train/SYNTH-1_1.jpeg");
    assert_string_equal(d->paths[2], "/cxr/covidx/test/c.png");
    assert_labels(d, 0, "001");
    assert_labels(d, 2, "010");
    ark_datasets_free(all);
}

static void publishers_nih_and_chexpert(const ark_datasets *all) {
    const ark_dataset *d = find(all, "nih");
    assert_string_equal(d->paths[0] + strlen(d->paths[0]) - 23, "images/99000001_000.png");
    assert_labels(d, 0, "01000000001000");
    assert_labels(d, 1, "00000000000001");
    assert_labels(d, 2, "00000000000000");
    assert_labels(d, 4, "00001000000010");
    assert_int_equal(d->patient[0], d->patient[1]);
    assert_float_equal(d->age[0], 58, 0);
    assert_memory_equal(d->sex, "MMFFM", 5);
    assert_memory_equal(d->view, "PAPPA", 5);
    /* Python's FNV-1a and splitmix64 of "99000001", "99000002", "99000003": 56.2, 6.4, 11.0 % */
    assert_memory_equal(d->split, ((const uint8_t[]){ARK_TRAIN, ARK_TRAIN, ARK_VAL, ARK_VAL, ARK_TEST}), 5);
    d = find(all, "chexpert");
    assert_sizes(d, 2, 1, 0);
    assert_int_equal(d->n_other_views, 1);
    assert_string_equal(d->paths[1], "/cxr/CheXpert-v1.0/train/patient90002/study2/view1_frontal.jpg");
    assert_int_equal(d->uncertain, ARK_LSR_ONES);
    assert_int_equal(d->missing, ARK_MISSING_ZERO);
    assert_string_equal(d->classes[13], "Support Devices");
}

static void publishers_mimic_and_rsna(const ark_datasets *all) {
    const ark_dataset *d = find(all, "mimic");
    assert_sizes(d, 2, 1, 1);
    assert_int_equal(d->n_unlabelled, 1); /* 9d-5 */
    assert_non_null(strstr(d->paths[3], "mimic-cxr-jpg/files/p19/p19000003/s59000003/9d-4.jpg"));
    assert_labels(d, 0, "1.............");
    assert_labels(d, 1, "1.............");
    assert_labels(d, 2, "..u..0..1.1..1");
    assert_labels(d, 3, "...1...u......");
    assert_memory_equal(d->view, ((const char[]){'P', 'L', 'A', 0}), 4);
    assert_int_equal(d->patient[0], d->patient[1]);
    assert_int_equal(d->uncertain, ARK_ONES);
    d = find(all, "rsna");
    assert_int_equal(d->n, 4); /* five rows, a row per box */
    assert_non_null(strstr(d->paths[3], "stage_2_train_images/9e000000-0000-4000-8000-000000000004.dcm"));
    assert_labels(d, 0, "010");
    assert_labels(d, 1, "001");
    assert_labels(d, 2, "100");
    /* As above, of the image ids: 57.5, 7.8, 34.0, 66.2 % */
    assert_memory_equal(d->split, ((const uint8_t[]){ARK_TRAIN, ARK_TEST, ARK_TEST, ARK_TRAIN}), 4);
}

static void publishers_lists(void **state) {
    (void)state;
    ark_datasets *all = read_all(LISTS "publishers/datasets.yaml");
    publishers_nih_and_chexpert(all);
    publishers_mimic_and_rsna(all);
    const ark_dataset *d = find(all, "vindr_any");
    assert_sizes(d, 2, 0, 1);
    assert_non_null(strstr(d->paths[0], "vindr/train/9a0f.dicom"));
    assert_non_null(strstr(d->paths[2], "vindr/test/9c2d.dicom"));
    assert_labels(d, 0, "101001");
    assert_labels(d, 1, "100011");
    assert_labels(d, 2, "100100");
    d = find(all, "vindr_majority");
    assert_labels(d, 0, "100"); /* cardiomegaly 2 of 3, effusion 1, no finding 1 */
    assert_labels(d, 1, "001");
    assert_int_equal(d->n_test_classes, 0);
    d = find(all, "shenzhen");
    assert_labels(d, 0, "0");
    assert_labels(d, 1, "1");
    assert_int_not_equal(d->patient[0], d->patient[1]);
    d = find(all, "covidx");
    assert_sizes(d, 2, 1, 1);
    assert_non_null(strstr(d->paths[2], "covidx/val/d.png"));
    d = find(all, "chestdr");
    assert_int_equal(d->n_classes, 19);
    assert_non_null(strstr(d->paths[0], "images/9F000000000001.png"));
    assert_non_null(strstr(d->paths[1], "images/9F000000000002.png"));
    assert_labels(d, 0, "0100000100100000000");
    ark_datasets_free(all);
}

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-presets-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

static void put(const char *name, const char *text) {
    char *path = ark_path_join(dir, name);
    assert_int_equal(ark_file_write(path, text, strlen(text)), ARK_OK);
    ark_free(path);
}

static ark_status read_text(const char *yaml, ark_datasets **out) {
    put("d.yaml", yaml);
    char *path = ark_path_join(dir, "d.yaml");
    ark_status st = ark_datasets_read(path, NULL, 0, out);
    ark_free(path);
    return st;
}

static ark_datasets *good(const char *yaml) {
    ark_datasets *d = NULL;
    if (read_text(yaml, &d) != ARK_OK) {
        fail_msg("%s", ark_err_msg());
    }
    return d;
}

static void refused(const char *yaml, const char *a, const char *b) {
    ark_datasets *d = NULL;
    if (read_text(yaml, &d) == ARK_OK) {
        ark_datasets_free(d);
        fail_msg("accepted: %s", yaml);
    }
    if (!strstr(ark_err_msg(), a) || (b && !strstr(ark_err_msg(), b))) {
        fail_msg("'%s' or '%s' is not in '%s'", a, b ? b : "", ark_err_msg());
    }
}

/* Every default gives way to the entry's key. */
static void presets_can_be_overridden(void **state) {
    (void)state;
    put("l.csv", "file,who,dx,view\na,p1,Hernia;Big Mass,PA\nb,p2,none,L\nc,p1,,AP\n");
    ark_datasets *all = good(
        "s:\n  format: chestxray14\n  train_list: l.csv\n  image: file\n  suffix: .tif\n  patient: who\n"
        "  label: dx\n  separator: ';'\n  no_finding: [none]\n  aliases: {Big Mass: Mass}\n"
        "  classes: [Mass, Hernia, Nodule]\n  uncertain: zeros\n  missing: zero\n  views: [PA, lateral]\n");
    const ark_dataset *d = &all->items[0];
    assert_int_equal(d->n, 2);
    assert_int_equal(d->n_other_views, 1);
    assert_labels(d, 0, "110");
    assert_labels(d, 1, "000");
    assert_string_equal(d->paths[0] + strlen(dir), "/a.tif");
    assert_int_equal(d->uncertain, ARK_ZEROS);
    ark_datasets_free(all);
    /* an entry that is not spelled like the released ones has a free choice of names */
    put("v.csv", "image_id,split,A\nx.png,train,1\n");
    all = good("VinDrCXR:\n  list: v.csv\n  task_type: binary\n  classes: [A]\n");
    assert_string_equal(all->items[0].paths[0] + strlen(dir), "/x.png");
    ark_datasets_free(all);
}

#define VOTED                                                                                                \
    "s:\n  train_list: l.csv\n  task_type: multi-label\n  classes: [A, B]\n  exclude: {reader: R9}\n  "      \
    "votes: "

static void votes_of_readers(void **state) {
    (void)state;
    put("l.csv",
        "image,reader,A,B\n1,R9,1,1\n2,R1,1,0\n1,R1,1,0\n1,R2,0,-1\n2,R2,0,\n1,R3,,\n2,R3,1,-1\n3,R9,1,1\n");
    ark_datasets *all = good(VOTED "any\n");
    assert_int_equal(all->items[0].n, 2); /* image 3: its only reader is excluded */
    assert_int_equal(all->items[0].n_excluded, 1);
    assert_string_equal(ark_path_base(all->items[0].paths[0]), "1");
    assert_labels(&all->items[0], 0, "1u");
    assert_labels(&all->items[0], 1, "1u");
    ark_datasets_free(all);
    all = good(VOTED "majority\n");
    assert_labels(&all->items[0], 0, "uu"); /* 1 of 2; 0 of 2 said 0, 1 unsure */
    assert_labels(&all->items[0], 1, "1u");
    ark_datasets_free(all);
    all = good(VOTED "none\n");
    assert_int_equal(all->items[0].n, 6);
    ark_datasets_free(all);
    refused(VOTED "same\n", "l.csv:5: says of class 'A'", "line 4");
    put("l.csv", "image,reader,split,A,B\n1,R9,train,1,1\n1,R1,train,1,1\n1,R2,test,1,1\n");
    refused("s:\n  list: l.csv\n  task_type: multi-label\n  classes: [A, B]\n  exclude: {reader: R9}\n"
            "  votes: any\n",
        "l.csv:4: column 'split'", "earlier row");
    put("l.csv", "image,reader,dx\n1,R1,x\n1,R2,y\n1,R3,y\n2,R1,x\n2,R2,y\n");
    all = good("s:\n  train_list: l.csv\n  task_type: multi-class\n  classes: [x, y]\n  label: dx\n"
               "  votes: majority\n");
    assert_labels(&all->items[0], 0, "01");
    assert_labels(&all->items[0], 1, "..");
    ark_datasets_free(all);
}

static void joined_tables(void **state) {
    (void)state;
    put("names.txt", "a/1.png\n2.png\n3.png\n");
    put("labels.csv", "id,A,years,drop\n1,1,50,\n2,0,60,yes\n");
    put("meta.csv", "image,g\n1.png,F\n");
    const char *entry = "s:\n  train_list: names.txt\n  labels_list: labels.csv\n  labels_key: id\n"
                        "  metadata_list: meta.csv\n  age: years\n  sex: g\n  task_type: binary\n"
                        "  classes: [A]\n  exclude: {drop: 'yes'}\n";
    ark_datasets *all = good(entry);
    const ark_dataset *d = &all->items[0];
    assert_int_equal(d->n, 1); /* 2 is excluded, 3 has no labels */
    assert_int_equal(d->n_excluded, 1);
    assert_int_equal(d->n_unlabelled, 1);
    assert_float_equal(d->age[0], 50, 0);
    assert_int_equal(d->sex[0], 'F');
    ark_datasets_free(all);
    put("names.txt", "x.png\n");
    refused(entry, "names.txt: no samples: none of its images is in", "labels.csv");
    put("labels.csv", "id,A,years,drop\nx,1,50,\nx,0,60,yes\n");
    refused(entry, "labels.csv:3: says of class 'A'", "line 2");
    refused("s:\n  train_list: names.txt\n  labels_list: labels.csv\n  labels_key: ident\n"
            "  task_type: binary\n  classes: [A]\n",
        "no column 'ident'", "labels.csv");
}

static void patterns_and_templates(void **state) {
    (void)state;
    put("l.csv", "name,sub,A\nx1,12345,1\nx2,12,0\n");
#define TEMPLATED "s:\n  train_list: l.csv\n  image: name\n  task_type: binary\n  classes: [A]\n"
    ark_datasets *all = good(TEMPLATED "  path: 'p{sub:3}/s{sub}/{name}.png'\n  patient_in_path: '/s{}/'\n");
    assert_string_equal(all->items[0].paths[0] + strlen(dir), "/p123/s12345/x1.png");
    assert_string_equal(all->items[0].paths[1] + strlen(dir), "/p12/s12/x2.png");
    assert_int_equal(all->items[0].patient[1], 1);
    ark_datasets_free(all);
    refused(TEMPLATED "  path: 'p{subject}/x'\n", "l.csv", "subject");
    refused(TEMPLATED "  path: 'p{sub:0}/x'\n", "d.yaml:6", "not a template");
    refused(TEMPLATED "  path: 'p{sub'\n", "d.yaml:6", "not a template");
    refused(TEMPLATED "  patient_in_path: name\n", "d.yaml:6", "not a pattern");
    refused(TEMPLATED "  patient_in_path: '{}'\n", "d.yaml:6", "whole file name");
    refused(TEMPLATED "  patient_in_path: 'p{}'\n  patient: sub\n", "d.yaml:7", "either");
    put("l.csv",
        "image,A\nq/person12_virus_7.jpg,1\nq/person12_bacteria_9.jpg,1\nq/person1.jpg,0\nIM-1_2.jpg,0\n");
    all = good(
        "s:\n  train_list: l.csv\n  task_type: binary\n  classes: [A]\n  patient_in_path: 'person{}_'\n");
    const uint32_t *p = all->items[0].patient;
    assert_int_equal(p[0], p[1]);
    assert_int_not_equal(p[0], p[2]);
    assert_int_not_equal(p[2], p[3]);
    ark_datasets_free(all);
}

static void refusals(void **state) {
    (void)state;
    put("l.csv", "Image Index,Finding Labels\n1.png,Mass|Mas\n");
    refused("s:\n  format: chestxray14\n  train_list: l.csv\n", "l.csv:2: column 'Finding Labels'", "'Mas'");
    refused("s:\n  format: chestxray15\n  train_list: l.csv\n", "d.yaml:2", "did you mean 'chestxray14'");
    put("l.csv", "patientId,class\na,Normal\na,Lung Opacity\n");
    refused("s:\n  format: rsna\n  train_list: l.csv\n", "l.csv:3", "line 2");
    refused("s:\n  format: rsna\n  list: l.csv\n", "l.csv: no column 'split'", "hold_out");
    refused("s:\n  format: rsna\n  train_list: l.csv\n  votes: any\n", "votes", "exclude each other");
    refused("s:\n  format: rsna\n  list: l.csv\n  hold_out: {val: 99}\n", "d.yaml:4", "0 to 90");
    refused("s:\n  format: rsna\n  list: l.csv\n  hold_out: {valid: 9}\n", "d.yaml:4", "'val'");
    refused("s:\n  format: rsna\n  train_list: l.csv\n  views: side\n", "d.yaml:4", "frontal");
    refused("s:\n  format: rsna\n  train_list: l.csv\n  subdirs: {trian: a}\n", "d.yaml:4", "'train'");
    put("l.txt", "CHNCXR_9001_2.png\n");
    refused("s:\n  format: shenzhen\n  train_list: l.txt\n", "l.txt:1", "label_in_path");
    put("l.txt", "a.png\n");
    refused("s:\n  format: rsna\n  train_list: l.txt\n", "l.txt:1", "expected an image name");
}

/* The table itself: names unique, what goes together is there. */
static void table_of_presets(void **state) {
    (void)state;
    assert_int_equal(ark__preset_count, 8);
    for (size_t i = 0; i < ark__preset_count; i++) {
        const ark__preset *p = &ark__presets[i];
        assert_non_null(p->classes);
        assert_int_equal(p->path != NULL, p->path_for != NULL);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(p->name, ark__presets[j].name);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_presets),
        cmocka_unit_test(released_configuration),
        cmocka_unit_test(publishers_lists),
        cmocka_unit_test_setup_teardown(presets_can_be_overridden, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(votes_of_readers, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(joined_tables, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(patterns_and_templates, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(refusals, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
