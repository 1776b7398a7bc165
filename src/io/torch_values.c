/* Follows torch/_utils.py (_rebuild_tensor_v2 and its kin) and torch/serialization.py (persistent_load). */
#include "io/torch_values.h"

#include "base/err.h"
#include "base/mathsafe.h"

#include <string.h>

typedef struct named {
    const char *name;
    ark_st_dtype dtype;
} named;

static const named storages[] = {{"FloatStorage", ARK_ST_F32}, {"DoubleStorage", ARK_ST_F64},
    {"HalfStorage", ARK_ST_F16}, {"BFloat16Storage", ARK_ST_BF16}, {"LongStorage", ARK_ST_I64},
    {"IntStorage", ARK_ST_I32}, {"ShortStorage", ARK_ST_I16}, {"CharStorage", ARK_ST_I8},
    {"ByteStorage", ARK_ST_U8}, {"BoolStorage", ARK_ST_BOOL}};

/* Types without a storage class of their own are named by dtype, over bytes. */
static const named dtypes[] = {{"float32", ARK_ST_F32}, {"float64", ARK_ST_F64}, {"float16", ARK_ST_F16},
    {"bfloat16", ARK_ST_BF16}, {"int64", ARK_ST_I64}, {"int32", ARK_ST_I32}, {"int16", ARK_ST_I16},
    {"int8", ARK_ST_I8}, {"uint64", ARK_ST_U64}, {"uint32", ARK_ST_U32}, {"uint16", ARK_ST_U16},
    {"uint8", ARK_ST_U8}, {"bool", ARK_ST_BOOL}};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool lookup(const ark_pv *v, const char *module, const named *table, size_t n, ark_st_dtype *out) {
    for (size_t i = 0; i < n; i++) {
        if (ark_pv_is_global(v, module, table[i].name)) {
            *out = table[i].dtype;
            return true;
        }
    }
    return false;
}

static bool is_count(const ark_pv *v) {
    return v->kind == ARK_PV_INT && v->i >= 0;
}

static bool is_text(const ark_pv *v) {
    return v->kind == ARK_PV_STR || v->kind == ARK_PV_BYTES;
}

static ark_status storage_type(const ark_pv *v, const char *path, ark_torch_storage *s) {
    if (lookup(v, "torch", storages, COUNT(storages), &s->dtype) ||
        lookup(v, "torch.cuda", storages, COUNT(storages), &s->dtype)) {
        return ARK_OK;
    }
    s->untyped = ark_pv_is_global(v, "torch.storage", "UntypedStorage") ||
                 ark_pv_is_global(v, "torch", "UntypedStorage");
    s->dtype = ARK_ST_U8;
    return s->untyped                 ? ARK_OK
           : v->kind != ARK_PV_GLOBAL ? ARK_ERR(ARK_EFORMAT, "%s: a storage without a type", path)
                                      : ARK_ERR(ARK_EFORMAT, "%s: storages of type %.*s are not supported",
                                            path, (int)ark_pv_name_len(v), v->name);
}

/* (key, offset, elements) of a view, in files of early versions. */
static ark_status read_view(const ark_pv *v, const char *path, ark_torch_storage *s) {
    if (v->kind == ARK_PV_NONE) {
        return ARK_OK;
    }
    if (v->kind != ARK_PV_TUPLE || v->n != 3 || !is_count(v->items[1]) || !is_count(v->items[2])) {
        return ARK_ERR(ARK_EFORMAT, "%s: a view of a storage that is not (key, offset, elements)", path);
    }
    s->offset = (size_t)v->items[1]->i;
    s->view = (size_t)v->items[2]->i;
    if (s->offset > s->numel || s->view > s->numel - s->offset) {
        return ARK_ERR(ARK_EFORMAT, "%s: a view of %zu elements from %zu on, its storage has %zu", path,
            s->view, s->offset, s->numel);
    }
    return ARK_OK;
}

ark_status ark_torch_storage_read(const ark_pv *persid, const char *path, ark_torch_storage *out) {
    const ark_pv *id = persid->args;
    ark_torch_storage s = {0};
    if (id->kind != ARK_PV_TUPLE || id->n < 5 || id->n > 6 || !ark_pv_is_text(id->items[0], "storage") ||
        !is_text(id->items[2]) || !is_count(id->items[4])) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: a reference that is not (storage, type, key, place, elements)", path);
    }
    ARK_TRY(storage_type(id->items[1], path, &s));
    s.key = id->items[2]->s;
    s.key_len = id->items[2]->n;
    s.numel = s.view = (size_t)id->items[4]->i;
    if (id->n == 6) {
        ARK_TRY(read_view(id->items[5], path, &s));
    }
    *out = s;
    return ARK_OK;
}

