/* The header of a DICOM file: the values that matter, up to the pixel data. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "io/dicom_walk.h"

#include <libdeflate.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PREAMBLE = 132 };

/* "045Y", "018M", "006W", "010D" in years; anything else is unknown. */
static double age_of(const ark__element *e) {
    char s[17];
    int64_t n;
    if (!ark__walk_text(e, s, sizeof s) || strlen(s) != 4) {
        return NAN;
    }
    char unit = s[3];
    s[3] = '\0';
    double per = unit == 'Y' ? 1 : unit == 'M' ? 12 : unit == 'W' ? 365.25 / 7 : unit == 'D' ? 365.25 : 0;
    return per > 0 && ark_parse_i64(s, &n) && n >= 0 ? (double)n / per : NAN;
}

static char letter_of(const ark__element *e, const char *known) {
    char s[17];
    return ark__walk_text(e, s, sizeof s) && s[0] && !s[1] && strchr(known, s[0]) ? s[0] : 0;
}

/* --- what is looked for --- */

static ark_status take_lut(const ark__walker *w, const ark__element *e, bool is_signed, ark__dicom_lut *lut) {
    if (e->tag == ARK__TAG(0x0028, 0x3002) && !lut->described) {
        if (e->len < 6) {
            return ark__walk_bad(w, e->tag, "less than three numbers");
        }
        lut->described = true;
        lut->first_is_signed = e->vr == ARK__VR('S', 'S') || (!e->vr && is_signed);
        lut->entries = (int)ark__walk_u16(w, e->value);
        lut->entries = lut->entries ? lut->entries : 65536;
        lut->first = (int)ark__walk_u16(w, e->value + 2);
        lut->first = lut->first_is_signed ? (int16_t)lut->first : lut->first;
        lut->bits = (int)ark__walk_u16(w, e->value + 4);
    } else if (e->tag == ARK__TAG(0x0028, 0x3006) && !lut->data) {
        lut->data = e->value;
        lut->bytes = e->len;
    }
    return ARK_OK;
}

/* "lateral" in the meaning of the view's code makes an unnamed view one. */
static void take_view_code(const ark__element *e, ark_dicom_meta *m) {
    char s[129];
    if (e->tag != ARK__TAG(0x0008, 0x0104) || !ark__walk_text(e, s, sizeof s)) {
        return;
    }
    for (char *c = s; *c; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 'a' - 'A') : *c;
    }
    if (strstr(s, "lateral") && !strstr(s, "decubitus") && !m->view_position[0]) {
        m->view = 'L';
    }
}

/* The first item of a sequence that is looked into. */
static ark_status take_sequence(ark_dicom *d, const ark__walker *w, const ark__element *sequence) {
    ark__walker in = *w;
    in.n = sequence->undefined ? w->n : w->at + sequence->len;
    ark__element e;
    if (in.n - in.at < 8) {
        return ARK_OK;
    }
    ARK_TRY(ark__walk_next(&in, &e));
    if (e.tag != ARK__ITEM) {
        return ARK_OK; /* empty; what it is instead, skipping will tell */
    }
    in.n = e.undefined ? in.n : in.at + e.len;
    while (in.at < in.n) {
        ARK_TRY(ark__walk_next(&in, &e));
        if (e.tag == ARK__ITEM_END) {
            return ARK_OK;
        }
        if (e.undefined) {
            ARK_TRY(ark__walk_skip_undefined(&in, &e, 1));
            continue;
        }
        if (sequence->tag == ARK__TAG(0x0028, 0x3000)) {
            ARK_TRY(take_lut(&in, &e, d->meta.is_signed, &d->modality_lut));
        } else if (sequence->tag == ARK__TAG(0x0028, 0x3010)) {
            ARK_TRY(take_lut(&in, &e, d->meta.is_signed, &d->voi_lut));
        } else {
            take_view_code(&e, &d->meta);
        }
        in.at += e.len;
    }
    return ARK_OK;
}

static ark_status take_window_function(ark_dicom *d, const ark__walker *w, const ark__element *e) {
    char s[17] = "";
    ARK_TRY(ark__walk_take_text(w, e, s, sizeof s));
    ark_dicom_meta *m = &d->meta;
    m->voi = !strcmp(s, "LINEAR_EXACT") ? ARK_VOI_LINEAR_EXACT
             : !strcmp(s, "SIGMOID")    ? ARK_VOI_SIGMOID
                                        : ARK_VOI_LINEAR;
    return !s[0] || m->voi != ARK_VOI_LINEAR || !strcmp(s, "LINEAR")
               ? ARK_OK
               : ark__walk_bad(w, e->tag, "a VOI LUT function other than LINEAR, LINEAR_EXACT and SIGMOID");
}

