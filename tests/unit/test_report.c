/* Reports: every tag closes, names are unique, text is escaped, nothing is loaded from elsewhere; plots show
 * what they were given, or say why they do not. */
#include "base/alloc.h"
#include "base/file.h"
#include "report/html.h"
#include "report/text.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const double three[] = {1, 2, 3}, values[] = {0.5, NAN, 0.75}, low[] = {0.4, NAN, 0.7},
                    high[] = {0.6, NAN, 0.8};

/* A folder for one test, and PATH pointing into it for tests that replace gnuplot. */
static char dir[64], *old_path;

static int make_dir(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-report-XXXXXX");
    old_path = strdup(getenv("PATH") ? getenv("PATH") : "");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    setenv("PATH", old_path, 1);
    free(old_path);
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

static bool have_gnuplot(void) {
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

static void fake_gnuplot(const char *script) {
    char path[100];
    snprintf(path, sizeof path, "%s/gnuplot", dir);
    assert_int_equal(ark_file_write(path, script, strlen(script)), ARK_OK);
    assert_int_equal(chmod(path, 0755), 0);
    setenv("PATH", dir, 1);
}

static ark_status two_lines(ark_svg *out) {
    const ark_series s[] = {
        {.name = "student", .x = three, .y = values, .low = low, .high = high, .n = 3},
        {.name = "a'; system 'touch pwned' #`touch pwned` <b>",
            .x = three,
            .y = three,
            .n = 3,
            .dashed = true},
    };
    return ark_svg_lines(
        &(ark_axes){.title = "Loss & more", .x_label = "epoch", .y_label = "loss"}, s, 2, out);
}

static char *page(ark_html *h, size_t *len) {
    char path[100], *text;
    snprintf(path, sizeof path, "%s/report.html", dir);
    assert_int_equal(ark_html_write(h, path), ARK_OK);
    assert_int_equal(ark_file_read(path, 100 << 20, &text, len), ARK_OK);
    return text;
}

/* --- a small checker of markup --- */

enum { MAX_DEPTH = 64, MAX_IDS = 4096, MAX_NAME = 32 };

typedef struct markup {
    char open[MAX_DEPTH][MAX_NAME];
    size_t depth;
    char ids[MAX_IDS][MAX_NAME];
    size_t n_ids, tags;
} markup;

static bool is_void(const char *name) {
    return !strcmp(name, "meta") || !strcmp(name, "img") || !strcmp(name, "br");
}

/* The tag that starts at s ('<' already seen); returns what follows it. */
static const char *check_tag(markup *m, const char *s) {
    bool closing = *s == '/', self_closed = false;
    s += closing;
    size_t n = strcspn(s, " \t\r\n/>");
    assert_true(n > 0 && n < MAX_NAME);
    char name[MAX_NAME];
    memcpy(name, s, n);
    name[n] = '\0';
    for (s += n; *s && *s != '>'; s++) {
        self_closed = *s == '/';
        bool id = !strncmp(s, " id=", 4);
        s += id ? 4 : 0;
        if (*s == '"' || *s == '\'') {
            const char *end = strchr(s + 1, *s);
            assert_non_null(end);
            if (id) {
                size_t len = (size_t)(end - s - 1);
                assert_true(m->n_ids < MAX_IDS && len > 0 && len < MAX_NAME);
                memcpy(m->ids[m->n_ids], s + 1, len);
                m->ids[m->n_ids][len] = '\0';
                for (size_t i = 0; i < m->n_ids; i++) {
                    assert_string_not_equal(m->ids[i], m->ids[m->n_ids]);
                }
                m->n_ids++;
            }
            s = end;
        }
    }
    assert_true(*s == '>');
    m->tags++;
    if (closing) {
        assert_true(m->depth > 0);
        assert_string_equal(m->open[--m->depth], name);
    } else if (!self_closed && !is_void(name)) {
        assert_true(m->depth < MAX_DEPTH);
        memcpy(m->open[m->depth++], name, n + 1);
    }
    return s + 1;
}

static size_t check_markup(const char *text, const char *doctype) {
    markup *m = calloc(1, sizeof *m);
    assert_non_null(m);
    assert_int_equal(strncmp(text, doctype, strlen(doctype)), 0);
    for (const char *s = text + strlen(doctype); *s;) {
        if (*s == '<') {
            s = check_tag(m, s + 1);
        } else if (*s == '&') { /* a reference, never a bare ampersand */
            size_t n = strcspn(s, ";< ");
            assert_true(n < 8 && s[n] == ';');
            s += n;
        } else {
            s++;
        }
    }
    assert_int_equal(m->depth, 0);
    for (const char *s = strstr(text, "href="); s; s = strstr(s + 1, "href=")) {
        assert_true(s[6] == '#');
        char id[MAX_NAME];
        snprintf(id, sizeof id, "%.*s", (int)strcspn(s + 7, "\"'"), s + 7);
        bool found = false;
        for (size_t i = 0; i < m->n_ids; i++) {
            found = found || !strcmp(m->ids[i], id);
        }
        assert_true(found);
    }
    size_t tags = m->tags;
    free(m);
    return tags;
}

static size_t count(const char *text, const char *what) {
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text++) {
        n++;
    }
    return n;
}

/* --- tests --- */

static void quoting(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 1000);
    assert_int_equal(ark_text_put(&b, "<a href=\"x\">'&'\n\xc3\xa9\xff.", ARK_QUOTE_HTML), ARK_OK);
    assert_string_equal(b.data, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39; \xc3\xa9\xef\xbf\xbd.");
    ark_buf_free(&b);
    assert_int_equal(ark_text_put(&b, "it's\n`x`", ARK_QUOTE_GNUPLOT), ARK_OK);
    assert_string_equal(b.data, "it''s `x`");
    ark_buf_free(&b);
}

/* The examples of RFC 4648, section 10. */
static void base64(void **state) {
    (void)state;
    static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ark_buf b;
        ark_buf_init(&b, 1000);
        assert_int_equal(ark_base64_put(&b, cases[i][0], strlen(cases[i][0])), ARK_OK);
        assert_string_equal(b.data, cases[i][1]);
        ark_buf_free(&b);
    }
    unsigned char all[300];
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (unsigned char)(255 - i % 256);
    }
    ark_buf b;
    ark_buf_init(&b, 1000);
    assert_int_equal(ark_base64_put(&b, all, sizeof all), ARK_OK);
    assert_int_equal(b.len, 400);
    assert_memory_equal(b.data, "//79/Pv6", 8);
    ark_buf_free(&b);
}

