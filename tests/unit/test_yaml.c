/* YAML: the tree, typed reads with their messages, and every refusal with file, line and reason. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "io/yaml.h"
#include "io_check.h"

static ark_yaml *parse(const char *text) {
    ark_yaml *y = NULL;
    check_ok(ark_yaml_parse(text, strlen(text), "c.yaml", &y));
    return y;
}

static ark_status refuse(const char *text) {
    ark_yaml *y = NULL;
    ark_status st = ark_yaml_parse(text, strlen(text), "c.yaml", &y);
    assert_null(y);
    return st;
}

static void tree(void **state) {
    (void)state;
    ark_yaml *y = parse("# comment\n"
                        "train:\n"
                        "  epochs: 4\n"
                        "  name: \"4\"\n"
                        "  none: ~\n"
                        "  text: |\n"
                        "    one\n"
                        "    two\n"
                        "sets: [a, 'b c', {d: e}]\n"
                        "empty:\n");
    assert_string_equal(y->path, "c.yaml");
    const ark_yaml_node *train = ark_yaml_get(y->root, "train");
    assert_int_equal(y->root->count, 3);
    assert_string_equal(y->root->keys[1], "sets");
    assert_int_equal(y->root->key_lines[0], 2);
    assert_int_equal(y->root->key_lines[1], 9);
    assert_int_equal(train->kind, ARK_YAML_MAP);
    assert_int_equal(train->items[0]->line, 3);
    assert_string_equal(train->items[0]->text, "4");
    assert_false(train->items[0]->quoted);
    assert_true(train->items[1]->quoted);
    assert_string_equal(ark_yaml_get(train, "none")->text, "");
    assert_string_equal(ark_yaml_get(train, "text")->text, "one\ntwo\n");
    const ark_yaml_node *sets = ark_yaml_get(y->root, "sets");
    assert_int_equal(sets->kind, ARK_YAML_SEQ);
    assert_int_equal(sets->count, 3);
    assert_string_equal(sets->items[1]->text, "b c");
    assert_string_equal(ark_yaml_get(sets->items[2], "d")->text, "e");
    assert_string_equal(ark_yaml_get(y->root, "empty")->text, "");
    assert_null(ark_yaml_get(y->root, "no"));
    assert_null(ark_yaml_get(NULL, "no"));
    assert_null(ark_yaml_get(sets, "no"));
    ark_yaml_free(y);
}

static void empty_files_are_null(void **state) {
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "null", "\xef\xbb\xbf"};
    for (size_t i = 0; i < 5; i++) {
        ark_yaml *y = parse(texts[i]);
        assert_int_equal(y->root->kind, ARK_YAML_SCALAR);
        assert_string_equal(y->root->text, "");
        ark_yaml_free(y);
    }
}

static void aliases_share_nodes(void **state) {
    (void)state;
    ark_yaml *y = parse("a: &x [1, 2]\nb: *x\nc: &x 3\nd: *x\n");
    assert_ptr_equal(ark_yaml_get(y->root, "a"), ark_yaml_get(y->root, "b"));
    assert_string_equal(ark_yaml_get(y->root, "d")->text, "3");
    ark_yaml_free(y);
}

static void typed_reads(void **state) {
    (void)state;
    ark_yaml *y =
        parse("i: 12\nf: 1e-3\nt: Yes\nn: FALSE\ns: some text\nq: '5'\nz:\nl: [1]\nlong: truetruetrue\n");
    const ark_yaml_node *r = y->root;
    int64_t i;
    double f;
    bool b;
    const char *s;
    check_ok(ark_yaml_i64(y, ark_yaml_get(r, "i"), "i", &i));
    assert_int_equal(i, 12);
    check_ok(ark_yaml_f64(y, ark_yaml_get(r, "f"), "f", &f));
    assert_true(f == 1e-3);
    check_ok(ark_yaml_f64(y, ark_yaml_get(r, "i"), "i", &f));
    assert_true(f == 12);
    check_ok(ark_yaml_bool(y, ark_yaml_get(r, "t"), "t", &b));
    assert_true(b);
    check_ok(ark_yaml_bool(y, ark_yaml_get(r, "n"), "n", &b));
    assert_false(b);
    check_ok(ark_yaml_str(y, ark_yaml_get(r, "s"), "s", &s));
    assert_string_equal(s, "some text");
    check_ok(ark_yaml_str(y, ark_yaml_get(r, "i"), "i", &s));
    assert_string_equal(s, "12");
    check_error(ark_yaml_i64(y, ark_yaml_get(r, "s"), "train.epochs", &i), ARK_EINVAL,
        "c.yaml:5: train.epochs: expected a whole number, got 'some text'");
    check_error(ark_yaml_i64(y, ark_yaml_get(r, "f"), "f", &i), ARK_EINVAL, "c.yaml:2: f:", "got '1e-3'");
    check_error(ark_yaml_i64(y, ark_yaml_get(r, "q"), "q", &i), ARK_EINVAL, "c.yaml:6", "got '5' in quotes");
    check_error(ark_yaml_f64(y, ark_yaml_get(r, "z"), "z", &f), ARK_EINVAL, "c.yaml:7",
        "expected a number, got nothing");
    check_error(
        ark_yaml_bool(y, ark_yaml_get(r, "l"), "l", &b), ARK_EINVAL, "c.yaml:8", "true or false, got a list");
    check_error(ark_yaml_bool(y, ark_yaml_get(r, "long"), "long", &b), ARK_EINVAL, "got 'truetruetrue'");
    check_error(ark_yaml_str(y, ark_yaml_get(r, "z"), "z", &s), ARK_EINVAL, "expected text, got nothing");
    check_error(ark_yaml_str(y, r, "root", &s), ARK_EINVAL, "expected text, got keys with values");
    ark_yaml_free(y);
}

static void unknown_keys(void **state) {
    (void)state;
    static const char *const known[] = {"epochs", "batch"};
    ark_yaml *y = parse("batch: 2\nepoch: 3\nlist: [1]\n");
    check_error(ark_yaml_check_keys(y, y->root, "train", known, 2), ARK_EINVAL,
        "c.yaml:2: unknown key 'epoch' in train (did you mean 'epochs'?)");
    check_error(
        ark_yaml_check_keys(y, y->root, "", known, 2), ARK_EINVAL, "c.yaml:2: unknown key 'epoch' (did");
    check_error(ark_yaml_check_keys(y, ark_yaml_get(y->root, "list"), "train", known, 2), ARK_EINVAL,
        "c.yaml:3: train: expected keys with values");
    static const char *const all[] = {"epoch", "batch", "list"};
    check_ok(ark_yaml_check_keys(y, y->root, "train", all, 3));
    ark_yaml_free(y);
}

static void refusals(void **state) {
    (void)state;
    check_error(refuse("a: 1\nb: 2\na: 3\n"), ARK_EFORMAT, "c.yaml:3: duplicate key 'a', first in line 1");
    check_error(refuse("a: {x: 1, 'x': 2}\n"), ARK_EFORMAT, "c.yaml:1: duplicate key 'x'");
    check_error(refuse("a: 1\n? [x, y]\n: 2\n"), ARK_EFORMAT, "c.yaml:2: a key must be plain text");
    check_error(refuse("a: &k x\n*k : 2\n"), ARK_EFORMAT, "c.yaml:2: a key must be plain text");
    check_error(refuse("a: &x [1, *x]\n"), ARK_EFORMAT, "c.yaml:1: alias *x lies inside what it names");
    check_error(refuse("a: 1\nb: *none\n"), ARK_EFORMAT, "c.yaml:2", "none");
    check_error(
        refuse("a: !!python/object:os.system x\n"), ARK_EFORMAT, "c.yaml:1: tags (!) are not supported");
    check_error(refuse("a: 1\n---\nb: 2\n"), ARK_EFORMAT, "c.yaml:2: more than one document");
    check_error(refuse("base: &b {x: 1}\nd:\n  <<: *b\n"), ARK_EFORMAT, "c.yaml:3: merge keys");
    check_error(refuse("a: [1, 2\nb: 3\n"), ARK_EFORMAT, "c.yaml:");
    check_error(refuse("a: \"x\\0y\"\n"), ARK_EFORMAT, "c.yaml:1: text contains a NUL character");
    check_error(refuse("a: b: c\n"), ARK_EFORMAT, "c.yaml:1: ");
    check_error(refuse("a: 1\nb: \xff\n"), ARK_EFORMAT, "c.yaml: invalid leading UTF-8 octet at byte 8");
    check_error(refuse("a: \x1b[0m\n"), ARK_EFORMAT, "c.yaml: control characters are not allowed at byte 3");
    check_error(refuse("%YAML 3.0\n---\na: 1\n"), ARK_EFORMAT, "c.yaml:1: found incompatible YAML document");
    check_error(refuse("a:\n\t- b\n"), ARK_EFORMAT, "c.yaml:2: found character that cannot start any token");
    ark_yaml *y = NULL;
    check_error(
        ark_yaml_parse("a: \0b\n", 6, "c.yaml", &y), ARK_EFORMAT, "c.yaml: control characters", "at byte 3");
    check_error(ark_yaml_read("/nonexistent/c.yaml", &y), ARK_EIO, "/nonexistent/c.yaml");
    assert_null(y);
}

/* n levels of nested flow lists. */
static ark_status nested(int n, bool *ok) {
    char text[256];
    memset(text, '[', (size_t)n);
    memset(text + n, ']', (size_t)n);
    ark_yaml *y = NULL;
    ark_status st = ark_yaml_parse(text, 2 * (size_t)n, "deep.yaml", &y);
    *ok = y != NULL;
    ark_yaml_free(y);
    return st;
}

