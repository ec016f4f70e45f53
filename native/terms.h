/* The terms of kernel.py, one at a time: energies, gradients, and what the gradients of parameters need. Loops over
 * conformers or over terms take these in. */
#ifndef MOLEBM_TERMS_H
#define MOLEBM_TERMS_H

#include "lanes.h"

#define HARMONICS 6

static const Real BOND_CUBIC = -2;
static const Real ANGLE_CUBIC = -0.4f;
static const Real ELECTROSTATIC_BUFFER = 0.05f;

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

/* Each term is given the vectors between its atoms, and gives its energy and the gradient by each vector. */
typedef struct {
    Real energy, shape, slope; /* shape for a force constant of one; slope by the length */
    Vector by_d;
} Bond;

INLINE Bond bond(Vector d, Real k, Real length) {
    Real s = dot(d, d) + TINY;
    Real inverse = inverse_root(s);
    Real stretch = s * inverse - length;
    Real shape = 0.5f * stretch * stretch *
                  (1 + BOND_CUBIC * stretch + 7 / 12.0f * BOND_CUBIC * BOND_CUBIC * stretch * stretch);
    Real slope =
        k * stretch * (1 + 1.5f * BOND_CUBIC * stretch + 7 / 6.0f * BOND_CUBIC * BOND_CUBIC * stretch * stretch);
    return (Bond){k * shape, shape, slope, scale(slope * inverse, d)};
}

/* With the stretch-bend couplings that share its geometry; u and v lead from the centre. */
typedef struct {
    Real energy, shape, linear, slope; /* shapes for a constant of one, bent and linear; slope by the angle */
    Real bend, stretch0, stretch1;     /* rad, Å */
    Vector by_u, by_v;
} Angle;

typedef struct {
    Real linear_k, cubic_k, theta, length0, length1, coupling0, coupling1;
} AngleParameters;

INLINE Angle angle(Vector u, Vector v, AngleParameters p) {
    Real uu = dot(u, u) + TINY, vv = dot(v, v) + TINY;
    Real inverse_u = inverse_root(uu), inverse_v = inverse_root(vv);
    Real stretch0 = uu * inverse_u - p.length0, stretch1 = vv * inverse_v - p.length1;
    Real raw = dot(u, v) * inverse_u * inverse_v;
    Real cosine = clamp(raw);
    Real bend = arccosine(cosine) - p.theta;
    Real shape = 0.5f * bend * bend * (1 + ANGLE_CUBIC * bend);
    Real stretched = p.coupling0 * stretch0 + p.coupling1 * stretch1;
    Real energy = p.cubic_k * shape + p.linear_k * (1 + raw) + stretched * bend;
    Real slope = p.cubic_k * bend * (1 + 1.5f * ANGLE_CUBIC * bend) + stretched;
    Real of_cosine = raw == cosine ? -inverse_root((1 - cosine) * (1 + cosine)) : 0;
    Real g = p.linear_k + slope * of_cosine;
    Real both = g * inverse_u * inverse_v;
    Real along_u = (p.coupling0 * bend - g * raw * inverse_u) * inverse_u;
    Real along_v = (p.coupling1 * bend - g * raw * inverse_v) * inverse_v;
    Vector by_u = add(scale(both, v), scale(along_u, u)), by_v = add(scale(both, u), scale(along_v, v));
    return (Angle){energy, shape, 1 + raw, slope, bend, stretch0, stretch1, by_u, by_v};
}

/* b0 and b2 lead from the ends of b1 outwards. Chebyshev: cos nφ = T_n(cos φ), and dT_n/dcos φ = n U_{n-1}. */
typedef struct {
    Real energy;
    Real shape1, shape2, shape3, shape4, shape5, shape6; /* for amplitudes of two */
    Vector by_b0, by_b1, by_b2;
} Torsion;

typedef struct {
    Real v1, v2, v3, v4, v5, v6; /* half the amplitudes */
} TorsionParameters;

INLINE Torsion torsion(Vector b0, Vector b1, Vector b2, TorsionParameters p) {
    Vector normal0 = cross(b0, b1), normal1 = cross(b2, b1);
    Real square0 = dot(normal0, normal0), square1 = dot(normal1, normal1);
    Real inverse = inverse_root(square0 * square1 + TINY);
    Real c = dot(normal0, normal1) * inverse;
    Real twice = 2 * c;
    Real t2 = twice * c - 1;
    Real t3 = twice * t2 - c;
    Real t4 = twice * t3 - t2;
    Real t5 = twice * t4 - t3;
    Real t6 = twice * t5 - t4;
    Real energy = p.v1 * (1 + c) + p.v2 * (1 - t2) + p.v3 * (1 + t3) + p.v4 * (1 - t4) + p.v5 * (1 + t5) +
                   p.v6 * (1 - t6);
    Real u2 = twice * twice - 1;
    Real u3 = twice * u2 - twice;
    Real u4 = twice * u3 - u2;
    Real u5 = twice * u4 - u3;
    Real slope = p.v1 - 2 * p.v2 * twice + 3 * p.v3 * u2 - 4 * p.v4 * u3 + 5 * p.v5 * u4 - 6 * p.v6 * u5;
    Real direct = slope * inverse, back = direct * c * inverse;
    Vector g0 = subtract(scale(direct, normal1), scale(back * square1, normal0));
    Vector g1 = subtract(scale(direct, normal0), scale(back * square0, normal1));
    return (Torsion){energy,
                     1 + c,
                     1 - t2,
                     1 + t3,
                     1 - t4,
                     1 + t5,
                     1 - t6,
                     cross(b1, g0),
                     add(cross(g0, b0), cross(g1, b2)),
                     cross(b1, g1)};
}

