/* Phantoms: projections against closed forms, truth against masks and pixels, labels
 * against truth, determinism. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "synth/cohort.h"
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
#include <unistd.h>

static const double PI = 3.14159265358979323846;

static double sum(const ark_canvas *c) {
    double total = 0;
    for (int i = 0; i < c->side * c->side; i++) {
        total += (double)c->px[i];
    }
    return total / c->side / c->side;
}

/* The integral of a map is the volume of the body: pi r^2 times length for a tube, whatever its size in
 * pixels. Across its axis a tube of radius r shows the chord 2 sqrt(r^2 - d^2). */
static void tubes_have_their_volume(void **state) {
    (void)state;
    const double radius[] = {0.001, 0.004, 0.02, 0.1};
    ark_canvas c;
    assert_int_equal(ark_canvas_new(200, &c), ARK_OK);
    for (int i = 0; i < 4; i++) {
        const ark_waypoint path[] = {{0.3, 0.503, 0}, {0.7, 0.503, 0.4}};
        ark_canvas_fill(&c, 0);
        ark_canvas_tube(&c, path, 2, radius[i], radius[i], 1);
        double volume = PI * radius[i] * radius[i] * 0.4;
        assert_true(fabs(sum(&c) - volume) < 0.02 * volume);
    }
    for (int j = 83; j <= 118; j++) { // the last tube, radius 0.1; its edge is one pixel soft
        double d = (j + 0.5) / 200 - 0.503;
        assert_true(fabs((double)c.px[j * 200 + 100] - 2 * sqrt(0.01 - d * d)) < 0.004);
    }
    const ark_waypoint slanted[] = {{0.3, 0.5, 0}, {0.7, 0.5, 0.8}}; // twice as long in space: twice as dense
    ark_canvas_fill(&c, 0);
    ark_canvas_tube(&c, slanted, 2, 0.02, 0.02, 1);
    assert_true(fabs(sum(&c) - PI * 0.0004 * 0.8) < 0.02 * PI * 0.0004 * 0.8);
    ark_canvas_free(&c);
}

/* A blurred point has the variance of the Gaussian; a constant stays. */
static void blur_is_gaussian(void **state) {
    (void)state;
    ark_canvas c, tmp;
    assert_int_equal(ark_canvas_new(41, &c), ARK_OK);
    assert_int_equal(ark_canvas_new(41, &tmp), ARK_OK);
    c.px[20 * 41 + 20] = 1;
    ark_canvas_blur(&c, 2, &tmp);
    double total = 0, var = 0;
    for (int i = 0; i < 41 * 41; i++) {
        total += (double)c.px[i];
        var += (double)c.px[i] * (i % 41 - 20) * (i % 41 - 20);
    }
    assert_true(fabs(total - 1) < 1e-5);
    assert_true(fabs(var - 4) < 0.4); // cut at 2.5 standard deviations
    ark_canvas_fill(&c, 3);
    ark_canvas_blur(&c, 2, &tmp);
    for (int i = 0; i < 41 * 41; i++) {
        assert_true(fabsf(c.px[i] - 3) < 1e-5f);
    }
    ark_canvas_free(&c);
    ark_canvas_free(&tmp);
}

/* An image without findings, of patient and examination `who`. */
static void plain_case(ark_case *k, uint32_t who, bool child) {
    ark_hospital h = ark_cohort_specs[0].hospital;
    *k = (ark_case){.id = {11, 0, who, who}};
    ark_rng rng = ark_synth_rng(&k->id, who, ARK_SYNTH_PATIENT);
    ark_patient_draw(&k->patient, &rng, child);
    rng = ark_synth_rng(&k->id, who, ARK_SYNTH_EXAM);
    ark_exam_draw(&k->exam, &rng, &h);
    ark_anatomy_build(&k->anatomy, &k->patient, &k->exam);
}

