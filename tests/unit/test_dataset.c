/* Datasets: the YAML entry, CSV lists, headerless lists in the layouts of the public sets, and every refusal.
 * Expected values are read off the little files written here. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "data/dataset.h"

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

static char dir[64];

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-dataset-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

static void put(const char *name, const char *text) {
    char *path = ark_path_join(dir, name), *folder = ark_path_dir(path);
    assert_int_equal(ark_mkdirs(folder), ARK_OK);
    assert_int_equal(ark_file_write(path, text, strlen(text)), ARK_OK);
    ark_free(path);
    ark_free(folder);
}

static ark_status read_yaml(const char *text, ark_datasets **out) {
    put("d.yaml", text);
    char *path = ark_path_join(dir, "d.yaml");
    ark_status st = ark_datasets_read(path, NULL, 0, out);
    ark_free(path);
    return st;
}

static ark_datasets *good(const char *text) {
    ark_datasets *d = NULL;
    ark_status st = read_yaml(text, &d);
    if (st != ARK_OK) {
        fail_msg("%s", ark_err_msg());
    }
    return d;
}

/* The message must hold every one of up to three parts. */
static void refused(const char *text, ark_status want, const char *a, const char *b, const char *c) {
    ark_datasets *d = NULL;
    ark_status st = read_yaml(text, &d);
    if (st == ARK_OK) {
        ark_datasets_free(d);
        fail_msg("accepted: %s", text);
    }
    assert_null(d);
    const char *parts[] = {a, b, c};
    for (int i = 0; i < 3; i++) {
        if (parts[i] && !strstr(ark_err_msg(), parts[i])) {
            fail_msg("'%s' is not in '%s'", parts[i], ark_err_msg());
        }
    }
    assert_int_equal(st, want);
}

static void assert_path(const ark_dataset *d, size_t i, const char *rest) {
    char *want = ark_path_join(dir, rest);
    assert_string_equal(d->paths[i], want);
    ark_free(want);
}

static void assert_labels(const ark_dataset *d, size_t i, const float *want) {
    for (int k = 0; k < d->n_classes; k++) {
        float got = d->labels[i * (size_t)d->n_classes + (size_t)k];
        if (isnan(want[k])) {
            assert_true(isnan(got));
        } else {
            assert_float_equal(got, want[k], 0);
        }
    }
}

#define MULTI                                                                                                \
    "site:\n  format: csv\n  data_dir: site\n  list: labels.csv\n  task_type: multi-label\n  classes: [A, "  \
    "B]\n"