static void lines_are_drawn(void **state) {
    (void)state;
    if (!have_gnuplot()) {
        skip();
    }
    ark_svg svg;
    assert_int_equal(two_lines(&svg), ARK_OK);
    assert_null(svg.why);
    assert_non_null(svg.text);
    assert_true(check_markup(svg.text, "") > 20);
    assert_string_equal(svg.title, "Loss & more");
    assert_non_null(strstr(svg.text, ">epoch<"));
    assert_non_null(strstr(svg.text, ">student<"));
    assert_non_null(strstr(svg.text, "`touch pwned` &lt;b"));
    assert_false(ark_path_exists("pwned"));
    assert_true(count(svg.text, "rgb(  0, 114, 178)") > 0 && count(svg.text, "rgb(213,  94,   0)") > 0);
    ark_svg_free(&svg);
}

/* A curve of (0,0), (0,1), (1,1): the line runs straight up, then right, so that its path has two constant
 * coordinates, and the legend holds the area and its interval. */
static void roc_is_drawn(void **state) {
    (void)state;
    if (!have_gnuplot()) {
        skip();
    }
    double x[] = {0, 0, 1}, y[] = {0, 1, 1};
    ark_roc_series s = {.name = "Ark", .curve = {.n = 3, .x = x, .y = y}, .auroc = {.value = 1}};
    s.ci = (ark_interval){.low = 0.9375, .high = 1};
    ark_svg svg;
    assert_int_equal(ark_svg_roc(&(ark_axes){.title = "ROC"}, &s, 1, &svg), ARK_OK);
    assert_non_null(svg.text);
    check_markup(svg.text, "");
    assert_non_null(strstr(svg.text, "Ark  1.000 [0.938, 1.000]"));
    const char *plot = strstr(svg.text, "gnuplot_plot_1");
    assert_non_null(plot);
    const char *line = strstr(plot, " d='M"); /* the legend's sample, then the curve */
    assert_non_null(line);
    line = strchr(line + 5, 'M');
    assert_non_null(line);
    double px[3], py[3];
    assert_int_equal(
        sscanf(line, "M%lf,%lf L%lf,%lf L%lf,%lf", &px[0], &py[0], &px[1], &py[1], &px[2], &py[2]), 6);
    assert_true(px[0] == px[1] && py[1] == py[2] && py[1] < py[0] && px[1] < px[2]);
    assert_true(fabs((px[2] - px[1]) - (py[0] - py[1])) < 0.5); /* a square */
    ark_svg_free(&svg);
}