static ark_status take_text_element(ark_dicom *d, const ark__walker *w, const ark__element *e) {
    ark_dicom_meta *m = &d->meta;
    char s[17];
    switch (e->tag) {
    case ARK__TAG(0x0008, 0x0060):
        return ark__walk_take_text(w, e, m->modality, sizeof m->modality);
    case ARK__TAG(0x0010, 0x0020):
        ark__walk_text(e, m->patient_id, sizeof m->patient_id);
        return ARK_OK;
    case ARK__TAG(0x0010, 0x0040):
        m->sex = letter_of(e, "MFO");
        return ARK_OK;
    case ARK__TAG(0x0010, 0x1010):
        m->age = age_of(e);
        return ARK_OK;
    case ARK__TAG(0x0018, 0x0015):
        ark__walk_text(e, m->body_part, sizeof m->body_part);
        return ARK_OK;
    case ARK__TAG(0x0018, 0x5101):
        ark__walk_text(e, m->view_position, sizeof m->view_position);
        return ARK_OK;
    case ARK__TAG(0x0020, 0x0020): /* rows that run forward or backward: seen from the side */
        if (ark__walk_text(e, s, sizeof s) && (s[0] == 'A' || s[0] == 'P')) {
            m->view = 'L';
        }
        return ARK_OK;
    case ARK__TAG(0x0020, 0x0060):
    case ARK__TAG(0x0020, 0x0062):
        m->laterality = letter_of(e, "LRUB");
        return ARK_OK;
    default:
        return ark__walk_take_text(w, e, m->photometric, sizeof m->photometric);
    }
}

static ark_status take_frames(const ark__walker *w, const ark__element *e) {
    double frames = 1;
    ARK_TRY(ark__walk_take_number(w, e, &frames));
    if (frames != 1) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: %g frames, only single images are read", w->name, frames);
    }
    return ARK_OK;
}

static ark_status take(ark_dicom *d, const ark__walker *w, const ark__element *e) {
    ark_dicom_meta *m = &d->meta;
    int flag = 0;
    switch (e->tag) {
    case ARK__TAG(0x0008, 0x0060):
    case ARK__TAG(0x0010, 0x0020):
    case ARK__TAG(0x0010, 0x0040):
    case ARK__TAG(0x0010, 0x1010):
    case ARK__TAG(0x0018, 0x0015):
    case ARK__TAG(0x0018, 0x5101):
    case ARK__TAG(0x0020, 0x0020):
    case ARK__TAG(0x0020, 0x0060):
    case ARK__TAG(0x0020, 0x0062):
    case ARK__TAG(0x0028, 0x0004):
        return take_text_element(d, w, e);
    case ARK__TAG(0x0028, 0x0002):
        return ark__walk_take_short(w, e, &m->samples);
    case ARK__TAG(0x0028, 0x0006):
        ARK_TRY(ark__walk_take_short(w, e, &flag));
        m->planar = flag != 0;
        return ARK_OK;
    case ARK__TAG(0x0028, 0x0008):
        return take_frames(w, e);
    case ARK__TAG(0x0028, 0x0010):
        return ark__walk_take_short(w, e, &m->height);
    case ARK__TAG(0x0028, 0x0011):
        return ark__walk_take_short(w, e, &m->width);
    case ARK__TAG(0x0028, 0x0100):
        return ark__walk_take_short(w, e, &m->bits_allocated);
    case ARK__TAG(0x0028, 0x0101):
        return ark__walk_take_short(w, e, &m->bits_stored);
    case ARK__TAG(0x0028, 0x0102):
        return ark__walk_take_short(w, e, &m->high_bit);
    case ARK__TAG(0x0028, 0x0103):
        ARK_TRY(ark__walk_take_short(w, e, &flag));
        m->is_signed = flag != 0;
        return ARK_OK;
    case ARK__TAG(0x0028, 0x1050):
        return ark__walk_take_number(w, e, &m->centre);
    case ARK__TAG(0x0028, 0x1051):
        return ark__walk_take_number(w, e, &m->window);
    case ARK__TAG(0x0028, 0x1052):
        return ark__walk_take_number(w, e, &m->intercept);
    case ARK__TAG(0x0028, 0x1053):
        return ark__walk_take_number(w, e, &m->slope);
    case ARK__TAG(0x0028, 0x1056):
        return take_window_function(d, w, e);
    case ARK__TAG(0x0028, 0x3000):
    case ARK__TAG(0x0028, 0x3010):
    case ARK__TAG(0x0054, 0x0220):
        return take_sequence(d, w, e);
    default:
        return ARK_OK;
    }
}

