/* What native.py calls: each operation in the widest vectors that the processor has. */
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "conformers.h"
#include "dynamics.h"
#include "processors.h"
#include "restraints.h"
#include "rotors.h"

#define VERSION 5 /* of what native.py calls; it refuses another */

typedef struct {
    const Topology *topology;
    const Parameters *parameters;
} Mechanics;

/* All conformers of all molecules. Lanes beyond the last conformer repeat it with weight zero. */
INLINE void evaluate(const Topology *t, const Parameters *p, const float *x, int64_t C, const float *weight,
                     float *work, float *energy, float *forces, Parameters *out, int level) {
    float *block_x = work, *gradient = work + ROW * t->largest;
    for (int64_t molecule = 0; molecule < t->n_molecules; molecule++) {
        int64_t first = t->atom_start[molecule], atoms = t->atom_start[molecule + 1] - first;
        for (int64_t start = 0; start < C; start += LANES) {
            int width = C - start < LANES ? (int)(C - start) : LANES;
            int64_t column[LANES];
            double total[LANES] = {0};
            float weights[LANES] = {0};
            for (int l = 0; l < LANES; l++) column[l] = start + (l < width ? l : width - 1);
            gather(x, t->n_atoms, C, first, atoms, 3, column, block_x);
            if (level >= FORCES) memset(gradient, 0, sizeof(float) * (size_t)(ROW * atoms));
            if (weight)
                for (int l = 0; l < width; l++) weights[l] = weight[molecule * C + start + l];
            evaluate_block(t, p, out, (Block){molecule, block_x, gradient, weights, total}, level);

            for (int l = 0; l < width; l++) energy[molecule * C + start + l] = (float)total[l];
            if (level < FORCES) continue;
            for (int64_t atom = 0; atom < atoms; atom++)
                for (int axis = 0; axis < 3; axis++) {
                    const float *row = gradient + ROW * atom + LANES * axis;
                    float *target = forces + (axis * t->n_atoms + first + atom) * C + start;
                    for (int l = 0; l < width; l++) target[l] = weight ? -weights[l] * row[l] : -row[l];
                }
        }
    }
}

#define EVALUATE_AS_FAR_AS_ASKED                                                                        \
    if (out) evaluate(t, p, x, C, weight, work, energy, forces, out, PARAMETERS);                       \
    else if (forces) evaluate(t, p, x, C, weight, work, energy, forces, out, FORCES);                   \
    else evaluate(t, p, x, C, weight, work, energy, forces, out, ENERGY);

