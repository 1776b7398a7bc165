/* Which copy of the inner kernels runs here. */
#include "backend/cpu/simd.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

extern const ark_simd ark_simd_v2, ark_simd_v3, ark_simd_v4;

#if defined(__x86_64__)
static bool runs_v3(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

static bool runs_v4(void) {
    return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

static bool runs_bf16(void) {
    return __builtin_cpu_supports("avx512bf16");
}
#else
static bool runs_bf16(void) {
    return false;
}
#endif

ark_status ark_simd_pick(const ark_simd **out) {
    const ark_simd *levels[3] = {&ark_simd_v2};
    int n = 1;
#ifdef ARK_HAVE_ISA_v3
    if (runs_v3()) {
        levels[n++] = &ark_simd_v3;
    }
#endif
#ifdef ARK_HAVE_ISA_v4
    if (runs_v4()) {
        levels[n++] = &ark_simd_v4;
    }
#endif
    const char *want = getenv("ARK_CPU_ISA");
    if (!want || !*want) {
        *out = levels[n - 1];
        return ARK_OK;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(want, levels[i]->level) == 0) {
            *out = levels[i];
            return ARK_OK;
        }
    }
    return ARK_ERR(
        ARK_EINVAL, "ARK_CPU_ISA=%s: this processor and build run v2 to %s", want, levels[n - 1]->level);
}

bool ark_simd_has_bf16(const ark_simd *k) {
    return strcmp(k->level, "v4") == 0 && runs_bf16();
}
