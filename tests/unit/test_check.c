/* The data check: picture hashes against a direct computation, the near search against all pairs,
 * and phantoms with planted duplicates, of which every one must be found and nothing else. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "data/check.h"
#include "synth/synth.h"

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

enum { T = ARK_THUMB };

/* A picture with structure at many scales, w x h, in a continuous plane so that sizes compare. */
static ark_image drawn(int w, int h, int depth) {
    ark_image im;
    assert_int_equal(ark_image_new(w, h, depth, &im), ARK_OK);
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            double u = (x + 0.5) / w, v = (y + 0.5) / h;
            double g = 0.5 + 0.2 * sin(7 * u + 3 * v * v) + 0.15 * cos(19 * v - 4 * u) +
                       0.1 * sin(31 * u * v + 1) + 0.04 * cos(47 * (u - v));
            if (depth == 8) {
                im.px8[y * w + x] = (uint8_t)(255 * g);
            } else {
                im.px16[y * w + x] = (uint16_t)(65535 * g);
            }
        }
    }
    return im;
}

/* Mean over a rectangle of unit squares, pixel by pixel: slow and plain. */
static double cell_mean(const ark_image *im, double x0, double x1, double y0, double y1) {
    double sum = 0;
    for (int y = 0; y < im->height; y++) {
        double dy = fmin(y1, y + 1) - fmax(y0, y);
        for (int x = 0; x < im->width && dy > 0; x++) {
            double dx = fmin(x1, x + 1) - fmax(x0, x);
            if (dx > 0) {
                sum += dx * dy * (im->depth == 8 ? im->px8[y * im->width + x] : im->px16[y * im->width + x]);
            }
        }
    }
    return sum / ((x1 - x0) * (y1 - y0));
}

static void thumbs_are_cell_means(void **state) {
    (void)state;
    static const int sizes[][3] = {
        {64, 64, 8}, {200, 131, 8}, {131, 200, 16}, {40, 50, 8}, {1, 3, 8}, {640, 512, 16}};
    float thumb[T * T];
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        ark_image im = drawn(sizes[s][0], sizes[s][1], sizes[s][2]);
        for (int square = 0; square < 2; square++) {
            double side = fmin(im.width, im.height), w = square ? side : im.width,
                   h = square ? side : im.height;
            double x0 = (im.width - w) / 2, y0 = (im.height - h) / 2;
            ark_thumb(&im, square, thumb);
            for (int i = 0; i < T * T; i += 37) {
                int r = i / T, c = i % T;
                double want = cell_mean(
                    &im, x0 + c * w / T, x0 + (c + 1) * w / T, y0 + r * h / T, y0 + (r + 1) * h / T);
                assert_true(fabs((double)thumb[i] - want) <= 1e-4 * (want + 1));
            }
        }
        ark_image_free(&im);
    }
}

/* The definition, term by term: signs of sum f(y,x) cos cos, lowest frequencies first, dealt to 16 keys. */
static void hash_is_the_sign_of_the_transform(void **state) {
    (void)state;
    static ark_dct dct;
    static float thumb[T * T];
    const double pi = 3.14159265358979323846;
    ark_dct_init(&dct);
    ark_image im = drawn(96, 80, 8);
    ark_thumb(&im, false, thumb);
    ark_phash got = ark_phash_of(&dct, thumb), want = {{0}};
    int rank = 0;
    for (int sum = 1; sum <= 30; sum++) {
        for (int v = 0; v <= sum; v++) {
            int u = sum - v;
            if (u > 15 || v > 15) {
                continue;
            }
            double c = 0;
            for (int y = 0; y < T; y++) {
                for (int x = 0; x < T; x++) {
                    c += (double)thumb[y * T + x] * cos(pi * (2 * y + 1) * v / (2 * T)) *
                         cos(pi * (2 * x + 1) * u / (2 * T));
                }
            }
            int bit = rank % 16 * 16 + rank / 16;
            want.w[bit / 64] |= (uint64_t)(c > 0) << bit % 64;
            rank++;
        }
    }
    assert_int_equal(rank, 255);
    assert_true(ark_phash_distance(&got, &want) <= 1);             /* a sum next to zero may round */
    for (int turn = ARK_TURN_NEGATIVE; turn < ARK_TURNS; turn++) { /* the hash of the turned image */
        static float turned[T * T];
        ark_phash bits = ark_phash_turned((ark_turn)turn);
        for (int i = 0; i < T * T; i++) {
            turned[i] = turn == ARK_TURN_NEGATIVE ? 255 - thumb[i] : thumb[i / T * T + T - 1 - i % T];
        }
        want = ark_phash_of(&dct, turned);
        for (int w = 0; w < 4; w++) {
            bits.w[w] ^= got.w[w];
        }
        assert_true(ark_phash_distance(&bits, &want) <= 1);
    }
    assert_false(ark_phash_flat(&got));
    memset(im.px8, 7, 96 * 80);
    ark_thumb(&im, true, thumb);
    got = ark_phash_of(&dct, thumb);
    assert_true(ark_phash_flat(&got));
    ark_image_free(&im);
}