static void csv_with_every_column(void **state) {
    (void)state;
    put("site/labels.csv", "path,patient_id,split,sex,age,view,A,B,note\n"
                           "images/1.png,p7,train,M,61,PA,1,0,x\n"
                           "images/2.png,p7,train,F,,AP,-1.0,,x\n"
                           "\"images/3,b.png\",,val,,058Y,LATERAL,0.0,1.0,x\n"
                           "/abs/4.png,p8,test,male,61.5,odd,,-1,x\n"
                           "images/5.png,,validate,U,0,L,0,0,x\n");
    ark_datasets *all = good(MULTI);
    assert_int_equal(all->n, 1);
    const ark_dataset *d = ark_datasets_find(all, "site");
    assert_non_null(d);
    assert_null(ark_datasets_find(all, "Site"));
    assert_int_equal(d->task, ARK_MULTILABEL);
    assert_int_equal(d->uncertain, ARK_LSR_ONES);
    assert_int_equal(d->missing, ARK_MISSING_MASK);
    assert_int_equal(d->n, 5);
    assert_int_equal(d->n_classes, 2);
    assert_string_equal(d->classes[1], "B");
    assert_path(d, 0, "site/images/1.png");
    assert_path(d, 2, "site/images/3,b.png");
    assert_string_equal(d->paths[3], "/abs/4.png");
    const float labels[5][2] = {{1, 0}, {-1, NAN}, {0, 1}, {NAN, -1}, {0, 0}};
    for (size_t i = 0; i < 5; i++) {
        assert_labels(d, i, labels[i]);
    }
    const uint8_t splits[5] = {ARK_TRAIN, ARK_TRAIN, ARK_VAL, ARK_TEST, ARK_VAL};
    assert_memory_equal(d->split, splits, 5);
    const char sex[5] = {'M', 'F', 0, 'M', 0}, view[5] = {'P', 'A', 'L', 0, 'L'};
    assert_memory_equal(d->sex, sex, 5);
    assert_memory_equal(d->view, view, 5);
    const float age[5] = {61, NAN, 58, 61.5f, 0};
    for (size_t i = 0; i < 5; i++) {
        assert_true(isnan(age[i]) ? isnan(d->age[i]) : d->age[i] == age[i]);
    }
    assert_int_equal(d->patient[0], d->patient[1]);
    for (size_t i = 1; i < 5; i++) { /* all others differ, numbers are dense */
        assert_true(d->patient[i] < 4);
        for (size_t j = i + 1; j < 5; j++) {
            assert_int_not_equal(d->patient[i], d->patient[j]);
        }
    }
    assert_int_equal(d->rows_n[ARK_TRAIN], 2);
    assert_int_equal(d->rows_n[ARK_VAL], 2);
    assert_int_equal(d->rows_n[ARK_TEST], 1);
    assert_int_equal(d->rows[ARK_VAL][0], 2);
    assert_int_equal(d->rows[ARK_VAL][1], 4);
    ark_datasets_free(all);
}

static void own_column_names_and_options(void **state) {
    (void)state;
    put("lists/x.csv", "file id,who,fold,g,years,proj,A,B\n"
                       "1,p1,test,F,3,AP,1,0\n2,p2,valid,F,3,AP,0,1\n");
    ark_datasets *all =
        good("s:\n  format: csv\n  data_dir: imgs/\n  list: lists/x.csv\n  image: file id\n"
             "  suffix: .jpeg\n  patient: who\n  split: fold\n  sex: g\n  age: years\n  view: proj\n"
             "  task_type: multi-class classification\n  diseases: [A, B]\n"
             "  uncertain: zeros\n  missing: zero\n  test_diseases_name: [B]\n");
    const ark_dataset *d = &all->items[0];
    assert_path(d, 0, "imgs/1.jpeg");
    assert_int_equal(d->task, ARK_MULTICLASS);
    assert_int_equal(d->uncertain, ARK_ZEROS);
    assert_int_equal(d->missing, ARK_MISSING_ZERO);
    assert_int_equal(d->n_test_classes, 1);
    assert_string_equal(d->test_classes[0], "B");
    assert_int_equal(d->view[1], 'A');
    assert_int_equal(d->rows_n[ARK_VAL], 1);
    assert_int_equal(d->rows_n[ARK_TRAIN], 0);
    ark_datasets_free(all);
}

#define CLASS_NAMES "s:\n  format: csv\n  list: l.csv\n  label: kind\n  task_type: multi-class\n"

