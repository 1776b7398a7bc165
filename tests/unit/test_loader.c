/* Loader: same bytes for any number of workers and any point of resume, every sample once, bad files, labels,
 * cache, memory. Also run under the thread sanitizer. */
#include "base/alloc.h"
#include "base/file.h"
#include "data/loader.h"

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

enum { N = 23, K = 3, S = 12, VIEW = 3 * S * S };

static char dir[64];
static char path_text[N][128], *paths[N];
static float labels[N * K];
static uint8_t split[N];
static uint32_t train_rows[N], test_rows[N];
static ark_dataset data;

static const char *path_of(int i) {
    snprintf(path_text[i], sizeof path_text[i], "%s/%02d.png", dir, i);
    return path_text[i];
}

/* 23 little pictures that all differ; every fourth is a test image. */
static int make_data(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-loader-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    data = (ark_dataset){.name = "d",
        .task = ARK_MULTILABEL,
        .n_classes = K,
        .n = N,
        .paths = paths,
        .labels = labels,
        .split = split};
    data.rows[ARK_TRAIN] = train_rows;
    data.rows[ARK_TEST] = test_rows;
    for (int i = 0; i < N; i++) {
        uint8_t px[40 * 30];
        int w = 17 + i, h = 30 - i / 2;
        for (int p = 0; p < w * h; p++) {
            px[p] = (uint8_t)((p % w) * (3 + i) + (p / w) * 5 + i * 31);
        }
        paths[i] = (char *)(uintptr_t)path_of(i);
        if (ark_png_write(paths[i], w, h, 1, px) != ARK_OK) {
            return -1;
        }
        split[i] = i % 4 == 3 ? ARK_TEST : ARK_TRAIN;
        data.rows[split[i]][data.rows_n[split[i]]++] = (uint32_t)i;
        labels[i * K] = (float)(i & 1);
        labels[i * K + 1] = -1;
        labels[i * K + 2] = NAN;
    }
    return 0;
}