static void bars_are_drawn(void **state) {
    (void)state;
    if (!have_gnuplot()) {
        skip();
    }
    static const char *const names[] = {"Effusion", "O'Brien's <sign>", "Nodule"};
    static const double none[] = {NAN, NAN, NAN};
    const ark_bar_series s[] = {{"teacher", values, low, high}, {"nothing", none, NULL, NULL}};
    ark_svg svg;
    for (int cut = 0; cut < 2; cut++) {
        ark_axes a = {.y_label = "AUROC", .y_min = cut ? 0.4 : 0, .y_max = cut ? 1 : 0};
        assert_int_equal(ark_svg_bars(&a, names, 3, s, 2, &svg), ARK_OK);
        assert_non_null(svg.text);
        check_markup(svg.text, "");
        assert_non_null(strstr(svg.text, "O'Brien's &lt;sign"));
        /* two values: as many bars, or points beside the legend's */
        assert_int_equal(count(svg.text, "<polygon") > 0, !cut);
        assert_null(strstr(svg.text, "nothing"));
        ark_svg_free(&svg);
    }
}

static void impossible_plots_are_refused(void **state) {
    (void)state;
    ark_svg svg;
    double x[] = {0, 1, 2};
    ark_series s = {.name = "a", .x = x, .y = three, .n = 3};
    assert_int_equal(ark_svg_lines(&(ark_axes){.log_x = true}, &s, 1, &svg), ARK_EINVAL);
    assert_non_null(strstr(ark_err_msg(), "'a', point 0"));
    assert_int_equal(ark_svg_lines(&(ark_axes){.y_min = 2, .y_max = 1}, &s, 1, &svg), ARK_EINVAL);
    assert_int_equal(ark_svg_lines(&(ark_axes){.width_px = 1 << 20}, &s, 1, &svg), ARK_EINVAL);
    assert_int_equal(ark_svg_lines(&(ark_axes){.log_x = false}, &s, 0, &svg), ARK_EINVAL);
    s.n = 0;
    assert_int_equal(ark_svg_lines(&(ark_axes){.title = "t"}, &s, 1, &svg), ARK_OK);
    assert_null(svg.text);
    assert_string_equal(svg.why, "there is no point to draw");
    ark_svg_free(&svg);
}

static void a_missing_gnuplot_is_said(void **state) {
    (void)state;
    setenv("PATH", dir, 1); /* an empty folder */
    ark_svg svg;
    assert_int_equal(two_lines(&svg), ARK_OK);
    assert_null(svg.text);
    assert_string_equal(svg.why, "gnuplot is not installed");
    ark_html *h;
    size_t len;
    assert_int_equal(ark_html_new("Report", NULL, &h), ARK_OK);
    ark_html_plots(h, &(ark_html_plot){.svg = &svg, .caption = "caption"}, 1);
    char *text = page(h, &len);
    check_markup(text, "<!doctype html>");
    assert_non_null(strstr(text, "No plot: gnuplot is not installed."));
    ark_free(text);
    ark_html_free(h);
    ark_svg_free(&svg);
}

static void a_failing_gnuplot_is_said(void **state) {
    (void)state;
    ark_svg svg;
    fake_gnuplot("#!/bin/sh\necho 'line 3: boom' >&2\nexit 1\n");
    assert_int_equal(two_lines(&svg), ARK_OK);
    assert_null(svg.text);
    assert_non_null(strstr(svg.why, "boom"));
    ark_svg_free(&svg);
    fake_gnuplot("#!/bin/sh\necho hello\n");
    assert_int_equal(two_lines(&svg), ARK_OK);
    assert_string_equal(svg.why, "gnuplot printed no SVG");
    ark_svg_free(&svg);
    /* more than a pipe holds, while the script is never read */
    fake_gnuplot(
        "#!/bin/sh\ni=0\necho '<svg>'\nwhile [ $i -lt 5000 ]; do echo '<g>0123456789012345678901</g>';"
        " i=$((i+1)); done\necho '</svg>'\n");
    assert_int_equal(two_lines(&svg), ARK_OK);
    assert_null(svg.why);
    assert_true(svg.len > 100000);
    ark_svg_free(&svg);
}

/* A 1 x 1 grey PNG. */
static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D',
    'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, 'I', 'D', 'A', 'T', 8,
    0xd7, 0x63, 0x60, 0, 0, 0, 2, 0, 1, 0xe2, 0x21, 0xbc, 0x33, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0xae, 0x42,
    0x60, 0x82};

