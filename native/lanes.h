/* Conformers side by side, one in each lane of the loops marked EACH_LANE, which compilers turn into vector
 * instructions. Lanes never mix, so a conformer that explodes harms no other. */
#ifndef MOLEBM_LANES_H
#define MOLEBM_LANES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tgmath.h>
#include <time.h>

#ifndef LANES
#define LANES 16
#define REAL float
#endif
#define ROW (3 * LANES) /* x, y and z of one atom in every lane */

#if defined(_MSC_VER)
#define INLINE static __forceinline
#define EXPORT __declspec(dllexport)
#define SIDE_BY_SIDE
#define SIDE_BY_SIDE_SUMMING(...)
#else
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define PRAGMA(text) _Pragma(#text)
#define SIDE_BY_SIDE PRAGMA(omp simd)
#define SIDE_BY_SIDE_SUMMING(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#endif

#if LANES > 1
#define EACH_LANE SIDE_BY_SIDE
#define EACH_LANE_SUMMING(...) SIDE_BY_SIDE_SUMMING(__VA_ARGS__)
#else
#define EACH_LANE /* the loops around those over lanes are the ones for vectors */
#define EACH_LANE_SUMMING(...)
#endif

typedef REAL Real;

static const Real TINY = 1e-12f;
static const Real BOUND = 1 - 8 * 1.1920929e-7f;
static const Real PI = 3.14159265358979f;
static const Real HALF_PI = 1.57079632679490f;

typedef struct {
    Real x, y, z;
} Vector;

INLINE Vector load(const Real *row, int lane) {
    return (Vector){row[lane], row[LANES + lane], row[2 * LANES + lane]};
}

INLINE void accumulate(Real *row, int lane, Vector v) {
    row[lane] += v.x;
    row[LANES + lane] += v.y;
    row[2 * LANES + lane] += v.z;
}

INLINE Vector add(Vector a, Vector b) { return (Vector){a.x + b.x, a.y + b.y, a.z + b.z}; }
INLINE Vector subtract(Vector a, Vector b) { return (Vector){a.x - b.x, a.y - b.y, a.z - b.z}; }
INLINE Vector scale(Real s, Vector a) { return (Vector){s * a.x, s * a.y, s * a.z}; }
INLINE Real dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
INLINE Vector cross(Vector a, Vector b) {
    return (Vector){a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

INLINE Real inverse_root(Real s) { return 1 / sqrt(s); }

INLINE Real clamp(Real value) { return value < -BOUND ? -BOUND : value > BOUND ? BOUND : value; }

/* asin of 0 <= s <= 0.5 with z = s²: S. L. Moshier, Cephes, asinf. */
INLINE Real small_asin(Real s, Real z) {
    Real p = 4.2163199048e-2f;
    p = p * z + 2.4181311049e-2f;
    p = p * z + 4.5470025998e-2f;
    p = p * z + 7.4953002686e-2f;
    p = p * z + 1.6666752422e-1f;
    return p * z * s + s;
}

/* Angles of a clamped sine or cosine; beyond one half through asin s = π/2 - 2 asin √((1-s)/2). */
INLINE Real arcsine(Real sine) {
    Real size = fabs(sine);
    Real folded = 0.5f * (1 - size);
    Real z = size < 0.5f ? size * size : folded;
    Real angle = small_asin(size < 0.5f ? size : sqrt(folded), z);
    return copysign(size < 0.5f ? angle : HALF_PI - 2 * angle, sine);
}

INLINE Real arccosine(Real cosine) {
    Real size = fabs(cosine);
    Real folded = 0.5f * (1 - size);
    Real z = size < 0.5f ? size * size : folded;
    Real angle = small_asin(size < 0.5f ? size : sqrt(folded), z);
    Real far = cosine > 0 ? 2 * angle : PI - 2 * angle;
    return size < 0.5f ? HALF_PI - copysign(angle, cosine) : far;
}

INLINE void flush(Real *partial, double *energy) {
    EACH_LANE
    for (int l = 0; l < LANES; l++) {
        energy[l] += partial[l];
        partial[l] = 0;
    }
}

/* Copy a block of conformers, (dims, N, C), into the rows of a block, (atoms, dims, LANES), lane l reading conformer
 * column[l]. */
INLINE void gather(const Real *x, int64_t n_atoms, int64_t C, int64_t first, int64_t atoms, int dims,
                   const int64_t *column, Real *rows) {
    for (int64_t atom = 0; atom < atoms; atom++)
        for (int axis = 0; axis < dims; axis++) {
            const Real *source = x + (axis * n_atoms + first + atom) * C;
            Real *row = rows + LANES * (dims * atom + axis);
            for (int l = 0; l < LANES; l++) row[l] = source[column[l]];
        }
}

INLINE double seconds_now(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Memory that starts on a cache line; `free` takes what `memory` gets. */
INLINE Real *aligned_reals(size_t count, void **memory) {
    *memory = malloc(count * sizeof(Real) + 64);
    return *memory ? (Real *)((char *)*memory + 64 - (uintptr_t)*memory % 64) : NULL;
}

#endif
