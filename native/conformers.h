/* Energies of sixteen conformers side by side, one in each lane, with forces and parameter gradients: terms are read
 * in order by one thread, so that equal input gives equal bits. */
#ifndef MOLEBM_CONFORMERS_H
#define MOLEBM_CONFORMERS_H

#include "terms.h"

#define PAIRS_PER_SUM 32 /* pairs added in single precision before double takes over */

enum { ENERGY, FORCES, PARAMETERS }; /* each includes those before it */

/* One block of conformers of one molecule. */
typedef struct {
    int64_t molecule;
    const float *x;      /* (atoms, 3, LANES) */
    float *gradient;     /* (atoms, 3, LANES), dE/dx */
    const float *weight; /* (LANES,) of the parameter gradients */
    double *energy;      /* (LANES,) */
} Block;

INLINE void bonds(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    for (int64_t n = t->bond_start[b.molecule]; n < t->bond_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->bonds[n], j = ROW * t->bonds[t->n_bonds + n];
        float k = p->bond_k[n], length = p->bond_length[n];
        float of_k = 0, of_length = 0;
        EACH_LANE_SUMMING(of_k, of_length)
        for (int l = 0; l < LANES; l++) {
            Bond term = bond(subtract(load(b.x + j, l), load(b.x + i, l)), k, length);
            partial[l] += term.energy;
            if (level >= FORCES) {
                accumulate(b.gradient + i, l, scale(-1, term.by_d));
                accumulate(b.gradient + j, l, term.by_d);
            }
            if (level >= PARAMETERS) {
                of_k += b.weight[l] * term.shape;
                of_length -= b.weight[l] * term.slope;
            }
        }
        if (level >= PARAMETERS) {
            out->bond_k[n] += of_k;
            out->bond_length[n] += of_length;
        }
    }
    flush(partial, b.energy);
}

INLINE void angles(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    for (int64_t n = t->angle_start[b.molecule]; n < t->angle_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->angles[n], j = ROW * t->angles[t->n_angles + n], k = ROW * t->angles[2 * t->n_angles + n];
        int64_t bond0 = t->angle_bonds[n], bond1 = t->angle_bonds[t->n_angles + n];
        float linear_k = t->angle_linear[n] ? p->angle_k[n] : 0, cubic_k = p->angle_k[n] - linear_k;
        float coupling0 = p->stretch_bend_k[n], coupling1 = p->stretch_bend_k[t->n_angles + n];
        AngleParameters of = {linear_k,  cubic_k, p->angle_theta[n], p->bond_length[bond0], p->bond_length[bond1],
                              coupling0, coupling1};
        float of_linear = 0, of_cubic = 0, of_theta = 0, of_coupling0 = 0, of_coupling1 = 0, of_length = 0;
        EACH_LANE_SUMMING(of_linear, of_cubic, of_theta, of_coupling0, of_coupling1, of_length)
        for (int l = 0; l < LANES; l++) {
            Vector centre = load(b.x + j, l);
            Angle term = angle(subtract(load(b.x + i, l), centre), subtract(load(b.x + k, l), centre), of);
            partial[l] += term.energy;
            if (level >= FORCES) {
                accumulate(b.gradient + i, l, term.by_u);
                accumulate(b.gradient + j, l, scale(-1, add(term.by_u, term.by_v)));
                accumulate(b.gradient + k, l, term.by_v);
            }
            if (level >= PARAMETERS) {
                float w = b.weight[l];
                of_cubic += w * term.shape;
                of_linear += w * term.linear;
                of_theta -= w * term.slope;
                of_coupling0 += w * term.stretch0 * term.bend;
                of_coupling1 += w * term.stretch1 * term.bend;
                of_length -= w * term.bend;
            }
        }
        if (level >= PARAMETERS) {
            out->angle_k[n] += t->angle_linear[n] ? of_linear : of_cubic;
            out->angle_theta[n] += of_theta;
            out->stretch_bend_k[n] += of_coupling0;
            out->stretch_bend_k[t->n_angles + n] += of_coupling1;
            out->bond_length[bond0] += coupling0 * of_length;
            out->bond_length[bond1] += coupling1 * of_length;
        }
    }
    flush(partial, b.energy);
}