static void random_hashes(ark_phash *h, size_t n, uint64_t seed) {
    ark_rng r = ark_rng_at(seed, ARK_RNG_TEST, 0, 0, 0);
    for (size_t i = 0; i < n; i++) { /* every third is a copy of an earlier one with up to 60 bits turned */
        if (i % 3 == 2) {
            h[i] = h[ark_rng_below(&r, (uint32_t)i)];
            uint32_t turns = ark_rng_below(&r, 60);
            for (uint32_t k = 0; k < turns; k++) {
                uint32_t bit = ark_rng_below(&r, 255);
                h[i].w[bit / 64] ^= (uint64_t)1 << bit % 64;
            }
        } else {
            for (int w = 0; w < 4; w++) {
                h[i].w[w] = (uint64_t)ark_rng_u32(&r) << 32 | ark_rng_u32(&r);
            }
        }
        h[i].w[3] &= ~((uint64_t)1 << 63);
    }
    h[5].w[3] |= (uint64_t)1 << 63; /* flat: in no pair */
    h[6] = h[5];
}

static void near_search_finds_all_pairs(void **state) {
    (void)state;
    enum { N = 3000 };
    static ark_phash h[N];
    static const int radii[] = {0, 1, 15, 16, 31, 32, 47};
    random_hashes(h, N, 9);
    for (size_t k = 0; k < sizeof radii / sizeof radii[0]; k++) {
        for (int threads = 1; threads <= 3; threads += 2) {
            ark_near_pair *pairs;
            size_t n, at = 0;
            bool complete;
            assert_int_equal(
                ark_near_pairs(h, N, radii[k], NULL, 1000000, threads, &pairs, &n, &complete), ARK_OK);
            assert_true(complete);
            for (uint32_t a = 0; a < N; a++) {
                for (uint32_t b = a + 1; b < N && !ark_phash_flat(&h[a]); b++) {
                    int d = ark_phash_distance(&h[a], &h[b]);
                    if (d <= radii[k] && !ark_phash_flat(&h[b])) {
                        assert_true(at < n);
                        assert_true(pairs[at].a == a && pairs[at].b == b && pairs[at].distance == d);
                        at++;
                    }
                }
            }
            assert_int_equal(at, n);
            ark_free(pairs);
        }
    }
    ark_near_pair *pairs;
    size_t n;
    bool complete;
    assert_int_equal(ark_near_pairs(h, N, 47, NULL, 10, 2, &pairs, &n, &complete), ARK_OK);
    assert_false(complete);
    assert_int_equal(n, 10);
    ark_free(pairs);
    assert_int_equal(ark_near_pairs(h, 0, 31, NULL, 10, 2, &pairs, &n, &complete), ARK_OK);
    assert_int_equal(n, 0);
    ark_free(pairs);
}

/* --- planted duplicates --- */

static char dir[64];

static int make_phantoms(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-check-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    ark_synth_opts o = ark_synth_default_opts();
    ark_synth_result r;
    o.images = 24;
    o.side = 96;
    return ark_synth_write(dir, &o, &r) == ARK_OK ? 0 : -1;
}