static void add_finding(ark_case *k, ark_finding_kind kind) {
    ark_rng rng = ark_synth_rng(&k->id, k->id.patient, ARK_SYNTH_FINDINGS + (uint32_t)kind);
    ark_finding_draw(&k->exam, &k->patient, &k->anatomy, kind, &rng);
}

/* Width of the set pixels of a mask in columns. */
static int mask_width(const uint8_t *mask, int side) {
    int lo = side, hi = -1;
    for (int i = 0; i < side * side; i++) {
        if (mask[i]) {
            lo = i % side < lo ? i % side : lo;
            hi = i % side > hi ? i % side : hi;
        }
    }
    return hi - lo + 1;
}

/* What a radiologist would measure on the masks is the ratio in truth.csv. */
static void cardiothoracic_ratio_is_measured(void **state) {
    (void)state;
    enum { SIDE = 200 };
    ark_scene s;
    assert_int_equal(ark_scene_new(SIDE, &s), ARK_OK);
    for (uint32_t who = 0; who < 30; who++) {
        ark_case k;
        plain_case(&k, who, who % 5 == 4);
        k.exam.roll = 0; // a ruler is laid along the image's rows
        k.exam.scale = 0.95;
        ark_anatomy_build(&k.anatomy, &k.patient, &k.exam);
        if (who % 2) {
            add_finding(&k, ARK_FINDING_CARDIOMEGALY);
        }
        ark_scene_render(&s, &k.anatomy, &k.id);
        double ratio = (double)mask_width(s.mask_heart, SIDE) / mask_width(s.mask_lungs, SIDE);
        assert_true(fabs(ratio - k.patient.ctr) < 0.02);
        assert_true((k.patient.ctr > 0.5) == (who % 2 == 1));
        assert_true(k.exam.nfindings == (int)(who % 2));
    }
    ark_scene_free(&s);
}

/* Lungs, heart and clavicles: of plausible size, apart, and darker or brighter than each other as on film. */
static void masks_fit_the_image(void **state) {
    (void)state;
    enum { SIDE = 160 };
    ark_scene s;
    assert_int_equal(ark_scene_new(SIDE, &s), ARK_OK);
    for (uint32_t who = 0; who < 12; who++) {
        ark_case k;
        plain_case(&k, who, who % 3 == 2);
        ark_scene_render(&s, &k.anatomy, &k.id);
        ark_detector_read(&s, &k.exam, &ark_cohort_specs[0].hospital, &k.id);
        double lungs = 0, heart = 0, bone = 0, lung_grey = 0, heart_grey = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            assert_false(s.mask_lungs[i] && s.mask_heart[i]);
            lungs += s.mask_lungs[i] / 255.0;
            heart += s.mask_heart[i] / 255.0;
            bone += s.mask_clavicles[i] / 255.0;
            lung_grey += s.mask_lungs[i] ? s.grey[i] : 0;
            heart_grey += s.mask_heart[i] ? s.grey[i] : 0;
            assert_true(s.mask_clavicles[i] == 0 || s.bone.px[i] > 0);
        }
        double all = SIDE * SIDE;
        assert_true(lungs > 0.18 * all && lungs < 0.42 * all);
        assert_true(heart > 0.04 * all && heart < 0.16 * all);
        assert_true(bone > 0.008 * all && bone < 0.035 * all);
        assert_true(heart_grey / heart > lung_grey / lungs + 50);
    }
    ark_scene_free(&s);
}