INLINE void torsions(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    int64_t T = t->n_torsions;
    for (int64_t n = t->torsion_start[b.molecule]; n < t->torsion_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->torsions[n], j = ROW * t->torsions[T + n];
        int64_t k = ROW * t->torsions[2 * T + n], m = ROW * t->torsions[3 * T + n];
        const float *v = p->torsion_v + n;
        TorsionParameters of = {0.5f * v[0],     0.5f * v[T],     0.5f * v[2 * T],
                                0.5f * v[3 * T], 0.5f * v[4 * T], 0.5f * v[5 * T]};
        float s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0;
        EACH_LANE_SUMMING(s1, s2, s3, s4, s5, s6)
        for (int l = 0; l < LANES; l++) {
            Vector xj = load(b.x + j, l), xk = load(b.x + k, l);
            Torsion term =
                torsion(subtract(load(b.x + i, l), xj), subtract(xk, xj), subtract(load(b.x + m, l), xk), of);
            partial[l] += term.energy;
            if (level >= FORCES) {
                accumulate(b.gradient + i, l, term.by_b0);
                accumulate(b.gradient + j, l, scale(-1, add(term.by_b0, term.by_b1)));
                accumulate(b.gradient + k, l, subtract(term.by_b1, term.by_b2));
                accumulate(b.gradient + m, l, term.by_b2);
            }
            if (level >= PARAMETERS) {
                float w = 0.5f * b.weight[l];
                s1 += w * term.shape1;
                s2 += w * term.shape2;
                s3 += w * term.shape3;
                s4 += w * term.shape4;
                s5 += w * term.shape5;
                s6 += w * term.shape6;
            }
        }
        if (level >= PARAMETERS) {
            float *of_v = out->torsion_v + n;
            of_v[0] += s1;
            of_v[T] += s2;
            of_v[2 * T] += s3;
            of_v[3 * T] += s4;
            of_v[4 * T] += s5;
            of_v[5 * T] += s6;
        }
    }
    flush(partial, b.energy);
}

INLINE void impropers(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    for (int64_t n = t->improper_start[b.molecule]; n < t->improper_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->impropers[n], j = ROW * t->impropers[t->n_impropers + n];
        int64_t k = ROW * t->impropers[2 * t->n_impropers + n], m = ROW * t->impropers[3 * t->n_impropers + n];
        float force = p->improper_k[n], of_k = 0;
        EACH_LANE_SUMMING(of_k)
        for (int l = 0; l < LANES; l++) {
            Vector centre = load(b.x + j, l);
            Vector u = subtract(load(b.x + i, l), centre);
            Vector v = subtract(load(b.x + k, l), centre);
            Vector w = subtract(load(b.x + m, l), centre);
            Improper term = improper(u, v, w, force);
            partial[l] += term.energy;
            if (level >= FORCES) {
                accumulate(b.gradient + i, l, term.by_u);
                accumulate(b.gradient + j, l, scale(-1, add(term.by_u, add(term.by_v, term.by_w))));
                accumulate(b.gradient + k, l, term.by_v);
                accumulate(b.gradient + m, l, term.by_w);
            }
            if (level >= PARAMETERS) of_k += b.weight[l] * term.shape;
        }
        if (level >= PARAMETERS) out->improper_k[n] += of_k;
    }
    flush(partial, b.energy);
}

INLINE void pairs(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    int64_t start = t->pair_start[b.molecule];
    for (int64_t n = start; n < t->pair_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->pairs[n], j = ROW * t->pairs[t->n_pairs + n];
        float inverse_radius = 1 / p->pair_radius[n], depth = p->pair_depth[n], charge = p->pair_charge[n];
        float of_radius = 0, of_depth = 0, of_charge = 0;
        if ((n - start) % PAIRS_PER_SUM == 0) flush(partial, b.energy);
        EACH_LANE_SUMMING(of_radius, of_depth, of_charge)
        for (int l = 0; l < LANES; l++) {
            Pair term = pair(subtract(load(b.x + j, l), load(b.x + i, l)), inverse_radius, depth, charge);
            partial[l] += term.energy;
            if (level >= FORCES) {
                accumulate(b.gradient + i, l, scale(-1, term.by_d));
                accumulate(b.gradient + j, l, term.by_d);
            }
            if (level >= PARAMETERS) {
                of_radius -= b.weight[l] * term.slope * term.rho;
                of_depth += b.weight[l] * term.shape;
                of_charge += b.weight[l] * term.coulomb;
            }
        }
        if (level >= PARAMETERS) {
            out->pair_radius[n] += of_radius * inverse_radius;
            out->pair_depth[n] += of_depth;
            out->pair_charge[n] += of_charge;
        }
    }
    flush(partial, b.energy);
}

INLINE void evaluate_block(const Topology *t, const Parameters *p, Parameters *out, Block block, int level) {
    bonds(t, p, out, block, level);
    angles(t, p, out, block, level);
    torsions(t, p, out, block, level);
    impropers(t, p, out, block, level);
    pairs(t, p, out, block, level);
}

#endif