static void class_names_in_one_column(void **state) {
    (void)state;
    put("l.csv", "path,split,kind\n1,train,virus\n2,train,Normal\n3,train,\n4,test,bacteria\n");
    ark_datasets *all = good(CLASS_NAMES "  classes: [Normal, bacteria, virus]\n");
    const float want[4][3] = {{0, 0, 1}, {1, 0, 0}, {NAN, NAN, NAN}, {0, 1, 0}};
    for (size_t i = 0; i < 4; i++) {
        assert_labels(&all->items[0], i, want[i]);
    }
    ark_datasets_free(all);
    all = good(CLASS_NAMES "  test_classes: [virus]\n"); /* names from the column, sorted bytewise */
    assert_int_equal(all->items[0].n_classes, 3);
    assert_string_equal(all->items[0].classes[0], "Normal");
    assert_string_equal(all->items[0].classes[1], "bacteria");
    assert_labels(&all->items[0], 3, want[3]);
    ark_datasets_free(all);
    refused(CLASS_NAMES "  classes: [Normal, bacteria]\n", ARK_EFORMAT, "l.csv:2", "'kind'", "'virus'");
    refused(CLASS_NAMES "  test_classes: [fungus]\n", ARK_EINVAL, "fungus", NULL, NULL);
    put("l.csv", "path,split,kind\n1,train,sick\n2,train,well\n3,test,\n");
    all = good("s:\n  list: l.csv\n  label: kind\n  task_type: binary\n  classes: [well, sick]\n");
    assert_int_equal(all->items[0].n_classes, 1);
    assert_string_equal(all->items[0].classes[0], "sick");
    const float pair[3] = {1, 0, NAN};
    for (size_t i = 0; i < 3; i++) {
        assert_labels(&all->items[0], i, &pair[i]);
    }
    ark_datasets_free(all);
}

static void rows_left_out(void **state) {
    (void)state;
    put("site/labels.csv",
        "path,split,A,B,seg,fold\n1,train,0,1,test,a\n2,train,1,0,,b\n3,train,1,1,train,c\n4,test,1,1,val,c\n"
        "5,test,0,0,,c\n");
    put("skip.csv", "note,path\nx,5\nx,not there\n");
    ark_datasets *all = good(MULTI "  exclude: {seg: [test, val]}\n  exclude_list: skip.csv\n");
    const ark_dataset *d = &all->items[0];
    assert_int_equal(d->n, 2);
    assert_path(d, 0, "site/2");
    assert_path(d, 1, "site/3");
    ark_datasets_free(all);
    all = good(MULTI "  exclude:\n    seg: test\n    fold: b\n");
    assert_int_equal(all->items[0].n, 3);
    ark_datasets_free(all);
    refused(MULTI "  exclude: {seg: tset}\n", ARK_EINVAL, "d.yaml:", "'seg'", "'tset'");
    refused(MULTI "  exclude: {seq: test}\n", ARK_EFORMAT, "labels.csv", "seq", "seg");
    refused(MULTI "  exclude: {fold: [a, b, c]}\n", ARK_EFORMAT, "no samples", NULL, NULL);
    refused(MULTI "  exclude: [fold]\n", ARK_EINVAL, "exclude", NULL, NULL);
}