static int remove_phantoms(void **state) {
    (void)state;
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

static ark_check *checked(const ark_check_opts *o) {
    char *path = ark_path_join(dir, "datasets.yaml");
    ark_check *c = NULL;
    if (ark_check_run(path, NULL, 0, o, &c) != ARK_OK) {
        fail_msg("%s", ark_err_msg());
    }
    ark_free(path);
    return c;
}

/* First image of a set in a split, other than the `skip` first ones. */
static uint32_t pick(const ark_check *c, size_t set, ark_split split, size_t skip) {
    const ark_check_set *s = &c->sets[set];
    assert_true(s->data->rows_n[split] > skip);
    return (uint32_t)s->first + s->data->rows[split][skip];
}

static char *copy_path(const ark_check *c, uint32_t image) {
    size_t sample;
    const ark_check_set *s = ark_check_locate(c, image, &sample);
    return ark_strdup(s->data->paths[sample]);
}

typedef enum change { BYTES, PIXELS, JPEG, HALF, BRIGHT, GAMMA, NEGATIVE, MIRROR, CHANGES } change;

/* Write what `change` makes of one image over another. */
static void plant(const char *from, const char *to, change how) {
    if (how == BYTES) {
        char *bytes;
        size_t n;
        assert_int_equal(ark_file_read(from, 1 << 26, &bytes, &n), ARK_OK);
        assert_int_equal(ark_file_write(to, bytes, n), ARK_OK);
        ark_free(bytes);
        return;
    }
    ark_image im;
    assert_int_equal(ark_image_read(from, NULL, &im), ARK_OK);
    assert_int_equal(im.depth, 8);
    int w = im.width, h = im.height;
    for (int i = 0; i < w * h && how >= BRIGHT; i++) {
        double g = im.px8[i] / 255.0;
        g = how == BRIGHT ? 1.15 * g + 0.06 : how == GAMMA ? pow(g, 0.75) : how == NEGATIVE ? 1 - g : g;
        im.px8[i] = (uint8_t)(255 * (g > 1 ? 1 : g) + 0.5);
    }
    for (int y = 0; y < h && how == MIRROR; y++) {
        for (int x = 0; x < w / 2; x++) {
            uint8_t left = im.px8[y * w + x];
            im.px8[y * w + x] = im.px8[y * w + w - 1 - x];
            im.px8[y * w + w - 1 - x] = left;
        }
    }
    if (how == HALF) {
        ark_resizer *r;
        uint8_t *half = ark_malloc((size_t)w * (size_t)h);
        assert_int_equal(ark_resizer_new(&r), ARK_OK);
        assert_int_equal(
            ark_resize8(r, im.px8, w, h, (size_t)w, NULL, half, w / 2 - 3, h / 2, ARK_BICUBIC), ARK_OK);
        assert_int_equal(ark_png_write(to, w / 2 - 3, h / 2, 1, half), ARK_OK);
        ark_resizer_free(r);
        ark_free(half);
    } else if (how == PIXELS) {
        uint8_t *rgb = ark_malloc(3 * (size_t)w * (size_t)h);
        for (int i = 0; i < 3 * w * h; i++) {
            rgb[i] = im.px8[i / 3];
        }
        assert_int_equal(ark_png_write(to, w, h, 3, rgb), ARK_OK);
        ark_free(rgb);
    } else {
        assert_int_equal(ark_jpeg_write(to, w, h, im.px8, how == JPEG ? 40 : 90), ARK_OK);
    }
    ark_image_free(&im);
}

static size_t overlap(const ark_check *c, size_t of, ark_split of_split, size_t in, ark_split in_split) {
    return c->overlap[(3 * in + in_split) * 3 * c->n_sets + 3 * of + of_split];
}

static void phantoms_have_none(void **state) {
    (void)state;
    ark_check_opts o = ark_check_default_opts();
    o.near_bits = ARK_NEAR_MAX;
    ark_check *c = checked(&o);
    assert_int_equal(c->n, 5 * 24);
    assert_int_equal(c->n_groups, 0);
    assert_int_equal(c->leaks, 0);
    assert_int_equal(c->n_bad + c->n_errors, 0);
    assert_int_equal(c->dropped[ARK_KEEP], c->n);
    ark_check_free(c);
}

static void planted_duplicates_are_found(void **state) {
    (void)state;
    ark_check_opts o = ark_check_default_opts();
    o.threads = 1;
    ark_check *c = checked(&o);
    uint32_t pair[CHANGES][2];
    for (int i = 0; i < CHANGES;
         i++) { /* training images of one set over test images of the same or another */
        size_t to = i < 2 ? 0 : 1 + (size_t)i % 3;
        pair[i][0] = pick(c, 0, ARK_TRAIN, (size_t)i);
        pair[i][1] = pick(c, to, ARK_TEST, i < 2 ? (size_t)i : (size_t)i / 3);
        char *a = copy_path(c, pair[i][0]), *b = copy_path(c, pair[i][1]);
        plant(a, b, (change)i);
        ark_free(a);
        ark_free(b);
    }
    ark_check_free(c);
    c = checked(&o);
    assert_int_equal(c->n_groups, CHANGES);
    assert_int_equal(c->leaks, CHANGES);
    assert_int_equal(c->dropped[ARK_DROP_PICTURE], CHANGES);
    for (int i = 0; i < CHANGES; i++) {
        assert_int_equal(c->members[c->start[i]], pair[i][0]);
        assert_int_equal(c->members[c->start[i] + 1], pair[i][1]);
        assert_int_equal(c->match[pair[i][1]], i == BYTES    ? ARK_MATCH_FILE
                                               : i == PIXELS ? ARK_MATCH_PIXELS
                                                             : ARK_MATCH_NEAR);
        assert_int_equal(c->drop[pair[i][0]], ARK_DROP_PICTURE); /* the training image goes, the test stays */
        assert_int_equal(c->drop[pair[i][1]], ARK_KEEP);
        assert_true(c->leaked[pair[i][1]]);
    }
    assert_int_equal(overlap(c, 0, ARK_TEST, 0, ARK_TRAIN), 2);
    assert_int_equal(overlap(c, 1, ARK_TEST, 0, ARK_TRAIN), 2); /* 3 and 6 */
    assert_int_equal(overlap(c, 2, ARK_TEST, 0, ARK_TRAIN), 2);
    assert_int_equal(overlap(c, 3, ARK_TEST, 0, ARK_TRAIN), 2);
    assert_true(ark_check_leaks(0, 5));
    assert_false(ark_check_leaks(5, 0));
    o.threads = 3; /* the same for any number of threads */
    ark_check *again = checked(&o);
    assert_memory_equal(c->match, again->match, c->n);
    assert_memory_equal(c->distance, again->distance, c->n);
    assert_memory_equal(c->members, again->members, 2 * CHANGES * sizeof *c->members);
    ark_check_free(again);
    o.near_bits = -1;
    again = checked(&o);
    assert_int_equal(again->n_groups, 2); /* equal bytes and equal pixels */
    ark_check_free(again);
    o.images = false;
    again = checked(&o);
    assert_int_equal(again->n_groups, 0);
    ark_check_free(again);
    ark_check_free(c);
}

static void exclusions_take_them_out(void **state) {
    (void)state;
    ark_check_opts o = ark_check_default_opts();
    ark_check *c = checked(&o);
    uint32_t train = pick(c, 0, ARK_TRAIN, 0), bad = pick(c, 1, ARK_VAL, 0);
    char *a = copy_path(c, train), *b = copy_path(c, pick(c, 3, ARK_VAL, 0)), *d = copy_path(c, bad);
    plant(a, b, JPEG);
    assert_int_equal(ark_file_write(d, "not an image", 12), ARK_OK);
    ark_check_free(c);
    c = checked(&o);
    assert_int_equal(c->n_bad, 1);
    assert_int_equal(c->bad[0].image, bad);
    assert_non_null(strstr(c->bad[0].reason, ark_path_base(d)));
    assert_int_equal(c->drop[bad], ARK_DROP_UNREADABLE);
    char *list = ark_path_join(dir, "out.csv"), *yaml = ark_path_join(dir, "datasets.yaml");
    assert_int_equal(ark_check_write_exclusions(c, list), ARK_OK);
    ark_datasets *all;
    assert_int_equal(ark_datasets_read(yaml, NULL, 0, &all), ARK_OK);
    size_t before = all->items[0].rows_n[ARK_TRAIN];
    assert_int_equal(ark_datasets_exclude(all, list), ARK_OK);
    assert_int_equal(all->items[0].rows_n[ARK_TRAIN], before - 1);
    assert_int_equal(all->items[0].dropped[ARK_TRAIN], 1);
    assert_int_equal(all->items[1].dropped[ARK_VAL], 1);
    for (size_t i = 0; i < all->items[0].rows_n[ARK_TRAIN]; i++) {
        assert_string_not_equal(all->items[0].paths[all->items[0].rows[ARK_TRAIN][i]], a);
    }
    /* again: nothing is left that the list names, so it is about other files */
    assert_int_equal(ark_datasets_exclude(all, list), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "out.csv:2"));
    ark_datasets_free(all);
    char text[300];
    snprintf(text, sizeof text, "image,dataset,split\nx.png,elsewhere,train\n");
    assert_int_equal(ark_file_write(list, text, strlen(text)), ARK_OK);
    assert_int_equal(ark_datasets_read(yaml, NULL, 0, &all), ARK_OK);
    assert_int_equal(ark_datasets_exclude(all, list), ARK_OK); /* of a dataset that is not here */
    snprintf(text, sizeof text, "image,dataset\nx.png,elsewhere\n");
    assert_int_equal(ark_file_write(list, text, strlen(text)), ARK_OK);
    assert_int_equal(ark_datasets_exclude(all, list), ARK_EFORMAT);
    ark_datasets_free(all);
    ark_check_free(c);
    ark_free(a);
    ark_free(b);
    ark_free(d);
    ark_free(list);
    ark_free(yaml);
}