/* The operations, once for each set of instructions. */
#define OPERATIONS(suffix, target)                                                                                  \
    target static void evaluate_##suffix(const Topology *t, const Parameters *p, const float *x, int64_t C,         \
                                         const float *weight, float *work, float *energy, float *forces,            \
                                         Parameters *out) {                                                         \
        EVALUATE_AS_FAR_AS_ASKED                                                                                    \
    }                                                                                                               \
    target static void mechanics_##suffix(const void *system, int64_t molecule, const float *x, float *gradient,    \
                                          double *energy) {                                                         \
        const Mechanics *m = system;                                                                                \
        const int32_t *start = m->topology->atom_start + molecule;                                                  \
        memset(gradient, 0, sizeof(float) * (size_t)(ROW * (start[1] - start[0])));                                 \
        evaluate_block(m->topology, m->parameters, NULL, (Block){molecule, x, gradient, NULL, energy}, FORCES);     \
    }                                                                                                               \
    target static void energies_##suffix(const void *system, int64_t molecule, const float *x, double *energy) {    \
        const Mechanics *m = system;                                                                                \
        evaluate_block(m->topology, m->parameters, NULL, (Block){molecule, x, NULL, NULL, energy}, ENERGY);         \
    }                                                                                                               \
    target static void restraints_##suffix(const void *system, int64_t molecule, const float *x, float *gradient,   \
                                           double *energy) {                                                        \
        restrain(system, molecule, x, gradient, energy);                                                            \
    }                                                                                                               \
    target static int minimise_##suffix(const void *system, Extent e, const DescentSettings *s,                     \
                                        const Descended *out, float *work, double deadline) {                       \
        return descend(mechanics_##suffix, system, e, s, out, work, deadline);                                      \
    }                                                                                                               \
    target static int embed_##suffix(const void *system, Extent e, const DescentSettings *s, const Descended *out,  \
                                     float *work, double deadline) {                                                \
        return descend(restraints_##suffix, system, e, s, out, work, deadline);                                     \
    }                                                                                                               \
    target static int turn_##suffix(const void *system, const Rotors *t, Extent e, const float *kT, int64_t n_steps, \
                                    uint64_t seed, float *positions, int64_t *accepted, float *work,                \
                                    double deadline) {                                                              \
        return turn_bonds(energies_##suffix, system, t, e.molecule, e.first, e.atoms, e.n_atoms, e.C, kT, n_steps,  \
                          seed, positions, accepted, work, deadline);                                               \
    }                                                                                                               \
    target static int follow_##suffix(const void *system, const Dynamics *d, Extent e, uint64_t seed,               \
                                      float *positions, float *work, double deadline) {                             \
        return follow(mechanics_##suffix, system, d, e, seed, positions, work, deadline);                           \
    }

FOR_EACH_PROCESSOR(OPERATIONS)

/* Energies (G, C); with `forces` (3, N, C) also -dE/dx times `weight` (G, C) or one; with `out` also the
 * gradients of the weighted sum of energies, added to what `out` holds. */
EXPORT int molebm_evaluate(const Topology *t, const Parameters *p, const float *x, int64_t C, const float *weight,
                           float *energy, float *forces, Parameters *out) {
    void *memory;
    float *work = aligned_reals(2 * (size_t)t->largest * ROW, &memory);
    if (!work) return NO_MEMORY;
    WIDEST(evaluate)(t, p, x, C, weight, work, energy, forces, out);
    free(memory);
    return DONE;
}

/* Minimise all conformers of all molecules in the energy. */
EXPORT int molebm_minimise(const Topology *t, const Parameters *p, int64_t C, const DescentSettings *settings,
                           const Descended *out) {
    void *memory;
    float *work = aligned_reals(descent_reals(t->largest, 3, settings->history), &memory);
    if (!work) return NO_MEMORY;
    Mechanics system = {t, p};
    double deadline = seconds_now() + settings->seconds;
    int status = DONE;
    for (int64_t g = 0; g < t->n_molecules && status == DONE; g++) {
        Extent e = {g, t->atom_start[g], t->atom_start[g + 1] - t->atom_start[g], t->n_atoms, C, 3};
        status = WIDEST(minimise)(&system, e, settings, out, work, deadline);
    }
    free(memory);
    return status;
}

/* Minimise coordinates (4, N, C) in the restraints. */
EXPORT int molebm_embed(const Restraints *t, int64_t C, const DescentSettings *settings, const Descended *out) {
    void *memory;
    float *work = aligned_reals(descent_reals(t->largest, DIMENSIONS, settings->history), &memory);
    if (!work) return NO_MEMORY;
    double deadline = seconds_now() + settings->seconds;
    int status = DONE;
    for (int64_t g = 0; g < t->n_molecules && status == DONE; g++) {
        Extent e = {g, t->atom_start[g], t->atom_start[g + 1] - t->atom_start[g], t->n_atoms, C, DIMENSIONS};
        status = WIDEST(embed)(t, e, settings, out, work, deadline);
    }
    free(memory);
    return status;
}

/* Rotate about bonds by Monte Carlo; `seeds` (G,). */
EXPORT int molebm_turn_bonds(const Topology *t, const Parameters *p, const Rotors *rotors, int64_t C, const float *kT,
                             int64_t n_steps, const uint64_t *seeds, float *positions, int64_t *accepted,
                             double seconds) {
    void *memory;
    float *work = aligned_reals(rotor_floats(t->largest), &memory);
    if (!work) return NO_MEMORY;
    Mechanics system = {t, p};
    double deadline = seconds_now() + seconds;
    int status = DONE;
    for (int64_t g = 0; g < t->n_molecules && status == DONE; g++) {
        Extent e = {g, t->atom_start[g], t->atom_start[g + 1] - t->atom_start[g], t->n_atoms, C, 3};
        status = WIDEST(turn)(&system, rotors, e, kT, n_steps, seeds[g], positions, accepted, work, deadline);
    }
    free(memory);
    return status;
}

/* Langevin dynamics; `seeds` (G,). */
EXPORT int molebm_follow(const Topology *t, const Parameters *p, int64_t C, const Dynamics *d, const uint64_t *seeds,
                         float *positions) {
    void *memory;
    float *work = aligned_reals(dynamics_floats(t->largest), &memory);
    if (!work) return NO_MEMORY;
    Mechanics system = {t, p};
    double deadline = seconds_now() + d->seconds;
    int status = DONE;
    for (int64_t g = 0; g < t->n_molecules && status == DONE; g++) {
        Extent e = {g, t->atom_start[g], t->atom_start[g + 1] - t->atom_start[g], t->n_atoms, C, 3};
        status = WIDEST(follow)(&system, d, e, seeds[g], positions, work, deadline);
    }
    free(memory);
    return status;
}

/* Count the atoms of a table of terms (rows, terms) from the first atom of their molecule, and find the first
 * term of each molecule; `start` (G+1) comes zeroed. Returns 0, or 1 if the terms are not in the order of their
 * molecules or reach out of them. */
EXPORT int molebm_localise(const int64_t *molecule, const int32_t *atom_start, int64_t n_molecules,
                           const int64_t *table, int64_t rows, int64_t terms, int32_t *local, int32_t *start) {
    int64_t current = 0;
    for (int64_t n = 0; n < terms; n++) {
        if (table[n] < 0 || table[n] >= atom_start[n_molecules] || molecule[table[n]] < current) return 1;
        current = molecule[table[n]];
        for (int64_t row = 0; row < rows; row++) {
            int64_t atom = table[row * terms + n];
            if (atom < atom_start[current] || atom >= atom_start[current + 1]) return 1;
            local[row * terms + n] = (int32_t)(atom - atom_start[current]);
        }
        start[current + 1]++;
    }
    for (int64_t m = 0; m < n_molecules; m++) start[m + 1] += start[m];
    return 0;
}

EXPORT int molebm_version(void) { return VERSION; }

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, NULL, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