static int remove_data(void **state) {
    (void)state;
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

static ark_loader_opts small(int batch, int workers) {
    ark_loader_opts o = ark_loader_default_opts();
    o.seed = 42;
    o.batch = batch;
    o.workers = workers;
    o.width = K;
    o.pre = ark_preproc_default(S);
    return o;
}

static ark_loader *loader(const ark_loader_opts *o) {
    ark_loader *l;
    assert_int_equal(ark_loader_new(o, &l), ARK_OK);
    return l;
}

static const ark_source train = {.data = &data, .id = 7, .split = ARK_TRAIN};

static ark_pass pretrain(uint32_t epoch) {
    return (ark_pass){
        .sources = &train, .n_sources = 1, .views = ARK_VIEWS_PRETRAIN, .shuffle = true, .epoch = epoch};
}

/* Everything a pass delivers. */
typedef struct record {
    size_t n, batches;
    uint32_t sample[4 * N], source[4 * N];
    float student[4 * N][VIEW], teacher[4 * N][VIEW], labels[4 * N][K], mask[4 * N][K];
} record;

static ark_status run(ark_loader *l, const ark_pass *p, record *r) {
    memset(r, 0, sizeof *r);
    ark_status st = ark_loader_begin(l, p);
    const ark_batch *b;
    while (st == ARK_OK && (st = ark_loader_next(l, &b)) == ARK_OK && b) {
        r->batches++;
        for (int i = 0; i < b->n; i++, r->n++) {
            assert_true(r->n < 4 * N);
            r->sample[r->n] = b->sample[i];
            r->source[r->n] = b->source[i];
            memcpy(r->student[r->n], b->student + i * VIEW, sizeof r->student[0]);
            if (b->teacher) {
                memcpy(r->teacher[r->n], b->teacher + i * VIEW, sizeof r->teacher[0]);
            }
            memcpy(r->labels[r->n], b->labels + i * K, sizeof r->labels[0]);
            memcpy(r->mask[r->n], b->mask + i * K, sizeof r->mask[0]);
        }
    }
    return st;
}

static record *new_record(void) {
    record *r = malloc(sizeof *r);
    assert_non_null(r);
    return r;
}

static void good_run(const ark_loader_opts *o, const ark_pass *p, record *r) {
    ark_loader *l = loader(o);
    assert_int_equal(run(l, p, r), ARK_OK);
    ark_loader_free(l);
}

static void any_number_of_workers(void **state) {
    (void)state;
    record *one = new_record(), *many = new_record();
    ark_loader_opts o = small(4, 1);
    ark_pass p = pretrain(3);
    good_run(&o, &p, one);
    assert_int_equal(one->n, data.rows_n[ARK_TRAIN]);
    for (int workers = 2; workers <= 4; workers += 2) {
        for (int ring = 2; ring <= 5; ring += 3) {
            o.workers = workers;
            o.ring = ring;
            good_run(&o, &p, many);
            assert_memory_equal(one, many, sizeof *one);
        }
    }
    o.batch = 3; /* nor does a sample depend on its batch */
    good_run(&o, &p, many);
    many->batches = one->batches;
    assert_memory_equal(one, many, sizeof *one);
    free(one);
    free(many);
}

static void resume_gives_the_tail(void **state) {
    (void)state;
    record *whole = new_record(), *tail = new_record();
    ark_loader_opts o = small(4, 2);
    ark_loader *l = loader(&o);
    ark_pass p = pretrain(5);
    assert_int_equal(run(l, &p, whole), ARK_OK);
    for (size_t first = 1; first <= 6; first++) {
        p.first_batch = first;
        assert_int_equal(run(l, &p, tail), ARK_OK);
        size_t skip = first * 4 < whole->n ? first * 4 : whole->n;
        assert_int_equal(tail->n, whole->n - skip);
        assert_memory_equal(tail->sample, whole->sample + skip, tail->n * sizeof(uint32_t));
        assert_memory_equal(tail->student, whole->student + skip, tail->n * sizeof tail->student[0]);
        assert_memory_equal(tail->teacher, whole->teacher + skip, tail->n * sizeof tail->teacher[0]);
    }
    ark_loader_free(l);
    free(whole);
    free(tail);
}

static void every_sample_once(void **state) {
    (void)state;
    record *a = new_record(), *b = new_record();
    ark_loader_opts o = small(5, 2);
    ark_loader *l = loader(&o);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        ark_pass p = pretrain(epoch);
        assert_int_equal(run(l, &p, a), ARK_OK);
        int seen[N] = {0};
        for (size_t i = 0; i < a->n; i++) {
            seen[a->sample[i]]++;
        }
        for (int i = 0; i < N; i++) {
            assert_int_equal(seen[i], split[i] == ARK_TRAIN);
        }
        assert_memory_not_equal(a->sample, b->sample, a->n * sizeof(uint32_t)); /* another order each epoch */
        memcpy(b, a, sizeof *a);
    }
    ark_pass p = pretrain(2);
    assert_int_equal(run(l, &p, a), ARK_OK);
    assert_memory_equal(a, b, sizeof *a); /* and the same again for the same epoch */
    p.shuffle = false;
    assert_int_equal(run(l, &p, a), ARK_OK);
    assert_memory_equal(a->sample, data.rows[ARK_TRAIN], a->n * sizeof(uint32_t));
    assert_int_equal(ark_loader_batches(l), 4);
    assert_true(ark_loader_wait_s(l) >= 0);
    ark_loader_free(l);
    o.drop_last = true;
    l = loader(&o);
    assert_int_equal(run(l, &p, a), ARK_OK);
    assert_int_equal(a->n, 15); /* of 18 */
    assert_int_equal(ark_loader_batches(l), 3);
    p.views = ARK_VIEWS_TEST; /* a test never leaves a sample out */
    assert_int_equal(run(l, &p, a), ARK_OK);
    assert_int_equal(a->n, 18);
    ark_loader_free(l);
    free(a);
    free(b);
}

