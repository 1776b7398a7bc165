/* CSV: quoting and line ends of RFC 4180, repeated names as pandas 3.1 gives them, every
 * refusal with file and line. */
#include "base/alloc.h"
#include "base/file.h"
#include "io/csv.h"
#include "io_check.h"

static ark_csv *parse(const char *text) {
    ark_csv *t = NULL;
    check_ok(ark_csv_parse(text, strlen(text), "t.csv", 0, true, &t));
    return t;
}

static ark_status refuse(const char *text) {
    ark_csv *t = NULL;
    ark_status st = ark_csv_parse(text, strlen(text), "t.csv", 0, true, &t);
    assert_null(t);
    return st;
}

static void fields_and_lines(void **state) {
    (void)state;
    ark_csv *t = parse("\xef\xbb\xbf"
                       "path,label,note\r\n"
                       "a.png,1,\"x, \"\"y\"\"\"\r\n"
                       "\n"
                       "\"b\nc\",,\"\"\n"
                       "d,5\" pipe,last");
    assert_string_equal(ark_csv_path(t), "t.csv");
    assert_int_equal(ark_csv_rows(t), 3);
    assert_int_equal(ark_csv_cols(t), 3);
    assert_string_equal(ark_csv_name(t, 0), "path");
    assert_string_equal(ark_csv_get(t, 0, 0), "a.png");
    assert_string_equal(ark_csv_get(t, 0, 2), "x, \"y\"");
    assert_string_equal(ark_csv_get(t, 1, 0), "b\nc");
    assert_string_equal(ark_csv_get(t, 1, 1), "");
    assert_string_equal(ark_csv_get(t, 1, 2), "");
    assert_string_equal(ark_csv_get(t, 2, 1), "5\" pipe");
    assert_string_equal(ark_csv_get(t, 2, 2), "last");
    assert_int_equal(ark_csv_line(t, 0), 2);
    assert_int_equal(ark_csv_line(t, 1), 4);
    assert_int_equal(ark_csv_line(t, 2), 6);
    ark_csv_free(t);
}

static void carriage_returns_end_lines(void **state) {
    (void)state;
    ark_csv *t = parse("a,b\r1,2\r3,4\r");
    assert_int_equal(ark_csv_rows(t), 2);
    assert_string_equal(ark_csv_get(t, 1, 1), "4");
    assert_int_equal(ark_csv_line(t, 1), 3);
    ark_csv_free(t);
}

/* pandas.read_csv(io.StringIO("X,Y,X,X.1,X,Y\n1,2,3,4,5,6")).columns = X Y X.2 X.1 X.3 Y.1 */
static void repeated_names(void **state) {
    (void)state;
    ark_csv *t = parse("X,Y,X,X.1,X,Y\n1,2,3,4,5,6\n");
    static const char *const names[] = {"X", "Y", "X.2", "X.1", "X.3", "Y.1"};
    for (size_t j = 0; j < 6; j++) {
        assert_string_equal(ark_csv_name(t, j), names[j]);
        assert_int_equal(ark_csv_find(t, names[j]), (long)j);
    }
    assert_int_equal(ark_csv_find(t, "Z"), -1);
    ark_csv_free(t);
}

static void missing_column_names_the_nearest(void **state) {
    (void)state;
    ark_csv *t = parse("path,Cardiomegaly\na,1\n");
    size_t col = 99;
    check_ok(ark_csv_need(t, "Cardiomegaly", &col));
    assert_int_equal(col, 1);
    check_error(ark_csv_need(t, "cardiomegaly", &col), ARK_EFORMAT, "t.csv", "no column 'cardiomegaly'",
        "did you mean 'Cardiomegaly'?");
    check_error(ark_csv_need(t, "Zzz", &col), ARK_EFORMAT, "no column 'Zzz'");
    assert_int_equal(col, 1);
    ark_csv_free(t);
}

