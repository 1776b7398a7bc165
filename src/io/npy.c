#include "io/npy.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "io/scalar.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DIMS = 8, MAX_HEADER = 1 << 16 };
#define MAX_DATA ((size_t)16 << 30) /* bytes, in the file and as float32 */

/* The header dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } */
typedef struct header {
    const char *file;
    const char *p, *end; /* what is left of the text */
    char descr[16];
    bool fortran;
    int ndim;
    int64_t shape[MAX_DIMS];
} header;

static ark_status bad(const header *h, const char *wanted) {
    return ARK_ERR(ARK_EFORMAT, "%s: malformed .npy header: expected %s", h->file, wanted);
}

static bool take(header *h, const char *word) {
    while (h->p < h->end && (*h->p == ' ' || *h->p == '\n')) {
        h->p++;
    }
    size_t n = strlen(word);
    if ((size_t)(h->end - h->p) < n || memcmp(h->p, word, n) != 0) {
        return false;
    }
    h->p += n;
    return true;
}

/* Text in single or double quotes. */
static ark_status string(header *h, char *out, size_t cap) {
    char quote = take(h, "'") ? '\'' : take(h, "\"") ? '"' : '\0';
    const char *close = quote ? memchr(h->p, quote, (size_t)(h->end - h->p)) : NULL;
    if (!close || (size_t)(close - h->p) >= cap) {
        return bad(h, "text in quotes (a structured dtype is not supported)");
    }
    snprintf(out, cap, "%.*s", (int)(close - h->p), h->p);
    h->p = close + 1;
    return ARK_OK;
}

static ark_status shape(header *h) {
    if (!take(h, "(")) {
        return bad(h, "a shape in parentheses");
    }
    h->ndim = 0;
    while (!take(h, ")")) {
        int64_t v = 0;
        const char *first = h->p;
        for (; h->p < h->end && *h->p >= '0' && *h->p <= '9'; h->p++) {
            if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
                __builtin_add_overflow(v, (int64_t)(*h->p - '0'), &v)) {
                return ARK_ERR(ARK_EFORMAT, "%s: its shape overflows", h->file);
            }
        }
        if (h->p == first) {
            return bad(h, "a dimension");
        }
        if (h->ndim == MAX_DIMS) {
            return ARK_ERR(ARK_EFORMAT, "%s: more than %d dimensions", h->file, MAX_DIMS);
        }
        h->shape[h->ndim++] = v;
        if (!take(h, ",")) {
            if (!take(h, ")")) {
                return bad(h, "',' or ')' in the shape");
            }
            break;
        }
    }
    return ARK_OK;
}

static ark_status dictionary(header *h) {
    static const char *const keys[] = {"descr", "fortran_order", "shape"};
    unsigned seen = 0;
    if (!take(h, "{")) {
        return bad(h, "'{'");
    }
    while (!take(h, "}")) {
        char key[16];
        ARK_TRY(string(h, key, sizeof key));
        unsigned which = 0;
        while (which < 3 && strcmp(key, keys[which]) != 0) {
            which++;
        }
        if (which == 3 || seen & 1u << which || !take(h, ":")) {
            return bad(h, "the keys descr, fortran_order and shape, once each");
        }
        seen |= 1u << which;
        if (which == 0) {
            ARK_TRY(string(h, h->descr, sizeof h->descr));
        } else if (which == 1) {
            h->fortran = take(h, "True");
            if (!h->fortran && !take(h, "False")) {
                return bad(h, "True or False");
            }
        } else {
            ARK_TRY(shape(h));
        }
        if (!take(h, ",") && !take(h, "}")) {
            return bad(h, "',' or '}'");
        }
        if (h->p[-1] == '}') {
            break;
        }
    }
    return seen == 7 ? ARK_OK : bad(h, "the keys descr, fortran_order and shape");
}

static ark_status dtype_of(const header *h, ark_st_dtype *out) {
    static const struct {
        const char *descr;
        ark_st_dtype dtype;
    } rows[] = {{"f4", ARK_ST_F32}, {"f8", ARK_ST_F64}, {"f2", ARK_ST_F16}, {"i1", ARK_ST_I8},
        {"i2", ARK_ST_I16}, {"i4", ARK_ST_I32}, {"i8", ARK_ST_I64}, {"u1", ARK_ST_U8}, {"u2", ARK_ST_U16},
        {"u4", ARK_ST_U32}, {"u8", ARK_ST_U64}, {"b1", ARK_ST_BOOL}};
    const char *d = h->descr;
    if (strchr(d, 'O')) {
        return ARK_ERR(ARK_EFORMAT, "%s: dtype '%s' holds Python objects (a pickle): refused", h->file, d);
    }
    if (*d == '<' || *d == '|' || (*d == '>' && d[1] && d[2] == '1')) {
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            if (!strcmp(d + 1, rows[i].descr)) {
                *out = rows[i].dtype;
                return ARK_OK;
            }
        }
    }
    return ARK_ERR(
        ARK_EFORMAT, "%s: dtype '%s' is not supported%s", h->file, d, *d == '>' ? " (big-endian)" : "");
}

/* Element i of a Fortran-ordered array goes to its place in C order; the first index runs
 * fastest in the source. */
