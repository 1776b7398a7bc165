/* TensorBoard event files: two records made by an independent encoder, and a written file
 * walked record by record. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "io/tfevents.h"
#include "io_check.h"

/* Encoded in Python from the published field numbers of event.proto and summary.proto. */
static const unsigned char version_record[] = {0x18, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22, 0x09, 0, 0,
    0, 0, 0, 0, 0, 0, 0x1a, 0x0d, 'b', 'r', 'a', 'i', 'n', '.', 'E', 'v', 'e', 'n', 't', ':', '2', 0xee, 0xdf,
    0x28, 0xa3};
static const unsigned char loss_record[] = {0x1a, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x9b, 0xd8, 0x2d, 0x09, 0, 0, 0,
    0, 0, 0, 0xf0, 0x3f, 0x10, 0x07, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 0x04, 'l', 'o', 's', 's', 0x15, 0, 0, 0,
    0x3f, 0x86, 0x2c, 0x9a, 0x2f};

static void golden_records(void **state) {
    (void)state;
    unsigned char buf[256];
    assert_int_equal(ark_tfevents_encode(0, 0, NULL, 0, buf, sizeof buf), sizeof version_record);
    assert_memory_equal(buf, version_record, sizeof version_record);
    assert_int_equal(ark_tfevents_encode(1, 7, "loss", 0.5f, buf, sizeof buf), sizeof loss_record);
    assert_memory_equal(buf, loss_record, sizeof loss_record);
    assert_int_equal(ark_tfevents_encode(1, 7, "loss", 0.5f, buf, sizeof loss_record), sizeof loss_record);
    assert_int_equal(ark_tfevents_encode(1, 7, "loss", 0.5f, buf, sizeof loss_record - 1), 0);
}

/* Lengths over 127 and steps over 2^28 take several varint bytes. */
static void long_fields(void **state) {
    (void)state;
    unsigned char buf[512];
    char tag[201] = {0};
    memset(tag, 't', 200);
    size_t n = ark_tfevents_encode(1, 1ll << 40, tag, -1, buf, sizeof buf);
    /* 9 time, 1 + 6 step, 3 summary, 3 value, 3 tag, 200, 5 float */
    assert_int_equal(n, 16 + 9 + 7 + 3 + 3 + 3 + 200 + 5);
    assert_memory_equal(buf + 12 + 9, "\x10\x80\x80\x80\x80\x80\x20", 7);
    assert_memory_equal(buf + 12 + 16, "\x2a\xd3\x01\x0a\xd0\x01\x0a\xc8\x01t", 10);
}

static void file_of_records(void **state) {
    (void)state;
    char dir[] = "/tmp/ark-tf-XXXXXX";
    assert_non_null(mkdtemp(dir));
    ark_tfevents *t;
    check_ok(ark_tfevents_open(dir, 1700000000.5, &t));
    check_ok(ark_tfevents_scalar(t, 1, 7, "loss", 0.5f));
    char long_tag[2000];
    memset(long_tag, 'x', sizeof long_tag - 1);
    long_tag[sizeof long_tag - 1] = '\0';
    check_error(ark_tfevents_scalar(t, 1, 7, long_tag, 0.5f), ARK_EINVAL, "longer than 1024");
    char **names, *bytes;
    size_t n, len;
    check_ok(ark_list_dir(dir, &names, &n));
    assert_int_equal(n, 1);
    assert_true(strncmp(names[0], "events.out.tfevents.1700000000.", 31) == 0);
    char *path = ark_path_join(dir, names[0]);
    check_ok(ark_file_read(path, 1000, &bytes, &len)); /* flushed without closing */
    assert_int_equal(len, sizeof version_record + sizeof loss_record);
    assert_memory_equal(bytes + sizeof version_record, loss_record, sizeof loss_record);
    ark_tfevents_close(t);
    ark_tfevents_close(NULL);
    ark_free(bytes);
    ark_free(path);
    ark_names_free(names, n);
    check_ok(ark_rmtree(dir));
    check_error(
        ark_tfevents_open("/nonexistent", 0, &t), ARK_EIO, "/nonexistent/events.out.tfevents.0000000000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_records),
        cmocka_unit_test(long_fields),
        cmocka_unit_test(file_of_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
