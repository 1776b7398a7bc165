#include "io/dicom_walk.h"

#include "base/err.h"
#include "base/str.h"

#include <string.h>

enum { MAX_DEPTH = 16 };

static uint32_t u32(const ark__walker *w, const uint8_t *p) {
    return w->big ? (uint32_t)ark__walk_u16(w, p) << 16 | ark__walk_u16(w, p + 2)
                  : (uint32_t)ark__walk_u16(w, p + 2) << 16 | ark__walk_u16(w, p);
}

ark_status ark__walk_bad(const ark__walker *w, uint32_t tag, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: DICOM: element (%04X,%04X): %s", w->name, tag >> 16, tag & 0xffff, what);
}

bool ark__walk_text(const ark__element *e, char *out, size_t cap) {
    size_t a = 0, b = 0;
    while (b < e->len && e->value[b] != '\\') {
        b++;
    }
    while (b > 0 && (e->value[b - 1] == ' ' || e->value[b - 1] == '\0')) {
        b--;
    }
    while (a < b && e->value[a] == ' ') {
        a++;
    }
    size_t n = b - a < cap ? b - a : cap - 1;
    memcpy(out, e->value + a, n);
    out[n] = '\0';
    return n == b - a;
}

ark_status ark__walk_take_text(const ark__walker *w, const ark__element *e, char *out, size_t cap) {
    return ark__walk_text(e, out, cap) ? ARK_OK : ark__walk_bad(w, e->tag, "a text that is too long");
}

ark_status ark__walk_take_number(const ark__walker *w, const ark__element *e, double *out) {
    char s[65];
    const char *t = s;
    if (!ark__walk_text(e, s, sizeof s)) {
        return ark__walk_bad(w, e->tag, "a number that is too long");
    }
    t += s[0] == '+';
    return !s[0] || ark_parse_f64(t, out) ? ARK_OK : ark__walk_bad(w, e->tag, "not a decimal number");
}

ark_status ark__walk_take_short(const ark__walker *w, const ark__element *e, int *out) {
    if (e->len == 0) {
        return ARK_OK;
    }
    if (e->len < 2) {
        return ark__walk_bad(w, e->tag, "one byte, where a number of two belongs");
    }
    *out = (int)ark__walk_u16(w, e->value);
    return ARK_OK;
}

/* --- elements --- */

static bool has_long_length(unsigned vr) {
    static const unsigned known[] = {ARK__VR('O', 'B'), ARK__VR('O', 'W'), ARK__VR('O', 'F'),
        ARK__VR('O', 'D'), ARK__VR('O', 'L'), ARK__VR('O', 'V'), ARK__VR('S', 'Q'), ARK__VR('S', 'V'),
        ARK__VR('U', 'C'), ARK__VR('U', 'N'), ARK__VR('U', 'R'), ARK__VR('U', 'T'), ARK__VR('U', 'V')};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i] == vr) {
            return true;
        }
    }
    return false;
}

static ark_status cut_short(const ark__walker *w, const char *where) {
    return ARK_ERR(ARK_EFORMAT, "%s: DICOM: the data ends at byte %zu, %s", w->name, w->n, where);
}

ark_status ark__walk_next(ark__walker *w, ark__element *e) {
    if (w->n - w->at < 8) {
        return cut_short(w, "within the head of an element");
    }
    const uint8_t *p = w->p + w->at;
    *e = (ark__element){.tag = ARK__TAG(ark__walk_u16(w, p), ark__walk_u16(w, p + 2))};
    uint32_t len = u32(w, p + 4);
    w->at += 8;
    if (w->explicit_vr && e->tag >> 16 != 0xfffe) {
        if (!ark__is_letter(p[4]) || !ark__is_letter(p[5])) {
            return ark__walk_bad(w, e->tag, "no value representation where one belongs");
        }
        e->vr = ARK__VR(p[4], p[5]);
        len = ark__walk_u16(w, p + 6);
        if (has_long_length(e->vr)) {
            if (w->n - w->at < 4) {
                return cut_short(w, "within the head of an element");
            }
            len = u32(w, p + 8);
            w->at += 4;
        }
    }
    e->value = w->p + w->at;
    e->undefined = len == 0xffffffff;
    e->len = e->undefined ? 0 : len;
    if (e->len > w->n - w->at) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: element (%04X,%04X) of %zu bytes, but only %zu are left",
            w->name, e->tag >> 16, e->tag & 0xffff, e->len, w->n - w->at);
    }
    return ARK_OK;
}

/* The elements of an item of undefined length, up to its end. */
static ark_status skip_item(ark__walker *w, int depth) {
    for (;;) {
        ark__element e;
        ARK_TRY(ark__walk_next(w, &e));
        if (e.tag == ARK__ITEM_END) {
            return ARK_OK;
        }
        if (!e.undefined) {
            w->at += e.len;
            continue;
        }
        ARK_TRY(ark__walk_skip_undefined(w, &e, depth + 1));
    }
}

ark_status ark__walk_skip_undefined(ark__walker *w, const ark__element *e, int depth) {
    bool explicit_vr = w->explicit_vr;
    w->explicit_vr =
        explicit_vr && e->vr != ARK__VR('U', 'N'); /* of unknown representation: implicit inside */
    ark_status st = ark__walk_skip(w, depth);
    w->explicit_vr = explicit_vr;
    return st;
}

ark_status ark__walk_skip(ark__walker *w, int depth) {
    if (depth > MAX_DEPTH) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: sequences nested more than %d deep", w->name, MAX_DEPTH);
    }
    for (;;) {
        ark__element e;
        ARK_TRY(ark__walk_next(w, &e));
        if (e.tag == ARK__SEQUENCE_END) {
            return ARK_OK;
        }
        if (e.tag != ARK__ITEM) {
            return ark__walk_bad(w, e.tag, "where an item of a sequence belongs");
        }
        if (e.undefined) {
            ARK_TRY(skip_item(w, depth));
        } else {
            w->at += e.len;
        }
    }
}
