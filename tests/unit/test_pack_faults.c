/* Packs: stops, damage, unreadable images, full disks, no memory. */
#include "unit/pack_case.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool stop_at_once(void *user) {
    (void)user;
    return true;
}

static void stops(void **state) {
    (void)state;
    static record_list one, many;
    ark_pack_opts o = options(20);
    o.threads = 1;
    pack(folder("t1"), &o);
    records(folder("t1"), &one);
    /* Stopped after the first round of images, and after each one on. */
    ark_pack_result r;
    o.threads = 1;
    o.should_stop = stop_at_once;
    assert_int_equal(ark_pack_write(yaml, NULL, 0, folder("stopped"), &o, &r), ARK_EINTERRUPTED);
    ark_datasets *d;
    refused(ark_datasets_read(folder("stopped"), NULL, 0, &d), ARK_EFORMAT, "8 of 67 images", "--resume");
    refused(ark_datasets_read(folder("stopped"), NULL, 0, &d), ARK_EFORMAT, "arkfm data pack", yaml);
    ark_pack_report report;
    refused(ark_pack_verify(folder("stopped"), &report), ARK_EFORMAT, "interrupted", "--resume");
    refused(ark_pack_write(yaml, NULL, 0, folder("stopped"), &o, &r), ARK_EINVAL, "8 of 67", "--resume");
    o.resume = true;
    assert_int_equal(ark_pack_write(yaml, NULL, 0, folder("stopped"), &o, &r), ARK_EINTERRUPTED);
    o.should_stop = NULL;
    o.side_px = o.filter = -1;
    o.quality = 0;
    o.codec = 0;
    r = pack(folder("stopped"), &o);
    assert_int_equal(r.made, N + M - 16);
    assert_int_equal(r.side_px, 20);
    records(folder("stopped"), &many);
    assert_memory_equal(&one, &many, sizeof one);
    r = pack(folder("stopped"), &o); /* nothing left to do */
    assert_int_equal(r.made, 0);
    o.resume = false;
    o = options(20);
    refused(ark_pack_write(yaml, NULL, 0, folder("stopped"), &o, &r), ARK_EINVAL, "holds a pack", "another");
}

/* Without names, --resume goes on with the datasets that the pack was begun with. */
static void resuming_some_datasets(void **state) {
    (void)state;
    ark_pack_opts o = options(20);
    ark_pack_result r;
    o.threads = 1;
    o.should_stop = stop_at_once;
    assert_int_equal(
        ark_pack_write(yaml, (const char *const[]){"a"}, 1, folder("some"), &o, &r), ARK_EINTERRUPTED);
    o.should_stop = NULL;
    o.resume = true;
    r = pack(folder("some"), &o);
    assert_int_equal(r.datasets, 1);
    assert_int_equal(r.images, N);
    assert_int_equal(r.made, N - 8);
}

static void resuming_something_else(void **state) {
    (void)state;
    ark_pack_opts o = options(20);
    ark_pack_result r;
    o.threads = 1;
    o.should_stop = stop_at_once;
    assert_int_equal(ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINTERRUPTED);
    o.should_stop = NULL;
    o.resume = true;
    o.side_px = 21;
    refused(ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINVAL, "size 20", "not 21");
    o.side_px = -1;
    o.codec = ARK_PACK_PNG;
    refused(ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINVAL, "codec raw", "not png");
    o.codec = 0;
    o.filter = ARK_BICUBIC;
    refused(
        ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINVAL, "filter bilinear", "not bicubic");
    o.filter = -1;
    refused(ark_pack_write(yaml, (const char *const[]){"b"}, 1, folder("other"), &o, &r), ARK_EINVAL,
        "2 datasets", "not 1");
    put("b.csv", "path,split,kind\nim/00.png,train,cat\nim/01.png,test,dog\n");
    refused(ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINVAL, "of b have changed",
        "another folder");
    write_lists();
    char path[256], other[256];
    snprintf(path, sizeof path, "%s/im/00.png", dir);
    snprintf(other, sizeof other, "%s/im/kept", dir);
    assert_int_equal(rename(path, other), 0);
    must(ark_png_write(path, 3, 3, 1, (const uint8_t[9]){0}));
    refused(
        ark_pack_write(yaml, NULL, 0, folder("other"), &o, &r), ARK_EINVAL, "00.png has changed", "bytes");
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(pack(folder("other"), &o).made, N + M - 8);
}

/* ---- damage ---- */

