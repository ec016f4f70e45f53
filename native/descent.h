/* L-BFGS of samplers/minimise.py, each conformer at its own pace: a lane whose conformer is done takes the next.
 * Liu and Nocedal, Math. Program. 45, 503 (1989). */
#ifndef MOLEBM_DESCENT_H
#define MOLEBM_DESCENT_H

#include "lanes.h"

static const Real SUFFICIENT_DECREASE = 1e-4f; /* of what the slope promises; Nocedal and Wright, section 3.1 */
static const Real FIRST_SCALE = 1e-3f;         /* the inverse of a bond's curvature, until there is a measured one */
static const Real SHORTEST_STEP = 1e-5f;       /* fraction of the quasi-Newton step at which a conformer is given up */
static const Real LONGEST_STEP = 64;           /* of the same, where the energy curves down and the scale is too small */
static const Real ROUNDING = 32 * 1.1920929e-7f; /* of the energy, and of 1 kcal/mol per atom, that is not a rise */

#define MOST_HISTORY 32

enum { DONE, NO_MEMORY, OUT_OF_TIME };

/* Energies and gradients of a block: positions (atoms, dims, LANES) of a molecule, gradient filled. */
typedef void (*Evaluate)(const void *system, int64_t molecule, const Real *x, Real *gradient, double *energy);

typedef struct {
    float force_tolerance, max_displacement;
    int64_t max_steps, history;
    double seconds;      /* allowed */
    const float *tether; /* (N,) kcal/mol/Å², of each atom to where its conformer began; infinite to hold it; or NULL */
} DescentSettings;

typedef struct {
    Real *positions;         /* (dims, N, C), replaced */
    Real *energy, *max_force; /* (G, C) */
    int64_t *steps;           /* (G, C) evaluations after the first */
} Descended;

typedef struct {
    int64_t molecule, first, atoms, n_atoms; /* the last of all molecules together */
    int64_t C;
    int dims;
} Extent;

INLINE void largest_force(const Real *gradient, int64_t atoms, int dims, Real *largest, Real *total) {
    for (int l = 0; l < LANES; l++) largest[l] = total[l] = 0;
    for (int64_t atom = 0; atom < atoms; atom++) {
        const Real *row = gradient + atom * dims * LANES;
        EACH_LANE
        for (int l = 0; l < LANES; l++) {
            Real square = 0;
            for (int axis = 0; axis < dims; axis++) square += row[axis * LANES + l] * row[axis * LANES + l];
            largest[l] = square > largest[l] ? square : largest[l];
            total[l] += square; /* shows what is no number, which the comparison does not */
        }
    }
    for (int l = 0; l < LANES; l++) largest[l] = sqrt(largest[l]);
}

INLINE void lane_dot(const Real *a, const Real *b, int64_t rows, Real *result) {
    Real sum[LANES] = {0};
    for (int64_t r = 0; r < rows; r++)
        EACH_LANE
        for (int l = 0; l < LANES; l++) sum[l] += a[r * LANES + l] * b[r * LANES + l];
    for (int l = 0; l < LANES; l++) result[l] = sum[l];
}

/* Add a multiple, another in each lane. */
INLINE void lane_add(Real *a, const Real *b, const Real *factor, int64_t rows) {
    Real f[LANES];
    for (int l = 0; l < LANES; l++) f[l] = factor[l];
    for (int64_t r = 0; r < rows; r++)
        EACH_LANE
        for (int l = 0; l < LANES; l++) a[r * LANES + l] += f[l] * b[r * LANES + l];
}

/* Add springs that draw atoms back to where they were. An infinite one has no energy: its atom feels no force. */
INLINE void add_tethers(const float *tether, const Real *anchor, const Real *x, int64_t atoms, int dims,
                        Real *gradient, double *energy) {
    Real drawn[LANES] = {0};
    for (int64_t atom = 0; atom < atoms; atom++) {
        int held = isinf(tether[atom]);
        Real k = held ? 0 : tether[atom];
        for (int64_t r = atom * dims * LANES; r < (atom + 1) * dims * LANES; r += LANES)
            EACH_LANE
            for (int l = 0; l < LANES; l++) {
                Real away = x[r + l] - anchor[r + l];
                drawn[l] += 0.5f * k * away * away;
                gradient[r + l] = held ? 0 : gradient[r + l] + k * away;
            }
    }
    flush(drawn, energy);
}

