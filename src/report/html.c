#include "report/html.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "report/html_style.h"
#include "report/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_LIMIT = 256 << 20, NAV_LIMIT = 1 << 20, IMAGE_LIMIT = 16 << 20, PARA_LIMIT = 1 << 16 };

struct ark_html {
    char *title, *subtitle;
    ark_buf nav, body;
    size_t sections, plots;
    ark_status st;    /* of the first failure */
    char error[1024]; /* its message */
};

ark_status ark_html_new(const char *title, const char *subtitle, ark_html **out) {
    ark_html *h;
    ARK_TRY(ARK_NEW(&h, 1, "report"));
    ark_buf_init(&h->nav, NAV_LIMIT);
    ark_buf_init(&h->body, PAGE_LIMIT);
    h->title = ark_strdup(title);
    h->subtitle = subtitle ? ark_strdup(subtitle) : NULL;
    if (!h->title || (subtitle && !h->subtitle)) {
        ark_html_free(h);
        return ARK_ERR(ARK_ENOMEM, "out of memory for a report");
    }
    *out = h;
    return ARK_OK;
}

void ark_html_free(ark_html *h) {
    if (h) {
        ark_free(h->title);
        ark_free(h->subtitle);
        ark_buf_free(&h->nav);
        ark_buf_free(&h->body);
        ark_free(h);
    }
}

/* --- pieces: nothing happens after a failure --- */

static void keep(ark_html *h, ark_status st) {
    if (st != ARK_OK && h->st == ARK_OK) {
        h->st = st;
        snprintf(h->error, sizeof h->error, "%s", ark_err_msg());
    }
}

static void raw_n(ark_html *h, const char *markup, size_t n) {
    if (h->st == ARK_OK) {
        keep(h, ark_buf_add(&h->body, markup, n));
    }
}

static void raw(ark_html *h, const char *markup) {
    raw_n(h, markup, strlen(markup));
}

static void text(ark_html *h, const char *s) {
    if (h->st == ARK_OK && s) {
        keep(h, ark_text_put(&h->body, s, ARK_QUOTE_HTML));
    }
}

/* <tag ...>text</tag>, nothing for NULL */
static void element(ark_html *h, const char *open, const char *s, const char *close) {
    if (s) {
        raw(h, open);
        text(h, s);
        raw(h, close);
    }
}

/* --- sections and text --- */

static void close_section(ark_html *h) {
    if (h->sections > 0) {
        raw(h, "</section>\n");
    }
}

void ark_html_section(ark_html *h, const char *title) {
    close_section(h);
    h->sections++;
    char open[64];
    snprintf(open, sizeof open, "<section id=\"s%zu\">\n<h2>", h->sections);
    element(h, open, title, "</h2>\n");
    if (h->st == ARK_OK) {
        keep(h, ark_buf_addf(&h->nav, "<li><a href=\"#s%zu\">", h->sections));
    }
    if (h->st == ARK_OK) {
        keep(h, ark_text_put(&h->nav, title, ARK_QUOTE_HTML));
    }
    if (h->st == ARK_OK) {
        keep(h, ark_buf_adds(&h->nav, "</a></li>\n"));
    }
}

static void formatted(ark_html *h, const char *open, const char *close, const char *fmt, va_list ap) {
    char *s = NULL;
    if (h->st == ARK_OK) {
        keep(h, ARK_NEW(&s, PARA_LIMIT, "a paragraph"));
    }
    if (s) {
        vsnprintf(s, PARA_LIMIT, fmt, ap);
        element(h, open, s, close);
        ark_free(s);
    }
}

void ark_html_para(ark_html *h, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    formatted(h, "<p>", "</p>\n", fmt, ap);
    va_end(ap);
}

void ark_html_note(ark_html *h, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    formatted(h, "<p class=\"note\">", "</p>\n", fmt, ap);
    va_end(ap);
}

void ark_html_code(ark_html *h, const char *code) {
    raw(h, "<pre><code>");
    while (*code) { /* line by line: control characters inside a line become spaces, line ends stay */
        size_t len = strcspn(code, "\n");
        char *line = ark_strndup(code, len);
        if (!line) {
            keep(h, ARK_ERR(ARK_ENOMEM, "out of memory for a report"));
            return;
        }
        text(h, line);
        ark_free(line);
        code += len;
        if (*code) {
            raw(h, "\n");
            code++;
        }
    }
    raw(h, "</code></pre>\n");
}