/* What a pack says, as one number; or its refusal. */
static ark_status digest(const unsigned char *bytes, size_t n, uint32_t *out) {
    ark_mdb *m;
    ark_pack *p;
    ark_datasets *all;
    uint32_t sum = 0;
    ARK_TRY(ark_mdb_parse(bytes, n, "mem", &m));
    ARK_TRY(ark__pack_adopt(m, "mem", &p));
    ark_status st = ark__pack_read_datasets(p, NULL, 0, &all);
    ark_pack_unref(p);
    ARK_TRY(st);
    for (size_t i = 0; i < all->n && st == ARK_OK; i++) {
        const ark_dataset *d = &all->items[i];
        for (size_t s = 0; s < d->n && st == ARK_OK; s++) {
            ark_image im;
            bool owned;
            st = ark_dataset_image(d, s, NULL, &im, &owned);
            for (int k = 0; st == ARK_OK && k < im.width * im.height; k++) {
                sum = sum * 31 + im.px8[k];
            }
            for (int k = 0; k < d->n_classes; k++) {
                float v = d->labels[s * (size_t)d->n_classes + (size_t)k];
                sum = sum * 31 + (isnan(v) ? 7u : (uint32_t)(v + 3));
            }
            if (st == ARK_OK && owned) {
                ark_image_free(&im);
            }
        }
    }
    ark_datasets_free(all);
    *out = sum;
    return st;
}

static unsigned char *read_pack(const char *of, size_t *n) {
    char *bytes, *path = ark_path_join(of, "data.mdb");
    must(ark_file_read(path, SIZE_MAX / 2, &bytes, n));
    ark_free(path);
    return (unsigned char *)bytes;
}

static void damage_never_passes(void **state) {
    (void)state;
    size_t n, refusals = 0;
    uint32_t want, got;
    ark_pack_opts o = options(20);
    pack(folder("damage"), &o);
    unsigned char *bytes = read_pack(folder("damage"), &n);
    must(digest(bytes, n, &want));
    ark_rng r = ark_rng_at(3, ARK_RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 1500; i++) {
        size_t at = ark_rng_below(&r, (uint32_t)n);
        unsigned char was = bytes[at];
        bytes[at] ^= (unsigned char)(1u << ark_rng_below(&r, 8));
        ark_status st = digest(bytes, n, &got);
        require(st == ARK_OK || st == ARK_EFORMAT, "byte %zu: %s", at, ark_err_msg());
        require(st != ARK_OK || got == want, "byte %zu: other content passed", at);
        refusals += st != ARK_OK;
        bytes[at] = was;
    }
    assert_true(refusals > 70); /* the rest of the bytes are gaps between records */
    for (size_t cut = 0; cut < n; cut += 1777) {
        assert_int_equal(digest(bytes, cut, &got), ARK_EFORMAT);
    }
    ark_free(bytes);
}

/* A damaged image is named, by reading and by --verify; the others are read as before. */
static void one_image_damaged(void **state) {
    (void)state;
    size_t n;
    ark_pack_opts o = options(90); /* a record of several pages */
    pack(folder("one"), &o);
    ark_datasets *all = read_sets(folder("one"));
    ark_image im;
    bool owned;
    must(ark_dataset_image(&all->items[0], 11, NULL, &im, &owned));
    uint8_t line[90];
    memcpy(line, im.px8 + 90 * 50, sizeof line);
    ark_datasets_free(all);
    unsigned char *bytes = read_pack(folder("one"), &n), *at = NULL;
    for (size_t i = 0; i + 90 < n && !at; i++) {
        at = memcmp(bytes + i, line, 90) == 0 ? bytes + i : NULL;
    }
    assert_non_null(at);
    at[5] ^= 1;
    char *path = ark_path_join(folder("one"), "data.mdb");
    must(ark_file_write(path, bytes, n));
    ark_free(path);
    ark_free(bytes);
    all = read_sets(folder("one"));
    refused(ark_dataset_image(&all->items[0], 11, NULL, &im, &owned), ARK_EFORMAT, "one/data.mdb",
        "image/0000/0000000011");
    must(ark_dataset_image(&all->items[0], 12, NULL, &im, &owned));
    ark_datasets_free(all);
    ark_pack_report report;
    must(ark_pack_verify(folder("one"), &report));
    assert_int_equal(report.damaged, 1);
    assert_non_null(strstr(report.first, "image/0000/0000000011"));
}

