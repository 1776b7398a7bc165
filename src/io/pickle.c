#include "io/pickle.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/pickle_impl.h"
#include "io/utf8.h"

#include <string.h>

enum { CHUNK = 64 << 10 };

typedef struct chunk {
    struct chunk *next;
    size_t used, cap;
} chunk;

/* --- memory --- */

static void *arena(ark__vm *vm, size_t bytes) {
    chunk *c = vm->out->chunks;
    bytes = (bytes + 7) & ~(size_t)7;
    if (vm->out->memory + bytes > ARK_PICKLE_MAX_MEMORY) {
        vm->status = ark__vm_error(vm, "more than %d bytes of values", ARK_PICKLE_MAX_MEMORY);
        return NULL;
    }
    if (!c || c->cap - c->used < bytes) {
        size_t cap = bytes > CHUNK ? bytes : CHUNK;
        chunk *more = ark_malloc(sizeof *more + cap);
        if (!more) {
            vm->status = ARK_ERR(ARK_ENOMEM, "%s: out of memory for its pickle", vm->name);
            return NULL;
        }
        *more = (chunk){.next = c, .cap = cap};
        vm->out->chunks = c = more;
    }
    void *p = (char *)(c + 1) + c->used;
    c->used += bytes;
    vm->out->memory += bytes;
    return p;
}

ark_pv *ark__vm_value(ark__vm *vm, ark_pv_kind kind) {
    if (++vm->values > ARK_PICKLE_MAX_VALUES) {
        vm->status = ark__vm_error(vm, "more than %d values", ARK_PICKLE_MAX_VALUES);
        return NULL;
    }
    ark_pv *v = arena(vm, sizeof *v);
    if (v) {
        *v = (ark_pv){.kind = (uint8_t)kind};
    }
    return v;
}

/* A growing array of pointers outside the arena (stack, marks, memo, references). */
static ark_status reserve(ark__vm *vm, ark_pv ***items, size_t *cap, size_t need) {
    if (need <= *cap) {
        return ARK_OK;
    }
    size_t want = *cap ? *cap : 64;
    while (want < need) {
        want *= 2;
    }
    ark_pv **more = ark_realloc(*items, want * sizeof **items);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for its pickle", vm->name);
    }
    memset(more + *cap, 0, (want - *cap) * sizeof *more);
    *items = more;
    *cap = want;
    return ARK_OK;
}

ark_status ark__vm_push(ark__vm *vm, ark_pv *v) {
    if (!v) {
        return vm->status;
    }
    if (vm->depth == ARK_PICKLE_MAX_STACK) {
        return ark__vm_error(vm, "a stack of more than %d values", ARK_PICKLE_MAX_STACK);
    }
    ARK_TRY(reserve(vm, &vm->stack, &vm->stack_cap, vm->depth + 1));
    vm->stack[vm->depth++] = v;
    return ARK_OK;
}

ark_status ark__vm_pop(ark__vm *vm, ark_pv **out) {
    size_t floor = vm->n_marks ? vm->marks[vm->n_marks - 1] : 0;
    if (vm->depth <= floor) {
        return ark__vm_error(vm, "an operation on an empty stack");
    }
    *out = vm->stack[--vm->depth];
    return ARK_OK;
}

ark_status ark__vm_mark(ark__vm *vm) {
    if (vm->n_marks == ARK_PICKLE_MAX_STACK) {
        return ark__vm_error(vm, "more than %d open marks", ARK_PICKLE_MAX_STACK);
    }
    if (vm->n_marks == vm->marks_cap) {
        size_t cap = vm->marks_cap ? 2 * vm->marks_cap : 64;
        size_t *more = ark_realloc(vm->marks, cap * sizeof *more);
        if (!more) {
            return ARK_ERR(ARK_ENOMEM, "%s: out of memory for its pickle", vm->name);
        }
        vm->marks = more;
        vm->marks_cap = cap;
    }
    vm->marks[vm->n_marks++] = vm->depth;
    return ARK_OK;
}

