/* Between the two halves of the pickle reader: pickle.c keeps memory, stack and memo, pickle_ops.c reads
 * opcodes. */
#ifndef ARK_IO_PICKLE_IMPL_H
#define ARK_IO_PICKLE_IMPL_H

#include "base/err.h"
#include "io/pickle.h"

enum { ARK__PICKLE_MAX_NAME = 255 }; /* bytes of a module's or a class's name */

typedef struct ark__vm {
    const unsigned char *start, *p, *end;
    const char *name; /* for messages */
    ark_pickle *out;
    ark_pv **stack, **memo;
    size_t depth, stack_cap, memo_cap, persids_cap;
    size_t *marks; /* stack depths */
    size_t n_marks, marks_cap;
    size_t values;
    ark_status status; /* why the last ark__vm_value was NULL */
} ark__vm;

/* "FILE: pickle byte N: ..."; the value is the constant, so that the compiler sees a failure. */
#define ark__vm_error(vm, ...)                                                                               \
    ((void)ark__err_prefix(ARK_ERR(ARK_EFORMAT, __VA_ARGS__), "%s: pickle byte %zu", (vm)->name,             \
         (size_t)((vm)->p - (vm)->start)),                                                                   \
        ARK_EFORMAT)

/** One opcode; *done after STOP, with the root in place. */
ark_status ark__vm_step(ark__vm *vm, bool *done) ARK_MUST_CHECK;

/** A new value, or NULL with vm->status set. */
ark_pv *ark__vm_value(ark__vm *vm, ark_pv_kind kind);
/** v NULL: passes vm->status on. */
ark_status ark__vm_push(ark__vm *vm, ark_pv *v) ARK_MUST_CHECK;
/** Not below the last mark. */
ark_status ark__vm_pop(ark__vm *vm, ark_pv **out) ARK_MUST_CHECK;
ark_status ark__vm_mark(ark__vm *vm) ARK_MUST_CHECK;
/** The values above the last mark; they lie in the stack until the next push. */
ark_status ark__vm_pop_mark(ark__vm *vm, ark_pv ***items, size_t *n) ARK_MUST_CHECK;
ark_status ark__vm_put(ark__vm *vm, uint32_t index) ARK_MUST_CHECK;
ark_status ark__vm_get(ark__vm *vm, uint32_t index) ARK_MUST_CHECK;
ark_status ark__vm_keep_persid(ark__vm *vm, ark_pv *v) ARK_MUST_CHECK;
/** Append to a container. */
ark_status ark__vm_extend(ark__vm *vm, ark_pv *v, ark_pv **items, size_t n) ARK_MUST_CHECK;
/** A CALL, or a PERSID (callee NULL). */
ark_status ark__vm_call(
    ark__vm *vm, ark_pv_kind kind, ark_pv *callee, ark_pv *args, ark_pv **out) ARK_MUST_CHECK;
/** Refuse names of modules that no weight file needs. */
ark_status ark__vm_check_global(ark__vm *vm, const ark_pv *g) ARK_MUST_CHECK;

#endif