void ark_html_facts(ark_html *h, const ark_html_fact *facts, size_t n) {
    raw(h, "<dl class=\"facts\">\n");
    for (size_t i = 0; i < n; i++) {
        raw(h, "<div>");
        element(h, "<dt>", facts[i].label, "</dt>");
        element(h, "<dd class=\"value\">", facts[i].value, "</dd>");
        element(h, "<dd>", facts[i].detail, "</dd>");
        raw(h, "</div>\n");
    }
    raw(h, "</dl>\n");
}

void ark_html_table_add(ark_html *h, const ark_html_table *t) {
    raw(h, "<div class=\"scroll\"><table>\n");
    element(h, "<caption>", t->caption, "</caption>\n");
    raw(h, "<thead><tr>");
    for (size_t c = 0; c < t->cols; c++) {
        element(h, c < t->text_cols ? "<th scope=\"col\">" : "<th scope=\"col\" class=\"num\">", t->head[c],
            "</th>");
    }
    raw(h, "</tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < t->rows; r++) {
        raw(h, "<tr>");
        for (size_t c = 0; c < t->cols; c++) {
            bool strong = t->strong && t->strong[r * t->cols + c];
            raw(h, c < t->text_cols ? "<td>" : "<td class=\"num\">");
            raw(h, strong ? "<strong>" : "");
            text(h, t->cells[r * t->cols + c]);
            raw(h, strong ? "</strong></td>" : "</td>");
        }
        raw(h, "</tr>\n");
    }
    raw(h, "</tbody>\n</table></div>\n");
}

/* --- plots --- */

/* Where one of an SVG's own names begins at s: behind id=" or href="# or url(#. 0 when none does. */
static size_t name_at(const char *s) {
    static const char *const before[] = {
        " id=\"", " id='", "href=\"#", "href='#", "url(#", "url('#", "url(\"#"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        size_t n = strlen(before[i]);
        if (!strncmp(s, before[i], n)) {
            return n;
        }
    }
    return 0;
}

/* Length of what a page does not need at s: gnuplot's own title and description, and namespaces, which HTML
 * knows. 0 when there is nothing of the kind. */
static size_t dispensable_at(const char *s) {
    static const struct {
        const char *from, *to;
    } parts[] = {
        {"<title>", "</title>"}, {"<desc>", "</desc>"}, {"xmlns=\"", "\""}, {"xmlns:xlink=\"", "\""}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t n = strlen(parts[i].from);
        const char *end = strncmp(s, parts[i].from, n) ? NULL : strstr(s + n, parts[i].to);
        if (end) {
            return (size_t)(end - s) + strlen(parts[i].to);
        }
    }
    return 0;
}

/* Inline an <svg> element. Names inside it get a prefix: those of several plots would collide. */
static void svg_element(ark_html *h, const ark_svg *svg) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "p%zu-", h->plots);
    const char *s = svg->text + strlen("<svg"), *from = s;
    raw(h, "<svg role=\"img\" aria-label=\"");
    text(h, svg->title ? svg->title : "plot");
    raw(h, "\"");
    while (*s) {
        size_t skip = dispensable_at(s), name = skip ? 0 : name_at(s);
        if (skip || name) {
            raw_n(h, from, (size_t)(s - from) + name);
            raw(h, name ? prefix : "");
            s += skip + name;
            from = s;
        } else {
            s++;
        }
    }
    raw_n(h, from, (size_t)(s - from));
}

void ark_html_plots(ark_html *h, const ark_html_plot *plots, size_t n) {
    raw(h, n == 1 ? "<div class=\"plots single\">\n" : "<div class=\"plots\">\n");
    for (size_t i = 0; i < n; i++) {
        const ark_svg *svg = plots[i].svg;
        h->plots++;
        raw(h, svg->text ? "<figure class=\"plot\">\n" : "<figure class=\"plot missing\">\n");
        element(h, "<h3>", svg->title, "</h3>\n");
        if (svg->text) {
            svg_element(h, svg);
        } else {
            element(h, "<p>No plot: ", svg->why ? svg->why : "not drawn", ".</p>\n");
        }
        element(h, "<figcaption>", plots[i].caption, "</figcaption>\n");
        raw(h, "</figure>\n");
    }
    raw(h, "</div>\n");
}

