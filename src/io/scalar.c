#include "io/scalar.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights and arrays are read in place: this needs a little-endian machine"
#endif

static float from_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static float f32_from_bf16(uint16_t h) {
    return from_bits((uint32_t)h << 16);
}

/* IEEE 754 binary16. A subnormal half is an integer multiple of 2^-24, so it converts as an integer. */
static float f32_from_f16(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31, fraction = h & 0x3ffu;
    if (exponent == 0) {
        float f = (float)fraction * 0x1p-24f;
        return sign ? -f : f;
    }
    uint32_t wide = exponent == 31 ? 255 : exponent + 112;
    return from_bits(sign | wide << 23 | fraction << 13);
}

#define CONVERT(type, expr)                                                                                  \
    for (size_t i = 0; i < n; i++) {                                                                         \
        type v;                                                                                              \
        memcpy(&v, (const unsigned char *)src + i * sizeof v, sizeof v);                                     \
        out[i] = (expr);                                                                                     \
    }                                                                                                        \
    break

void ark_scalar_to_f32(ark_st_dtype dtype, const void *src, size_t n, float *out) {
    switch (dtype) {
    case ARK_ST_BOOL:
        CONVERT(uint8_t, v ? 1.0f : 0.0f);
    case ARK_ST_U8:
        CONVERT(uint8_t, (float)v);
    case ARK_ST_I8:
        CONVERT(int8_t, (float)v);
    case ARK_ST_U16:
        CONVERT(uint16_t, (float)v);
    case ARK_ST_I16:
        CONVERT(int16_t, (float)v);
    case ARK_ST_F16:
        CONVERT(uint16_t, f32_from_f16(v));
    case ARK_ST_BF16:
        CONVERT(uint16_t, f32_from_bf16(v));
    case ARK_ST_U32:
        CONVERT(uint32_t, (float)v);
    case ARK_ST_I32:
        CONVERT(int32_t, (float)v);
    case ARK_ST_F32:
        if (n) {
            memcpy(out, src, n * sizeof *out);
        }
        break;
    case ARK_ST_U64:
        CONVERT(uint64_t, (float)v);
    case ARK_ST_I64:
        CONVERT(int64_t, (float)v);
    case ARK_ST_F64:
        CONVERT(double, (float)v);
    case ARK_ST_DTYPE_COUNT:
        break;
    }
}