/* With and without a finding the same patient differs where the truth says, and nowhere else. */
static void findings_are_where_the_truth_says(void **state) {
    (void)state;
    enum { SIDE = 128 };
    ark_scene with, without;
    assert_int_equal(ark_scene_new(SIDE, &with), ARK_OK);
    assert_int_equal(ark_scene_new(SIDE, &without), ARK_OK);
    for (int kind = 0; kind < ARK_FINDING_COUNT; kind++) {
        for (uint32_t who = 0; who < 8; who++) {
            ark_case k;
            plain_case(&k, who, false);
            ark_scene_render(&without, &k.anatomy, &k.id);
            add_finding(&k, (ark_finding_kind)kind);
            ark_scene_render(&with, &k.anatomy, &k.id);
            double inside = 0, other_lung = 0, far = 0;
            const ark_finding *f = &k.exam.findings[0];
            ark_point at = ark_project(&k.anatomy, f->x, f->y, 0);
            double size = ark_finding_extent(&k.anatomy, f);
            for (int i = 0; i < SIDE * SIDE; i++) {
                double x = (i % SIDE + 0.5) / SIDE, y = (i / SIDE + 0.5) / SIDE;
                double change = fabs((double)(with.exponent.px[i] - without.exponent.px[i]));
                double away = hypot(x - at.x, y - at.y);
                bool same_side = (ark_unproject(&k.anatomy, x, y).x < 0) == (f->side == ARK_RIGHT);
                inside = away < 0.5 * size + 0.01 && change > inside ? change : inside;
                far = away > 2.2 * size && change > far ? change : far;
                other_lung = !same_side && without.mask_lungs[i] && change > other_lung ? change : other_lung;
            }
            assert_true(inside > 0.08);
            bool one_sided = kind != ARK_FINDING_CARDIOMEGALY && kind != ARK_FINDING_CONSOLIDATION_PATCHY;
            assert_true(!one_sided || other_lung < 0.02);
            assert_true((kind != ARK_FINDING_NODULE && kind != ARK_FINDING_CAVITY) || far < 0.01);
            assert_true(at.x > 0.05 && at.x < 0.95 && at.y > 0.05 && at.y < 0.95);
        }
    }
    ark_scene_free(&with);
    ark_scene_free(&without);
}

/* Free air is darker and empty of vessels; fluid is whiter. */
static void air_is_dark_and_fluid_white(void **state) {
    (void)state;
    enum { SIDE = 128 };
    ark_scene with, without;
    assert_int_equal(ark_scene_new(SIDE, &with), ARK_OK);
    assert_int_equal(ark_scene_new(SIDE, &without), ARK_OK);
    for (uint32_t who = 0; who < 8; who++) {
        ark_case k;
        plain_case(&k, who, false);
        ark_scene_render(&without, &k.anatomy, &k.id);
        add_finding(&k, ARK_FINDING_PNEUMOTHORAX);
        add_finding(&k, ARK_FINDING_EFFUSION);
        ark_scene_render(&with, &k.anatomy, &k.id);
        double gas = 0, fluid = 0;
        int gas_n = 0, fluid_n = 0;
        for (int i = 0; i < SIDE * SIDE; i++) {
            double change = (double)(with.exponent.px[i] - without.exponent.px[i]);
            if (with.cover.px[i] > 0.99f && with.gas.px[i] > 0.99f && with.fill.px[i] < 0.01f) {
                gas += change;
                gas_n++;
            } else if (with.cover.px[i] > 0.99f && with.fill.px[i] > 0.8f) {
                fluid += change;
                fluid_n++;
            }
        }
        assert_true(gas_n == 0 || gas / gas_n < -0.1);
        assert_true(fluid_n == 0 || fluid / fluid_n > 0.3);
        assert_true(gas_n + fluid_n > 40);
    }
    ark_scene_free(&with);
    ark_scene_free(&without);
}

/* A scene is the same scene at any size. */
static void size_is_a_sampling(void **state) {
    (void)state;
    ark_scene small, large;
    assert_int_equal(ark_scene_new(64, &small), ARK_OK);
    assert_int_equal(ark_scene_new(256, &large), ARK_OK);
    ark_case k;
    plain_case(&k, 3, false);
    add_finding(&k, ARK_FINDING_NODULE);
    ark_scene_render(&small, &k.anatomy, &k.id);
    ark_scene_render(&large, &k.anatomy, &k.id);
    double err = 0;
    for (int j = 0; j < 64; j++) {
        for (int i = 0; i < 64; i++) {
            double mean = 0;
            for (int q = 0; q < 16; q++) {
                mean += (double)large.exponent.px[(4 * j + q / 4) * 256 + 4 * i + q % 4] / 16;
            }
            err += fabs(mean - (double)small.exponent.px[j * 64 + i]) / 4096;
        }
    }
    assert_true(err < 0.05); // of exponents from 0 to 5
    ark_scene_free(&small);
    ark_scene_free(&large);
}

