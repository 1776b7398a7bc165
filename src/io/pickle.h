/* Python pickles as data. The opcodes that PyTorch's own safe reader accepts
 * (torch/_weights_only_unpickler.py) become a tree of values; nothing is imported, called or built. A
 * function named in the stream stays a name, and its call is a node that holds the name and the
 * arguments. */
#ifndef ARK_IO_PICKLE_H
#define ARK_IO_PICKLE_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ark_pv_kind {
    ARK_PV_NONE,
    ARK_PV_BOOL,
    ARK_PV_INT,
    ARK_PV_BIG, /* an integer of more than 64 bits: its bytes, two's complement, little-endian */
    ARK_PV_FLOAT,
    ARK_PV_STR,   /* UTF-8 */
    ARK_PV_BYTES, /* bytes of a Python 2 string */
    ARK_PV_TUPLE,
    ARK_PV_LIST,
    ARK_PV_DICT, /* also collections.OrderedDict */
    ARK_PV_SET,
    ARK_PV_GLOBAL, /* a class or function, by name */
    ARK_PV_CALL,   /* callee(args): what it would give is unknown, and items added to it are dropped */
    ARK_PV_PERSID, /* a reference to something outside the pickle */
} ark_pv_kind;

/* A value; owned by its ark_pickle. Texts point into the pickle's bytes and are not terminated. */
typedef struct ark_pv ark_pv;
struct ark_pv {
    uint8_t kind;   /* ark_pv_kind */
    uint16_t depth; /* of the containers below it when it was made */
    uint32_t n; /* bytes of text; items; for a dict keys and values together; bytes of a global's module */
    union {
        int64_t i; /* BOOL, INT */
        double f;
        const char *s;
        struct {
            ark_pv **items; /* dict: key, value, key, value, ... */
            uint32_t cap;
        };
        struct {
            const char *module, *name; /* GLOBAL; name_n bytes follow the module and a line end */
        };
        struct {
            ark_pv *callee, *args; /* CALL: a GLOBAL or another CALL, and any value; PERSID: args alone */
        };
    };
};

enum {
    ARK_PICKLE_MAX_BYTES = 32 << 20,
    ARK_PICKLE_MAX_VALUES = 2000000,
    ARK_PICKLE_MAX_STACK = 1000000,
    ARK_PICKLE_MAX_MEMO = 2000000,
    ARK_PICKLE_MAX_DEPTH = 128,
    ARK_PICKLE_MAX_MEMORY = 96 << 20, /* bytes of values and item lists */
};

typedef struct ark_pickle {
    const ark_pv *root;
    size_t used;      /* bytes read, the last opcode (STOP) included */
    ark_pv **persids; /* every reference to the outside, in order */
    size_t n_persids;
    void *chunks; /* memory of the tree */
    size_t memory;
} ark_pickle;

/** Read one pickle from the start of n bytes, which must outlive the result; further bytes may follow it.
 * ARK_EFORMAT names `name`, the byte and the reason: an opcode that is not accepted, a global of a
 * module that no weight file needs (os, sys, subprocess, builtins, ...), a limit above. */
ark_status ark_pickle_parse(const void *bytes, size_t n, const char *name, ark_pickle *out) ARK_MUST_CHECK;
/** A zeroed one is allowed. */
void ark_pickle_free(ark_pickle *p);

/** Whether v is the text s. */
bool ark_pv_is_text(const ark_pv *v, const char *s);
/** Whether v is the global module.name. */
bool ark_pv_is_global(const ark_pv *v, const char *module, const char *name);
/** Value of a text key in a dict (the last one of that name), or NULL; v may be anything, or NULL. */
const ark_pv *ark_pv_get(const ark_pv *v, const char *key);
/** Bytes of a GLOBAL's name. */
size_t ark_pv_name_len(const ark_pv *v);

#endif