/* d(½χ²)/dsin χ, zero where the sine was clamped. */
INLINE Real wilson_slope(Real raw, Real sine, Real chi) {
    return raw == sine ? chi * inverse_root((1 - sine) * (1 + sine)) : 0;
}

/* u, v and w lead from the centre. */
typedef struct {
    Real energy, shape; /* for a constant of one */
    Vector by_u, by_v, by_w;
} Improper;

INLINE Improper improper(Vector u, Vector v, Vector w, Real k) {
    Vector uv = cross(u, v), vw = cross(v, w), wu = cross(w, u);
    Real volume = dot(uv, w);
    Real uu = dot(u, u), vv = dot(v, v), ww = dot(w, w);
    Real uvuv = dot(uv, uv), vwvw = dot(vw, vw), wuwu = dot(wu, wu);
    Real inverse0 = inverse_root(uvuv * ww + TINY);
    Real inverse1 = inverse_root(vwvw * uu + TINY);
    Real inverse2 = inverse_root(wuwu * vv + TINY);
    Real raw0 = volume * inverse0, raw1 = volume * inverse1, raw2 = volume * inverse2;
    Real sine0 = clamp(raw0), sine1 = clamp(raw1), sine2 = clamp(raw2);
    Real chi0 = arcsine(sine0), chi1 = arcsine(sine1), chi2 = arcsine(sine2);
    Real shape = 0.5f * (chi0 * chi0 + chi1 * chi1 + chi2 * chi2);
    Real direct0 = k * wilson_slope(raw0, sine0, chi0) * inverse0;
    Real direct1 = k * wilson_slope(raw1, sine1, chi1) * inverse1;
    Real direct2 = k * wilson_slope(raw2, sine2, chi2) * inverse2;
    Real back0 = -direct0 * raw0 * inverse0;
    Real back1 = -direct1 * raw1 * inverse1;
    Real back2 = -direct2 * raw2 * inverse2;
    Real of_volume = direct0 + direct1 + direct2;
    Vector of_uv = scale(back0 * ww, uv), of_vw = scale(back1 * uu, vw), of_wu = scale(back2 * vv, wu);
    Vector by_u = add(scale(of_volume, vw), scale(back1 * vwvw, u));
    Vector by_v = add(scale(of_volume, wu), scale(back2 * wuwu, v));
    Vector by_w = add(scale(of_volume, uv), scale(back0 * uvuv, w));
    by_u = add(by_u, add(cross(v, of_uv), cross(of_wu, w)));
    by_v = add(by_v, add(cross(w, of_vw), cross(of_uv, u)));
    by_w = add(by_w, add(cross(u, of_wu), cross(of_vw, v)));
    return (Improper){k * shape, shape, by_u, by_v, by_w};
}

/* Buffered 14-7 and buffered Coulomb. */
typedef struct {
    Real energy, shape, slope, rho, coulomb; /* for a depth and charges of one; slope by rho */
    Vector by_d;
} Pair;

INLINE Pair pair(Vector d, Real inverse_radius, Real depth, Real charge) {
    Real r2 = dot(d, d) + TINY, r = sqrt(r2);
    Real rho = r * inverse_radius, rho2 = r2 * (inverse_radius * inverse_radius), rho6 = rho2 * rho2 * rho2;
    Real buffered = rho + 0.07f, far = r + ELECTROSTATIC_BUFFER;
    Real product = 1 / (buffered * far * r); /* one division for three: they are slow */
    Real inverse_rho = product * (far * r), coulomb = product * (buffered * r);
    Real inverse_r = product * (buffered * far);
    Real near = 1.07f * inverse_rho, near2 = near * near, near7 = (near2 * near2) * (near2 * near);
    Real of_rho7 = 1 / (rho6 * rho + 0.12f), wall = 1.12f * of_rho7;
    Real shape = near7 * (wall - 2);
    Real slope = -7 * depth * near7 * ((wall - 2) * inverse_rho + rho6 * wall * of_rho7);
    Real by_r = slope * inverse_radius - charge * coulomb * coulomb;
    return (Pair){depth * shape + charge * coulomb, shape, slope, rho, coulomb, scale(by_r * inverse_r, d)};
}

#endif