static void what_the_teacher_sees(void **state) {
    (void)state;
    record *r = new_record();
    float plain[VIEW];
    ark_loader_opts o = small(4, 2);
    ark_pass p = pretrain(0);
    good_run(&o, &p, r);
    for (size_t i = 0; i < r->n; i++) {
        assert_int_equal(ark_load_plain(paths[r->sample[i]], &o.pre, NULL, plain), ARK_OK);
        assert_memory_equal(r->teacher[i], plain, sizeof plain);
        assert_memory_not_equal(r->student[i], plain, sizeof plain);
    }
    o.teacher_geometry = true; /* without an intensity change both are then the same picture */
    ark_augment a = ark_augment_pretrain();
    a.intensity_p = 0;
    p.augment = &a;
    good_run(&o, &p, r);
    assert_memory_equal(r->teacher, r->student, r->n * sizeof r->student[0]);
    a.intensity_p = 1;
    good_run(&o, &p, r);
    size_t differ = 0;
    for (size_t i = 0; i < r->n; i++) {
        differ += memcmp(r->teacher[i], r->student[i], sizeof r->student[0]) != 0;
    }
    assert_true(differ + 2 >= r->n); /* a drawn curve may happen to change nothing */
    free(r);
}

static void other_views(void **state) {
    (void)state;
    record *r = new_record();
    ark_loader_opts o = small(25, 2);
    ark_source test = {.data = &data, .id = 7, .split = ARK_TEST};
    ark_pass p = {.sources = &test, .n_sources = 1, .views = ARK_VIEWS_PLAIN};
    float plain[VIEW], centre[VIEW], ten[10 * VIEW];
    good_run(&o, &p, r);
    assert_int_equal(r->n, 5);
    assert_int_equal(ark_load_plain(paths[r->sample[4]], &o.pre, NULL, plain), ARK_OK);
    assert_memory_equal(r->student[4], plain, sizeof plain);
    ark_viewer *v;
    ark_image im;
    assert_int_equal(ark_viewer_new(&o.pre, &v), ARK_OK);
    assert_int_equal(ark_image_read(paths[3], NULL, &im), ARK_OK);
    assert_int_equal(ark_viewer_centre(v, &im, centre), ARK_OK);
    assert_int_equal(ark_viewer_ten(v, &im, ten), ARK_OK);
    p.views = ARK_VIEWS_TEST;
    good_run(&o, &p, r);
    assert_memory_equal(r->student[0], centre, sizeof centre);
    for (int batch = 1; batch <= 25; batch += 24) { /* 1 and 2 samples a batch */
        o.batch = batch;
        ark_loader *l = loader(&o);
        p.views = ARK_VIEWS_TENCROP;
        const ark_batch *b;
        assert_int_equal(ark_loader_begin(l, &p), ARK_OK);
        assert_int_equal(ark_loader_next(l, &b), ARK_OK);
        assert_int_equal(b->n, batch == 1 ? 1 : 2);
        assert_int_equal(b->rows, 10 * b->n);
        assert_null(b->teacher);
        assert_memory_equal(b->student, ten, sizeof ten);
        assert_int_equal(ark_loader_batches(l), batch == 1 ? 5 : 3);
        ark_loader_free(l);
    }
    p.views = ARK_VIEWS_FINETUNE;
    good_run(&o, &p, r);
    assert_int_equal(r->n, 5);
    ark_image_free(&im);
    ark_viewer_free(v);
    free(r);
}

