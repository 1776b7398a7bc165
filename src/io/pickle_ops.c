/* The opcodes of pickle protocol 2 that torch.save writes. Python's pickletools.py describes each. */
#include "base/err.h"
#include "io/pickle_impl.h"
#include "io/utf8.h"

#include <string.h>

static ark_status take(ark__vm *vm, size_t n, const unsigned char **out) {
    if ((size_t)(vm->end - vm->p) < n) {
        return vm->end - vm->start == ARK_PICKLE_MAX_BYTES
                   ? ark__vm_error(vm, "longer than %d bytes", ARK_PICKLE_MAX_BYTES)
                   : ark__vm_error(
                         vm, "%zu bytes wanted, %zu left (truncated?)", n, (size_t)(vm->end - vm->p));
    }
    *out = vm->p;
    vm->p += n;
    return ARK_OK;
}

/* An unsigned little-endian number of 1, 2 or 4 bytes. */
static ark_status number(ark__vm *vm, size_t bytes, uint32_t *out) {
    const unsigned char *b;
    ARK_TRY(take(vm, bytes, &b));
    *out = 0;
    for (size_t i = 0; i < bytes; i++) {
        *out |= (uint32_t)b[i] << 8 * i;
    }
    return ARK_OK;
}

static ark_status push_int(ark__vm *vm, ark_pv_kind kind, int64_t i) {
    ark_pv *v = ark__vm_value(vm, kind);
    if (v) {
        v->i = i;
    }
    return ark__vm_push(vm, v);
}

static ark_status push_text(ark__vm *vm, ark_pv_kind kind, size_t length_bytes) {
    uint32_t n;
    const unsigned char *b;
    ARK_TRY(number(vm, length_bytes, &n));
    ARK_TRY(take(vm, n, &b));
    if (kind == ARK_PV_STR && ark_utf8_valid((const char *)b, n) != n) {
        return ark__vm_error(vm, "a text that is not UTF-8");
    }
    ark_pv *v = ark__vm_value(vm, kind);
    if (v) {
        v->s = (const char *)b;
        v->n = n;
    }
    return ark__vm_push(vm, v);
}

/* LONG1: up to 8 bytes become an INT. */
static ark_status push_long(ark__vm *vm) {
    uint32_t n;
    const unsigned char *b;
    ARK_TRY(number(vm, 1, &n));
    ARK_TRY(take(vm, n, &b));
    if (n <= 8) {
        uint64_t bits = n && b[n - 1] & 0x80 ? UINT64_MAX : 0;
        for (size_t i = n; i-- > 0;) {
            bits = bits << 8 | b[i];
        }
        return push_int(vm, ARK_PV_INT, (int64_t)bits);
    }
    ark_pv *v = ark__vm_value(vm, ARK_PV_BIG);
    if (v) {
        v->s = (const char *)b;
        v->n = n;
    }
    return ark__vm_push(vm, v);
}

static ark_status push_float(ark__vm *vm) {
    const unsigned char *b;
    uint64_t bits = 0;
    ARK_TRY(take(vm, 8, &b));
    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | b[i];
    }
    ark_pv *v = ark__vm_value(vm, ARK_PV_FLOAT);
    if (v) {
        memcpy(&v->f, &bits, sizeof v->f);
    }
    return ark__vm_push(vm, v);
}

/* The rest of a line, as a name. */
static ark_status line(ark__vm *vm, const char **out, uint32_t *n) {
    size_t left = (size_t)(vm->end - vm->p);
    size_t most = left < ARK__PICKLE_MAX_NAME + 1 ? left : ARK__PICKLE_MAX_NAME + 1;
    const unsigned char *end = most ? memchr(vm->p, '\n', most) : NULL;
    if (!end) {
        return left > ARK__PICKLE_MAX_NAME
                   ? ark__vm_error(vm, "a name of more than %d bytes", ARK__PICKLE_MAX_NAME)
                   : ark__vm_error(vm, "a name without an end (truncated?)");
    }
    *out = (const char *)vm->p;
    *n = (uint32_t)(end - vm->p);
    vm->p = end + 1;
    return ARK_OK;
}

static ark_status push_global(ark__vm *vm) {
    const char *module, *name;
    uint32_t module_n, name_n;
    ARK_TRY(line(vm, &module, &module_n));
    ARK_TRY(line(vm, &name, &name_n));
    ark_pv *v = ark__vm_value(vm, ARK_PV_GLOBAL);
    if (!v) {
        return vm->status;
    }
    v->module = module;
    v->name = name;
    v->n = module_n;
    ARK_TRY(ark__vm_check_global(vm, v));
    return ark__vm_push(vm, v);
}