ark_status ark__vm_pop_mark(ark__vm *vm, ark_pv ***items, size_t *n) {
    if (vm->n_marks == 0) {
        return ark__vm_error(vm, "no mark on the stack");
    }
    size_t at = vm->marks[--vm->n_marks];
    *items = vm->stack + at; /* valid until the next push */
    *n = vm->depth - at;
    vm->depth = at;
    return ARK_OK;
}

ark_status ark__vm_put(ark__vm *vm, uint32_t index) {
    if (index >= ARK_PICKLE_MAX_MEMO) {
        return ark__vm_error(vm, "memo number %u, limit %d", index, ARK_PICKLE_MAX_MEMO);
    }
    if (vm->depth == 0) {
        return ark__vm_error(vm, "an operation on an empty stack");
    }
    ARK_TRY(reserve(vm, &vm->memo, &vm->memo_cap, (size_t)index + 1));
    vm->memo[index] = vm->stack[vm->depth - 1];
    return ARK_OK;
}

ark_status ark__vm_get(ark__vm *vm, uint32_t index) {
    if (index >= vm->memo_cap || !vm->memo[index]) {
        return ark__vm_error(vm, "memo number %u was never set", index);
    }
    return ark__vm_push(vm, vm->memo[index]);
}

ark_status ark__vm_keep_persid(ark__vm *vm, ark_pv *v) {
    if (!v) {
        return vm->status;
    }
    ARK_TRY(reserve(vm, &vm->out->persids, &vm->persids_cap, vm->out->n_persids + 1));
    vm->out->persids[vm->out->n_persids++] = v;
    return ARK_OK;
}

/* --- containers --- */

/* Adding to a container that already lies in another one is not seen by the outer one's depth; so this bounds
 * what is nested while it is built, and readers of the tree bound their own descent. */
static ark_status deepen(ark__vm *vm, ark_pv *v, const ark_pv *child) {
    unsigned depth = child->depth + 1u;
    if (depth > ARK_PICKLE_MAX_DEPTH) {
        return ark__vm_error(vm, "nested deeper than %d", ARK_PICKLE_MAX_DEPTH);
    }
    v->depth = depth > v->depth ? (uint16_t)depth : v->depth;
    return ARK_OK;
}

ark_status ark__vm_extend(ark__vm *vm, ark_pv *v, ark_pv **items, size_t n) {
    if (n > UINT32_MAX - v->n) {
        return ark__vm_error(vm, "a container of too many items");
    }
    if (v->n + n > v->cap) {
        size_t cap = v->kind == ARK_PV_TUPLE ? n : v->cap ? 2 * (size_t)v->cap : 4;
        cap = cap < v->n + n ? v->n + n : cap;
        ark_pv **more = arena(vm, cap * sizeof *more);
        if (!more) {
            return vm->status;
        }
        if (v->n) {
            memcpy(more, v->items, v->n * sizeof *more);
        }
        v->items = more;
        v->cap = (uint32_t)cap;
    }
    for (size_t i = 0; i < n; i++) {
        ARK_TRY(deepen(vm, v, items[i]));
        v->items[v->n++] = items[i];
    }
    return ARK_OK;
}

ark_status ark__vm_call(ark__vm *vm, ark_pv_kind kind, ark_pv *callee, ark_pv *args, ark_pv **out) {
    ark_pv *v = ark__vm_value(vm, kind);
    if (!v) {
        return vm->status;
    }
    v->callee = callee;
    v->args = args;
    *out = v;
    ARK_TRY(deepen(vm, v, args));
    return callee ? deepen(vm, v, callee) : ARK_OK;
}

/* --- globals --- */

/* Modules whose functions act on the machine or make code, and that no weight file needs. Nothing of the
 * stream is ever run; a file that names one of these was made to attack, and says so better than by
 * being skipped. */
