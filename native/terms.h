/* The terms of kernel.py: energies, forces and parameter gradients, single precision, read in order by one thread,
 * so that equal input gives equal bits. */
#ifndef MOLEBM_TERMS_H
#define MOLEBM_TERMS_H

#include "lanes.h"

#define HARMONICS 6
#define PAIRS_PER_SUM 32 /* pairs added in single precision before double takes over */

static const float BOND_CUBIC = -2;
static const float ANGLE_CUBIC = -0.4f;
static const float ELECTROSTATIC_BUFFER = 0.05f;

/* One column per term; atoms are counted from the first of their molecule. */
typedef struct {
    int64_t n_molecules, n_atoms, largest;
    int64_t n_bonds, n_angles, n_torsions, n_impropers, n_pairs;
    const int32_t *atom_start, *bond_start, *angle_start, *torsion_start, *improper_start, *pair_start; /* (G+1,) */
    const int32_t *bonds, *angles, *torsions, *impropers, *pairs; /* (2, B), (3, A), (4, T), (4, O), (2, P) */
    const int32_t *angle_bonds;                                   /* (2, A) */
    const uint8_t *angle_linear;                                  /* (A,) */
} Topology;

/* Parameters going in, or gradients with respect to them coming out. */
typedef struct {
    float *bond_k, *bond_length;
    float *angle_k, *angle_theta, *stretch_bend_k; /* the last (2, A) */
    float *torsion_v;                              /* (HARMONICS, T) */
    float *improper_k;
    float *pair_radius, *pair_depth, *pair_charge; /* the last in kcal/mol·Å */
} Parameters;

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
            Vector d = subtract(load(b.x + j, l), load(b.x + i, l));
            float s = dot(d, d) + TINY;
            float inverse = inverse_root(s);
            float stretch = s * inverse - length;
            float shape = 0.5f * stretch * stretch *
                          (1 + BOND_CUBIC * stretch + 7 / 12.0f * BOND_CUBIC * BOND_CUBIC * stretch * stretch);
            partial[l] += k * shape;
            float slope = k * stretch *
                          (1 + 1.5f * BOND_CUBIC * stretch + 7 / 6.0f * BOND_CUBIC * BOND_CUBIC * stretch * stretch);
            if (level >= FORCES) {
                Vector g = scale(slope * inverse, d);
                accumulate(b.gradient + i, l, scale(-1, g));
                accumulate(b.gradient + j, l, g);
            }
            if (level >= PARAMETERS) {
                of_k += b.weight[l] * shape;
                of_length -= b.weight[l] * slope;
            }
        }
        if (level >= PARAMETERS) {
            out->bond_k[n] += of_k;
            out->bond_length[n] += of_length;
        }
    }
    flush(partial, b.energy);
}

