/* Parameter store: every parameter of a model at one offset, in several columns of equal layout.
 *
 * A column is one flat float32 allocation (student weights, gradients, optimizer state, teacher), so EMA,
 * SGD, clipping and checkpoints are flat loops over ranges. bf16 columns are compute copies of the weights,
 * refreshed after an update. */
#ifndef ARK_CORE_PARAMS_H
#define ARK_CORE_PARAMS_H

#include "ark/status.h"
#include "core/tensor.h"

typedef struct ark_dev ark_dev;
typedef struct ark_params ark_params;

typedef enum ark_column {
    ARK_COL_STUDENT,
    ARK_COL_TEACHER,
    ARK_COL_GRAD,
    ARK_COL_MOMENT1, /* SGD momentum buffer, Adam's first moment */
    ARK_COL_MOMENT2, /* Adam's second moment */
    ARK_COL_COUNT
} ark_column;

/* How a parameter starts (timm Swin: trunc_normal(0.02) for linear weights and bias tables, ones and zeros
 * for norms, zeros for biases; the patch embedding is a Conv2d that timm leaves at PyTorch's default, as are
 * head and projector built with plain nn.Linear: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weight and bias). */
typedef enum ark_init {
    ARK_INIT_ZEROS,
    ARK_INIT_ONES,
    ARK_INIT_TRUNC_NORMAL_02,
    ARK_INIT_UNIFORM_FAN_IN,
    ARK_INIT_HE, /* N(0, 2/fan_in), torch kaiming_normal_ for ReLU; for mode fan_out set fan_in to that */
    ARK_INIT_LAYER_SCALE /* 1e-6, ConvNeXt's gamma */
} ark_init;

typedef struct ark_param {
    char *name;
    int ndim;
    int64_t dims[ARK_MAX_DIMS];
    int64_t numel;
    int64_t offset; /* elements from the column's start; a multiple of 64 */
    ark_init init;
    int group;      /* 0 encoder and projector; 1 + i: head i (frozen while another dataset trains) */
    int64_t fan_in; /* for ARK_INIT_UNIFORM_FAN_IN; elements per row unless set */
    int file_ndim;  /* shape in weight files, where it differs (a convolution kept as a matrix); 0 = dims */
    int64_t file_dims[ARK_MAX_DIMS];
    bool buffer; /* running statistics: no gradient, no decay, left alone by the optimizer */
    bool decay;  /* weight decay applies (matrices yes; biases, norms, bias tables and pos_embed no) */
} ark_param;

ark_status ark_params_new(ark_params **out) ARK_MUST_CHECK;
void ark_params_free(ark_params *s);
/** Index of the parameter `name`, declared now if it is new; a known name with another shape is ARK_ESHAPE.
 * Offsets follow the order of declaration. After ark_params_alloc new names are ARK_EINVAL. */
ark_status ark_params_declare(
    ark_params *s, const char *name, int ndim, const int64_t *dims, ark_init init, int *index) ARK_MUST_CHECK;
/** The fan-in of a bias is that of its weight: PyTorch draws both from the same range. */
void ark_params_set_fan_in(ark_params *s, int index, int64_t fan_in);
/** Shape under which weight files hold the parameter; the same number of elements. */
void ark_params_set_file_shape(ark_params *s, int index, int ndim, const int64_t *dims);
/** The parameter is a buffer: kept, saved, loaded and averaged by the EMA as all are, but written by forward
 * passes and by nothing else. */
void ark_params_set_buffer(ark_params *s, int index);
/** Group given to parameters declared from now on. */
void ark_params_set_group(ark_params *s, int group);
int ark_params_count(const ark_params *s);
const ark_param *ark_params_at(const ark_params *s, int i);
/** Index by name, or -1. */
int ark_params_find(const ark_params *s, const char *name);
/** Elements of a column, padding included. */
int64_t ark_params_elems(const ark_params *s);
/** Sum of numel without buffers: the model's parameter count. */
int64_t ark_params_numel(const ark_params *s);

/** Allocate the columns whose bit (1u << column) is set, zero-filled, on dev; bf16: also
 * compute copies of the weight columns. */
ark_status ark_params_alloc(ark_params *s, ark_dev *dev, unsigned columns, bool bf16) ARK_MUST_CHECK;
/** Device pointer of a column, or NULL when it was not allocated. */
float *ark_params_column(const ark_params *s, ark_column c);
/** Device pointer of the bf16 compute copy (ARK_COL_STUDENT, ARK_COL_TEACHER), or NULL. */
uint16_t *ark_params_bf16(const ark_params *s, ark_column c);
/** To be called after a weight column changed: refresh its compute copy, if it has one, and give the
 * column a new version. */
ark_status ark_params_refresh(ark_params *s, ark_column c) ARK_MUST_CHECK;
/** A number that no other state of a weight column of this store has had; 0 before the first refresh.
 * What a kernel derived from the weights stays valid while it is the same. */
uint64_t ark_params_version(const ark_params *s, ark_column c);
/** Draw initial values into a column from (seed, ARK_RNG_INIT, parameter's name):
 * independent of declaration order. */
ark_status ark_params_init(ark_params *s, ark_column c, uint64_t seed) ARK_MUST_CHECK;
/** Host copy in and out of one parameter (numel floats). */
ark_status ark_params_read(const ark_params *s, ark_column c, int i, float *dst) ARK_MUST_CHECK;
ark_status ark_params_write(ark_params *s, ark_column c, int i, const float *src) ARK_MUST_CHECK;

#endif
