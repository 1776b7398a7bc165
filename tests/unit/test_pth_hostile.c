/* Hostile .pth files: each file of the corpus is refused for the reason stated here, in less than a
 * second and 200 MB, measured in a process of its own; so are files too large for the corpus, and every
 * truncation. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "io/tensor_file.h"
#include "io_check.h"
#include "model/model.h"

#include <sys/resource.h>
#include <sys/wait.h>

#define CORPUS ARK_TEST_DIR "/fuzz/corpus/pth"
#define GOLDEN ARK_TEST_DIR "/golden/pth/"

static const struct {
    const char *name, *reason;
} refused[] = {
    {"code-builtin-getattr", "asks for __builtin__.getattr"},
    {"code-builtins-eval", "asks for builtins.eval"},
    {"code-importlib", "asks for importlib.import_module"},
    {"code-in-tensor", "asks for nt.system"},
    {"code-os-path", "asks for os.path.exists"},
    {"code-os-system-bare", "asks for os.system"},
    {"code-os-system-legacy", "asks for os.system"},
    {"code-posix-system", "asks for posix.system"},
    {"code-subprocess", "asks for subprocess.Popen"},
    {"code-sys-modules", "asks for sys.modules"},
    {"legacy-count", "storage 0: 2305843009213693952 elements of 4 bytes, the file has 104 bytes left"},
    {"legacy-count-negative", "storage 0: 18446744073709551615 elements"},
    {"legacy-key-missing", "storage 0 is not in the file"},
    {"legacy-key-twice", "storage 0 is listed twice"},
    {"legacy-key-unknown", "storage 5 belongs to no tensor"},
    {"legacy-only-magic", "truncated"},
    {"legacy-short", "24 elements of 4 bytes, the file has 96 bytes left"},
    {"legacy-two-types", "elements of 4 and of 8 bytes"},
    {"legacy-version", "version 1002"},
    {"legacy-view-far", "a view of 6 elements from 20 on, its storage has 24"},
    {"pickle-bare", "a pickle that torch.save did not write"},
    {"pickle-call-of-text", "a call of something that is no function"},
    {"pickle-cycle", "no tensors by name"},
    {"pickle-deep", "nested deeper than 128"},
    {"pickle-inst", "opcode 0x69"},
    {"pickle-laughs", "not tensors by name"},
    {"pickle-left-over", "1 values left over"},
    {"pickle-mark", "no mark on the stack"},
    {"pickle-memo", "memo number 4294967295, limit 2000000"},
    {"pickle-memo-unset", "memo number 7 was never set"},
    {"pickle-name-length", "a name of more than 255 bytes"},
    {"pickle-no-end", "truncated"},
    {"pickle-not-utf8", "not UTF-8"},
    {"pickle-opcode", "opcode 0x95"},
    {"pickle-protocol-4", "protocol 4"},
    {"pickle-stack", "empty stack"},
    {"pickle-text-length", "2147483647 bytes wanted, 3 left"},
    {"tar", "tar archive"},
    {"tensor-complex", "ComplexFloatStorage"},
    {"tensor-dimensions", "9 dimensions, limit 8"},
    {"tensor-name-nul", "name that is not text"},
    {"tensor-no-entry", "no entry data/../../etc/passwd"},
    {"tensor-no-storage", "not made of storage"},
    {"tensor-offset", "24 elements up to number 24, its storage has 24"},
    {"tensor-offset-negative", "not made of storage, offset"},
    {"tensor-reference", "a reference that is not"},
    {"tensor-sharing", "more than 16 times the file's"},
    {"tensor-size-negative", "its size holds -3"},
    {"tensor-size-overflow", "more than 24 elements"},
    {"tensor-size-text", "its size is no tuple"},
    {"tensor-storage-huge", "a storage of 4611686018427387904 elements of 4 bytes, the file has 96 bytes"},
    {"tensor-storage-small", "a storage of 25 elements of 4 bytes, the file has 96 bytes"},
    {"tensor-stride-far", "its storage has 24"},
    {"tensor-stride-negative", "its stride holds -4"},
    {"tensor-stride-zero", "1099511627776 elements"},
    {"tensor-strides-missing", "3 dimensions, 1 strides"},
    {"tensor-twice", "'w' appears twice"},
    {"tensors-list", "holds a list of 1"},
    {"tensors-none", "its keys are: epoch"},
    {"tensors-which", "a key must choose"},
    {"zip-64-cut", "zip64 field that is cut off"},
    {"zip-bomb", "is compressed (method 8, 20387 bytes for 20971520)"},
    {"zip-byteorder", "neither little nor big"},
    {"zip-count", "60000 zip entries in a directory of 165 bytes"},
    {"zip-count-64", "1125899906842624 zip entries"},
    {"zip-crc", "CRC 0001e240, its bytes have"},
    {"zip-crc-pickle", "data.pkl: CRC 0001e240"},
    {"zip-directory-place", "at 1073741824, the file has"},
    {"zip-directory-size", "3 zip entries in a directory of 60 bytes"},
    {"zip-empty", "a zip without data.pkl"},
    {"zip-encrypted", "is encrypted"},
    {"zip-end64-place", "zip64 end record"},
    {"zip-huge", "3221225472 bytes in a file of"},
    {"zip-huge-64", "1152921504606846976 bytes in a file of"},
    {"zip-inside", "a/data/0 and a/data/1 overlap"},
    {"zip-no-end", "without its directory"},
    {"zip-no-pickle", "a zip without data.pkl"},
    {"zip-other-name", "another name in its own header"},
    {"zip-overlap", "overlap"},
    {"zip-stored-but-packed", "96 bytes for 1073741824"},
    {"zip-two-names", "two zip entries named a/data/0"},
};
enum { REFUSED = sizeof refused / sizeof *refused, MOST_MS = 1000, MOST_KIB = 200 * 1024 };

static double to_ms(struct timeval t) {
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* Open in a child; its message comes back through a pipe. Time is the processor's, so that a busy
 * machine does not count; sanitizers have memory of their own. */