static void labels_and_masks(void **state) {
    (void)state;
    record *r = new_record(), *again = new_record();
    ark_loader_opts o = small(4, 2);
    ark_pass p = pretrain(0);
    static const struct {
        ark_uncertain rule;
        float lo, hi, mask;
    } rules[] = {{ARK_LSR_ONES, 0.55f, 0.85f, 1}, {ARK_LSR_ZEROS, 0, 0.3f, 1}, {ARK_ONES, 1, 1, 1},
        {ARK_ZEROS, 0, 0, 1}, {ARK_MASK, 0, 0, 0}};
    for (size_t k = 0; k < 5; k++) {
        data.uncertain = rules[k].rule;
        p.epoch = 0;
        good_run(&o, &p, r);
        float min = 9, max = -9;
        for (size_t i = 0; i < r->n; i++) {
            assert_true(r->labels[i][0] == (float)(r->sample[i] & 1) && r->mask[i][0] == 1);
            assert_true(r->labels[i][1] >= rules[k].lo && r->labels[i][1] <= rules[k].hi);
            assert_true(r->mask[i][1] == rules[k].mask);
            assert_true(r->labels[i][2] == 0 && r->mask[i][2] == 0);
            min = fminf(min, r->labels[i][1]);
            max = fmaxf(max, r->labels[i][1]);
        }
        assert_true(max - min > 0.5f * (rules[k].hi - rules[k].lo) || rules[k].hi == rules[k].lo);
        p.epoch = 1; /* drawn once for the whole run */
        good_run(&o, &p, again);
        for (size_t i = 0; i < r->n; i++) {
            for (size_t j = 0; j < r->n; j++) {
                assert_true(r->sample[i] != again->sample[j] || r->labels[i][1] == again->labels[j][1]);
            }
        }
    }
    data.uncertain = ARK_LSR_ONES;
    data.missing = ARK_MISSING_ZERO;
    good_run(&o, &p, r);
    assert_true(r->labels[0][2] == 0 && r->mask[0][2] == 1);
    data.missing = ARK_MISSING_MASK;
    free(r);
    free(again);
}

/* Concurrent training: two datasets in one order, their classes in columns of a union. */
static void mixed_sources(void **state) {
    (void)state;
    record *r = new_record();
    static const int columns[K] = {2, 0, 1};
    ark_source both[2] = {train, {.data = &data, .id = 8, .split = ARK_TEST, .columns = columns}};
    ark_pass p = pretrain(0);
    p.sources = both;
    p.n_sources = 2;
    ark_loader_opts o = small(4, 2);
    good_run(&o, &p, r);
    assert_int_equal(r->n, N);
    size_t changes = 0;
    for (size_t i = 0; i < r->n; i++) {
        assert_int_equal(split[r->sample[i]], r->source[i] == 0 ? ARK_TRAIN : ARK_TEST);
        assert_true(r->labels[i][r->source[i] == 0 ? 0 : 2] == (float)(r->sample[i] & 1));
        assert_true(r->mask[i][r->source[i] == 0 ? 2 : 1] == 0);
        changes += i && r->source[i] != r->source[i - 1];
    }
    assert_true(changes > 2); /* mixed, not one after the other */
    free(r);
}

static void break_file(int i, bool broken) {
    char aside[160];
    snprintf(aside, sizeof aside, "%s.aside", paths[i]);
    if (broken) {
        assert_int_equal(rename(paths[i], aside), 0);
        assert_int_equal(ark_file_write(paths[i], "\x89PNG\r\n\x1a\nno more", 15), ARK_OK);
    } else {
        assert_int_equal(rename(aside, paths[i]), 0);
    }
}

static void bad_file_ends_the_pass(void **state) {
    (void)state;
    record *r = new_record();
    ark_pass p = pretrain(0);
    p.shuffle = false;
    break_file(14, true); /* samples 0 1 2 4 | 5 6 8 9 | 10 12 13 14 */
    for (int workers = 1; workers <= 4; workers += 3) {
        ark_loader_opts o = small(4, workers);
        ark_loader *l = loader(&o);
        assert_int_equal(run(l, &p, r), ARK_EFORMAT);
        assert_non_null(strstr(ark_err_msg(), paths[14]));
        assert_int_equal(r->n, 8); /* what came before is delivered */
        const ark_batch *b;
        assert_int_equal(ark_loader_next(l, &b), ARK_OK); /* the pass is over */
        assert_null(b);
        ark_source test = {.data = &data, .id = 7, .split = ARK_TEST};
        ark_pass q = {.sources = &test, .n_sources = 1, .views = ARK_VIEWS_PLAIN};
        assert_int_equal(run(l, &q, r), ARK_OK); /* the loader goes on */
        ark_loader_free(l);
    }
    break_file(14, false);
    free(r);
}