/* Soft tissue over the lower ribs tells the sexes apart (Mann-Whitney), in adults. */
static void sex_is_visible(void **state) {
    (void)state;
    enum { SIDE = 64, N = 80 };
    ark_scene s;
    assert_int_equal(ark_scene_new(SIDE, &s), ARK_OK);
    double score[N];
    bool female[N];
    for (uint32_t who = 0; who < N; who++) {
        ark_case k;
        plain_case(&k, who, false);
        ark_scene_render(&s, &k.anatomy, &k.id);
        double low = 0, high = 0;
        for (int side = -1; side <= 1; side += 2) {
            ark_point a = ark_project(&k.anatomy, side * 0.22, 0.64, 0),
                      b = ark_project(&k.anatomy, side * 0.22, 0.30, 0);
            low += (double)s.body.px[(int)(a.y * SIDE) * SIDE + (int)(a.x * SIDE)];
            high += (double)s.body.px[(int)(b.y * SIDE) * SIDE + (int)(b.x * SIDE)];
        }
        score[who] = low - high;
        female[who] = k.patient.female;
    }
    double wins = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            if (female[i] && !female[j]) {
                wins += score[i] > score[j] ? 1 : 0;
                pairs++;
            }
        }
    }
    assert_true(pairs > 1000);
    assert_true(wins / pairs > 0.9);
    ark_scene_free(&s);
}

static bool truth_has(const ark_cohort_spec *spec, int class, unsigned findings) {
    unsigned want = spec->classes[class].findings;
    return want ? (findings & want) != 0 : findings == 0;
}

/* Test labels are the truth. Report labels differ from it by about the stated noise.
 * Every split has positives. */
static void labels_follow_the_truth(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ark_cohort_spec_count; d++) {
        ark_cohort c;
        assert_int_equal(ark_cohort_new(3, d, 1000, &c), ARK_OK);
        const ark_cohort_spec *spec = c.spec;
        int classes = ark_cohort_classes(spec), positives[ARK_SPLITS][ARK_COHORT_CLASSES_MAX] = {{0}};
        int wrong = 0, right = 0, unsure = 0, blank = 0, in_split[ARK_SPLITS] = {0};
        for (uint32_t i = 0; i < c.nimages; i++) {
            ark_case k;
            int labels[ARK_COHORT_CLASSES_MAX], ones = 0, split = c.patients[c.images[i].patient].split;
            ark_cohort_case(&c, i, &k);
            ark_cohort_labels(&c, i, &k, labels);
            in_split[split]++;
            for (int q = 0; q < classes; q++) {
                bool there = truth_has(spec, q, k.findings);
                positives[split][q] += there;
                ones += labels[q] == 1;
                assert_true(labels[q] >= ARK_LABEL_BLANK && labels[q] <= 1);
                assert_true(split != ARK_SPLIT_TEST || labels[q] == (int)there);
                if (split != ARK_SPLIT_TEST && spec->classes[q].findings) {
                    unsure += labels[q] == -1;
                    blank += labels[q] == ARK_LABEL_BLANK;
                    wrong += labels[q] == (int)!there;
                    right += labels[q] == (int)there;
                }
            }
            assert_true(spec->task != ARK_MULTICLASS || ones == 1);
        }
        for (int q = 0; q < classes; q++) {
            assert_true(positives[0][q] > 0 && positives[1][q] > 0 && positives[2][q] > 0);
            double share = (double)(positives[0][q] + positives[1][q] + positives[2][q]) / c.nimages;
            assert_true(share > 0.08 && share < 0.45);
        }
        assert_true(fabs((double)in_split[ARK_SPLIT_TRAIN] / c.nimages - spec->train) < 0.05);
        assert_true(fabs((double)in_split[ARK_SPLIT_VAL] / c.nimages - spec->val) < 0.04);
        double rate = (double)wrong / (wrong + right);
        assert_true(rate > 0.008 && rate < 0.06);
        assert_true((unsure > 0) == (spec->uncertain > 0) && (blank > 0) == (spec->blank > 0));
        ark_cohort_free(&c);
    }
}

