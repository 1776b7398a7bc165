/* safetensors: the weight file. Format: u64 little-endian header length, JSON header, tensor bytes. */
#ifndef ARK_IO_SAFETENSORS_H
#define ARK_IO_SAFETENSORS_H

#include "ark/status.h"
#include "base/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARK_ST_MAX_DIMS = 8 };

/* name, bits per element */
#define ARK_ST_DTYPES(X)                                                                                     \
    X(BOOL, 8)                                                                                               \
    X(U8, 8)                                                                                                 \
    X(I8, 8)                                                                                                 \
    X(U16, 16)                                                                                               \
    X(I16, 16)                                                                                               \
    X(F16, 16)                                                                                               \
    X(BF16, 16)                                                                                              \
    X(U32, 32)                                                                                               \
    X(I32, 32)                                                                                               \
    X(F32, 32)                                                                                               \
    X(U64, 64)                                                                                               \
    X(I64, 64)                                                                                               \
    X(F64, 64)

typedef enum ark_st_dtype {
#define ARK_ST_ENUM(name, bits) ARK_ST_##name,
    ARK_ST_DTYPES(ARK_ST_ENUM)
#undef ARK_ST_ENUM
        ARK_ST_DTYPE_COUNT
} ark_st_dtype;

/* A tensor of a file. Those of safetensors lie in row-major order; those of .pth files (io/torch_file.h)
 * may not: element (i,j,...) is at data + itemsize * (i*stride[0] + j*stride[1] + ...). */
typedef struct ark_st_tensor {
    const char *name;
    ark_st_dtype dtype;
    int ndim;
    int64_t shape[ARK_ST_MAX_DIMS];
    int64_t numel;
    const void *data; /* into the map; aligned only as the file is: read with memcpy or ark_st_read_f32 */
    size_t bytes;     /* numel * itemsize */
    bool strided, big_endian;
    int64_t stride[ARK_ST_MAX_DIMS]; /* in elements, not negative; only where strided */
} ark_st_tensor;

typedef struct ark_st_file ark_st_file; /* read-only map + parsed header */

/** Map and validate a file as the reference implementation does (github.com/huggingface/safetensors): tensors
 * tile the data without holes or overlap, sizes are exact, names unique, dtypes known. ARK_EFORMAT names
 * file, tensor and both numbers. Limits: header 100 MB, 100,000 tensors, 8 dimensions. */
ark_status ark_st_open(const char *path, ark_st_file **out) ARK_MUST_CHECK;
/** The same over n bytes of memory, which must outlive the result; name appears in messages. */
ark_status ark_st_open_memory(
    const void *bytes, size_t n, const char *name, ark_st_file **out) ARK_MUST_CHECK;
void ark_st_close(ark_st_file *f);
size_t ark_st_count(const ark_st_file *f);
/** i-th tensor in the order of its data; owned by f. */
const ark_st_tensor *ark_st_at(const ark_st_file *f, size_t i);
/** By name, or NULL. O(log n). */
const ark_st_tensor *ark_st_find(const ark_st_file *f, const char *name);
/** __metadata__ value, or NULL. */
const char *ark_st_meta(const ark_st_file *f, const char *key);
size_t ark_st_meta_count(const ark_st_file *f);
void ark_st_meta_at(const ark_st_file *f, size_t i, const char **key, const char **value);
/** Convert a float or integer tensor to float32 (F64, F32, F16, BF16, integers), row-major, whatever its
 * strides and byte order: out has numel elements. ARK_EFORMAT for BOOL. */
ark_status ark_st_read_f32(const ark_st_tensor *t, float *out) ARK_MUST_CHECK;
/** Its elements as they are, row-major and little-endian: out has t->bytes bytes. */
void ark_st_read_raw(const ark_st_tensor *t, void *out);
const char *ark_st_dtype_name(ark_st_dtype dt);
size_t ark_st_dtype_bytes(ark_st_dtype dt);

/* Writer: declare tensors, then write all at once, atomically. Tensor order in the file: descending
 * alignment, then name; the JSON is compact and deterministic, so equal content gives equal bytes. */
typedef struct ark_st_writer ark_st_writer;
ark_status ark_st_writer_new(ark_st_writer **out) ARK_MUST_CHECK;
void ark_st_writer_free(ark_st_writer *w);
/** Strings are copied; a repeated key or text that is not UTF-8 is ARK_EINVAL. */
ark_status ark_st_writer_meta(ark_st_writer *w, const char *key, const char *value) ARK_MUST_CHECK;
/** data is borrowed until ark_st_writer_save. name is copied; a repeated name, one that is not UTF-8, a
 * negative or overflowing shape are ARK_EINVAL. */
ark_status ark_st_writer_add(ark_st_writer *w, const char *name, ark_st_dtype dtype, int ndim,
    const int64_t *shape, const void *data) ARK_MUST_CHECK;
/** Write everything; may be called again (the declarations stay). */
ark_status ark_st_writer_save(ark_st_writer *w, const char *path) ARK_MUST_CHECK;
/** What was declared, for writers of other formats (io/torch_write.h). Owned by w until the next
 * declaration. */
size_t ark_st_writer_count(const ark_st_writer *w);
const ark_st_tensor *ark_st_writer_at(const ark_st_writer *w, size_t i);
size_t ark_st_writer_meta_count(const ark_st_writer *w);
void ark_st_writer_meta_at(const ark_st_writer *w, size_t i, const char **key, const char **value);

#endif