static void bad_files_left_out(void **state) {
    (void)state;
    record *whole = new_record(), *r = new_record(), *first = new_record();
    ark_pass p = pretrain(0);
    p.shuffle = false;
    ark_loader_opts o = small(4, 1);
    o.on_bad = ARK_BAD_SKIP;
    good_run(&o, &p, whole);
    static const int bad[] = {1, 5, 6, 8, 9, 22}; /* the whole second batch among them */
    for (int i = 0; i < 6; i++) {
        break_file(bad[i], true);
    }
    for (int workers = 1; workers <= 4; workers++) {
        o.workers = workers;
        ark_loader *l = loader(&o);
        const char *message;
        assert_int_equal(run(l, &p, r), ARK_OK);
        assert_int_equal(ark_loader_skipped(l, &message), 6);
        assert_non_null(strstr(message, paths[1]));
        assert_int_equal(r->n, whole->n - 6);
        assert_int_equal(r->batches, whole->batches - 1);
        for (size_t i = 0, j = 0; i < whole->n; i++) {
            bool is_bad = false;
            for (int k = 0; k < 6; k++) {
                is_bad |= whole->sample[i] == (uint32_t)bad[k];
            }
            if (!is_bad) { /* the others are what they were */
                assert_int_equal(r->sample[j], whole->sample[i]);
                assert_memory_equal(r->student[j], whole->student[i], sizeof r->student[0]);
                assert_memory_equal(r->teacher[j], whole->teacher[i], sizeof r->teacher[0]);
                assert_memory_equal(r->labels[j], whole->labels[i], sizeof r->labels[0]);
                j++;
            }
        }
        if (workers == 1) {
            memcpy(first, r, sizeof *r);
        }
        assert_memory_equal(first, r, sizeof *r);
        ark_loader_free(l);
    }
    for (int i = 0; i < 6; i++) {
        break_file(bad[i], false);
    }
    free(whole);
    free(r);
    free(first);
}

static void stop_anywhere(void **state) {
    (void)state;
    ark_loader_opts o = small(2, 4);
    ark_pass p = pretrain(0);
    for (int taken = 0; taken < 5; taken++) {
        ark_loader *l = loader(&o);
        const ark_batch *b;
        for (int again = 0; again < 3; again++) { /* begin in mid-pass */
            assert_int_equal(ark_loader_begin(l, &p), ARK_OK);
            for (int i = 0; i < taken; i++) {
                assert_int_equal(ark_loader_next(l, &b), ARK_OK);
                assert_non_null(b);
                assert_int_equal(b->index, i);
            }
        }
        ark_loader_free(l); /* free in mid-pass */
    }
    ark_loader *l = loader(&o);
    const ark_batch *b;
    assert_int_equal(ark_loader_next(l, &b), ARK_OK); /* no pass yet */
    assert_null(b);
    ark_loader_free(l);
    ark_loader_free(NULL);
}

static void cache_changes_nothing(void **state) {
    (void)state;
    record *bare = new_record(), *cached = new_record();
    ark_loader_opts o = small(4, 3);
    ark_pass p = pretrain(1);
    good_run(&o, &p, bare);
    o.cache_mb = 1;
    ark_loader *l = loader(&o);
    assert_int_equal(run(l, &p, cached), ARK_OK);
    assert_memory_equal(bare, cached, sizeof *bare);
    assert_int_equal(run(l, &p, cached), ARK_OK);
    assert_memory_equal(bare, cached, sizeof *bare);
    ark_loader_free(l);
    o.workers = 1; /* so that one worker's buffers see every image in the first pass */
    l = loader(&o);
    assert_int_equal(run(l, &p, cached), ARK_OK);
    uint64_t calls = ark_alloc_get_stats().calls;
    for (int k = 0; k < 3; k++) {
        assert_int_equal(run(l, &p, cached), ARK_OK);
        assert_memory_equal(bare, cached, sizeof *bare);
    }
    /* With all images in the cache and no decoder at work, passes 2..N allocate nothing. */
    assert_int_equal(ark_alloc_get_stats().calls, calls);
    ark_loader_free(l);
    free(bare);
    free(cached);
}

