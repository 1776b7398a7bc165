#include "train/json_file.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"

enum { JSON_LIMIT = 256 << 20 };

ark_status ark__json_read(const char *path, json_t **out) {
    char *text;
    size_t len;
    json_error_t e;
    ARK_TRY(ark_file_read(path, JSON_LIMIT, &text, &len));
    json_t *o = json_loadb(text, len, 0, &e);
    ark_free(text);
    if (!o) {
        return ARK_ERR(ARK_EFORMAT, "%s:%d: %s", path, e.line, e.text);
    }
    *out = o;
    return ARK_OK;
}

ark_status ark__json_write(const char *path, const json_t *o) {
    size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(17), n = json_dumpb(o, NULL, 0, flags);
    char *text;
    ARK_TRY(ARK_NEW(&text, n + 1, "results"));
    json_dumpb(o, text, n, flags);
    text[n] = '\n';
    ark_status st = ark_file_write(path, text, n + 1);
    ark_free(text);
    return st;
}