/* The data set up to the pixel data, which end it here: nothing behind them matters. */
static ark_status walk(ark_dicom *d, ark__walker *w) {
    for (;;) {
        ark__element e;
        if (w->at == w->n) {
            return ARK_ERR(ARK_EFORMAT, "%s: DICOM: no pixel data", w->name);
        }
        ARK_TRY(ark__walk_next(w, &e));
        if (e.tag == ARK__TAG(0x7fe0, 0x0010)) {
            bool wrapped = d->encoding != ARK__NATIVE;
            if (wrapped != e.undefined) {
                return ark__walk_bad(w, e.tag,
                    wrapped ? "pixels as they are under a compressed transfer syntax"
                            : "compressed pixels under an uncompressed transfer syntax");
            }
            d->pixels = e.value;
            d->pixel_bytes = wrapped ? w->n - w->at : e.len;
            d->swapped_bytes = w->big && e.vr == ARK__VR('O', 'W');
            return ARK_OK;
        }
        ARK_TRY(take(d, w, &e));
        if (e.undefined) {
            ARK_TRY(ark__walk_skip_undefined(w, &e, 1));
        }
        w->at += e.len;
    }
}

/* --- transfer syntaxes --- */

typedef struct syntax {
    const char *uid;
    ark__encoding encoding;
    bool implicit, big, deflated;
} syntax;

static const syntax syntaxes[] = {
    {"1.2.840.10008.1.2", ARK__NATIVE, .implicit = true},
    {"1.2.840.10008.1.2.1", ARK__NATIVE, .implicit = false},
    {"1.2.840.10008.1.2.1.99", ARK__NATIVE, .deflated = true},
    {"1.2.840.10008.1.2.2", ARK__NATIVE, .big = true},
    {"1.2.840.10008.1.2.5", ARK__RLE, .implicit = false},
    {"1.2.840.10008.1.2.4.50", ARK__JPEG, .implicit = false},
    {"1.2.840.10008.1.2.4.51", ARK__JPEG, .implicit = false},
    {"1.2.840.10008.1.2.4.57", ARK__JPEG, .implicit = false},
    {"1.2.840.10008.1.2.4.70", ARK__JPEG, .implicit = false},
    {"1.2.840.10008.1.2.4.80", ARK__JPEG_LS, .implicit = false},
    {"1.2.840.10008.1.2.4.81", ARK__JPEG_LS, .implicit = false},
    {"1.2.840.10008.1.2.4.90", ARK__JPEG_2000, .implicit = false},
    {"1.2.840.10008.1.2.4.91", ARK__JPEG_2000, .implicit = false},
};

static const syntax *find_syntax(const char *uid) {
    for (size_t i = 0; i < sizeof syntaxes / sizeof *syntaxes; i++) {
        if (!strcmp(syntaxes[i].uid, uid)) {
            return &syntaxes[i];
        }
    }
    return NULL;
}

/* Replace the rest of the file by what it inflates to: at most what the largest image allowed needs. */
static ark_status inflate(ark_dicom *d, ark__walker *w) {
    size_t in = w->n - w->at, most = 2 * d->limits.max_pixels + ((size_t)1 << 20), got = 0;
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    enum libdeflate_result code = z ? LIBDEFLATE_INSUFFICIENT_SPACE : LIBDEFLATE_BAD_DATA;
    uint8_t *out = NULL;
    for (size_t cap = 4 * in + 4096; code == LIBDEFLATE_INSUFFICIENT_SPACE; cap *= 4) {
        size_t used;
        bool last = cap >= most;
        ark_free(out);
        out = ark_malloc(last ? most : cap);
        if (!out) {
            break;
        }
        code = libdeflate_deflate_decompress_ex(z, w->p + w->at, in, out, last ? most : cap, &used, &got);
        if (last) {
            break;
        }
    }
    libdeflate_free_decompressor(z);
    if (code == LIBDEFLATE_SUCCESS) {
        d->inflated = out;
        *w = (ark__walker){.name = d->name, .p = out, .n = got, .explicit_vr = true};
        return ARK_OK;
    }
    bool memory = !z || !out;
    ark_free(out);
    if (memory) {
        return ARK_ERR(ARK_ENOMEM, "%s: DICOM: out of memory", w->name);
    }
    return ARK_ERR(ARK_EFORMAT, "%s: DICOM: %s", w->name,
        code == LIBDEFLATE_BAD_DATA ? "the deflated data set is damaged or cut short"
                                    : "the deflated data set is larger than any image allowed");
}