/* The smallest size that is accepted still has two patients in every split. */
static void smallest_cohort(void **state) {
    (void)state;
    for (uint32_t d = 0; d < ark_cohort_spec_count; d++) {
        for (uint64_t seed = 0; seed < 50; seed++) {
            ark_cohort c;
            int n[ARK_SPLITS] = {0};
            assert_int_equal(ark_cohort_new(seed, d, ARK_SYNTH_IMAGES_MIN, &c), ARK_OK);
            for (uint32_t i = 0; i < c.npatients; i++) {
                n[c.patients[i].split]++;
            }
            assert_true(n[0] >= 2 && n[1] >= 2 && n[2] >= 2);
            ark_cohort_free(&c);
        }
    }
}

static char *temp_dir(void) {
    char name[] = "synth-XXXXXX";
    char *made = mkdtemp(name);
    assert_non_null(made);
    return ark_strdup(made);
}

static void expect_same_tree(const char *a, const char *b, int *files) {
    char **na, **nb;
    size_t ca, cb;
    assert_int_equal(ark_list_dir(a, &na, &ca), ARK_OK);
    assert_int_equal(ark_list_dir(b, &nb, &cb), ARK_OK);
    assert_int_equal(ca, cb);
    for (size_t i = 0; i < ca; i++) {
        assert_string_equal(na[i], nb[i]);
        char *pa = ark_path_join(a, na[i]), *pb = ark_path_join(b, nb[i]);
        if (ark_path_is_dir(pa)) {
            expect_same_tree(pa, pb, files);
        } else {
            char *da, *db;
            size_t la, lb;
            assert_int_equal(ark_file_read(pa, 1 << 24, &da, &la), ARK_OK);
            assert_int_equal(ark_file_read(pb, 1 << 24, &db, &lb), ARK_OK);
            assert_int_equal(la, lb);
            assert_memory_equal(da, db, la);
            ark_free(da);
            ark_free(db);
            ++*files;
        }
        ark_free(pa);
        ark_free(pb);
    }
    ark_names_free(na, ca);
    ark_names_free(nb, cb);
}

/* Severity 1 leaves only the plainest: no finding is smaller, the mean effusion and lobe are larger. */
static void severity_makes_findings_plainer(void **state) {
    (void)state;
    double size[2] = {0}, strength[2] = {0};
    int n[2] = {0};
    for (int s = 0; s < 2; s++) {
        ark_cohort c;
        assert_int_equal(ark_cohort_new(4, 0, 200, &c), ARK_OK);
        c.severity = s;
        for (uint32_t i = 0; i < c.nimages; i++) {
            ark_case *k = calloc(1, sizeof *k);
            ark_cohort_case(&c, i, k);
            for (int f = 0; f < k->exam.nfindings; f++) {
                size[s] += k->exam.findings[f].size;
                strength[s] += k->exam.findings[f].strength;
                n[s]++;
            }
            free(k);
        }
        ark_cohort_free(&c);
    }
    assert_int_equal(n[0], n[1]);
    assert_true(size[1] > 1.2 * size[0]);
    assert_true(strength[1] > strength[0]);
}

