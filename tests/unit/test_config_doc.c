/* docs/configuration.md, docs/finetune.md and docs/segmentation.md list exactly the keys that exist, with
 * their defaults, ranges and meanings. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "train/config_impl.h"
#include "train/finetune_config.h"
#include "train/segment_config.h"

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
static void build(const ark_key_table *t, ark_buf *b) {
    const char *section = "";
    for (size_t i = 0; i < t->n; i++) {
        const ark_key *k = &t->keys[i];
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

static void check_page(const ark_key_table *t, const char *name) {
    ark_buf want;
    char path[512], out[128], *page;
    size_t len;
    ark_buf_init(&want, 1 << 20);
    build(t, &want);
    snprintf(path, sizeof path, "%s/../docs/%s.md", ARK_TEST_DIR, name);
    snprintf(out, sizeof out, "%s-tables.md", name);
    assert_int_equal(ark_file_read(path, 1 << 20, &page, &len), ARK_OK);
    if (!strstr(page, want.data)) {
        assert_int_equal(ark_file_write(out, want.data, want.len), ARK_OK);
        fail_msg("docs/%s.md is out of date: put build/*/tests/%s into it", name, out);
    }
    ark_free(page);
    ark_buf_free(&want);
}

static void pages_list_every_key(void **state) {
    (void)state;
    check_page(&ark__train_keys, "configuration");
    check_page(&ark_finetune_keys, "finetune");
    check_page(&ark_segment_keys, "segmentation");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_list_every_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