/* --- images --- */

static const char *image_type(const unsigned char *b, size_t n) {
    if (n > 8 && !memcmp(b, "\x89PNG\r\n\x1a\n", 8)) {
        return "image/png";
    }
    return n > 3 && !memcmp(b, "\xff\xd8\xff", 3) ? "image/jpeg" : NULL;
}

/* An image of so few pixels that it is shown enlarged: its pixels should stay square. */
static bool is_small_png(const unsigned char *b, size_t n) {
    return n >= 24 && b[0] == 0x89 && b[16] == 0 && b[17] == 0 && b[18] == 0;
}

static void image(ark_html *h, const ark_html_image *im) {
    const unsigned char *bytes = im->bytes;
    char *file = NULL;
    size_t len = im->len;
    if (im->path) {
        keep(h, ark_file_read(im->path, IMAGE_LIMIT, &file, &len));
        bytes = (const unsigned char *)file;
    }
    const char *type = h->st == ARK_OK ? image_type(bytes, len) : NULL;
    if (h->st == ARK_OK && (!type || len > IMAGE_LIMIT)) {
        keep(h, ARK_ERR(ARK_EFORMAT, "%s: %s", im->path ? im->path : "image in memory",
                    type ? "larger than 16 MiB" : "neither PNG nor JPEG"));
    }
    if (h->st == ARK_OK) {
        raw(h, is_small_png(bytes, len) ? "<figure>\n<img class=\"small\" alt=\"" : "<figure>\n<img alt=\"");
        text(h, im->caption ? im->caption : "image");
        raw(h, "\" src=\"data:");
        raw(h, type);
        raw(h, ";base64,");
        keep(h, ark_base64_put(&h->body, bytes, len));
        raw(h, "\">\n");
        element(h, "<figcaption>", im->caption, "</figcaption>\n");
        raw(h, "</figure>\n");
    }
    ark_free(file);
}

void ark_html_images(ark_html *h, const ark_html_image *images, size_t n) {
    raw(h, "<div class=\"gallery\">\n");
    for (size_t i = 0; i < n && h->st == ARK_OK; i++) {
        image(h, &images[i]);
    }
    raw(h, "</div>\n");
}

/* --- the page --- */

static ark_status put_head(const ark_html *h, ark_buf *b) {
    ARK_TRY(ark_buf_adds(b, html_head));
    ARK_TRY(ark_buf_adds(b, "<title>"));
    ARK_TRY(ark_text_put(b, h->title, ARK_QUOTE_HTML));
    ARK_TRY(ark_buf_adds(b, "</title>\n<style>\n"));
    ARK_TRY(ark_buf_adds(b, html_style));
    ARK_TRY(ark_buf_adds(b, "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>"));
    ARK_TRY(ark_text_put(b, h->title, ARK_QUOTE_HTML));
    ARK_TRY(ark_buf_adds(b, "</h1>\n"));
    if (h->subtitle) {
        ARK_TRY(ark_buf_adds(b, "<p class=\"lead\">"));
        ARK_TRY(ark_text_put(b, h->subtitle, ARK_QUOTE_HTML));
        ARK_TRY(ark_buf_adds(b, "</p>\n"));
    }
    if (h->sections > 1) {
        ARK_TRY(ark_buf_adds(b, "<nav aria-label=\"Sections\"><ul>\n"));
        ARK_TRY(ark_buf_add(b, h->nav.data, h->nav.len));
        ARK_TRY(ark_buf_adds(b, "</ul></nav>\n"));
    }
    return ark_buf_adds(b, "</header>\n");
}

ark_status ark_html_write(ark_html *h, const char *path) {
    if (h->st != ARK_OK) {
        return ark__err_copy(h->st, h->error);
    }
    ark_buf head;
    ark_buf_init(&head, 2 * NAV_LIMIT);
    ark_status st = put_head(h, &head);
    ark_writer w;
    if (st == ARK_OK && (st = ark_writer_open(&w, path)) == ARK_OK) {
        ark_writer_put(&w, head.data, head.len);
        ark_writer_put(&w, h->body.data, h->body.len);
        ark_writer_printf(&w, "%s</main>\n</body>\n</html>\n", h->sections ? "</section>\n" : "");
        st = ark_writer_commit(&w);
    }
    ark_buf_free(&head);
    return st;
}
