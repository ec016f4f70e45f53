/* BAOAB of samplers/baoab.py at a kT that changes from step to step.
 * Leimkuhler and Matthews, Appl. Math. Res. Express 2013(1), 34. */
#ifndef MOLEBM_DYNAMICS_H
#define MOLEBM_DYNAMICS_H

#include "descent.h"
#include "random.h"

#define ACCELERATION 4.184e-4f /* Å/fs² of 1 kcal/mol/Å on 1 amu */

typedef struct {
    const float *masses; /* (N,) amu */
    const float *kT;     /* (n_steps,) kcal/mol */
    int64_t n_steps;
    float time_step, friction; /* fs, 1/ps */
    double seconds;            /* allowed */
} Dynamics;

static size_t dynamics_floats(int64_t atoms) { return (size_t)(3 * ROW * atoms); }

/* Heat the conformers of one molecule to the first kT and follow them; positions (3, N, C) are replaced. */
INLINE int follow(Evaluate evaluate, const void *system, const Dynamics *d, Extent e, uint64_t seed, float *positions,
                  float *work, double deadline) {
    int64_t rows = 3 * e.atoms;
    float *x = work, *v = x + rows * LANES, *gradient = v + rows * LANES;
    if (d->n_steps == 0) return DONE;
    float half = d->time_step / 2, kept = expf(-1e-3f * d->friction * d->time_step);
    for (int64_t start = 0; start < e.C; start += LANES) {
        int64_t column[LANES];
        double energy[LANES] = {0};
        float normal[2][LANES];
        Random random;
        for (int l = 0; l < LANES; l++) {
            column[l] = start + l < e.C ? start + l : e.C - 1;
            seed_lane(&random, l, seed, (uint64_t)column[l]);
        }
        gather(positions, e.n_atoms, e.C, e.first, e.atoms, 3, column, x);
        evaluate(system, e.molecule, x, gradient, energy);
        for (int64_t r = 0; r < rows; r++) {
            float spread = sqrtf(ACCELERATION / d->masses[e.first + r / 3] * d->kT[0]);
            if (r % 2 == 0) draw_normal(&random, normal[0], normal[1]);
            for (int l = 0; l < LANES; l++) v[r * LANES + l] = spread * normal[r % 2][l];
        }
        for (int64_t n = 0; n < d->n_steps; n++) {
            if (n % 16 == 0 && seconds_now() > deadline) return OUT_OF_TIME;
            float thermal = sqrtf((1 - kept * kept) * d->kT[n]);
            for (int64_t r = 0; r < rows; r++) {
                float per_mass = ACCELERATION / d->masses[e.first + r / 3];
                float kick = half * per_mass, spread = thermal * sqrtf(per_mass);
                if (r % 2 == 0) draw_normal(&random, normal[0], normal[1]);
                const float *noise = normal[r % 2];
                EACH_LANE
                for (int l = 0; l < LANES; l++) {
                    float speed = v[r * LANES + l] - kick * gradient[r * LANES + l]; /* B */
                    float moved = x[r * LANES + l] + half * speed;                   /* A */
                    speed = kept * speed + spread * noise[l];                        /* O */
                    x[r * LANES + l] = moved + half * speed;                         /* A */
                    v[r * LANES + l] = speed;
                }
            }
            evaluate(system, e.molecule, x, gradient, energy);
            for (int64_t r = 0; r < rows; r++) {
                float kick = half * ACCELERATION / d->masses[e.first + r / 3];
                EACH_LANE
                for (int l = 0; l < LANES; l++) v[r * LANES + l] -= kick * gradient[r * LANES + l]; /* B */
            }
        }
        for (int l = 0; l < LANES && start + l < e.C; l++)
            for (int64_t r = 0; r < rows; r++)
                positions[(r % 3 * e.n_atoms + e.first + r / 3) * e.C + start + l] = x[r * LANES + l];
    }
    return DONE;
}

#endif
