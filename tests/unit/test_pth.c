/* Files of torch.save: every element type, views, strides and shared storages come out as PyTorch made
 * them, whichever container; the keys of checkpoints; and what is written is read back. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "io/tensor_file.h"
#include "io/torch_write.h"
#include "io_check.h"

#include <math.h>

#define GOLDEN ARK_TEST_DIR "/golden/pth/"

static void same_values(const ark_st_tensor *got, const ark_st_tensor *want, const char *file) {
    if (got->dtype != want->dtype || got->ndim != want->ndim || got->numel != want->numel ||
        got->bytes != want->bytes ||
        memcmp(got->shape, want->shape, (size_t)got->ndim * sizeof *got->shape) != 0) {
        fail_msg("%s: %s: %s instead of %s, or another shape", file, got->name, ark_st_dtype_name(got->dtype),
            ark_st_dtype_name(want->dtype));
    }
    char *raw = ark_malloc(got->bytes);
    float *a = ark_malloc((size_t)got->numel * sizeof *a), *b = ark_malloc((size_t)got->numel * sizeof *b);
    ark_st_read_raw(got, raw);
    if (memcmp(raw, want->data, got->bytes) != 0) {
        fail_msg("%s: %s: other bytes", file, got->name);
    }
    if (got->dtype == ARK_ST_BOOL) {
        check_error(ark_st_read_f32(got, a), ARK_EFORMAT, "bool");
    } else {
        check_ok(ark_st_read_f32(got, a));
        check_ok(ark_st_read_f32(want, b));
        assert_memory_equal(a, b, (size_t)got->numel * sizeof *a);
    }
    ark_free(raw);
    ark_free(a);
    ark_free(b);
}

/* types.safetensors holds the same tensors, contiguous, as PyTorch copied them. */
static void check_types(const char *name, ark_tensor_format format, size_t tensors) {
    ark_tensor_file *f;
    ark_st_file *want;
    check_ok(ark_tensor_file_open(name, NULL, &f));
    check_ok(ark_st_open(GOLDEN "types.safetensors", &want));
    assert_int_equal(ark_tensor_file_format(f), format);
    assert_int_equal(ark_tensor_file_count(f), tensors);
    for (size_t i = 0; i < tensors; i++) {
        const ark_st_tensor *t = ark_tensor_file_at(f, i), *w = ark_st_find(want, t->name);
        assert_non_null(w);
        assert_ptr_equal(ark_tensor_file_find(f, t->name), t);
        same_values(t, w, name);
    }
    assert_null(ark_tensor_file_find(f, "none"));
    ark_st_close(want);
    ark_tensor_file_close(f);
}

static void every_type_and_view_is_read(void **state) {
    (void)state;
    ark_st_file *all;
    check_ok(ark_st_open(GOLDEN "types.safetensors", &all));
    size_t n =
        ark_st_count(all); /* the old container has no uint16, 32 and 64; the big-endian one nothing empty */
    ark_st_close(all);
    assert_int_equal(n, 25);
    check_types(GOLDEN "types.pth", ARK_TF_TORCH_ZIP, n);
    check_types(GOLDEN "types_legacy.pth", ARK_TF_TORCH_LEGACY, n - 3);
    check_types(GOLDEN "types_big.pth", ARK_TF_TORCH_ZIP, n - 1);
}

static void tensors_lie_in_the_file(void **state) {
    (void)state;
    ark_tensor_file *f;
    check_ok(ark_tensor_file_open(GOLDEN "types.pth", NULL, &f));
    const ark_st_tensor *a = ark_tensor_file_find(f, "shared.a"), *b = ark_tensor_file_find(f, "shared.b");
    assert_false(a->strided);
    assert_ptr_equal((const char *)a->data + 20 * sizeof(float), b->data);
    assert_true(ark_tensor_file_find(f, "transposed")->strided);
    assert_false(ark_tensor_file_find(f, "one")->strided);
    ark_tensor_file_close(f);
}

static const ark_pth_item *find_item(const ark_pth_file *f, const char *key) {
    for (size_t i = 0; i < ark_pth_item_count(f); i++) {
        if (!strcmp(ark_pth_item_at(f, i)->key, key)) {
            return ark_pth_item_at(f, i);
        }
    }
    fail_msg("no item %s", key);
    return NULL;
}