/* Angles, and the stretch-bend couplings that share their geometry. */
INLINE void angles(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    for (int64_t n = t->angle_start[b.molecule]; n < t->angle_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->angles[n], j = ROW * t->angles[t->n_angles + n], k = ROW * t->angles[2 * t->n_angles + n];
        int64_t bond0 = t->angle_bonds[n], bond1 = t->angle_bonds[t->n_angles + n];
        float length0 = p->bond_length[bond0], length1 = p->bond_length[bond1];
        float theta0 = p->angle_theta[n];
        float linear_k = t->angle_linear[n] ? p->angle_k[n] : 0, cubic_k = p->angle_k[n] - linear_k;
        float coupling0 = p->stretch_bend_k[n], coupling1 = p->stretch_bend_k[t->n_angles + n];
        float of_linear = 0, of_cubic = 0, of_theta = 0, of_coupling0 = 0, of_coupling1 = 0, of_length = 0;
        EACH_LANE_SUMMING(of_linear, of_cubic, of_theta, of_coupling0, of_coupling1, of_length)
        for (int l = 0; l < LANES; l++) {
            Vector centre = load(b.x + j, l);
            Vector u = subtract(load(b.x + i, l), centre), v = subtract(load(b.x + k, l), centre);
            float uu = dot(u, u) + TINY, vv = dot(v, v) + TINY;
            float inverse_u = inverse_root(uu), inverse_v = inverse_root(vv);
            float stretch0 = uu * inverse_u - length0, stretch1 = vv * inverse_v - length1;
            float raw = dot(u, v) * inverse_u * inverse_v;
            float cosine = clamp(raw);
            float bend = arccosine(cosine) - theta0;
            float shape = 0.5f * bend * bend * (1 + ANGLE_CUBIC * bend);
            float stretched = coupling0 * stretch0 + coupling1 * stretch1;
            partial[l] += cubic_k * shape + linear_k * (1 + raw) + stretched * bend;
            float slope = cubic_k * bend * (1 + 1.5f * ANGLE_CUBIC * bend) + stretched;
            if (level >= FORCES) {
                float of_cosine = raw == cosine ? -inverse_root((1 - cosine) * (1 + cosine)) : 0;
                float g = linear_k + slope * of_cosine;
                float both = g * inverse_u * inverse_v;
                float along_u = (coupling0 * bend - g * raw * inverse_u) * inverse_u;
                float along_v = (coupling1 * bend - g * raw * inverse_v) * inverse_v;
                Vector gu = add(scale(both, v), scale(along_u, u)), gv = add(scale(both, u), scale(along_v, v));
                accumulate(b.gradient + i, l, gu);
                accumulate(b.gradient + j, l, scale(-1, add(gu, gv)));
                accumulate(b.gradient + k, l, gv);
            }
            if (level >= PARAMETERS) {
                float w = b.weight[l];
                of_cubic += w * shape;
                of_linear += w * (1 + raw);
                of_theta -= w * slope;
                of_coupling0 += w * stretch0 * bend;
                of_coupling1 += w * stretch1 * bend;
                of_length -= w * bend;
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

/* Chebyshev: cos nφ = T_n(cos φ), and dT_n/dcos φ = n U_{n-1}. */
INLINE void torsions(const Topology *t, const Parameters *p, Parameters *out, Block b, int level) {
    float partial[LANES] = {0};
    int64_t T = t->n_torsions;
    for (int64_t n = t->torsion_start[b.molecule]; n < t->torsion_start[b.molecule + 1]; n++) {
        int64_t i = ROW * t->torsions[n], j = ROW * t->torsions[T + n];
        int64_t k = ROW * t->torsions[2 * T + n], m = ROW * t->torsions[3 * T + n];
        const float *v = p->torsion_v + n;
        float v1 = 0.5f * v[0], v2 = 0.5f * v[T], v3 = 0.5f * v[2 * T];
        float v4 = 0.5f * v[3 * T], v5 = 0.5f * v[4 * T], v6 = 0.5f * v[5 * T];
        float s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0;
        EACH_LANE_SUMMING(s1, s2, s3, s4, s5, s6)
        for (int l = 0; l < LANES; l++) {
            Vector xj = load(b.x + j, l), xk = load(b.x + k, l);
            Vector b0 = subtract(load(b.x + i, l), xj);
            Vector b1 = subtract(xk, xj);
            Vector b2 = subtract(load(b.x + m, l), xk);
            Vector normal0 = cross(b0, b1), normal1 = cross(b2, b1);
            float square0 = dot(normal0, normal0), square1 = dot(normal1, normal1);
            float inverse = inverse_root(square0 * square1 + TINY);
            float c = dot(normal0, normal1) * inverse;
            float twice = 2 * c;
            float t2 = twice * c - 1;
            float t3 = twice * t2 - c;
            float t4 = twice * t3 - t2;
            float t5 = twice * t4 - t3;
            float t6 = twice * t5 - t4;
            partial[l] += v1 * (1 + c) + v2 * (1 - t2) + v3 * (1 + t3) + v4 * (1 - t4) + v5 * (1 + t5) + v6 * (1 - t6);
            if (level >= FORCES) {
                float u2 = twice * twice - 1;
                float u3 = twice * u2 - twice;
                float u4 = twice * u3 - u2;
                float u5 = twice * u4 - u3;
                float slope = v1 - 2 * v2 * twice + 3 * v3 * u2 - 4 * v4 * u3 + 5 * v5 * u4 - 6 * v6 * u5;
                float direct = slope * inverse, back = direct * c * inverse;
                Vector g0 = subtract(scale(direct, normal1), scale(back * square1, normal0));
                Vector g1 = subtract(scale(direct, normal0), scale(back * square0, normal1));
                Vector of_b0 = cross(b1, g0), of_b2 = cross(b1, g1);
                Vector of_b1 = add(cross(g0, b0), cross(g1, b2));
                accumulate(b.gradient + i, l, of_b0);
                accumulate(b.gradient + j, l, scale(-1, add(of_b0, of_b1)));
                accumulate(b.gradient + k, l, subtract(of_b1, of_b2));
                accumulate(b.gradient + m, l, of_b2);
            }
            if (level >= PARAMETERS) {
                float w = 0.5f * b.weight[l];
                s1 += w * (1 + c);
                s2 += w * (1 - t2);
                s3 += w * (1 + t3);
                s4 += w * (1 - t4);
                s5 += w * (1 + t5);
                s6 += w * (1 - t6);
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

/* d(½χ²)/dsin χ, zero where the sine was clamped. */
INLINE float wilson_slope(float raw, float sine, float chi) {
    return raw == sine ? chi * inverse_root((1 - sine) * (1 + sine)) : 0;
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
            Vector uv = cross(u, v), vw = cross(v, w), wu = cross(w, u);
            float volume = dot(uv, w);
            float uu = dot(u, u), vv = dot(v, v), ww = dot(w, w);
            float uvuv = dot(uv, uv), vwvw = dot(vw, vw), wuwu = dot(wu, wu);
            float inverse0 = inverse_root(uvuv * ww + TINY);
            float inverse1 = inverse_root(vwvw * uu + TINY);
            float inverse2 = inverse_root(wuwu * vv + TINY);
            float raw0 = volume * inverse0, raw1 = volume * inverse1, raw2 = volume * inverse2;
            float sine0 = clamp(raw0), sine1 = clamp(raw1), sine2 = clamp(raw2);
            float chi0 = arcsine(sine0), chi1 = arcsine(sine1), chi2 = arcsine(sine2);
            float shape = 0.5f * (chi0 * chi0 + chi1 * chi1 + chi2 * chi2);
            partial[l] += force * shape;
            if (level >= FORCES) {
                float direct0 = force * wilson_slope(raw0, sine0, chi0) * inverse0;
                float direct1 = force * wilson_slope(raw1, sine1, chi1) * inverse1;
                float direct2 = force * wilson_slope(raw2, sine2, chi2) * inverse2;
                float back0 = -direct0 * raw0 * inverse0;
                float back1 = -direct1 * raw1 * inverse1;
                float back2 = -direct2 * raw2 * inverse2;
                float of_volume = direct0 + direct1 + direct2;
                Vector of_uv = scale(back0 * ww, uv), of_vw = scale(back1 * uu, vw), of_wu = scale(back2 * vv, wu);
                Vector gu = add(scale(of_volume, vw), scale(back1 * vwvw, u));
                Vector gv = add(scale(of_volume, wu), scale(back2 * wuwu, v));
                Vector gw = add(scale(of_volume, uv), scale(back0 * uvuv, w));
                gu = add(gu, add(cross(v, of_uv), cross(of_wu, w)));
                gv = add(gv, add(cross(w, of_vw), cross(of_uv, u)));
                gw = add(gw, add(cross(u, of_wu), cross(of_vw, v)));
                accumulate(b.gradient + i, l, gu);
                accumulate(b.gradient + j, l, scale(-1, add(gu, add(gv, gw))));
                accumulate(b.gradient + k, l, gv);
                accumulate(b.gradient + m, l, gw);
            }
            if (level >= PARAMETERS) of_k += b.weight[l] * shape;
        }
        if (level >= PARAMETERS) out->improper_k[n] += of_k;
    }
    flush(partial, b.energy);
}

/* Buffered 14-7 and buffered Coulomb. */
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
            Vector d = subtract(load(b.x + j, l), load(b.x + i, l));
            float r2 = dot(d, d) + TINY, r = sqrtf(r2);
            float rho = r * inverse_radius, rho2 = r2 * (inverse_radius * inverse_radius), rho6 = rho2 * rho2 * rho2;
            float buffered = rho + 0.07f, far = r + ELECTROSTATIC_BUFFER;
            float product = 1 / (buffered * far * r); /* one division for three: they are slow */
            float inverse_rho = product * (far * r), coulomb = product * (buffered * r);
            float inverse_r = product * (buffered * far);
            float near = 1.07f * inverse_rho, near2 = near * near, near7 = (near2 * near2) * (near2 * near);
            float of_rho7 = 1 / (rho6 * rho + 0.12f), wall = 1.12f * of_rho7;
            float shape = near7 * (wall - 2);
            partial[l] += depth * shape + charge * coulomb;
            float slope = -7 * depth * near7 * ((wall - 2) * inverse_rho + rho6 * wall * of_rho7); /* by rho */
            if (level >= FORCES) {
                Vector g = scale((slope * inverse_radius - charge * coulomb * coulomb) * inverse_r, d);
                accumulate(b.gradient + i, l, scale(-1, g));
                accumulate(b.gradient + j, l, g);
            }
            if (level >= PARAMETERS) {
                of_radius -= b.weight[l] * slope * rho;
                of_depth += b.weight[l] * shape;
                of_charge += b.weight[l] * coulomb;
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
