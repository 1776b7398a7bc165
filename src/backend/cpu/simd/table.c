#include "backend/cpu/simd/level.h"

extern const ark_simd ARK_GLUE(ark_simd, ARK_ISA);

const ark_simd ARK_GLUE(ark_simd, ARK_ISA) = {
    .level = ARK_TEXT(ARK_ISA),
    .lanes = ARK_LANES,
#define ARK_SIMD(entry, args) .entry = ARK_FN(entry),
#include "backend/cpu/simd.def"
#undef ARK_SIMD
};