/* Multiply the forces by the inverse Hessian that the pairs describe: the two-loop recursion. */
INLINE void quasi_newton(const Real *gradient, const Real *steps, const Real *changes, const Real *weights,
                         int64_t history, int64_t newest, const Real *scale, int64_t rows, Real *direction) {
    Real kept[MOST_HISTORY][LANES], along[LANES], factor[LANES];
    for (int64_t n = 0; n < rows * LANES; n++) direction[n] = -gradient[n];
    for (int64_t k = 0; k < history; k++) {
        int64_t slot = (newest - k + history) % history;
        lane_dot(steps + slot * rows * LANES, direction, rows, along);
        for (int l = 0; l < LANES; l++) {
            kept[slot][l] = weights[slot * LANES + l] * along[l];
            factor[l] = -kept[slot][l];
        }
        lane_add(direction, changes + slot * rows * LANES, factor, rows);
    }
    for (int64_t r = 0; r < rows; r++)
        EACH_LANE
        for (int l = 0; l < LANES; l++) direction[r * LANES + l] *= scale[l];
    for (int64_t k = history - 1; k >= 0; k--) {
        int64_t slot = (newest - k + history) % history;
        lane_dot(changes + slot * rows * LANES, direction, rows, along);
        for (int l = 0; l < LANES; l++) factor[l] = kept[slot][l] - weights[slot * LANES + l] * along[l];
        lane_add(direction, steps + slot * rows * LANES, factor, rows);
    }
}

static size_t descent_reals(int64_t atoms, int dims, int64_t history) {
    return (size_t)LANES * (size_t)((6 + 2 * history) * atoms * dims + history);
}