static ark_status push_tuple(ark__vm *vm, ark_pv **items, size_t n) {
    ark_pv *v = ark__vm_value(vm, ARK_PV_TUPLE);
    if (!v) {
        return vm->status;
    }
    if (n) {
        ARK_TRY(ark__vm_extend(vm, v, items, n));
    }
    return ark__vm_push(vm, v);
}

static ark_status tuple_of(ark__vm *vm, size_t n) {
    ark_pv *items[3];
    for (size_t i = n; i-- > 0;) {
        ARK_TRY(ark__vm_pop(vm, &items[i]));
    }
    return push_tuple(vm, items, n);
}

static ark_status tuple_from_mark(ark__vm *vm) {
    ark_pv **items;
    size_t n;
    ARK_TRY(ark__vm_pop_mark(vm, &items, &n));
    return push_tuple(vm, items, n);
}

/* Items go into the container under them. What a CALL would have made is unknown; it takes any and keeps
 * none. */
static ark_status add_items(ark__vm *vm, ark_pv **items, size_t n, bool pairs) {
    ark_pv *v;
    ARK_TRY(ark__vm_pop(vm, &v));
    bool fits = pairs ? v->kind == ARK_PV_DICT : v->kind == ARK_PV_LIST || v->kind == ARK_PV_SET;
    if ((!fits && v->kind != ARK_PV_CALL) || (pairs && n % 2)) {
        return ark__vm_error(vm, "items for something that takes none");
    }
    if (fits) {
        ARK_TRY(ark__vm_extend(vm, v, items, n));
    }
    return ark__vm_push(vm, v);
}

static ark_status add_popped(ark__vm *vm, size_t n) {
    ark_pv *items[2];
    for (size_t i = n; i-- > 0;) {
        ARK_TRY(ark__vm_pop(vm, &items[i]));
    }
    return add_items(vm, items, n, n == 2);
}

static ark_status add_from_mark(ark__vm *vm, bool pairs) {
    ark_pv **items;
    size_t n;
    ARK_TRY(ark__vm_pop_mark(vm, &items, &n));
    return add_items(vm, items, n, pairs);
}

/* OrderedDict() and OrderedDict([(k, v), ...]) are dicts. */
static ark_status push_ordered_dict(ark__vm *vm, const ark_pv *args) {
    ark_pv *v = ark__vm_value(vm, ARK_PV_DICT);
    if (!v) {
        return vm->status;
    }
    const ark_pv *list = args->n == 1 ? args->items[0] : NULL;
    if (args->n > 1 || (list && list->kind != ARK_PV_LIST && list->kind != ARK_PV_TUPLE)) {
        return ark__vm_error(vm, "an OrderedDict made of something else than pairs");
    }
    for (uint32_t i = 0; list && i < list->n; i++) {
        const ark_pv *pair = list->items[i];
        if ((pair->kind != ARK_PV_LIST && pair->kind != ARK_PV_TUPLE) || pair->n != 2) {
            return ark__vm_error(vm, "an OrderedDict made of something else than pairs");
        }
        ARK_TRY(ark__vm_extend(vm, v, pair->items, 2));
    }
    return ark__vm_push(vm, v);
}

/* REDUCE and NEWOBJ: callee(*args). */
static ark_status push_call(ark__vm *vm) {
    ark_pv *args, *callee, *v;
    ARK_TRY(ark__vm_pop(vm, &args));
    ARK_TRY(ark__vm_pop(vm, &callee));
    if (args->kind != ARK_PV_TUPLE || (callee->kind != ARK_PV_GLOBAL && callee->kind != ARK_PV_CALL)) {
        return ark__vm_error(vm, "a call of something that is no function");
    }
    if (ark_pv_is_global(callee, "collections", "OrderedDict")) {
        return push_ordered_dict(vm, args);
    }
    ARK_TRY(ark__vm_call(vm, ARK_PV_CALL, callee, args, &v));
    return ark__vm_push(vm, v);
}

/* BUILD: an object's state. Dicts carry {"_metadata": ...} that way; there is nobody to give it to. */
static ark_status drop_state(ark__vm *vm) {
    ark_pv *state, *v;
    ARK_TRY(ark__vm_pop(vm, &state));
    ARK_TRY(ark__vm_pop(vm, &v));
    if (v->kind != ARK_PV_CALL && v->kind != ARK_PV_DICT) {
        return ark__vm_error(vm, "a state for something that has none");
    }
    return ark__vm_push(vm, v);
}

