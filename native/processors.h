/* One operation, once for each set of instructions, and the choice of the widest that the processor has. */
#ifndef MOLEBM_PROCESSORS_H
#define MOLEBM_PROCESSORS_H

#if defined(__x86_64__) && defined(__GNUC__)
#define AVX512 "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"
#if defined(__clang__)
#define WIDE AVX512
#else
#define WIDE AVX512 ",prefer-vector-width=512"
#endif
#define FOR_EACH_PROCESSOR(operations)                    \
    operations(anywhere, )                                \
    operations(avx2, __attribute__((target("avx2,fma")))) \
    operations(avx512, __attribute__((target(WIDE))))

static int width_supported(void) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return 512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
    return 0;
}

#define WIDEST(operation)                         \
    (width_supported() == 512   ? operation##_avx512 \
     : width_supported() == 256 ? operation##_avx2   \
                                : operation##_anywhere)
#else
#define FOR_EACH_PROCESSOR(operations) operations(anywhere, )
#define WIDEST(operation) operation##_anywhere
#endif

#endif
