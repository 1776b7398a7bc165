/* docs/configuration.md lists exactly the keys that exist, with their defaults, ranges and meanings. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "train/config_impl.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

static void add(ark_buf *b, const char *s) {
    assert_int_equal(ark_buf_adds(b, s), ARK_OK);
}

static void add_values(ark_buf *b, const ark_key *k) {
    static const char *const kinds[] = {[ARK_KEY_PATH] = "path",
        [ARK_KEY_TEXT] = "text",
        [ARK_KEY_LIST] = "list",
        [ARK_KEY_BOOL] = "true, false"};
    if (k->kind == ARK_KEY_WORD) {
        for (int i = 0; k->words[i]; i++) {
            add(b, i ? ", " : "");
            add(b, k->words[i]);
        }
    } else if (k->kind == ARK_KEY_INT) {
        assert_int_equal(ark_buf_addf(b, "%.0f to %.0f", k->min, k->max), ARK_OK);
    } else if (k->kind == ARK_KEY_REAL) {
        assert_int_equal(ark_buf_addf(b, "%.10g to %.10g", k->min, k->max), ARK_OK);
    } else {
        add(b, kinds[k->kind]);
    }
}

/* The tables as the page must hold them, one per section. */
static void build(ark_buf *b) {
    const char *section = "";
    for (size_t i = 0; i < ark__train_keys.n; i++) {
        const ark_key *k = &ark__train_keys.keys[i];
        size_t len = strcspn(k->name, ".");
        if (strncmp(section, k->name, len + 1) != 0) {
            section = k->name;
            assert_int_equal(
                ark_buf_addf(b, "%s## %.*s\n\n| key | default | values | meaning |\n|---|---|---|---|\n",
                    i ? "\n" : "", (int)len, section),
                ARK_OK);
        }
        const char *tick = k->fallback[0] ? "`" : "";
        assert_int_equal(
            ark_buf_addf(b, "| `%s` | %s%s%s | ", k->name + len + 1, tick, k->fallback, tick), ARK_OK);
        add_values(b, k);
        assert_int_equal(ark_buf_addf(b, " | %s |\n", k->help), ARK_OK);
    }
}

static void page_lists_every_key(void **state) {
    (void)state;
    ark_buf want;
    ark_buf_init(&want, 1 << 20);
    build(&want);
    char *page;
    size_t len;
    assert_int_equal(ark_file_read(ARK_TEST_DIR "/../docs/configuration.md", 1 << 20, &page, &len), ARK_OK);
    if (!strstr(page, want.data)) {
        assert_int_equal(ark_file_write("configuration-tables.md", want.data, want.len), ARK_OK);
        fail_msg("docs/configuration.md is out of date: put build/*/tests/configuration-tables.md into it");
    }
    ark_free(page);
    ark_buf_free(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(page_lists_every_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
