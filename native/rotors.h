/* Annealed Metropolis Monte Carlo by rotations about bonds; the volume of configurations is kept by a rotation, and
 * the proposal is symmetric. Li and Scheraga, Proc. Natl. Acad. Sci. USA 84, 6611 (1987). */
#ifndef MOLEBM_ROTORS_H
#define MOLEBM_ROTORS_H

#include "conformers.h"
#include "random.h"

typedef struct {
    int64_t n_rotors;
    const int32_t *rotor_start; /* (G+1,) */
    const int32_t *axes;        /* (2, R), atoms from the first of the molecule */
    const int64_t *moved_start; /* (R,) place of the first atom in what follows */
    const uint8_t *moved;       /* for each rotor, one for each atom of its molecule: whether it turns */
} Rotors;

static size_t rotor_floats(int64_t atoms) { return (size_t)LANES * (size_t)(atoms * 7); }

/* Turn a random bond in each lane by a random angle: any, or in `local` of all cases a small one. */
INLINE void propose_rotation(const Rotors *t, int64_t molecule, int64_t atoms, Random *random, const float *x,
                             float *mask, float *trial) {
    float sine[LANES], cosine[LANES], origin[3][LANES], axis[3][LANES];
    uint32_t which[LANES], how[LANES], angle[LANES];
    draw(random, which);
    draw(random, how);
    draw(random, angle);
    int64_t first = t->rotor_start[molecule], count = t->rotor_start[molecule + 1] - first;
    for (int l = 0; l < LANES; l++) {
        int64_t rotor = first + (int64_t)(((uint64_t)which[l] * (uint64_t)count) >> 32);
        float width = how[l] & 0x80000000u ? PI : 0.35f;
        float phi = width * (2 * unit_interval(angle[l]) - 1);
        const float *a = x + ROW * t->axes[rotor] + l, *b = x + ROW * t->axes[t->n_rotors + rotor] + l;
        float d[3], square = TINY;
        for (int k = 0; k < 3; k++) {
            d[k] = b[k * LANES] - a[k * LANES];
            square += d[k] * d[k];
        }
        float inverse = 1 / sqrtf(square);
        for (int k = 0; k < 3; k++) {
            axis[k][l] = d[k] * inverse;
            origin[k][l] = b[k * LANES];
        }
        sine[l] = sinf(phi);
        cosine[l] = cosf(phi);
        const uint8_t *moved = t->moved + t->moved_start[rotor];
        for (int64_t atom = 0; atom < atoms; atom++) mask[atom * LANES + l] = moved[atom];
    }
    for (int64_t atom = 0; atom < atoms; atom++) {
        const float *row = x + ROW * atom, *turns = mask + LANES * atom;
        float *to = trial + ROW * atom;
        EACH_LANE
        for (int l = 0; l < LANES; l++) {
            Vector u = {axis[0][l], axis[1][l], axis[2][l]}, at = load(row, l);
            Vector r = {at.x - origin[0][l], at.y - origin[1][l], at.z - origin[2][l]};
            Vector turned = add(scale(cosine[l] - 1, subtract(r, scale(dot(u, r), u))), scale(sine[l], cross(u, r)));
            to[l] = at.x + turns[l] * turned.x;
            to[LANES + l] = at.y + turns[l] * turned.y;
            to[2 * LANES + l] = at.z + turns[l] * turned.z;
        }
    }
}

typedef void (*Energies)(const void *system, int64_t molecule, const float *x, double *energy);

/* Take one step at each kT, (n_steps,), from the conformers of one molecule; `accepted` counts, (G, C). */
INLINE int turn_bonds(Energies evaluate, const void *system, const Rotors *t, int64_t molecule, int64_t first,
                      int64_t atoms, int64_t n_atoms, int64_t C, const float *kT, int64_t n_steps, uint64_t seed,
                      float *positions, int64_t *accepted, float *work, double deadline) {
    float *x = work, *trial = x + ROW * atoms, *mask = trial + ROW * atoms;
    if (t->rotor_start[molecule] == t->rotor_start[molecule + 1]) return 0;
    for (int64_t start = 0; start < C; start += LANES) {
        int64_t column[LANES], count[LANES] = {0};
        Random random;
        for (int l = 0; l < LANES; l++) {
            column[l] = start + l < C ? start + l : C - 1;
            seed_lane(&random, l, seed, (uint64_t)column[l]);
        }
        gather(positions, n_atoms, C, first, atoms, 3, column, x);
        double energy[LANES] = {0};
        evaluate(system, molecule, x, energy);
        for (int64_t n = 0; n < n_steps; n++) {
            if (n % 64 == 0 && seconds_now() > deadline) return 2;
            double found[LANES] = {0};
            uint32_t dice[LANES];
            float yes[LANES];
            propose_rotation(t, molecule, atoms, &random, x, mask, trial);
            evaluate(system, molecule, trial, found);
            draw(&random, dice);
            for (int l = 0; l < LANES; l++) {
                double rise = found[l] - energy[l];
                int better = rise <= 0 || !isfinite(energy[l]);
                yes[l] = isfinite(found[l]) && (better || unit_interval(dice[l]) < expf(-(float)rise / kT[n]));
                if (yes[l] > 0) energy[l] = found[l], count[l]++;
            }
            for (int64_t r = 0; r < 3 * LANES * atoms; r += LANES)
                EACH_LANE
                for (int l = 0; l < LANES; l++) x[r + l] = yes[l] > 0 ? trial[r + l] : x[r + l];
        }
        for (int l = 0; l < LANES && start + l < C; l++) {
            accepted[molecule * C + start + l] = count[l];
            for (int64_t atom = 0; atom < atoms; atom++)
                for (int axis = 0; axis < 3; axis++)
                    positions[(axis * n_atoms + first + atom) * C + start + l] = x[ROW * atom + axis * LANES + l];
        }
    }
    return 0;
}

#endif