static void bad_values_name_their_place(void **state) {
    (void)state;
    static const struct {
        const char *csv, *a, *b;
    } cases[] = {
        {"path,split,A,B\n1,train,0,1\n2,train,1,NaN\n", "labels.csv:3: column 'B'", "'NaN'"},
        {"path,split,A,B\n1,train,nan,1\n", "labels.csv:2: column 'A'", "'nan'"},
        {"path,split,A,B\n1,train,2,1\n", "labels.csv:2: column 'A'", "'2'"},
        {"path,split,A,B\n1,train,1.5,1\n", "labels.csv:2: column 'A'", "'1.5'"},
        {"path,split,A,B\n1,train,inf,1\n", "labels.csv:2: column 'A'", "'inf'"},
        {"path,split,A,B\n1,holdout,1,1\n", "labels.csv:2: column 'split'", "'holdout'"},
        {"path,split,A,B\n1,,1,1\n", "labels.csv:2: column 'split'", "''"},
        {"path,split,A,Bb\n1,train,1,1\n", "labels.csv: no column 'B'", NULL},
        {"path,A,B\n1,1,1\n", "labels.csv", "split"},
        {"pth,split,A,B\n1,train,1,1\n", "labels.csv", "image"},
        {"path,split,A,B,age\n1,train,1,1,old\n", "labels.csv:2: column 'age'", "'old'"},
        {"path,split,A,B,age\n1,train,1,1,nan\n", "labels.csv:2: column 'age'", "'nan'"},
        {"path,split,A,B\n,train,1,1\n", "labels.csv:2", "no image name"},
        {"path,split,A,B\n", "labels.csv", "no samples"},
        {"path,split,A,B\n1,train,1\n", "labels.csv", "2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put("site/labels.csv", cases[i].csv);
        refused(MULTI, ARK_EFORMAT, cases[i].a, cases[i].b, NULL);
    }
    char *line = ark_malloc(6000);
    memset(line, 'x', 5000);
    snprintf(line + 5000, 1000, ",train,0,0\n");
    char *all = ark_malloc(7000);
    snprintf(all, 7000, "path,split,A,B\n%s", line);
    put("site/labels.csv", all);
    refused(MULTI, ARK_EFORMAT, "labels.csv:2", "limit 4095", NULL);
    ark_free(line);
    ark_free(all);
    put("site/labels.csv", "path,split,A,B\n1,train,1,1\n");
    refused("s:\n  data_dir: site\n  list: labels.csv\n  task_type: multi-class\n  classes: [A, B]\n",
        ARK_EFORMAT, "labels.csv:2", "2 ones", NULL);
    put("site/labels.csv", "path,split,A,B\n1,train,1,-1\n");
    refused("s:\n  data_dir: site\n  list: labels.csv\n  task_type: multi-class\n  classes: [A, B]\n",
        ARK_EFORMAT, "labels.csv:2", "'B'", NULL);
}

static void bad_entries_name_line_and_key(void **state) {
    (void)state;
    put("site/labels.csv", "path,split,A,B\n1,train,1,0\n");
    refused(MULTI "  pateint: x\n", ARK_EINVAL, "d.yaml:7", "pateint", "patient");
    refused(MULTI "  uncertain: lsr_ones\n", ARK_EINVAL, "d.yaml:7", "lsr_ones", "'lsr-ones'");
    refused(MULTI "  missing: [mask]\n", ARK_EINVAL, "d.yaml:7", "missing", NULL);
    refused(MULTI "  diseases: [A]\n", ARK_EINVAL, "'classes' and 'diseases'", NULL, NULL);
    refused(MULTI "  test_classes: [C]\n", ARK_EINVAL, "d.yaml:7", "'C'", NULL);
    refused(MULTI "  train_list: labels.csv\n", ARK_EINVAL, "d.yaml:7", "either", NULL);
    refused(MULTI "  patient: nobody\n", ARK_EFORMAT, "labels.csv", "nobody", NULL);
    refused("s:\n  list: site/labels.csv\n  classes: [A, B]\n", ARK_EINVAL, "task_type", NULL, NULL);
    refused("s:\n  list: site/labels.csv\n  task_type: multi-label\n", ARK_EINVAL, "classes", NULL, NULL);
    refused("s:\n  list: site/labels.csv\n  task_type: multi-label\n  classes: [A, A]\n", ARK_EINVAL,
        "'A' twice", NULL, NULL);
    refused("s:\n  list: site/labels.csv\n  task_type: multi-label\n  classes: []\n", ARK_EINVAL, "classes",
        NULL, NULL);
    refused("s:\n  list: site/labels.csv\n  task_type: binary\n  classes: [A, B]\n", ARK_EINVAL, "one column",
        NULL, NULL);
    refused(
        "s:\n  list: none.csv\n  task_type: binary\n  classes: [A]\n", ARK_EIO, "d.yaml:2", "none.csv", NULL);
    refused("s:\n  task_type: binary\n  classes: [A]\n", ARK_EINVAL, "list", NULL, NULL);
    refused("s: 3\n", ARK_EINVAL, "d.yaml:1", "s", NULL);
    refused("[1, 2]\n", ARK_EINVAL, "d.yaml", NULL, NULL);
}

static void datasets_by_name(void **state) {
    (void)state;
    put("a.csv", "path,split,A\n1,train,1\n");
    put("b.csv", "path,split,A\n1,train,1\n2,test,0\n");
    put("d.yaml", "one:\n  list: a.csv\n  task_type: binary\n  classes: [A]\n"
                  "two:\n  list: b.csv\n  task_type: binary\n  classes: A\n"
                  "broken:\n  list: nowhere.csv\n");
    char *path = ark_path_join(dir, "d.yaml");
    ark_datasets *d = NULL;
    const char *names[] = {"two", "one"}; /* a broken entry that is not asked for does no harm */
    assert_int_equal(ark_datasets_read(path, names, 2, &d), ARK_OK);
    assert_string_equal(d->items[0].name, "two");
    assert_int_equal(d->items[0].n, 2);
    assert_int_equal(d->items[1].n, 1);
    ark_datasets_free(d);
    const char *wrong[] = {"tow"}, *twice[] = {"one", "one"};
    assert_int_equal(ark_datasets_read(path, wrong, 1, &d), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "'two'"));
    assert_int_equal(ark_datasets_read(path, twice, 2, &d), ARK_EINVAL);
    ark_free(path);
}

