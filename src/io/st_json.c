#include "io/st_json.h"

#include "base/err.h"
#include "io/utf8.h"

static void skip_blanks(ark_stj *j) {
    while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) {
        j->p++;
    }
}

static ark_status bad(const ark_stj *j, const char *wanted) {
    return ARK_ERR(ARK_EFORMAT, "%s: %s%s%sexpected %s at byte %zu of the header", j->file,
        j->within ? "in entry '" : "", j->within ? j->within : "", j->within ? "': " : "", wanted,
        (size_t)(j->p - j->start));
}

bool ark_stj_take(ark_stj *j, char c) {
    skip_blanks(j);
    if (j->p < j->end && *j->p == c) {
        j->p++;
        return true;
    }
    return false;
}

ark_status ark_stj_need(ark_stj *j, char c) {
    char wanted[] = {'\'', c, '\'', '\0'};
    return ark_stj_take(j, c) ? ARK_OK : bad(j, wanted);
}

static ark_status hex4(ark_stj *j, unsigned *out) {
    unsigned v = 0;
    for (int i = 0; i < 4; i++, j->p++) {
        char c = j->p < j->end ? *j->p : '\0';
        if (c >= '0' && c <= '9') {
            v = v * 16 + (unsigned)(c - '0');
        } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
            v = v * 16 + (unsigned)((c | 32) - 'a' + 10);
        } else {
            return bad(j, "four hexadecimal digits");
        }
    }
    *out = v;
    return ARK_OK;
}

/* The rest of \uXXXX, with the second half of a surrogate pair. */
static ark_status unicode_escape(ark_stj *j, unsigned *code) {
    ARK_TRY(hex4(j, code));
    if (*code == 0) {
        return bad(j, "text without NUL characters");
    }
    if (*code >= 0xdc00 && *code <= 0xdfff) {
        return bad(j, "a first surrogate");
    }
    if (*code >= 0xd800 && *code <= 0xdbff) {
        unsigned low = 0;
        if (j->end - j->p < 2 || j->p[0] != '\\' || j->p[1] != 'u') {
            return bad(j, "a second surrogate");
        }
        j->p += 2;
        ARK_TRY(hex4(j, &low));
        if (low < 0xdc00 || low > 0xdfff) {
            return bad(j, "a second surrogate");
        }
        *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
    }
    return ARK_OK;
}

static ark_status escape(ark_stj *j) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = j->p < j->end ? *j->p : '\0';
    if (c == 'u') {
        unsigned code;
        j->p++;
        ARK_TRY(unicode_escape(j, &code));
        j->pooled += ark_utf8_put(code, j->pool + j->pooled);
        return ARK_OK;
    }
    for (size_t i = 0; from[i]; i++) {
        if (c == from[i]) {
            j->pool[j->pooled++] = to[i];
            j->p++;
            return ARK_OK;
        }
    }
    return bad(j, "a known escape");
}

/* Unescaping never lengthens, and the terminator takes the room of a quote: the pool cannot overflow. */
ark_status ark_stj_string(ark_stj *j, const char **out) {
    skip_blanks(j);
    if (j->p == j->end || *j->p != '"') {
        return bad(j, "a string");
    }
    j->p++;
    size_t start = j->pooled;
    for (;;) {
        if (j->p == j->end || (unsigned char)*j->p < 0x20) {
            return bad(j, "the end of a string");
        }
        char c = *j->p++;
        if (c == '"') {
            break;
        }
        if (c == '\\') {
            ARK_TRY(escape(j));
        } else {
            j->pool[j->pooled++] = c;
        }
    }
    j->pool[j->pooled++] = '\0';
    *out = j->pool + start;
    return ARK_OK;
}

ark_status ark_stj_count(ark_stj *j, const char *what, int64_t *out) {
    skip_blanks(j);
    int64_t v = 0;
    const char *first = j->p;
    for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++) {
        if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
            __builtin_add_overflow(v, (int64_t)(*j->p - '0'), &v)) {
            return bad(j, "a number below 2^63");
        }
    }
    char next = j->p < j->end ? *j->p : '\0';
    if (j->p == first || (*first == '0' && j->p - first > 1) || next == '.' || (next | 32) == 'e') {
        j->p = first;
        return bad(j, what);
    }
    *out = v;
    return ARK_OK;
}

ark_status ark_stj_finish(ark_stj *j) {
    skip_blanks(j);
    return j->p == j->end ? ARK_OK : bad(j, "nothing but padding");
}
