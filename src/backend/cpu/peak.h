/* What this processor can do, measured: the yardstick that benches divide by. */
#ifndef ARK_BACKEND_CPU_PEAK_H
#define ARK_BACKEND_CPU_PEAK_H

#include "ark/status.h"

/** Best of several short runs (about 0.5 s in all) on `threads` threads (0 = all processors) with the CPU
 *  level in use. gflops_f32: float32 multiply-adds in registers, two operations each. gflops_bf16: bfloat16
 *  pairs with float32 sums (vdpbf16ps), NaN where the processor has no such instruction. copy_gbs: bytes read
 *  plus written per second, in 10^9, by a streaming copy far larger than the caches.
 *  @return ARK_OK | ARK_ENOMEM | ARK_EINVAL (ARK_CPU_ISA). */
ark_status ark_cpu_peak(
    int threads, double *gflops_f32, double *gflops_bf16, double *copy_gbs) ARK_MUST_CHECK;

#endif