static void not_a_pack(void **state) {
    (void)state;
    ark_datasets *d;
    ark_mdb_writer *w;
    refused(ark_datasets_read(folder("im"), NULL, 0, &d), ARK_EIO, "im/data.mdb", "No such file");
    must(ark_mkdirs(folder("foreign")));
    must(ark_mdb_writer_open(folder("foreign"), &w));
    must(ark_mdb_write(w, &(ark_mdb_item){"somekey", 7, "value", 5}, 1));
    ark_mdb_writer_close(w);
    refused(ark_datasets_read(folder("foreign"), NULL, 0, &d), ARK_EFORMAT, "foreign/data.mdb", "somekey");
    ark_pack_opts o = options(20);
    ark_pack_result r;
    o.resume = true;
    refused(ark_pack_write(yaml, NULL, 0, folder("foreign"), &o, &r), ARK_EFORMAT, "foreign", "somekey");
}

/* ---- unreadable images, full disks, processes ---- */

static void unreadable_images(void **state) {
    (void)state;
    char path[256], other[256];
    snprintf(path, sizeof path, "%s/im/05.png", dir);
    snprintf(other, sizeof other, "%s/im/kept", dir);
    assert_int_equal(rename(path, other), 0);
    put("im/05.png", "no image");
    ark_pack_opts o = options(20);
    ark_pack_result r;
    refused(ark_pack_write(yaml, NULL, 0, folder("bad"), &o, &r), ARK_EFORMAT, "im/05.png", "neither PNG");
    o.resume = o.skip_bad = true;
    r = pack(folder("bad"), &o);
    assert_int_equal(r.bad, 2); /* it is in both datasets */
    assert_int_equal(r.made, N + M - 5);
    ark_datasets *d = read_sets(folder("bad"));
    ark_image im;
    bool owned;
    refused(ark_dataset_image(&d->items[0], 5, NULL, &im, &owned), ARK_EFORMAT, "im/05.png", "bad)");
    must(ark_dataset_image(&d->items[0], 6, NULL, &im, &owned));
    ark_datasets_free(d);
    assert_int_equal(rename(other, path), 0);
}

/* In a process of its own, which may write 200 kB to a file. */
static void full_disk(void **state) {
    (void)state;
    static record_list whole, resumed;
    ark_pack_opts o = options(64);
    o.threads = 1;
    ark_pack_result r;
    pack(folder("whole"), &o);
    records(folder("whole"), &whole);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {200000, 200000};
        setrlimit(RLIMIT_FSIZE, &limit);
        ark_status st = ark_pack_write(yaml, NULL, 0, folder("full"), &o, &r);
        _exit(st == ARK_EIO && strstr(ark_err_msg(), "cannot write") ? 42 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    ark_datasets *d;
    assert_int_equal(ark_datasets_read(folder("full"), NULL, 0, &d), ARK_EFORMAT);
    o.resume = true;
    pack(folder("full"), &o);
    records(folder("full"), &resumed);
    assert_memory_equal(&whole, &resumed, sizeof whole);
}

static void out_of_memory(void **state) {
    (void)state;
    ark_pack_opts o = options(20);
    o.threads = 1;
    ark_pack_result r;
    ark_datasets *d;
    bool done = false;
    pack(folder("memory"), &o);
    for (uint64_t nth = 1; !done; nth++) {
        ark_alloc_fail_after(nth);
        ark_status st = ark_datasets_read(folder("memory"), NULL, 0, &d);
        ark_alloc_fail_after(0);
        done = st == ARK_OK;
        require(done || st == ARK_ENOMEM, "allocation %d: %s", (int)nth, ark_err_msg());
    }
    ark_datasets_free(d);
    done = false;
    for (uint64_t nth = 1; !done; nth += 3) {
        char name[32];
        snprintf(name, sizeof name, "memory-%d", (int)nth);
        ark_alloc_fail_after(nth);
        ark_status st = ark_pack_write(yaml, (const char *const[]){"b"}, 1, folder(name), &o, &r);
        ark_alloc_fail_after(0);
        done = st == ARK_OK;
        require(done || st == ARK_ENOMEM, "allocation %d: %s", (int)nth, ark_err_msg());
        if (!done) { /* whatever was reached, it can be gone on with */
            o.resume = true;
            must(ark_pack_write(yaml, (const char *const[]){"b"}, 1, folder(name), &o, &r));
            o.resume = false;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops),
        cmocka_unit_test(resuming_some_datasets),
        cmocka_unit_test(resuming_something_else),
        cmocka_unit_test(damage_never_passes),
        cmocka_unit_test(one_image_damaged),
        cmocka_unit_test(not_a_pack),
        cmocka_unit_test(unreadable_images),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