/* The key set and the list layouts of the public Ark configuration file. */
static void public_lists(void **state) {
    (void)state;
    put("lists/nih.txt", "00000001_000.png 0 1 0\n00000002_000.png 1 0 1 0\r\n\n");
    put("lists/tb.txt", "CHNCXR_0001_0.png,0\nCHNCXR 0002 1.png,1\n");
    put("lists/rsna.txt", "a-b.png 2\nc.png 0\n");
    put("lists/rsna1.txt", "a-b.png 0 0 1\n");
    put("lists/covid.txt",
        "3 SARS-1.2_3.jpeg pneumonia cohen\n311a x.png COVID-19 sirm\n3 y.png normal rsna\n");
    put("lists/dr.txt", "5B91F7409CCCE2 0,0,1\n55555555555555 1,0,0\n");
    put("lists/chexpert.csv",
        "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Fracture\n"
        "CheXpert-v1.0/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,-1.0\n"
        "CheXpert-v1.0/train/patient00002/study1/view2_lateral.jpg,Unknown,87,Lateral,,,0.0,\n");
    put("lists/mimic.csv", "image_path,dicom_id,study_id,subject_id,split,Edema,Fracture,No Finding\n"
                           "files/p10/a.jpg,a,50,10,test,,-1.0,1.0\nfiles/p10/b.jpg,b,51,10,test,1.0,0.0,\n");
    put("lists/vindr.csv", "image_id,Lung tumor,No finding\ne0dc2e,0,1\n");
    ark_datasets *all =
        good("NIH: \n  data_dir: /data/nih/images\n  train_list: lists/nih.txt\n  val_list: lists/nih.txt\n"
             "  test_list:  lists/nih.txt\n  diseases: ['Mass', 'Nodule', 'Hernia']\n"
             "  task_type: multi-label classification\n\n"
             "TB:\n  data_dir: tb/\n  test_list: lists/tb.txt\n  diseases: ['TB']\n"
             "  task_type: binary classification\n"
             "RSNA:\n  train_list: lists/rsna.txt\n  test_list: lists/rsna1.txt\n"
             "  diseases: ['Normal', 'No Lung Opacity/Not Normal', 'Lung Opacity']\n"
             "  task_type: multi-class classification\n"
             "COVIDx:\n  train_list: lists/covid.txt\n  diseases: ['normal', 'pneumonia', 'COVID-19']\n"
             "  task_type: multi-class classification\n"
             "ChestDR:\n  test_list: lists/dr.txt\n  suffix: .png\n  diseases: [a, b, c]\n"
             "  task_type: multi-label classification\n"
             "CheXpert:\n  data_dir: /data\n  train_list: lists/chexpert.csv\n"
             "  diseases: ['No Finding', 'Edema', 'Fracture']\n  test_diseases_name: ['Edema']\n"
             "  task_type: multi-label classification\n"
             "MIMIC:\n  data_dir: /data\n  test_list: lists/mimic.csv\n"
             "  diseases: ['No Finding', 'Edema', 'Fracture']\n"
             "  task_type: multi-label classification\n"
             "VinDr:\n  test_list: lists/vindr.csv\n  suffix: .jpeg\n"
             "  diseases: ['No finding']\n  task_type: multi-label classification\n");
    const ark_dataset *d = ark_datasets_find(all, "NIH");
    assert_int_equal(d->n, 6);
    assert_string_equal(d->paths[3], "/data/nih/images/00000002_000.png");
    assert_int_equal(d->rows_n[ARK_VAL], 2);
    assert_labels(d, 0, (const float[]){0, 1, 0});
    assert_labels(d, 5, (const float[]){1, 0, 1});
    assert_int_not_equal(d->patient[0], d->patient[1]);
    d = ark_datasets_find(all, "TB");
    assert_path(d, 1, "tb/CHNCXR 0002 1.png");
    assert_labels(d, 0, (const float[]){0});
    assert_labels(d, 1, (const float[]){1});
    assert_int_equal(d->rows_n[ARK_TEST], 2);
    d = ark_datasets_find(all, "RSNA");
    assert_labels(d, 0, (const float[]){0, 0, 1});
    assert_labels(d, 1, (const float[]){1, 0, 0});
    assert_labels(d, 2, (const float[]){0, 0, 1});
    d = ark_datasets_find(all, "COVIDx");
    assert_path(d, 0, "train/SARS-1.2_3.jpeg"); /* the released loader has a folder per split */
    assert_labels(d, 0, (const float[]){0, 1, 0});
    assert_labels(d, 1, (const float[]){0, 0, 1});
    assert_int_equal(d->patient[0], d->patient[2]);
    assert_int_not_equal(d->patient[0], d->patient[1]);
    d = ark_datasets_find(all, "ChestDR");
    assert_path(d, 1, "55555555555555.png");
    assert_labels(d, 1, (const float[]){1, 0, 0});
    d = ark_datasets_find(all, "CheXpert");
    assert_labels(d, 0, (const float[]){1, NAN, -1});
    assert_labels(d, 1, (const float[]){NAN, 0, NAN});
    assert_int_equal(d->sex[0], 'F');
    assert_int_equal(d->sex[1], 0);
    assert_float_equal(d->age[1], 87, 0);
    assert_int_equal(d->view[0], 'A');
    assert_string_equal(d->test_classes[0], "Edema");
    d = ark_datasets_find(all, "MIMIC"); /* columns by name: their order in the file differs */
    assert_string_equal(d->paths[0], "/data/files/p10/a.jpg");
    assert_labels(d, 0, (const float[]){1, NAN, -1});
    assert_labels(d, 1, (const float[]){NAN, 1, 0});
    assert_int_equal(d->patient[0], d->patient[1]);
    d = ark_datasets_find(all, "VinDr");
    assert_path(d, 0, "e0dc2e.jpeg");
    assert_labels(d, 0, (const float[]){1});
    ark_datasets_free(all);
}

