/* For the files of this folder: names that carry the CPU level, and vectors as wide as that level has.
 *
 * The files are compiled with -DARK_ISA=v2|v3|v4; ARK_FN(gelu) is then ark_gelu_v3. */
#ifndef ARK_BACKEND_CPU_SIMD_LEVEL_H
#define ARK_BACKEND_CPU_SIMD_LEVEL_H

#include "backend/cpu/simd.h"

#include <string.h>

#ifndef ARK_ISA
#define ARK_ISA v2
#endif
#define ARK_GLUE_(a, b) a##_##b
#define ARK_GLUE(a, b) ARK_GLUE_(a, b)
#define ARK_FN(name) ARK_GLUE(ark_##name, ARK_ISA)

/* The build must have asked for what the name promises. */
#define ARK_LEVEL_v2 2
#define ARK_LEVEL_v3 3
#define ARK_LEVEL_v4 4
#if (ARK_GLUE(ARK_LEVEL, ARK_ISA) >= 3 && !defined(__AVX2__)) ||                                             \
    (ARK_GLUE(ARK_LEVEL, ARK_ISA) >= 4 && !defined(__AVX512F__))
#error "this CPU level is compiled without its instructions"
#endif

#define ARK_TEXT_(x) #x
#define ARK_TEXT(x) ARK_TEXT_(x)

#define ARK_SIMD(name, args) void ARK_FN(name) args;
#include "backend/cpu/simd.def"
#undef ARK_SIMD

#if defined(__AVX512F__)
enum { ARK_LANES = 16, ARK_REGISTERS = 32 };
#elif defined(__AVX2__)
enum { ARK_LANES = 8, ARK_REGISTERS = 16 };
#elif defined(__aarch64__)
enum { ARK_LANES = 4, ARK_REGISTERS = 32 };
#else
enum { ARK_LANES = 4, ARK_REGISTERS = 16 };
#endif

typedef float ark_vec __attribute__((vector_size(ARK_LANES * 4)));

static inline ark_vec ark_load(const float *p) {
    ark_vec v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void ark_store(float *p, ark_vec v) {
    memcpy(p, &v, sizeof v);
}

/* Before a loop of few constant rounds whose arrays should become registers. */
#if defined(__clang__)
#define ARK_UNROLL _Pragma("unroll")
#else
#define ARK_UNROLL _Pragma("GCC unroll 16")
#endif

#define ARK_INLINE static inline __attribute__((always_inline))

#endif