static void put(const char *name, const char *text) {
    char *path = ark_path_join(dir, name);
    assert_int_equal(ark_file_write(path, text, strlen(text)), ARK_OK);
    ark_free(path);
}

/* Patients, class counts, a set that cannot be read, equal paths; no image is opened. */
static void lists_alone(void **state) {
    (void)state;
    put("a.csv", "path,patient,split,A\n1.png,p1,train,1\n2.png,p1,val,0\n3.png,p2,train,-1\n4.png,p2,test,\n"
                 "5.png,p3,test,1\n6.png,,train,1\n7.png,,test,1\n8.png,p4,val,0\n9.png,p4,test,0\n");
    put("b.csv", "path,split,A\n5.png,train,0\n");
    put("datasets.yaml", "a:\n  list: a.csv\n  task_type: binary\n  classes: [A]\n"
                         "broken:\n  list: a.csv\n  task_type: binary\n  classes: [B]\n"
                         "b:\n  list: b.csv\n  task_type: binary\n  classes: [A]\n");
    ark_check_opts o = ark_check_default_opts();
    o.images = false;
    ark_check *c = checked(&o);
    assert_int_equal(c->n, 10);
    assert_int_equal(c->n_errors, 1);
    assert_non_null(strstr(c->sets[1].error, "a.csv"));
    const ark_check_set *a = &c->sets[0];
    assert_int_equal(a->shared[ARK_TRAIN_VAL], 1);
    assert_int_equal(a->shared[ARK_TRAIN_TEST], 1);
    assert_int_equal(a->shared[ARK_VAL_TEST], 1);
    assert_int_equal(a->patients[ARK_TRAIN], 3);
    assert_int_equal(a->labels[ARK_TRAIN][0].positive, 2);
    assert_int_equal(a->labels[ARK_TRAIN][0].uncertain, 1);
    assert_int_equal(a->labels[ARK_TEST][0].missing, 1);
    assert_int_equal(a->labels[ARK_VAL][0].negative, 2);
    assert_int_equal(c->n_groups, 1); /* 5.png: test of a, train of b */
    assert_int_equal(overlap(c, 0, ARK_TEST, 2, ARK_TRAIN), 1);
    const uint8_t drop[10] = {
        ARK_DROP_PATIENT, 0, ARK_DROP_PATIENT, 0, 0, 0, 0, ARK_DROP_PATIENT, 0, ARK_DROP_PICTURE};
    assert_memory_equal(c->drop, drop, 10);
    const uint8_t leaked[10] = {0, 1, 0, 1, 1, 0, 0, 0, 1, 0};
    assert_memory_equal(c->leaked, leaked, 10);
    assert_int_equal(c->leaks, 4);
    ark_check_free(c);
    /* the same picture twice in one set, with different labels */
    put("a.csv", "path,split,A,B\n1.png,train,1,\n1.png,train,0,1\n");
    put("datasets.yaml", "a:\n  list: a.csv\n  task_type: multi-label\n  classes: [A, B]\n");
    c = checked(&o);
    assert_int_equal(c->sets[0].conflicts, 1);
    assert_int_equal(c->leaks, 0);
    ark_check_free(c);
}

