/* docs/evaluation.md lists exactly the keys of the studies' run files, with defaults, ranges and meanings. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "study/config.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

static void add_row(ark_buf *b, const ark_key *k) {
    static const char *const kinds[] = {[ARK_KEY_PATH] = "path",
        [ARK_KEY_TEXT] = "text",
        [ARK_KEY_LIST] = "list",
        [ARK_KEY_BOOL] = "true, false"};
    const char *tick = k->fallback[0] ? "`" : "";
    assert_int_equal(ark_buf_addf(b, "| `%s` | %s%s%s | ", k->name, tick, k->fallback, tick), ARK_OK);
    if (k->kind == ARK_KEY_WORD) {
        for (int i = 0; k->words[i]; i++) {
            assert_int_equal(ark_buf_addf(b, "%s%s", i ? ", " : "", k->words[i]), ARK_OK);
        }
    } else if (k->kind == ARK_KEY_INT) {
        assert_int_equal(ark_buf_addf(b, "%.0f to %.0f", k->min, k->max), ARK_OK);
    } else if (k->kind == ARK_KEY_REAL) {
        assert_int_equal(ark_buf_addf(b, "%.10g to %.10g", k->min, k->max), ARK_OK);
    } else {
        assert_int_equal(ark_buf_adds(b, kinds[k->kind]), ARK_OK);
    }
    assert_int_equal(ark_buf_addf(b, " | %s |\n", k->help), ARK_OK);
}

static void page_lists_every_key(void **state) {
    (void)state;
    ark_buf want;
    ark_buf_init(&want, 1 << 20);
    assert_int_equal(
        ark_buf_adds(&want, "| key | default | values | meaning |\n|---|---|---|---|\n"), ARK_OK);
    for (int kind = ARK_STUDY_PROBE; kind <= ARK_STUDY_ZEROSHOT; kind++) {
        const ark_key_table *t = ark_study_keys((ark_study_kind)kind);
        for (size_t i = 0; i < t->n; i++) {
            char cell[128];
            snprintf(cell, sizeof cell, "| `%s` |", t->keys[i].name);
            if (!strstr(want.data, cell)) { /* shared sections once */
                add_row(&want, &t->keys[i]);
            }
        }
    }
    char *page;
    size_t len;
    assert_int_equal(ark_file_read(ARK_TEST_DIR "/../docs/evaluation.md", 1 << 20, &page, &len), ARK_OK);
    if (!strstr(page, want.data)) {
        assert_int_equal(ark_file_write("evaluation-table.md", want.data, want.len), ARK_OK);
        fail_msg("docs/evaluation.md is out of date: put build/*/tests/evaluation-table.md into it");
    }
    ark_free(page);
    ark_buf_free(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page_lists_every_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