#define LISTED(task) "s:\n  train_list: l.txt\n  classes: [A, B, C]\n  task_type: " task "\n"

static void bad_list_lines(void **state) {
    (void)state;
    static const struct {
        const char *text, *a, *b;
    } multi[] = {
        {"a.png 0 1 0\nb.png 0 1\n", "l.txt:2", "2 numbers"},
        {"a.png 0 1 0 0 0\n", "l.txt:1", "5 numbers"},
        {"a.png 0 2 0\n", "l.txt:1: column 'B'", "'2'"},
        {"a.png 0 nan 0\n", "l.txt:1", NULL},
        {"a.png\n", "l.txt:1", "'a.png'"},
        {"\n\n", "l.txt", "no samples"},
    };
    for (size_t i = 0; i < sizeof multi / sizeof multi[0]; i++) {
        put("l.txt", multi[i].text);
        refused(LISTED("multi-label"), ARK_EFORMAT, multi[i].a, multi[i].b, NULL);
    }
    static const char *const single[] = {"a.png 3\n", "a.png -1\n", "a.png 1.0\n", "a.png 1 1 0\n",
        "a.png 0 0 0\n", "a.png 0 1\n", "a.png 99999999999\n"};
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
        put("l.txt", single[i]);
        refused(LISTED("multi-class"), ARK_EFORMAT, "l.txt:1", NULL, NULL);
    }
    char *path = ark_path_join(dir, "l.txt");
    assert_int_equal(ark_file_write(path, "a.png 0\0 0 0\n", 13), ARK_OK);
    ark_free(path);
    refused(LISTED("multi-label"), ARK_EFORMAT, "NUL", NULL, NULL);
    put("l.txt", "a.png 0 0 0\n");
    refused(LISTED("multi-label") "  exclude: {x: y}\n", ARK_EINVAL, "exclude", "l.txt", NULL);
    refused("s:\n  list: l.txt\n  classes: [A, B, C]\n  task_type: multi-label\n", ARK_EFORMAT, "l.txt",
        "header", NULL);
    refused(LISTED("multi-label") "  format: csv\n", ARK_EFORMAT, "l.txt", NULL, NULL);
}