/* Lack of memory anywhere ends the check with an error and leaves nothing behind. */
static void out_of_memory(void **state) {
    (void)state;
    put("a.csv", "path,patient,split,A\n1.png,p1,train,1\n2.png,p1,val,0\n");
    put("datasets.yaml", "a:\n  list: a.csv\n  task_type: binary\n  classes: [A]\n");
    ark_check_opts o = ark_check_default_opts();
    o.threads = 1;
    char *path = ark_path_join(dir, "datasets.yaml");
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st == ARK_ENOMEM && nth < 2000; nth++) {
        ark_check *c = NULL;
        ark_alloc_fail_after(nth);
        st = ark_check_run(path, NULL, 0, &o, &c);
        ark_alloc_fail_after(0);
        ark_check_free(c);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
    assert_int_equal(st, ARK_OK);
    ark_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thumbs_are_cell_means),
        cmocka_unit_test(hash_is_the_sign_of_the_transform),
        cmocka_unit_test(near_search_finds_all_pairs),
        cmocka_unit_test_setup_teardown(phantoms_have_none, make_phantoms, remove_phantoms),
        cmocka_unit_test_setup_teardown(planted_duplicates_are_found, make_phantoms, remove_phantoms),
        cmocka_unit_test_setup_teardown(exclusions_take_them_out, make_phantoms, remove_phantoms),
        cmocka_unit_test_setup_teardown(lists_alone, make_phantoms, remove_phantoms),
        cmocka_unit_test_setup_teardown(out_of_memory, make_phantoms, remove_phantoms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