/* Which function makes a tensor: 1 _rebuild_tensor, 2 and 3 its later versions, 0 none of them. */
static int version_of(const ark_pv *v) {
    static const char *const names[] = {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"};
    for (int i = 0; i < 3; i++) {
        if (v->kind == ARK_PV_CALL && ark_pv_is_global(v->callee, "torch._utils", names[i])) {
            return i + 1;
        }
    }
    return 0;
}

const ark_pv *ark_torch_as_tensor(const ark_pv *v) {
    while (v->kind == ARK_PV_CALL && v->args->n >= 1 &&
           (ark_pv_is_global(v->callee, "torch._utils", "_rebuild_parameter") ||
               ark_pv_is_global(v->callee, "torch._utils", "_rebuild_parameter_with_state"))) {
        v = v->args->items[0];
    }
    return version_of(v) ? v : NULL;
}

/* A tuple of whole numbers, or torch.Size of one. */
static ark_status read_counts(const ark_pv *v, const char *what, const char *path, const char *name, int *n,
    int64_t out[ARK_ST_MAX_DIMS]) {
    if (v->kind == ARK_PV_CALL && ark_pv_is_global(v->callee, "torch", "Size") && v->args->n == 1) {
        v = v->args->items[0];
    }
    if (v->kind != ARK_PV_TUPLE && v->kind != ARK_PV_LIST) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': its %s is no tuple", path, name, what);
    }
    if (v->n > ARK_ST_MAX_DIMS) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: tensor '%s': %u dimensions, limit %d", path, name, v->n, ARK_ST_MAX_DIMS);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != ARK_PV_INT) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: tensor '%s': its %s holds something else than numbers", path, name, what);
        }
        if (!is_count(v->items[i])) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': its %s holds %lld", path, name, what,
                (long long)v->items[i]->i);
        }
        out[i] = v->items[i]->i;
    }
    *n = (int)v->n;
    return ARK_OK;
}

/* Row-major without gaps; the stride of a dimension of one element does not matter. */
static bool is_plain(const ark_st_tensor *t) {
    int64_t expected = 1;
    for (int d = t->ndim - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && t->stride[d] != expected) {
            return false;
        }
        expected *= t->shape[d];
    }
    return true;
}

/* Elements, and whether the last one lies in the storage. There may be fewer than the storage holds
 * (views), never more: a stride of 0 would make any size of a few bytes. */
static ark_status check_reach(const char *path, ark_st_tensor *t, size_t offset, size_t elements) {
    size_t numel = 1, last = offset;
    int overflow = 0;
    for (int d = 0; d < t->ndim; d++) {
        size_t step = 0;
        overflow |= ark_mul(numel, (size_t)t->shape[d], &numel);
        if (t->shape[d] > 1) {
            overflow |= ark_mul((size_t)t->shape[d] - 1, (size_t)t->stride[d], &step);
            overflow |= ark_add(last, step, &last);
        }
    }
    if (overflow || numel > elements || (numel && last >= elements)) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': %s%zu elements up to number %zu, its storage has %zu",
            path, t->name, overflow ? "more than " : "", overflow ? elements : numel,
            overflow ? elements : last, elements);
    }
    t->numel = (int64_t)numel;
    return ARK_OK;
}

ark_status ark_torch_tensor_read(const ark_pv *call, const char *path, ark_st_tensor *t,
    ark_torch_storage *storage, size_t *offset_bytes) {
    static const uint32_t fewest[] = {0, 4, 6, 7};
    const ark_pv *args = call->args;
    int version = version_of(call), strides = 0;
    if (args->n < fewest[version] || args->items[0]->kind != ARK_PV_PERSID || !is_count(args->items[1])) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: tensor '%s': not made of storage, offset, size and stride", path, t->name);
    }
    ARK_TRY(ark_torch_storage_read(args->items[0], path, storage));
    t->dtype = storage->dtype;
    if (version == 3 && !lookup(args->items[6], "torch", dtypes, COUNT(dtypes), &t->dtype)) {
        const ark_pv *type = args->items[6];
        bool told = type->kind == ARK_PV_GLOBAL;
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': dtype %.*s is not supported", path, t->name,
            told ? (int)ark_pv_name_len(type) : 1, told ? type->name : "?");
    }
    if (version != 3 && storage->untyped) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': a storage without a type", path, t->name);
    }
    ARK_TRY(read_counts(args->items[2], "size", path, t->name, &t->ndim, t->shape));
    ARK_TRY(read_counts(args->items[3], "stride", path, t->name, &strides, t->stride));
    if (strides != t->ndim) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: tensor '%s': %d dimensions, %d strides", path, t->name, t->ndim, strides);
    }
    size_t itemsize = ark_st_dtype_bytes(t->dtype), offset = (size_t)args->items[1]->i;
    size_t elements = storage->untyped ? storage->view / itemsize : storage->view;
    ARK_TRY(check_reach(path, t, offset, elements));
    t->strided = t->numel > 1 && !is_plain(t);
    t->bytes =
        (size_t)t->numel * itemsize; /* fits: at most the storage's, which the file is checked to hold */
    *offset_bytes = t->numel ? (storage->offset + offset) * itemsize : 0;
    return ARK_OK;
}