static void keys_choose_the_weights(void **state) {
    (void)state;
    const char *path = GOLDEN "ark.pth.tar";
    ark_tensor_file *f;
    check_ok(ark_tensor_file_open(path, NULL, &f));
    const ark_pth_file *pth = ark_tensor_file_pth(f);
    assert_string_equal(ark_pth_key(pth), "teacher");
    assert_true(find_item(pth, "epoch")->is_number && find_item(pth, "epoch")->number == 50);
    assert_int_equal(find_item(pth, "teacher")->tensors, ark_pth_count(pth));
    assert_int_equal(find_item(pth, "state_dict")->tensors, ark_pth_count(pth));
    assert_int_equal(find_item(pth, "optimizer")->tensors, 0); /* moments are no weights */
    assert_string_equal(find_item(pth, "scheduler")->text, "a dict of 8");
    assert_non_null(strstr(find_item(pth, "lossMIN")->text, "an object of numpy"));
    ark_tensor_file_close(f);

    check_ok(ark_tensor_file_open(path, "state_dict", &f));
    assert_string_equal(ark_pth_key(ark_tensor_file_pth(f)), "state_dict");
    ark_tensor_file_close(f);
    check_error(ark_tensor_file_open(path, "studnet", &f), ARK_EINVAL, path, "no key 'studnet'",
        "state_dict (70 tensors), teacher (70 tensors), epoch, lossMIN");
    check_error(ark_tensor_file_open(path, "epoch", &f), ARK_EINVAL, "no tensors under key 'epoch'");
    check_error(ark_tensor_file_open(path, "optimizer/state", &f), ARK_EINVAL, "no tensors under key");
    check_error(ark_tensor_file_open(path, "teacher/x/y", &f), ARK_EINVAL, "no key 'teacher/x/y'");
    check_ok(ark_tensor_file_open(GOLDEN "types.pth", ".", &f));
    assert_string_equal(ark_pth_key(ark_tensor_file_pth(f)), "");
    ark_tensor_file_close(f);
    check_error(
        ark_tensor_file_open(GOLDEN "types.safetensors", "teacher", &f), ARK_EINVAL, "no key 'teacher'");
}

static void unknown_classes_are_left_out(void **state) {
    (void)state;
    ark_tensor_file *f;
    check_ok(ark_tensor_file_open(GOLDEN "microsoft.pth", NULL, &f));
    const ark_pth_file *pth = ark_tensor_file_pth(f);
    assert_string_equal(ark_pth_key(pth), "model");
    assert_string_equal(find_item(pth, "config")->text, "an object of yacs.config.CfgNode");
    assert_true(find_item(pth, "max_accuracy")->number == 81.2);
    assert_int_equal(ark_pth_others(pth), 0);
    ark_tensor_file_close(f);
    check_error(ark_tensor_file_open(GOLDEN "module.pth", NULL, &f), ARK_EFORMAT,
        "an object of torch.nn.modules.linear.Linear", "state_dict()");
    check_error(ark_tensor_file_open(GOLDEN "script.pt", NULL, &f), ARK_EFORMAT, "TorchScript");
}

/* --- writing --- */

static void what_is_written_is_read_back(void **state) {
    (void)state;
    ark_st_file *all;
    ark_st_writer *w;
    ark_tensor_file *f;
    const char *path = temp_name("written.pth");
    check_ok(ark_st_open(GOLDEN "types.safetensors", &all));
    check_ok(ark_st_writer_new(&w));
    check_ok(ark_st_writer_meta(w, "format", "arkfm"));
    check_ok(ark_st_writer_meta(w, "note", "R\xc3\xb6ntgen \"quoted\""));
    for (size_t i = 0; i < ark_st_count(all); i++) {
        const ark_st_tensor *t = ark_st_at(all, i);
        if (strncmp(t->name, "uint", 4) || !strcmp(t->name, "uint8")) {
            check_ok(ark_st_writer_add(w, t->name, t->dtype, t->ndim, t->shape, t->data));
        }
    }
    check_ok(ark_pth_write(w, path));
    check_ok(ark_tensor_file_open(path, NULL, &f));
    assert_string_equal(ark_pth_key(ark_tensor_file_pth(f)), "state_dict");
    assert_int_equal(ark_tensor_file_count(f), ark_st_writer_count(w));
    assert_string_equal(ark_tensor_file_meta(f, "note"), "R\xc3\xb6ntgen \"quoted\"");
    assert_null(ark_tensor_file_meta(f, "absent"));
    for (size_t i = 0; i < ark_tensor_file_count(f); i++) {
        const ark_st_tensor *t = ark_tensor_file_at(f, i);
        assert_string_equal(t->name, ark_st_writer_at(w, i)->name);
        assert_int_equal((uintptr_t)t->data % 64, t->numel ? 0 : (uintptr_t)t->data % 64);
        same_values(t, ark_st_find(all, t->name), path);
    }
    ark_tensor_file_close(f);

    int64_t one = 1;
    check_ok(ark_st_writer_add(w, "wide", ARK_ST_U64, 1, &one, &one));
    check_error(ark_pth_write(w, path), ARK_EINVAL, path, "'wide'", "U64");
    ark_st_writer_free(w);
    ark_st_close(all);
    unlink(path);
}

/* A safetensors file whose header length happens to begin as a pickle does: 66,176 bytes are 80 02 01 00. */
static void safetensors_that_look_like_pickles(void **state) {
    (void)state;
    char *bytes = ark_calloc(1, 8 + 0x10280);
    uint64_t n = 0x10280;
    memcpy(bytes, &n, sizeof n);
    memset(bytes + 8, ' ', n);
    memcpy(bytes + 8, "{}", 2);
    assert_false(ark_pth_is(bytes, 8 + n));
    ark_tensor_file *f;
    check_ok(ark_tensor_file_open_memory(bytes, 8 + n, "padded", NULL, &f));
    assert_int_equal(ark_tensor_file_format(f), ARK_TF_SAFETENSORS);
    ark_tensor_file_close(f);
    ark_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_view_is_read),
        cmocka_unit_test(tensors_lie_in_the_file),
        cmocka_unit_test(keys_choose_the_weights),
        cmocka_unit_test(unknown_classes_are_left_out),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(safetensors_that_look_like_pickles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