static const char *const refused[] = {"os", "posix", "nt", "sys", "subprocess", "builtins", "__builtin__",
    "__builtins__", "importlib", "imp", "runpy", "code", "codeop", "commands", "ctypes", "_ctypes", "socket",
    "pty", "shutil", "pickle", "_pickle", "cPickle", "marshal", "operator", "_operator", "webbrowser",
    "multiprocessing", "asyncio", "pip", "pdb", "bdb", "timeit", "cProfile", "profile", "zipimport",
    "pkgutil"};

/* Of the built-in names, those that only hold data. */
static const char *const plain_builtins[] = {"set", "frozenset", "bytearray", "complex", "slice", "range",
    "xrange", "object", "list", "dict", "tuple", "str", "int", "float", "bool", "long", "unicode"};

static bool among(const char *s, size_t n, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(words[i]) == n && !memcmp(words[i], s, n)) {
            return true;
        }
    }
    return false;
}

ark_status ark__vm_check_global(ark__vm *vm, const ark_pv *g) {
    size_t name_n = ark_pv_name_len(g), top = 0;
    while (top < g->n && g->module[top] != '.') {
        top++;
    }
    bool builtin = among(g->module, top, (const char *const[]){"builtins", "__builtin__"}, 2);
    if (builtin && g->n == top &&
        among(g->name, name_n, plain_builtins, sizeof plain_builtins / sizeof *plain_builtins)) {
        return ARK_OK;
    }
    if (among(g->module, top, refused, sizeof refused / sizeof *refused)) {
        return ark__vm_error(vm, "asks for %.*s.%.*s: a file that names code to run is refused", (int)g->n,
            g->module, (int)name_n, g->name);
    }
    return ARK_OK;
}

/* --- reading --- */

ark_status ark_pickle_parse(const void *bytes, size_t n, const char *name, ark_pickle *out) {
    ark_pickle p = {0};
    ark__vm vm = {.start = bytes, .p = bytes, .out = &p, .name = name};
    vm.end = vm.start + (n < ARK_PICKLE_MAX_BYTES ? n : ARK_PICKLE_MAX_BYTES);
    ark_status st = ARK_OK;
    bool done = false;
    while (st == ARK_OK && !done) {
        st = ark__vm_step(&vm, &done);
    }
    ark_free(vm.stack);
    ark_free(vm.marks);
    ark_free(vm.memo);
    if (st != ARK_OK) {
        ark_pickle_free(&p);
        return st;
    }
    p.used = (size_t)(vm.p - vm.start);
    *out = p;
    return ARK_OK;
}

void ark_pickle_free(ark_pickle *p) {
    for (chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        ark_free(c);
    }
    ark_free(p->persids);
    *p = (ark_pickle){0};
}

bool ark_pv_is_text(const ark_pv *v, const char *s) {
    size_t n = strlen(s);
    return v && (v->kind == ARK_PV_STR || v->kind == ARK_PV_BYTES) && v->n == n && !memcmp(v->s, s, n);
}

size_t ark_pv_name_len(const ark_pv *v) {
    const char *end = memchr(v->name, '\n', ARK__PICKLE_MAX_NAME + 1);
    return end ? (size_t)(end - v->name) : 0;
}

bool ark_pv_is_global(const ark_pv *v, const char *module, const char *name) {
    if (!v || v->kind != ARK_PV_GLOBAL) {
        return false;
    }
    size_t n = ark_pv_name_len(v);
    return strlen(module) == v->n && !memcmp(v->module, module, v->n) && strlen(name) == n &&
           !memcmp(v->name, name, n);
}

const ark_pv *ark_pv_get(const ark_pv *v, const char *key) {
    if (!v || v->kind != ARK_PV_DICT) {
        return NULL;
    }
    for (uint32_t i = v->n; i >= 2; i -= 2) {
        if (ark_pv_is_text(v->items[i - 2], key)) {
            return v->items[i - 1];
        }
    }
    return NULL;
}