static void same_bytes_for_any_thread_count(void **state) {
    (void)state;
    char *one = temp_dir(), *two = temp_dir();
    ark_synth_opts o = ark_synth_default_opts();
    ark_synth_result r, again;
    o.images = 20;
    o.side = 48;
    assert_int_equal(ark_synth_write(one, &o, &r), ARK_OK);
    o.threads = 3;
    assert_int_equal(ark_synth_write(two, &o, &again), ARK_OK);
    int files = 0;
    expect_same_tree(one, two, &files);
    assert_int_equal(files, r.files);
    assert_int_equal(r.images, 20 * (int)ark_cohort_spec_count);
    assert_int_equal(r.datasets, again.datasets);
    assert_int_equal(r.images, again.images);
    assert_int_equal(r.patients, again.patients);
    assert_int_equal(r.files, again.files);

    assert_int_equal(ark_synth_write(two, &o, &again), ARK_EINVAL); // not empty
    assert_non_null(strstr(ark_err_msg(), "not empty"));
    o.replace = true;
    assert_int_equal(ark_synth_write(two, &o, &again), ARK_OK);
    files = 0;
    expect_same_tree(one, two, &files);

    ark_synth_opts other = o;
    other.seed = 2;
    assert_int_equal(ark_synth_write(two, &other, &again), ARK_OK);
    char *a, *b;
    size_t na, nb;
    char *pa = ark_path_join(one, "lakeside/images/LS00000_0.png"),
         *pb = ark_path_join(two, "lakeside/images/LS00000_0.png");
    assert_int_equal(ark_file_read(pa, 1 << 20, &a, &na), ARK_OK);
    assert_int_equal(ark_file_read(pb, 1 << 20, &b, &nb), ARK_OK);
    assert_true(na != nb || memcmp(a, b, na) != 0);
    ark_free(a);
    ark_free(b);
    ark_free(pa);
    ark_free(pb);
    assert_int_equal(ark_rmtree(one), ARK_OK);
    assert_int_equal(ark_rmtree(two), ARK_OK);
    ark_free(one);
    ark_free(two);
}

static void options_are_checked(void **state) {
    (void)state;
    ark_synth_result r;
    ark_synth_opts o = ark_synth_default_opts();
    o.images = 19;
    assert_int_equal(ark_synth_write("synth-none", &o, &r), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "19"));
    o.images = INT64_MAX;
    assert_int_equal(ark_synth_write("synth-none", &o, &r), ARK_EINVAL);
    o.images = 20;
    o.side = 31;
    assert_int_equal(ark_synth_write("synth-none", &o, &r), ARK_EINVAL);
    o.side = 2049;
    assert_int_equal(ark_synth_write("synth-none", &o, &r), ARK_EINVAL);
    assert_false(ark_path_exists("synth-none"));
}

/* Every allocation in turn fails: the right status, and (under a leak checker) nothing left behind. */
static void out_of_memory(void **state) {
    (void)state;
    char *dir = temp_dir();
    ark_synth_opts o = ark_synth_default_opts();
    ark_synth_result r;
    o.images = 20;
    o.side = 32;
    o.replace = true;
    for (uint64_t nth = 1; nth <= 60; nth++) {
        ark_alloc_fail_after(nth);
        ark_status st = ark_synth_write(dir, &o, &r);
        ark_alloc_fail_after(0);
        assert_int_equal(st, ARK_ENOMEM);
    }
    assert_int_equal(ark_rmtree(dir), ARK_OK);
    ark_free(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tubes_have_their_volume),
        cmocka_unit_test(blur_is_gaussian),
        cmocka_unit_test(cardiothoracic_ratio_is_measured),
        cmocka_unit_test(masks_fit_the_image),
        cmocka_unit_test(findings_are_where_the_truth_says),
        cmocka_unit_test(air_is_dark_and_fluid_white),
        cmocka_unit_test(size_is_a_sampling),
        cmocka_unit_test(sex_is_visible),
        cmocka_unit_test(labels_follow_the_truth),
        cmocka_unit_test(smallest_cohort),
        cmocka_unit_test(severity_makes_findings_plainer),
        cmocka_unit_test(same_bytes_for_any_thread_count),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