/* Every allocation may fail: the right status, nothing lost (the sanitizer build looks for leaks). */
static void out_of_memory(void **state) {
    (void)state;
    put("site/labels.csv", "path,patient_id,split,kind,A,B\n1,p,train,x,0,1\n2,q,val,y,1,0\n");
    put("l.txt", "a.png 0 1 0\n");
    put("skip.csv", "path\n5\n");
    put("d.yaml", MULTI "  exclude: {kind: y}\n  exclude_list: skip.csv\n  test_classes: [A]\n"
                        "t:\n  list: site/labels.csv\n  label: kind\n  task_type: multi-class\n"
                        "u:\n  train_list: l.txt\n  classes: [A, B, C]\n  task_type: multi-label\n");
    char *path = ark_path_join(dir, "d.yaml");
    uint64_t before = ark_alloc_get_stats().live_bytes;
    for (uint64_t nth = 1;; nth++) {
        ark_datasets *d = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_datasets_read(path, NULL, 0, &d);
        ark_alloc_fail_after(0);
        if (st == ARK_OK) {
            assert_true(nth > 20);
            ark_datasets_free(d);
            break;
        }
        assert_null(d);
        assert_int_equal(st, ARK_ENOMEM);
        assert_int_equal(ark_alloc_get_stats().live_bytes, before);
    }
    ark_free(path);
}

static void many_rows(void **state) {
    (void)state;
    enum { N = 50000 };
    char *path = ark_path_join(dir, "big.csv");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("path,patient_id,split,A,B,C\n", f);
    for (int i = 0; i < N; i++) {
        fprintf(
            f, "images/%08d.png,p%d,%s,%d,,%d\n", i, i / 3, i % 10 ? "train" : "test", i & 1, -(i % 3 == 0));
    }
    fclose(f);
    ark_datasets *all = good("s:\n  list: big.csv\n  classes: [A, B, C]\n  task_type: multi-label\n");
    const ark_dataset *d = &all->items[0];
    assert_int_equal(d->n, N);
    assert_int_equal(d->rows_n[ARK_TEST], N / 10);
    for (int i = 0; i < N; i++) {
        assert_int_equal(d->patient[i], i / 3);
    }
    assert_path(d, N - 1, "images/00049999.png");
    assert_labels(d, 49998, (const float[]){0, NAN, -1});
    ark_datasets_free(all);
    ark_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_with_every_column),
        cmocka_unit_test(own_column_names_and_options),
        cmocka_unit_test(class_names_in_one_column),
        cmocka_unit_test(rows_left_out),
        cmocka_unit_test(bad_values_name_their_place),
        cmocka_unit_test(bad_entries_name_line_and_key),
        cmocka_unit_test(datasets_by_name),
        cmocka_unit_test(public_lists),
        cmocka_unit_test(bad_list_lines),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(many_rows),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
