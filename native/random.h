/* Random numbers of their own in each lane: xoshiro128++ of Blackman and Vigna, ACM Trans. Math. Softw. 47, 36 (2021),
 * seeded by splitmix64; normal ones by Box and Muller, Ann. Math. Stat. 29, 610 (1958). */
#ifndef MOLEBM_RANDOM_H
#define MOLEBM_RANDOM_H

#include "lanes.h"

typedef struct {
    uint32_t state[4][LANES];
} Random;

INLINE uint64_t split_mix(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A stream that depends on the seed and the place of the conformer alone. */
INLINE void seed_lane(Random *random, int lane, uint64_t seed, uint64_t place) {
    uint64_t mixed = seed ^ (0x632be59bd9b4e019u * (place + 1));
    for (int k = 0; k < 4; k += 2) {
        uint64_t bits = split_mix(&mixed);
        random->state[k][lane] = (uint32_t)bits;
        random->state[k + 1][lane] = (uint32_t)(bits >> 32) | 1u;
    }
}

INLINE void draw(Random *r, uint32_t *bits) {
    EACH_LANE
    for (int l = 0; l < LANES; l++) {
        uint32_t s0 = r->state[0][l], s1 = r->state[1][l], s2 = r->state[2][l], s3 = r->state[3][l];
        uint32_t sum = s0 + s3, shifted = s1 << 9;
        bits[l] = ((sum << 7) | (sum >> 25)) + s0;
        s2 ^= s0, s3 ^= s1, s1 ^= s2, s0 ^= s3, s2 ^= shifted;
        s3 = (s3 << 11) | (s3 >> 21);
        r->state[0][l] = s0, r->state[1][l] = s1, r->state[2][l] = s2, r->state[3][l] = s3;
    }
}

INLINE float unit_interval(uint32_t bits) { return (float)((int32_t)(bits >> 8)) * 0x1p-24f; } /* [0, 1) */

/* ln of a normal positive number: S. L. Moshier, Cephes, logf. */
INLINE float logarithm(float value) {
    union {
        float f;
        uint32_t u;
    } x = {value};
    int32_t exponent = (int32_t)(x.u >> 23) - 126;
    x.u = (x.u & 0x007fffffu) | 0x3f000000u; /* [0.5, 1) */
    int low = x.f < 0.70710678f;
    float e = (float)(low ? exponent - 1 : exponent), m = low ? 2 * x.f - 1 : x.f - 1;
    float z = m * m, p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    return m + (p * m * z - 2.12194440e-4f * e - 0.5f * z) + 0.693359375f * e;
}

/* Two independent normal numbers in each lane. */
INLINE void draw_normal(Random *random, float *one, float *other) {
    uint32_t first[LANES], second[LANES];
    draw(random, first);
    draw(random, second);
    EACH_LANE
    for (int l = 0; l < LANES; l++) {
        float radius = sqrtf(-2 * logarithm(unit_interval(first[l]) + 0x1p-25f));
        float angle = (unit_interval(second[l] << 3) - 0.5f) * HALF_PI; /* [-π/4, π/4), then an octant by three bits */
        float z = angle * angle;
        float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * angle + angle;
        float cosine = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
                       0.5f * z + 1;
        int swap = (second[l] >> 29) & 1, flip0 = (second[l] >> 30) & 1, flip1 = second[l] >> 31;
        float a = swap ? sine : cosine, b = swap ? cosine : sine;
        one[l] = radius * (flip0 ? -a : a);
        other[l] = radius * (flip1 ? -b : b);
    }
}

#endif