static void blank_separated_lists(void **state) {
    (void)state;
    static const char text[] = "00000001_000.png 0 1  0 \n\n   \n\t00000002_000.png\t1 \"0 0\r\n";
    ark_csv *t = NULL;
    check_ok(ark_csv_parse(text, strlen(text), "list.txt", ' ', false, &t));
    assert_int_equal(ark_csv_rows(t), 2);
    assert_int_equal(ark_csv_cols(t), 4);
    assert_string_equal(ark_csv_name(t, 3), "3");
    assert_int_equal(ark_csv_find(t, "2"), 2);
    assert_string_equal(ark_csv_get(t, 0, 3), "0");
    assert_string_equal(ark_csv_get(t, 1, 0), "00000002_000.png");
    assert_string_equal(ark_csv_get(t, 1, 2), "\"0");
    assert_int_equal(ark_csv_line(t, 1), 4);
    ark_csv_free(t);
}

static void header_only_has_no_rows(void **state) {
    (void)state;
    ark_csv *t = parse("a,b");
    assert_int_equal(ark_csv_rows(t), 0);
    assert_int_equal(ark_csv_cols(t), 2);
    ark_csv_free(t);
}

static void refusals(void **state) {
    (void)state;
    check_error(refuse(""), ARK_EFORMAT, "t.csv: empty file");
    check_error(refuse("\xef\xbb\xbf\n\r\n"), ARK_EFORMAT, "t.csv: empty file");
    check_error(refuse("a,b\n1,2\n1\n"), ARK_EFORMAT, "t.csv:3: 1 fields, expected 2 as in line 1");
    check_error(refuse("a,b\n1,2,3\n"), ARK_EFORMAT, "t.csv:2: 3 fields, expected 2");
    check_error(
        refuse("a,b\n\"x\ny\",1\n1,\"2\n3\n"), ARK_EFORMAT, "t.csv:4: quote opened here is never closed");
    check_error(refuse("a,b\n1,\"2\"x\n"), ARK_EFORMAT, "t.csv:2: text follows the closing quote");
    ark_csv *t = NULL;
    check_error(
        ark_csv_parse("a,b\n1\0,2\n", 9, "t.csv", 0, true, &t), ARK_EFORMAT, "t.csv: NUL byte at offset 5");
    check_error(ark_csv_read("/nonexistent/t.csv", 0, &t), ARK_EIO, "/nonexistent/t.csv");
    assert_null(t);
}

static void too_many_columns(void **state) {
    (void)state;
    char *text = ark_malloc(100001);
    memset(text, ',', 100000);
    text[100000] = '\n';
    ark_csv *t = NULL;
    check_error(
        ark_csv_parse(text, 100001, "wide.csv", 0, true, &t), ARK_EFORMAT, "100001 columns, limit 100000");
    /* 100,000 equal names must not take quadratic time */
    check_ok(ark_csv_parse(text, 99999, "wide.csv", 0, true, &t));
    assert_string_equal(ark_csv_name(t, 99999), ".99999");
    ark_csv_free(t);
    ark_free(text);
}

static void reads_files(void **state) {
    (void)state;
    const char *path = temp_name("x.csv");
    check_ok(ark_file_write(path, "a;b\n1;2\n", 8));
    ark_csv *t = NULL;
    check_ok(ark_csv_read(path, ';', &t));
    assert_string_equal(ark_csv_get(t, 0, 1), "2");
    assert_string_equal(ark_csv_path(t), path);
    ark_csv_free(t);
    check_ok(ark_csv_read_headerless(path, ';', &t));
    assert_int_equal(ark_csv_rows(t), 2);
    ark_csv_free(t);
    unlink(path);
}

static void every_failed_allocation(void **state) {
    (void)state;
    static const char text[] = "a,b,a\n1,2,3\n4,5,6\n";
    for (uint64_t nth = 1;; nth++) {
        ark_csv *t = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_csv_parse(text, strlen(text), "t.csv", 0, true, &t);
        ark_alloc_fail_after(0);
        if (st == ARK_OK) {
            assert_true(nth > 5);
            ark_csv_free(t);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
        assert_null(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_lines),
        cmocka_unit_test(carriage_returns_end_lines),
        cmocka_unit_test(repeated_names),
        cmocka_unit_test(missing_column_names_the_nearest),
        cmocka_unit_test(blank_separated_lists),
        cmocka_unit_test(header_only_has_no_rows),
        cmocka_unit_test(refusals),
        cmocka_unit_test(too_many_columns),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
