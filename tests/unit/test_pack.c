/* Packs: what comes out is what files give, on any number of threads, in several processes. */
#include "unit/pack_case.h"

#include "data/loader.h"

#include <sys/wait.h>
#include <unistd.h>

static void what_files_give(void **state) {
    (void)state;
    ark_datasets *files = read_sets(yaml);
    static const struct {
        const char *name;
        int side;
        ark_pack_codec codec;
    } packs[] = {{"raw", 27, ARK_PACK_RAW}, {"png", 40, ARK_PACK_PNG}, {"own", 0, ARK_PACK_RAW},
        {"own-png", 0, ARK_PACK_PNG}};
    for (size_t k = 0; k < sizeof packs / sizeof *packs; k++) {
        ark_pack_opts o = options(packs[k].side);
        o.codec = packs[k].codec;
        ark_pack_result res = pack(folder(packs[k].name), &o);
        assert_int_equal(res.images, N + M);
        assert_int_equal(res.made, N + M);
        assert_int_equal(res.datasets, 2);
        ark_datasets *packed = read_sets(folder(packs[k].name));
        assert_int_equal(packed->n, 2);
        for (size_t i = 0; i < 2; i++) {
            same_dataset(&files->items[i], &packed->items[i]);
            same_images(&files->items[i], &packed->items[i], packs[k].side, packs[k].codec == ARK_PACK_RAW);
        }
        ark_datasets_free(packed);
        ark_pack_report report;
        must(ark_pack_verify(folder(packs[k].name), &report));
        assert_int_equal(report.damaged, 0);
        assert_int_equal(report.images, N + M);
        assert_int_equal(report.records, N + M + 2 + 4 + 1);
    }
    ark_datasets_free(files);
}

static void lossy(void **state) {
    (void)state;
    ark_pack_opts o = options(40);
    o.codec = ARK_PACK_JPEG;
    o.quality = 95;
    pack(folder("jpeg"), &o);
    ark_pack_opts raw = options(40);
    pack(folder("jpeg-raw"), &raw);
    ark_datasets *a = read_sets(folder("jpeg")), *b = read_sets(folder("jpeg-raw"));
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
        ark_image x, y;
        bool owned_x, owned_y;
        must(ark_dataset_image(&a->items[0], i, NULL, &x, &owned_x));
        must(ark_dataset_image(&b->items[0], i, NULL, &y, &owned_y));
        for (int p = 0; p < 40 * 40; p++) {
            sum += abs(x.px8[p] - y.px8[p]);
        }
        assert_true(owned_x && !owned_y);
        ark_image_free(&x);
    }
    assert_true(sum > 0 && sum / (N * 40 * 40) < 3); /* grey levels */
    ark_datasets_free(a);
    ark_datasets_free(b);
}

/* All student views of a pass, in order. */
static float *views(const ark_dataset *d, ark_split split, ark_views kind, size_t *n, double *wait) {
    ark_loader_opts o = ark_loader_default_opts();
    o.pre = pre;
    o.batch = 20;
    o.width = 2;
    o.cache_mb = 1; /* images of a map are never taken into it */
    ark_source source = {.data = d, .split = split};
    ark_pass p = {.sources = &source, .n_sources = 1, .views = kind};
    ark_loader *l;
    must(ark_loader_new(&o, &l));
    float *all = malloc(10 * N * VIEW * sizeof *all);
    for (int pass = 0; pass < 2; pass++) {
        const ark_batch *b;
        must(ark_loader_begin(l, &p));
        *n = 0;
        for (;;) {
            must(ark_loader_next(l, &b));
            if (!b) {
                break;
            }
            memcpy(all + *n * VIEW, b->student, (size_t)b->rows * VIEW * sizeof *all);
            *n += (size_t)b->rows;
        }
    }
    *wait = ark_loader_wait_s(l);
    ark_loader_free(l);
    return all;
}

static void same_views(const char *name, int side, ark_views kind) {
    ark_pack_opts o = options(side);
    pack(folder(name), &o);
    ark_datasets *files = read_sets(yaml), *packed = read_sets(folder(name));
    size_t n, m;
    double wait;
    float *a = views(&files->items[0], ARK_TEST, kind, &n, &wait);
    float *b = views(&packed->items[0], ARK_TEST, kind, &m, &wait);
    assert_int_equal(n, m);
    assert_true(n >= N / 5);
    assert_memory_equal(a, b, n * VIEW * sizeof *a);
    free(a);
    free(b);
    ark_datasets_free(files);
    ark_datasets_free(packed);
}

/* At the side R a test's crops are those of the files, bit by bit; at the images' own size everything is. */
static void views_of_tests(void **state) {
    (void)state;
    same_views("v1", pre.resize_px, ARK_VIEWS_TEST);
    same_views("v2", pre.resize_px, ARK_VIEWS_TENCROP);
    same_views("v3", 0, ARK_VIEWS_TEST);
    same_views("v4", 0, ARK_VIEWS_PLAIN);
    same_views("v5", 0, ARK_VIEWS_PRETRAIN);
    same_views("v6", 0, ARK_VIEWS_FINETUNE);
}

