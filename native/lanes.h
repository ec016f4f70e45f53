/* Sixteen conformers side by side, one in each lane of the loops marked LANES, which compilers turn into vector
 * instructions. Lanes never mix, so a conformer that explodes harms no other. */
#ifndef MOLEBM_LANES_H
#define MOLEBM_LANES_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LANES 16
#define ROW (3 * LANES) /* x, y and z of one atom in every lane */

#if defined(_MSC_VER)
#define INLINE static __forceinline
#define EXPORT __declspec(dllexport)
#define EACH_LANE
#define EACH_LANE_SUMMING(...)
#else
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define PRAGMA(text) _Pragma(#text)
#define EACH_LANE PRAGMA(omp simd)
#define EACH_LANE_SUMMING(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#endif

static const float TINY = 1e-12f;
static const float BOUND = 1 - 8 * 1.1920929e-7f;
static const float PI = 3.14159265358979f;
static const float HALF_PI = 1.57079632679490f;

typedef struct {
    float x, y, z;
} Vector;

INLINE Vector load(const float *row, int lane) {
    return (Vector){row[lane], row[LANES + lane], row[2 * LANES + lane]};
}

INLINE void accumulate(float *row, int lane, Vector v) {
    row[lane] += v.x;
    row[LANES + lane] += v.y;
    row[2 * LANES + lane] += v.z;
}

INLINE Vector add(Vector a, Vector b) { return (Vector){a.x + b.x, a.y + b.y, a.z + b.z}; }
INLINE Vector subtract(Vector a, Vector b) { return (Vector){a.x - b.x, a.y - b.y, a.z - b.z}; }
INLINE Vector scale(float s, Vector a) { return (Vector){s * a.x, s * a.y, s * a.z}; }
INLINE float dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
INLINE Vector cross(Vector a, Vector b) {
    return (Vector){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

INLINE float inverse_root(float s) { return 1 / sqrtf(s); }

INLINE float clamp(float value) { return value < -BOUND ? -BOUND : value > BOUND ? BOUND : value; }

/* asin of 0 <= s <= 0.5 with z = s²: S. L. Moshier, Cephes, asinf. */
INLINE float small_asin(float s, float z) {
    float p = 4.2163199048e-2f;
    p = p * z + 2.4181311049e-2f;
    p = p * z + 4.5470025998e-2f;
    p = p * z + 7.4953002686e-2f;
    p = p * z + 1.6666752422e-1f;
    return p * z * s + s;
}

/* Angles of a clamped sine or cosine; beyond one half through asin s = π/2 - 2 asin √((1-s)/2). */
INLINE float arcsine(float sine) {
    float size = fabsf(sine);
    float folded = 0.5f * (1 - size);
    float z = size < 0.5f ? size * size : folded;
    float angle = small_asin(size < 0.5f ? size : sqrtf(folded), z);
    return copysignf(size < 0.5f ? angle : HALF_PI - 2 * angle, sine);
}

INLINE float arccosine(float cosine) {
    float size = fabsf(cosine);
    float folded = 0.5f * (1 - size);
    float z = size < 0.5f ? size * size : folded;
    float angle = small_asin(size < 0.5f ? size : sqrtf(folded), z);
    float far = cosine > 0 ? 2 * angle : PI - 2 * angle;
    return size < 0.5f ? HALF_PI - copysignf(angle, cosine) : far;
}

INLINE void flush(float *partial, double *energy) {
    EACH_LANE
    for (int l = 0; l < LANES; l++) {
        energy[l] += partial[l];
        partial[l] = 0;
    }
}

/* Copy a block of conformers, (dims, N, C), into the rows of a block, (atoms, dims, LANES), lane l reading conformer
 * column[l]. */
INLINE void gather(const float *x, int64_t n_atoms, int64_t C, int64_t first, int64_t atoms, int dims,
                   const int64_t *column, float *rows) {
    for (int64_t atom = 0; atom < atoms; atom++)
        for (int axis = 0; axis < dims; axis++) {
            const float *source = x + (axis * n_atoms + first + atom) * C;
            float *row = rows + LANES * (dims * atom + axis);
            for (int l = 0; l < LANES; l++) row[l] = source[column[l]];
        }
}

INLINE double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Memory that starts on a cache line; `free` takes what `memory` gets. */
INLINE float *aligned_floats(size_t count, void **memory) {
    *memory = malloc(count * sizeof(float) + 64);
    return *memory ? (float *)((char *)*memory + 64 - (uintptr_t)*memory % 64) : NULL;
}

#endif