/* Group 2, which is always explicit little-endian, up to the first element of another group. */
static ark_status read_meta_group(ark_dicom *d, ark__walker *w) {
    while (w->n - w->at >= 8 && ark__walk_u16(w, w->p + w->at) == 2) {
        ark__element e;
        ARK_TRY(ark__walk_next(w, &e));
        if (e.undefined) {
            return ark__walk_bad(w, e.tag, "of undefined length");
        }
        if (e.tag == ARK__TAG(0x0002, 0x0010)) {
            ARK_TRY(ark__walk_take_text(w, &e, d->meta.transfer_syntax, sizeof d->meta.transfer_syntax));
        }
        w->at += e.len;
    }
    return ARK_OK;
}

/* Whether elements of a file without group 2 say their value representation. */
static bool looks_explicit(const ark__walker *w) {
    return w->n - w->at >= 8 && ark__is_letter(w->p[w->at + 4]) && ark__is_letter(w->p[w->at + 5]);
}

static ark_status read_all(ark_dicom *d, ark__walker *w) {
    ARK_TRY(read_meta_group(d, w));
    char *uid = d->meta.transfer_syntax;
    if (!uid[0]) {
        snprintf(uid, sizeof d->meta.transfer_syntax, "1.2.840.10008.1.2%s", looks_explicit(w) ? ".1" : "");
    }
    const syntax *s = find_syntax(uid);
    if (!s) {
        return ARK_ERR(ARK_EFORMAT, "%s: DICOM: transfer syntax %s is not supported", d->name, uid);
    }
    d->encoding = s->encoding;
    d->big_endian = w->big = s->big;
    w->explicit_vr = !s->implicit;
    if (s->deflated) {
        ARK_TRY(inflate(d, w));
    }
    return walk(d, w);
}

/* --- the door --- */

bool ark_dicom_is(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    if (n >= PREAMBLE && !memcmp(p + 128, "DICM", 4)) {
        return true;
    }
    /* without a preamble: little-endian elements of group 2 or 8, in order, that fit */
    ark__walker w = {.name = "", .p = p, .n = n};
    if (n < 16 || (ark__walk_u16(&w, p) != 2 && ark__walk_u16(&w, p) != 8) ||
        ark__walk_u16(&w, p + 2) > 0x20) {
        return false;
    }
    w.explicit_vr = looks_explicit(&w);
    uint32_t before = 0;
    for (int i = 0; i < 4 && w.at < n; i++) {
        ark__element e;
        if (ark__walk_next(&w, &e) != ARK_OK || e.undefined || e.tag < before || e.tag >> 16 > 0x10) {
            return false;
        }
        before = e.tag;
        w.at += e.len;
    }
    return true;
}

static ark_status open_into(ark_dicom *d, const uint8_t *bytes, size_t n) {
    bool preamble = n >= PREAMBLE && !memcmp(bytes + 128, "DICM", 4);
    ark__walker w = {.name = d->name, .p = bytes, .n = n, .at = preamble ? PREAMBLE : 0, .explicit_vr = true};
    ARK_TRY(read_all(d, &w));
    return ark__dicom_check(d);
}

ark_status ark_dicom_open(
    const void *bytes, size_t n, const char *name, const ark_image_limits *limits, ark_dicom **out) {
    ark_dicom *d;
    ARK_TRY(ARK_NEW(&d, 1, "a DICOM header"));
    d->name = name;
    d->limits = limits ? *limits : ark_image_default_limits();
    d->meta = (ark_dicom_meta){.age = NAN,
        .samples = 1,
        .bits_stored = -1,
        .high_bit = -1,
        .slope = 1,
        .centre = NAN,
        .window = NAN};
    ark_status st = open_into(d, bytes, n);
    if (st != ARK_OK) {
        ark_dicom_free(d);
        return st;
    }
    *out = d;
    return ARK_OK;
}

void ark_dicom_free(ark_dicom *d) {
    if (d) {
        ark_free(d->inflated);
        ark_free(d);
    }
}

const ark_dicom_meta *ark_dicom_describe(const ark_dicom *d) {
    return &d->meta;
}