static void too_small_or_another_filter(void **state) {
    (void)state;
    ark_pack_opts o = options(pre.resize_px - 1);
    pack(folder("small"), &o);
    o.side_px = pre.resize_px;
    o.filter = ARK_BICUBIC;
    pack(folder("cubic"), &o);
    ark_datasets *small = read_sets(folder("small")), *cubic = read_sets(folder("cubic"));
    refused(ark_dataset_fits(&small->items[0], &pre), ARK_EINVAL, "26 x 26", "--size 27");
    refused(ark_dataset_fits(&cubic->items[0], &pre), ARK_EINVAL, "bicubic", "bilinear");
    ark_loader_opts lo = ark_loader_default_opts();
    lo.pre = pre;
    lo.width = 2;
    ark_source source = {.data = &small->items[0], .split = ARK_TEST};
    ark_pass p = {.sources = &source, .n_sources = 1, .views = ARK_VIEWS_TEST};
    ark_loader *l;
    must(ark_loader_new(&lo, &l));
    refused(ark_loader_begin(l, &p), ARK_EINVAL, "small", "--size 27");
    ark_loader_free(l);
    ark_datasets_free(small);
    ark_datasets_free(cubic);
}

/* ---- the same records, several processes ---- */

static void any_threads(void **state) {
    (void)state;
    static record_list one, many;
    ark_pack_opts o = options(20);
    o.threads = 1;
    pack(folder("t1"), &o);
    records(folder("t1"), &one);
    o.threads = 3;
    pack(folder("t3"), &o);
    records(folder("t3"), &many);
    assert_memory_equal(&one, &many, sizeof one);
}

static void several_processes(void **state) {
    (void)state;
    ark_pack_opts o = options(30);
    pack(folder("shared"), &o);
    ark_datasets *files = read_sets(yaml);
    pid_t child[3];
    for (int i = 0; i < 3; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            ark_datasets *d = read_sets(folder("shared"));
            for (int k = 0; k < 5; k++) {
                same_images(&files->items[0], &d->items[0], 30, true);
            }
            ark_datasets_free(d);
            _exit(0);
        }
    }
    for (int i = 0; i < 3; i++) {
        int status;
        assert_int_equal(waitpid(child[i], &status, 0), child[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    char **names;
    size_t n;
    must(ark_list_dir(folder("shared"), &names, &n));
    assert_int_equal(n, 1); /* readers leave nothing beside data.mdb */
    ark_names_free(names, n);
    ark_datasets_free(files);
}

/* ---- entries of a YAML file ---- */

static ark_status read_text(const char *text, ark_datasets **out) {
    char path[256];
    put("p.yaml", text);
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    return ark_datasets_read(path, NULL, 0, out);
}

static void entries(void **state) {
    (void)state;
    ark_pack_opts o = options(20);
    pack(folder("entry"), &o);
    ark_datasets *files = read_sets(yaml), *d;
    must(read_text("a: {pack: entry}\nb:\n  list: b.csv\n  label: kind\n  task_type: multi-class\n", &d));
    same_dataset(&files->items[0], &d->items[0]);
    same_dataset(&files->items[1], &d->items[1]);
    assert_true(d->items[0].pack && !d->items[1].pack);
    ark_datasets_free(d);
    must(read_text("a: {pack: entry, data_dir: /elsewhere, uncertain: mask, missing: mask}\n", &d));
    assert_int_equal(d->items[0].uncertain, ARK_MASK);
    assert_int_equal(d->items[0].missing, ARK_MISSING_MASK);
    assert_string_equal(d->items[0].paths[3], "/elsewhere/im/03.png");
    ark_datasets_free(d);
    refused(read_text("a: {pack: entry, list: a.csv}\n", &d), ARK_EINVAL, "p.yaml:1: a: 'list'", "already");
    refused(read_text("c: {pack: entry}\n", &d), ARK_EINVAL, "no dataset 'c'", "entry");
    refused(read_text("a: {pack: entry, missing: none}\n", &d), ARK_EINVAL, "p.yaml:1: a: missing", "mask");
    refused(read_text("a: {pack: [x]}\n", &d), ARK_EINVAL, "p.yaml:1: a: pack", "folder");
    refused(read_text("a: {pack: nowhere}\n", &d), ARK_EIO, "nowhere/data.mdb", "No such file");
    ark_pack_result r;
    must(read_text("a: {pack: entry}\n", &d));
    ark_datasets_free(d);
    char path[256];
    snprintf(path, sizeof path, "%s/p.yaml", dir);
    refused(ark_pack_write(path, NULL, 0, folder("again"), &o, &r), ARK_EINVAL, "dataset a", "from a pack");
    must(ark_datasets_read(folder("entry"), (const char *const[]){"b"}, 1, &d));
    same_dataset(&files->items[1], &d->items[0]);
    ark_datasets_free(d);
    refused(ark_datasets_read(folder("entry"), (const char *const[]){"bb"}, 1, &d), ARK_EINVAL,
        "no dataset 'bb'", "did you mean");
    ark_datasets_free(files);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_files_give),
        cmocka_unit_test(lossy),
        cmocka_unit_test(views_of_tests),
        cmocka_unit_test(too_small_or_another_filter),
        cmocka_unit_test(any_threads),
        cmocka_unit_test(several_processes),
        cmocka_unit_test(entries),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