static ark_status push_persid(ark__vm *vm) {
    ark_pv *id, *v;
    ARK_TRY(ark__vm_pop(vm, &id));
    ARK_TRY(ark__vm_call(vm, ARK_PV_PERSID, NULL, id, &v));
    ARK_TRY(ark__vm_keep_persid(vm, v));
    return ark__vm_push(vm, v);
}

static ark_status memo(ark__vm *vm, size_t bytes, bool put) {
    uint32_t index;
    ARK_TRY(number(vm, bytes, &index));
    return put ? ark__vm_put(vm, index) : ark__vm_get(vm, index);
}

static ark_status protocol(ark__vm *vm) {
    uint32_t version;
    ARK_TRY(number(vm, 1, &version));
    return version == 2 ? ARK_OK : ark__vm_error(vm, "protocol %u, torch.save writes 2", version);
}

static ark_status stop(ark__vm *vm, bool *done) {
    ark_pv *v;
    ARK_TRY(ark__vm_pop(vm, &v));
    if (vm->depth || vm->n_marks) {
        return ark__vm_error(vm, "ends with %zu values left over", vm->depth + vm->n_marks);
    }
    vm->out->root = v;
    *done = true;
    return ARK_OK;
}

static ark_status push_number(ark__vm *vm, size_t bytes) {
    uint32_t u;
    ARK_TRY(number(vm, bytes, &u));
    return push_int(vm, ARK_PV_INT, bytes == 4 ? (int64_t)(int32_t)u : (int64_t)u);
}

/* What makes a new value. *known is false for other opcodes. */
static ark_status step_value(ark__vm *vm, unsigned op, bool *known) {
    switch (op) {
    case 'N':
        return ark__vm_push(vm, ark__vm_value(vm, ARK_PV_NONE));
    case 0x88: /* NEWTRUE, NEWFALSE */
    case 0x89:
        return push_int(vm, ARK_PV_BOOL, op == 0x88);
    case 'J': /* BININT, BININT1, BININT2 */
        return push_number(vm, 4);
    case 'K':
        return push_number(vm, 1);
    case 'M':
        return push_number(vm, 2);
    case 0x8a:
        return push_long(vm);
    case 'G':
        return push_float(vm);
    case 'X': /* BINUNICODE, SHORT_BINSTRING */
        return push_text(vm, ARK_PV_STR, 4);
    case 'U':
        return push_text(vm, ARK_PV_BYTES, 1);
    case 'c':
        return push_global(vm);
    case ']':
        return ark__vm_push(vm, ark__vm_value(vm, ARK_PV_LIST));
    case '}':
        return ark__vm_push(vm, ark__vm_value(vm, ARK_PV_DICT));
    case 0x8f: /* EMPTY_SET */
        return ark__vm_push(vm, ark__vm_value(vm, ARK_PV_SET));
    default:
        *known = false;
        return ARK_OK;
    }
}

ark_status ark__vm_step(ark__vm *vm, bool *done) {
    const unsigned char *op;
    bool known = true;
    ARK_TRY(take(vm, 1, &op));
    ark_status st = step_value(vm, *op, &known);
    if (known) {
        return st;
    }
    switch (*op) {
    case 0x80:
        return protocol(vm);
    case '.':
        return stop(vm, done);
    case '(':
        return ark__vm_mark(vm);
    case ')': /* EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE */
        return tuple_of(vm, 0);
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple_of(vm, *op - 0x84u);
    case 't':
        return tuple_from_mark(vm);
    case 'a': /* APPEND, APPENDS, SETITEM, SETITEMS */
        return add_popped(vm, 1);
    case 'e':
        return add_from_mark(vm, false);
    case 's':
        return add_popped(vm, 2);
    case 'u':
        return add_from_mark(vm, true);
    case 'R': /* REDUCE, NEWOBJ */
    case 0x81:
        return push_call(vm);
    case 'b':
        return drop_state(vm);
    case 'Q':
        return push_persid(vm);
    case 'h': /* BINGET, LONG_BINGET, BINPUT, LONG_BINPUT */
        return memo(vm, 1, false);
    case 'j':
        return memo(vm, 4, false);
    case 'q':
        return memo(vm, 1, true);
    case 'r':
        return memo(vm, 4, true);
    default:
        return ark__vm_error(vm, "opcode 0x%02x is not one that torch.save writes", *op);
    }
}