static void depth(void **state) {
    (void)state;
    bool ok;
    check_ok(nested(32, &ok));
    check_error(nested(33, &ok), ARK_EFORMAT, "deep.yaml:1: nested deeper than 32 levels");
    check_error(nested(120, &ok), ARK_EFORMAT, "deep.yaml:1: ");
    /* depth reached through aliases: 20 + 20 levels */
    ark_buf b;
    ark_buf_init(&b, 1000);
    check_ok(ark_buf_adds(&b,
        "a: &x [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]\nb: [[[[[[[[[[[[[[[[[[[[*x]]]]]]]]]]]]]]]]]]]]\n"));
    check_error(refuse(b.data), ARK_EFORMAT, "c.yaml:2: nested deeper than 32 levels");
    ark_buf_free(&b);
}

static void alias_bomb(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 10000);
    check_ok(ark_buf_adds(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"));
    for (int i = 1; i < 9; i++) {
        check_ok(ark_buf_addf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
            i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1));
    }
    check_error(refuse(b.data), ARK_EFORMAT, "c.yaml:6: more than 100000 values after expanding aliases");
    ark_buf_free(&b);
}

static void many_values(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 1 << 20);
    check_ok(ark_buf_adds(&b, "["));
    for (int i = 0; i < 99999; i++) {
        check_ok(ark_buf_adds(&b, i ? ",1" : "1"));
    }
    check_ok(ark_buf_adds(&b, "]"));
    ark_yaml *y = parse(b.data);
    assert_int_equal(y->root->count, 99999);
    ark_yaml_free(y);
    b.data[b.len - 1] = ',';
    check_ok(ark_buf_adds(&b, "1]"));
    check_error(refuse(b.data), ARK_EFORMAT, "more than 100000 values");
    ark_buf_free(&b);
}

static void anchors_are_bounded(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 10000);
    for (int i = 0; i <= 256; i++) {
        check_ok(ark_buf_addf(&b, "- &a%d 1\n", i));
    }
    check_error(refuse(b.data), ARK_EFORMAT, "c.yaml:257: more than 256 anchors");
    ark_buf_free(&b);
}

static void every_failed_allocation(void **state) {
    (void)state;
    static const char text[] = "a: &x [1, {b: 2, c: 3}]\nd: *x\n";
    for (uint64_t nth = 1;; nth++) {
        ark_yaml *y = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_yaml_parse(text, strlen(text), "c.yaml", &y);
        ark_alloc_fail_after(0);
        if (st == ARK_OK) {
            assert_true(nth > 5);
            ark_yaml_free(y);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
        assert_null(y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree),
        cmocka_unit_test(empty_files_are_null),
        cmocka_unit_test(aliases_share_nodes),
        cmocka_unit_test(typed_reads),
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(refusals),
        cmocka_unit_test(depth),
        cmocka_unit_test(alias_bomb),
        cmocka_unit_test(many_values),
        cmocka_unit_test(anchors_are_bounded),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
