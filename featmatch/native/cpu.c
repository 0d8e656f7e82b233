/* Which instruction levels this machine has: asked of the processor itself, since not every compiler brings
 * __builtin_cpu_supports. */

#include <stdint.h>

#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { OSXSAVE = 1 << 27, AVX2 = 1 << 5 };
static const uint32_t AVX512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
static const uint32_t AVX512_LATER = 1u << 11 | 1u << 14;                 /* VNNI, VPOPCNTDQ */

/* The registers that the system saves when it switches between programs, a bit for each kind. */
static uint32_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* 0: baseline, 1: AVX2, 2: AVX-512 with all that is used of it (Ice Lake, Zen 4 and later). */
EXPORTED int32_t featmatch_best_level(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return 0;
    uint32_t saved = saved_registers();
    if ((saved & 0x06) != 0x06 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2)) return 0;
    return (saved & 0xe6) == 0xe6 && (b & AVX512) == AVX512 && (c & AVX512_LATER) == AVX512_LATER ? 2 : 1;
}
#else
EXPORTED int32_t featmatch_best_level(void) { return 0; }
#endif

/* A checksum of the sources, which the build gives: what is loaded from a working tree may be older. */
#if !defined(FEATMATCH_BUILT_FROM)
#define FEATMATCH_BUILT_FROM 0
#endif
EXPORTED int64_t featmatch_built_from(void) { return FEATMATCH_BUILT_FROM; }
