#include "backend/cpu/simd/level.h"

extern const ark_simd ARK_GLUE(ark_simd, ARK_ISA);

#define ARK_SIMD_ENTRY(entry, args) .entry = ARK_FN(entry),
const ark_simd ARK_GLUE(ark_simd, ARK_ISA) = {.level = ARK_TEXT(ARK_ISA), ARK_SIMD_LIST(ARK_SIMD_ENTRY)};