static void open_in_child(const char *path, char message[1024], double *ms, long *kib) {
    int ends[2], status = 0;
    struct rusage use;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        ark_model_opts o = {0};
        ark_model *m = NULL;
        const char *text = ark_model_describe(path, &o, &m) == ARK_OK ? "opened" : ark_err_msg();
        ssize_t written = write(ends[1], text, strlen(text));
        _exit(written == (ssize_t)strlen(text) ? 0 : 1);
    }
    close(ends[1]);
    size_t len = 0;
    for (ssize_t n; len < 1023 && (n = read(ends[0], message + len, 1023 - len)) > 0;) {
        len += (size_t)n;
    }
    message[len] = '\0';
    close(ends[0]);
    assert_int_equal(wait4(child, &status, 0, &use), child);
    *ms = to_ms(use.ru_utime) + to_ms(use.ru_stime);
    *kib = use.ru_maxrss;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("%s: the process that read it died", path);
    }
}

static bool sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
    return __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
    return false;
#endif
}

static void expect_refusal(const char *path, const char *reason) {
    char message[1024];
    double ms;
    long kib;
    open_in_child(path, message, &ms, &kib);
    if (!strstr(message, path) || !strstr(message, reason)) {
        fail_msg("%s: \"%s\" does not hold \"%s\"", path, message, reason);
    }
    if (!sanitized() && (ms > MOST_MS || kib > MOST_KIB)) {
        fail_msg("%s: %.0f ms, %ld KiB", path, ms, kib);
    }
}

static void the_corpus_is_refused_by_reason(void **state) {
    (void)state;
    char **names, path[512];
    size_t n, seen = 0;
    check_ok(ark_list_dir(CORPUS, &names, &n));
    for (size_t i = 0; i < n; i++) {
        const char *reason = NULL;
        for (size_t k = 0; k < REFUSED; k++) {
            reason = strcmp(names[i], refused[k].name) ? reason : refused[k].reason;
        }
        snprintf(path, sizeof path, CORPUS "/%s", names[i]);
        if (reason) {
            expect_refusal(path, reason);
            seen++;
        } else if (!strncmp(names[i], "valid-", 6)) {
            ark_tensor_file *f;
            check_ok(ark_tensor_file_open(path, NULL, &f));
            float v[24];
            const ark_st_tensor *t = ark_tensor_file_find(f, "w");
            check_ok(ark_st_read_f32(t, v));
            assert_true(v[1] == v[0] + 1 && v[0] == (t->numel == 4 ? 8 : 0));
            ark_tensor_file_close(f);
        } else if (strncmp(names[i], "crash-", 6) != 0) {
            fail_msg("%s: no reason stated for it", names[i]);
        }
    }
    assert_int_equal(seen, REFUSED);
    ark_names_free(names, n);
}