static void from_fortran(const header *h, size_t numel, const float *src, float *dst) {
    size_t stride[MAX_DIMS], index[MAX_DIMS] = {0}, at = 0;
    size_t step = 1;
    for (int d = h->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= (size_t)h->shape[d];
    }
    for (size_t i = 0; i < numel; i++) {
        dst[at] = src[i];
        for (int d = 0; d < h->ndim; d++) {
            at += stride[d];
            if (++index[d] < (size_t)h->shape[d]) {
                break;
            }
            at -= stride[d] * (size_t)h->shape[d];
            index[d] = 0;
        }
    }
}

/* The header's text and where the data begins. */
static ark_status find_header(
    const unsigned char *b, size_t n, const char *name, header *h, size_t *data_at) {
    if (n < 10 || memcmp(b, "\x93NUMPY", 6) != 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: not a .npy file", name);
    }
    unsigned major = b[6];
    if (major < 1 || major > 3) {
        return ARK_ERR(ARK_EFORMAT, "%s: .npy version %u.%u is not supported", name, major, b[7]);
    }
    size_t at = major == 1 ? 10 : 12;
    size_t len = b[8] | (size_t)b[9] << 8;
    if (major > 1) {
        if (n < at) {
            return ARK_ERR(ARK_EFORMAT, "%s: truncated .npy header", name);
        }
        len |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
    }
    if (len > MAX_HEADER || len > n - at) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: .npy header of %zu bytes, limit %d, the file has %zu after its length", name, len,
            MAX_HEADER, n - at);
    }
    *h = (header){.file = name, .p = (const char *)b + at, .end = (const char *)b + at + len};
    *data_at = at + len;
    return ARK_OK;
}

static ark_status sizes(const header *h, ark_st_dtype dtype, size_t data_bytes, size_t *numel) {
    *numel = 1;
    for (int i = 0; i < h->ndim; i++) {
        if (ark_mul(*numel, (size_t)h->shape[i], numel)) {
            return ARK_ERR(ARK_EFORMAT, "%s: its shape overflows", h->file);
        }
    }
    size_t bytes, floats;
    if (ark_mul(*numel, ark_st_dtype_bytes(dtype), &bytes) || ark_mul(*numel, sizeof(float), &floats) ||
        bytes > MAX_DATA || floats > MAX_DATA) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu elements, limit %zu bytes", h->file, *numel, MAX_DATA);
    }
    if (bytes != data_bytes) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu bytes of data, its shape and dtype '%s' need %zu", h->file,
            data_bytes, h->descr, bytes);
    }
    return ARK_OK;
}

ark_status ark_npy_parse(const void *bytes, size_t n, const char *name, ark_npy *out) {
    header h;
    size_t data_at, numel;
    ark_st_dtype dtype;
    ARK_TRY(find_header(bytes, n, name, &h, &data_at));
    ARK_TRY(dictionary(&h));
    ARK_TRY(dtype_of(&h, &dtype));
    ARK_TRY(sizes(&h, dtype, n - data_at, &numel));
    float *data = ark_malloc(numel * sizeof *data);
    float *source = h.fortran && h.ndim > 1 ? ark_malloc(numel * sizeof *source) : data;
    if (!data || !source) {
        if (source != data) {
            ark_free(source);
        }
        ark_free(data);
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %zu numbers", name, numel);
    }
    ark_scalar_to_f32(dtype, (const unsigned char *)bytes + data_at, numel, source);
    if (source != data) {
        from_fortran(&h, numel, source, data);
        ark_free(source);
    }
    *out = (ark_npy){.ndim = h.ndim, .numel = (int64_t)numel, .data = data};
    memcpy(out->shape, h.shape, sizeof h.shape);
    return ARK_OK;
}

ark_status ark_npy_read(const char *path, ark_npy *out) {
    ark_map map;
    ARK_TRY(ark_map_open(path, &map));
    ark_status st = ark_npy_parse(map.data, map.len, path, out);
    ark_map_close(&map);
    return st;
}

void ark_npy_free(ark_npy *a) {
    if (a) {
        ark_free(a->data);
        *a = (ark_npy){0};
    }
}

ark_status ark_npy_write_f32(const char *path, int ndim, const int64_t *dims, const float *data) {
    char text[256];
    size_t numel = 1, bytes;
    int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    if (ndim < 0 || ndim > MAX_DIMS) {
        return ARK_ERR(ARK_EINVAL, "%s: %d dimensions, limit %d", path, ndim, MAX_DIMS);
    }
    for (int i = 0; i < ndim; i++) {
        if (dims[i] < 0 || ark_mul(numel, (size_t)dims[i], &numel)) {
            return ARK_ERR(
                ARK_EINVAL, "%s: dimension %d is %" PRId64 ": negative or too large", path, i, dims[i]);
        }
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%" PRId64 "%s", i ? " " : "", dims[i],
            i + 1 < ndim || ndim == 1 ? "," : "");
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "), }");
    if (ark_mul(numel, sizeof *data, &bytes)) {
        return ARK_ERR(ARK_EINVAL, "%s: %zu numbers are too many", path, numel);
    }
    size_t len = ark_round_up((size_t)n + 1 + 10, 64) - 10; /* the data begins at a multiple of 64 */
    memset(text + n, ' ', len - (size_t)n - 1);
    text[len - 1] = '\n';
    unsigned char magic[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)len, (unsigned char)(len >> 8)};
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_put(&w, magic, sizeof magic);
    ark_writer_put(&w, text, len);
    ark_writer_put(&w, data, bytes);
    return ark_writer_commit(&w);
}