static ark_status full_report(ark_html **out) {
    static const char hostile[] = "<script>alert('x')</script> & \"q\" \xff https";
    ark_svg one = {0}, two = {0};
    ark_html *h = NULL;
    ark_status st = two_lines(&one);
    st = st ? st : two_lines(&two);
    st = st ? st : ark_html_new(hostile, hostile, &h);
    if (st == ARK_OK) {
        ark_html_facts(h, (ark_html_fact[]){{hostile, "0.871", hostile}, {"n", "3", NULL}}, 2);
        ark_html_section(h, hostile);
        ark_html_para(h, "%s %d", hostile, 7);
        ark_html_note(h, "%s", hostile);
        const char *head[] = {"Model", hostile}, *cells[] = {hostile, "1", NULL, "2"};
        bool strong[4] = {[1] = true};
        ark_html_table_add(h, &(ark_html_table){.caption = hostile,
                                  .head = head,
                                  .cells = cells,
                                  .rows = 2,
                                  .cols = 2,
                                  .text_cols = 1,
                                  .strong = strong});
        ark_html_section(h, "Plots");
        ark_html_plots(h, (ark_html_plot[]){{&one, hostile}, {&two, NULL}}, 2);
        ark_html_images(h, &(ark_html_image){.bytes = png, .len = sizeof png, .caption = hostile}, 1);
        ark_html_code(h, "make demo\n</code><script>");
        *out = h;
    }
    ark_svg_free(&one);
    ark_svg_free(&two);
    return st;
}

static void a_page_is_whole_and_alone(void **state) {
    (void)state;
    ark_html *h;
    size_t len;
    assert_int_equal(full_report(&h), ARK_OK);
    char *text = page(h, &len);
    assert_int_equal(strlen(text), len);
    assert_true(check_markup(text, "<!doctype html>") > 60);
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(
        text, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;q&quot; \xef\xbf\xbd https"));
    assert_non_null(strstr(text, "<strong>1</strong>"));
    assert_non_null(strstr(text, "make demo\n&lt;/code&gt;&lt;script&gt;"));
    /* nothing is loaded: no address, no import, images only as data */
    assert_null(strstr(text, "://"));
    assert_null(strstr(text, "@import"));
    assert_null(strstr(text, "<link"));
    assert_int_equal(count(text, "src="), 1);
    assert_int_equal(count(text, "src=\"data:image/png;base64,iVBORw0KGgo"), 1);
    assert_int_equal(count(text, "<svg "), have_gnuplot() ? 2 : 0);
    /* writing again after more content works */
    ark_html_para(h, "more");
    char *again = page(h, &len);
    assert_non_null(strstr(again, "<p>more</p>"));
    check_markup(again, "<!doctype html>");
    ark_free(text);
    ark_free(again);
    ark_html_free(h);
}

static void the_first_failure_sticks(void **state) {
    (void)state;
    ark_html *h;
    assert_int_equal(ark_html_new("t", NULL, &h), ARK_OK);
    ark_html_images(h, &(ark_html_image){.bytes = (const unsigned char *)"GIF89a", .len = 6}, 1);
    ark_html_images(h, &(ark_html_image){.path = "/nonexistent.png"}, 1);
    ark_html_para(h, "x");
    char path[100];
    snprintf(path, sizeof path, "%s/r.html", dir);
    assert_int_equal(ark_html_write(h, path), ARK_EFORMAT);
    assert_non_null(strstr(ark_err_msg(), "neither PNG nor JPEG"));
    assert_false(ark_path_exists(path));
    ark_html_free(h);
    assert_int_equal(ark_html_new("t", NULL, &h), ARK_OK);
    assert_int_equal(ark_html_write(h, "/nonexistent/r.html"), ARK_EIO);
    ark_html_free(h);
}

static void out_of_memory_leaks_nothing(void **state) {
    (void)state;
    fake_gnuplot("#!/bin/sh\necho '<svg><g id=\"a\"/></svg>'\n");
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        assert_true(nth < 300);
        ark_html *h = NULL;
        char path[100];
        snprintf(path, sizeof path, "%s/r.html", dir);
        ark_alloc_fail_after(nth);
        st = full_report(&h);
        st = st ? st : ark_html_write(h, path);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM || st == ARK_EIO);
        ark_html_free(h);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(quoting),
        TEST(base64),
        TEST(lines_are_drawn),
        TEST(roc_is_drawn),
        TEST(bars_are_drawn),
        TEST(impossible_plots_are_refused),
        TEST(a_missing_gnuplot_is_said),
        TEST(a_failing_gnuplot_is_said),
        TEST(a_page_is_whole_and_alone),
        TEST(the_first_failure_sticks),
        TEST(out_of_memory_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