/* --- too large for the corpus --- */

/* A pickle of `count` times `body` between `head` and `tail`, bare. */
static void expect_bomb(
    const char *head, size_t head_n, const char *body, size_t body_n, size_t count, const char *reason) {
    ark_buf b;
    ark_buf_init(&b, 64 << 20);
    check_ok(ark_buf_add(&b, "\x80\x02", 2));
    check_ok(ark_buf_add(&b, head, head_n));
    for (size_t i = 0; i < count; i++) {
        check_ok(ark_buf_add(&b, body, body_n));
    }
    const char *path = temp_name("bomb.pth");
    check_ok(ark_file_write(path, b.data, b.len));
    ark_buf_free(&b);
    expect_refusal(path, reason);
    unlink(path);
}

static void bombs_meet_limits(void **state) {
    (void)state;
    expect_bomb("", 0, "N", 1, 1100000, "a stack of more than 1000000 values");
    expect_bomb("", 0, "(", 1, 1100000, "more than 1000000 open marks");
    expect_bomb("]", 1, "Na", 2, 2100000, "more than 2000000 values");
    /* A list that doubles as it grows, filled with one value. */
    expect_bomb("]q\x00Nq\x01"
                "a",
        7,
        "h\x01"
        "a",
        3, 10000000, "more than 100663296 bytes of values");
    expect_bomb("]", 1, "]a", 2, 16 << 20, "more than 2000000 values");
    expect_bomb("N", 1, "\x85", 1, 1000, "nested deeper than 128");
}

/* --- truncation and damage --- */

static void truncate_everywhere(const char *path, size_t step) {
    char *bytes;
    size_t n;
    check_ok(ark_file_read(path, 1 << 20, &bytes, &n));
    for (size_t len = 0; len < n; len += step) {
        char *part = ark_malloc(len); /* exactly as long, so that a sanitizer sees reads past it */
        ark_tensor_file *f = NULL;
        if (len) {
            memcpy(part, bytes, len);
        }
        if (ark_tensor_file_open_memory(part, len, "cut", NULL, &f) == ARK_OK) {
            fail_msg("%s: opens when cut to %zu of %zu bytes", path, len, n);
        }
        if (strncmp(ark_err_msg(), "cut: ", 5) != 0) {
            fail_msg("%s cut to %zu bytes: %s", path, len, ark_err_msg());
        }
        ark_free(part);
    }
    ark_free(bytes);
}

static void truncated_files_are_refused(void **state) {
    (void)state;
    truncate_everywhere(GOLDEN "types.pth", 7);
    truncate_everywhere(GOLDEN "types_legacy.pth", 7);
    truncate_everywhere(CORPUS "/valid-zip", 1);
    truncate_everywhere(CORPUS "/valid-legacy", 1);
}

/* Every byte of a file with checksums matters or is padding: a flip is refused, or changes no value. */
static void flipped_bits_change_no_value_unseen(void **state) {
    (void)state;
    char *bytes;
    size_t n;
    check_ok(ark_file_read(CORPUS "/valid-zip", 1 << 20, &bytes, &n));
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            ark_tensor_file *f = NULL;
            float v[24];
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (ark_tensor_file_open_memory(bytes, n, "flipped", NULL, &f) == ARK_OK) {
                const ark_st_tensor *t = ark_tensor_file_find(f, "w");
                assert_non_null(t);
                assert_int_equal(t->numel, 24);
                check_ok(ark_st_read_f32(t, v));
                assert_true(v[1] == 1 && v[23] == 23);
            }
            ark_tensor_file_close(f);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    }
    ark_free(bytes);
}

static void running_out_of_memory_is_an_error(void **state) {
    (void)state;
    for (uint64_t nth = 1; nth < 10000; nth++) {
        ark_tensor_file *f = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_tensor_file_open(GOLDEN "ark.pth.tar", NULL, &f);
        ark_alloc_fail_after(0);
        ark_tensor_file_close(f);
        if (st == ARK_OK) {
            assert_true(nth > 60);
            return;
        }
        assert_int_equal(st, ARK_ENOMEM);
    }
    fail_msg("never succeeds");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_is_refused_by_reason),
        cmocka_unit_test(bombs_meet_limits),
        cmocka_unit_test(truncated_files_are_refused),
        cmocka_unit_test(flipped_bits_change_no_value_unseen),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
