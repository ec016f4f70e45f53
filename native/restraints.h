/* Distances within bounds and signed volumes within bounds, in four dimensions: what coordinates start from.
 * Volumes are of the first three dimensions; the fourth lets chains and rings pass through each other. */
#ifndef MOLEBM_RESTRAINTS_H
#define MOLEBM_RESTRAINTS_H

#include "lanes.h"

#define DIMENSIONS 4

typedef struct {
    int64_t n_molecules, n_atoms, largest, n_distances, n_volumes;
    const int32_t *atom_start, *distance_start, *volume_start; /* (G+1,) */
    const int32_t *distances, *volumes;                        /* (2, D), (4, V), atoms from the first of the molecule */
    const float *distance_lower, *distance_upper, *distance_k; /* (D,) Å, Å, kcal/mol/Å² */
    const float *volume_lower, *volume_upper, *volume_k;       /* (V,) Å³, Å³, kcal/mol/Å⁶ */
    float fourth_k;                                            /* kcal/mol/Å² */
} Restraints;

INLINE float outside(float value, float lower, float upper) {
    float below = value < lower ? value - lower : 0;
    return value > upper ? value - upper : below;
}

INLINE void restrained_distances(const Restraints *t, int64_t molecule, const float *x, float *gradient, double *energy) {
    float partial[LANES] = {0};
    int64_t start = t->distance_start[molecule];
    for (int64_t n = start; n < t->distance_start[molecule + 1]; n++) {
        int64_t i = DIMENSIONS * LANES * t->distances[n], j = DIMENSIONS * LANES * t->distances[t->n_distances + n];
        float lower = t->distance_lower[n], upper = t->distance_upper[n], k = t->distance_k[n];
        EACH_LANE
        for (int l = 0; l < LANES; l++) {
            const float *a = x + i + l, *b = x + j + l;
            float d0 = b[0] - a[0], d1 = b[LANES] - a[LANES];
            float d2 = b[2 * LANES] - a[2 * LANES], d3 = b[3 * LANES] - a[3 * LANES];
            float square = d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3 + TINY;
            float inverse = inverse_root(square);
            float off = outside(square * inverse, lower, upper);
            partial[l] += k * off * off;
            float slope = 2 * k * off * inverse;
            float *ga = gradient + i + l, *gb = gradient + j + l;
            ga[0] -= slope * d0, ga[LANES] -= slope * d1, ga[2 * LANES] -= slope * d2, ga[3 * LANES] -= slope * d3;
            gb[0] += slope * d0, gb[LANES] += slope * d1, gb[2 * LANES] += slope * d2, gb[3 * LANES] += slope * d3;
        }
    }
    flush(partial, energy);
}

INLINE void restrained_volumes(const Restraints *t, int64_t molecule, const float *x, float *gradient, double *energy) {
    float partial[LANES] = {0};
    for (int64_t n = t->volume_start[molecule]; n < t->volume_start[molecule + 1]; n++) {
        const int32_t *atoms = t->volumes + n;
        int64_t o = DIMENSIONS * LANES * atoms[0], i = DIMENSIONS * LANES * atoms[t->n_volumes];
        int64_t j = DIMENSIONS * LANES * atoms[2 * t->n_volumes], k = DIMENSIONS * LANES * atoms[3 * t->n_volumes];
        float lower = t->volume_lower[n], upper = t->volume_upper[n], stiffness = t->volume_k[n];
        EACH_LANE
        for (int l = 0; l < LANES; l++) {
            Vector centre = load(x + o, l);
            Vector u = subtract(load(x + i, l), centre);
            Vector v = subtract(load(x + j, l), centre);
            Vector w = subtract(load(x + k, l), centre);
            Vector vw = cross(v, w);
            float off = outside(dot(u, vw), lower, upper);
            partial[l] += stiffness * off * off;
            float slope = 2 * stiffness * off;
            Vector gu = scale(slope, vw), gv = scale(slope, cross(w, u)), gw = scale(slope, cross(u, v));
            accumulate(gradient + i, l, gu);
            accumulate(gradient + j, l, gv);
            accumulate(gradient + k, l, gw);
            accumulate(gradient + o, l, scale(-1, add(gu, add(gv, gw))));
        }
    }
    flush(partial, energy);
}

INLINE void restrain(const Restraints *t, int64_t molecule, const float *x, float *gradient, double *energy) {
    int64_t atoms = t->atom_start[molecule + 1] - t->atom_start[molecule];
    float partial[LANES] = {0};
    memset(gradient, 0, sizeof(float) * (size_t)(DIMENSIONS * LANES * atoms));
    restrained_distances(t, molecule, x, gradient, energy);
    restrained_volumes(t, molecule, x, gradient, energy);
    for (int64_t atom = 0; atom < atoms; atom++)
        EACH_LANE
        for (int l = 0; l < LANES; l++) {
            float w = x[(DIMENSIONS * atom + 3) * LANES + l];
            partial[l] += t->fourth_k * w * w;
            gradient[(DIMENSIONS * atom + 3) * LANES + l] += 2 * t->fourth_k * w;
        }
    flush(partial, energy);
}

#endif