/* Minimise the C conformers of one molecule. */
INLINE int descend(Evaluate evaluate, const void *system, Extent e, const DescentSettings *s, const Descended *out,
                   Real *work, double deadline) {
    int64_t rows = e.atoms * e.dims, history = s->history, next = 0;
    Real *x = work, *gradient = x + rows * LANES, *trial = gradient + rows * LANES;
    Real *new_gradient = trial + rows * LANES, *direction = new_gradient + rows * LANES;
    Real *anchor = direction + rows * LANES;
    Real *steps = anchor + rows * LANES, *changes = steps + history * rows * LANES;
    Real *weights = changes + history * rows * LANES;
    int64_t job[LANES], taken[LANES], column[LANES] = {0};
    Real fraction[LANES], scale[LANES], max_force[LANES] = {0};
    double energy[LANES] = {0};
    int fresh[LANES];
    if (e.C == 0) return DONE;
    memset(work, 0, sizeof(Real) * descent_reals(e.atoms, e.dims, history));
    gather(out->positions, e.n_atoms, e.C, e.first, e.atoms, e.dims, column, x); /* idle lanes repeat the first */
    for (int l = 0; l < LANES; l++) job[l] = -1, fraction[l] = 1, scale[l] = FIRST_SCALE, fresh[l] = 0, taken[l] = 0;

    for (int64_t n = 0;; n++) {
        int at_work = 0;
        for (int l = 0; l < LANES; l++) {
            fresh[l] = job[l] < 0 && next < e.C;
            if (fresh[l]) {
                job[l] = next++;
                taken[l] = -1;
                fraction[l] = 1;
                scale[l] = FIRST_SCALE;
                for (int64_t r = 0; r < rows; r++) {
                    int64_t atom = r / e.dims, axis = r % e.dims;
                    x[r * LANES + l] = out->positions[(axis * e.n_atoms + e.first + atom) * e.C + job[l]];
                    anchor[r * LANES + l] = x[r * LANES + l];
                    gradient[r * LANES + l] = 0;
                }
                for (int64_t slot = 0; slot < history; slot++) {
                    weights[slot * LANES + l] = 0;
                    for (int64_t r = 0; r < rows; r++)
                        steps[(slot * rows + r) * LANES + l] = changes[(slot * rows + r) * LANES + l] = 0;
                }
            }
            at_work |= job[l] >= 0;
        }
        if (!at_work) return DONE;
        if (n % 16 == 0 && seconds_now() > deadline) return OUT_OF_TIME;

        int64_t slot = n % history;
        Real length[LANES], promised[LANES], longest[LANES], total[LANES];
        quasi_newton(gradient, steps, changes, weights, history, (n + history - 1) % history, scale, rows, direction);
        largest_force(direction, e.atoms, e.dims, longest, total);
        lane_dot(gradient, direction, rows, promised);
        for (int l = 0; l < LANES; l++) {
            Real most = s->max_displacement / (longest[l] > TINY ? longest[l] : TINY);
            Real wanted = fraction[l] * (most < 1 ? most : 1);
            length[l] = wanted < most ? wanted : most;
            if (job[l] < 0 || fresh[l]) length[l] = 0;
            promised[l] *= -length[l]; /* kcal/mol, by the slope */
        }
        for (int64_t r = 0; r < rows; r++)
            EACH_LANE
            for (int l = 0; l < LANES; l++)
                trial[r * LANES + l] = x[r * LANES + l] + length[l] * direction[r * LANES + l];
        double found[LANES] = {0};
        evaluate(system, e.molecule, trial, new_gradient, found);
        if (s->tether) add_tethers(s->tether + e.first, anchor, trial, e.atoms, e.dims, new_gradient, found);

        Real forces[LANES], accepted[LANES];
        largest_force(new_gradient, e.atoms, e.dims, forces, total);
        for (int l = 0; l < LANES; l++) {
            int sound = isfinite(found[l]) && isfinite(total[l]);
            double allowed = energy[l] - SUFFICIENT_DECREASE * promised[l] + ROUNDING * (fabs(energy[l]) + e.atoms);
            accepted[l] = job[l] >= 0 && sound && (fresh[l] || found[l] <= allowed);
        }
        Real curvature[LANES] = {0}, squared[LANES] = {0};
        Real *step = steps + slot * rows * LANES, *change = changes + slot * rows * LANES;
        for (int64_t r = 0; r < rows * LANES; r += LANES)
            EACH_LANE
            for (int l = 0; l < LANES; l++) {
                int yes = accepted[l] > 0;
                Real moved = yes ? length[l] * direction[r + l] : 0;
                Real turned = yes ? new_gradient[r + l] - gradient[r + l] : 0;
                step[r + l] = moved;
                change[r + l] = turned;
                curvature[l] += moved * turned;
                squared[l] += turned * turned;
                x[r + l] += moved;
                gradient[r + l] += turned;
            }
        for (int l = 0; l < LANES; l++) {
            int useful = accepted[l] && !fresh[l] && curvature[l] > 1e-8f * squared[l] && isfinite(squared[l]);
            weights[slot * LANES + l] = useful ? 1 / curvature[l] : 0;
            taken[l] += job[l] >= 0;
            int given_up = !accepted[l] && (fresh[l] || fraction[l] <= SHORTEST_STEP);
            if (accepted[l]) {
                energy[l] = found[l];
                max_force[l] = forces[l];
                if (!fresh[l]) {
                    Real longer = 2 * fraction[l];
                    fraction[l] = useful ? 1 : longer < LONGEST_STEP ? longer : LONGEST_STEP;
                    if (useful) scale[l] = curvature[l] / squared[l];
                }
            } else {
                double rise = found[l] - energy[l] + promised[l]; /* above the tangent, on which a parabola is laid */
                double shorter = promised[l] / (2 * rise);
                fraction[l] *= shorter > 0.5 ? 0.5f : shorter > 0.1 ? (Real)shorter : 0.1f;
                if (fresh[l]) energy[l] = found[l], max_force[l] = forces[l];
            }
            if (job[l] < 0 || !(given_up || max_force[l] <= s->force_tolerance || taken[l] >= s->max_steps)) continue;
            int64_t place = e.molecule * e.C + job[l];
            out->energy[place] = (Real)energy[l];
            out->max_force[place] = given_up && fresh[l] ? NAN : max_force[l];
            out->steps[place] = taken[l];
            for (int64_t r = 0; r < rows; r++) {
                int64_t atom = r / e.dims, axis = r % e.dims;
                out->positions[(axis * e.n_atoms + e.first + atom) * e.C + job[l]] = x[r * LANES + l];
                gradient[r * LANES + l] = 0; /* an idle lane rests */
            }
            for (int64_t k = 0; k < history; k++) weights[k * LANES + l] = 0;
            job[l] = -1;
        }
    }
}

#endif
