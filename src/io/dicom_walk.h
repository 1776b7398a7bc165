/* Elements of a DICOM data set, one after the other, within their bounds (PS3.5 section 7). */
#ifndef ARK_IO_DICOM_WALK_H
#define ARK_IO_DICOM_WALK_H

#include "io/dicom_priv.h"

/* A group and an element as one number. */
#define ARK__TAG(group, element) ((uint32_t)(group) << 16 | (element))
#define ARK__ITEM ARK__TAG(0xfffe, 0xe000)
#define ARK__ITEM_END ARK__TAG(0xfffe, 0xe00d)
#define ARK__SEQUENCE_END ARK__TAG(0xfffe, 0xe0dd)

/* The two letters of a value representation as one number. */
#define ARK__VR(a, b) ((unsigned)(a) << 8 | (unsigned)(b))

typedef struct ark__walker {
    const char *name; /* of the file, for messages */
    const uint8_t *p;
    size_t n, at;
    bool explicit_vr, big;
} ark__walker;

typedef struct ark__element {
    uint32_t tag;
    unsigned vr; /* 0 in implicit syntaxes and of items */
    bool undefined;
    size_t len; /* 0 when undefined */
    const uint8_t *value;
} ark__element;

static inline unsigned ark__walk_u16(const ark__walker *w, const uint8_t *p) {
    return w->big ? (unsigned)p[0] << 8 | p[1] : (unsigned)p[1] << 8 | p[0];
}

static inline bool ark__is_letter(uint8_t c) {
    return c >= 'A' && c <= 'Z';
}

/** Head of the next element: w->at is then behind the head, the value within the data unless undefined.
 * ARK_EFORMAT at the end of the data, in the middle of a head, for a value that is not all there. */
ark_status ark__walk_next(ark__walker *w, ark__element *e) ARK_MUST_CHECK;
/** Behind the end of a sequence of undefined length, at whose first item w is; depth counts from 1. */
ark_status ark__walk_skip(ark__walker *w, int depth) ARK_MUST_CHECK;
/** The same for an element that was just read and is of undefined length; its items may be implicit. */
ark_status ark__walk_skip_undefined(ark__walker *w, const ark__element *e, int depth) ARK_MUST_CHECK;

/** The first of several values without the blanks around it, as much as fits; false when that is not all. */
bool ark__walk_text(const ark__element *e, char *out, size_t cap);
/** ARK_EFORMAT: file, element, what is wrong with it. */
ark_status ark__walk_bad(const ark__walker *w, uint32_t tag, const char *what) ARK_MUST_CHECK;
/** A text; a decimal string (an empty one leaves *out); a number of two bytes (none leaves *out). */
ark_status ark__walk_take_text(
    const ark__walker *w, const ark__element *e, char *out, size_t cap) ARK_MUST_CHECK;
ark_status ark__walk_take_number(const ark__walker *w, const ark__element *e, double *out) ARK_MUST_CHECK;
ark_status ark__walk_take_short(const ark__walker *w, const ark__element *e, int *out) ARK_MUST_CHECK;

#endif