static void memory_stays_the_same(void **state) {
    (void)state;
    record *r = new_record();
    ark_loader_opts o = small(4, 2);
    ark_loader *l = loader(&o);
    uint64_t live = 0;
    for (uint32_t epoch = 0; epoch < 6; epoch++) {
        ark_pass p = pretrain(epoch);
        assert_int_equal(run(l, &p, r), ARK_OK);
        if (epoch == 2) { /* by now every worker's buffers have seen the largest image */
            live = ark_alloc_get_stats().live_bytes;
        }
        assert_true(epoch < 3 || ark_alloc_get_stats().live_bytes <= live + 4096);
    }
    ark_loader_free(l);
    free(r);
}

static void refused_options(void **state) {
    (void)state;
    ark_loader *l = NULL;
    ark_loader_opts o = small(0, 1);
    assert_int_equal(ark_loader_new(&o, &l), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "batch"));
    o = small(4, 0);
    assert_int_equal(ark_loader_new(&o, &l), ARK_EINVAL);
    o = small(4, 1);
    o.ring = 1;
    assert_int_equal(ark_loader_new(&o, &l), ARK_EINVAL);
    assert_null(l);
    o = small(4, 1);
    o.width = 2;
    l = loader(&o);
    ark_pass p = pretrain(0);
    assert_int_equal(ark_loader_begin(l, &p), ARK_EINVAL); /* three classes do not fit */
    ark_source val = {.data = &data, .split = ARK_VAL};
    p.sources = &val;
    data.n_classes = 2;
    assert_int_equal(ark_loader_begin(l, &p), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "val split of d"));
    data.n_classes = K;
    const ark_batch *b;
    assert_int_equal(ark_loader_next(l, &b), ARK_OK);
    assert_null(b);
    ark_loader_free(l);
}

/* Every allocation from construction to the end of a pass may fail, on any thread: an
 * error, no hang, no leak. */
static void out_of_memory(void **state) {
    (void)state;
    record *r = new_record();
    ark_loader_opts o = small(4, 2);
    o.on_bad = ARK_BAD_SKIP; /* lack of memory is not a bad sample */
    ark_pass p = pretrain(0);
    uint64_t before = ark_alloc_get_stats().live_bytes;
    for (uint64_t nth = 1;; nth += nth < 60 ? 1 : 7) {
        ark_loader *l = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_loader_new(&o, &l);
        if (st == ARK_OK) {
            st = run(l, &p, r);
        }
        ark_alloc_fail_after(0);
        ark_loader_free(l);
        assert_int_equal(ark_alloc_get_stats().live_bytes, before);
        if (st == ARK_OK) {
            assert_true(nth > 20);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
    }
    free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_number_of_workers),
        cmocka_unit_test(resume_gives_the_tail),
        cmocka_unit_test(every_sample_once),
        cmocka_unit_test(what_the_teacher_sees),
        cmocka_unit_test(other_views),
        cmocka_unit_test(labels_and_masks),
        cmocka_unit_test(mixed_sources),
        cmocka_unit_test(bad_file_ends_the_pass),
        cmocka_unit_test(bad_files_left_out),
        cmocka_unit_test(stop_anywhere),
        cmocka_unit_test(cache_changes_nothing),
        cmocka_unit_test(memory_stays_the_same),
        cmocka_unit_test(refused_options),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, remove_data);
}
