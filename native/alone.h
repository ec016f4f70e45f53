/* The energy and forces of one conformer of one molecule, its terms sixteen abreast. */
#ifndef MOLEBM_ALONE_H
#define MOLEBM_ALONE_H

#include "terms.h"

#define ABREAST 16
#define EACH_ABREAST SIDE_BY_SIDE

enum { BOND_VALUES = 2, ANGLE_VALUES = 7, TORSION_VALUES = HARMONICS, IMPROPER_VALUES = 1, MOST_ENDS = 4 };

/* Terms of one kind, rounded up to whole blocks by terms of no strength from atom 0 to itself. */
typedef struct {
    int64_t count;
    int32_t *atoms; /* (atoms of a term, count) */
    Real *values;  /* (parameters of a term, count) */
} Table;

/* One molecule. Pairs are laid out in circles: atom a with atom a + s, counted on from the first after the last, for
 * shifts s up to half of the atoms. What is no pair has no strength. Coordinates and gradients go on in the same way
 * beyond the last atom, so that all that a shift needs lies side by side. */
typedef struct {
    int64_t atoms, padded, shifts, stride; /* padded to whole blocks; stride of coordinates, padded + shifts or more */
    Table bonds, angles, torsions, impropers;
    Real *inverse_radius, *depth, *charge; /* (shifts, padded) */
    Real *x;                               /* (3, stride) */
    Real *gradient;                        /* (3, stride) of all terms but pairs */
    Real *here, *there;                    /* (3, stride) of pairs, by their atoms a and a + s */
} Molecule;

INLINE int64_t whole_blocks(int64_t count) { return (count + ABREAST - 1) / ABREAST * ABREAST; }

INLINE Real *take(Real **memory, int64_t count) {
    Real *taken = *memory;
    *memory += whole_blocks(count);
    return taken;
}

INLINE Table table_of(const int32_t *atoms, int64_t ends, int64_t values, int64_t first, int64_t last, int64_t total,
                      Real **memory) {
    int64_t count = whole_blocks(last - first);
    Table table = {count, (int32_t *)take(memory, ends * count), take(memory, values * count)};
    for (int64_t end = 0; end < ends; end++)
        for (int64_t n = 0; n < count; n++)
            table.atoms[end * count + n] = first + n < last ? atoms[end * total + first + n] : 0;
    memset(table.values, 0, sizeof(Real) * (size_t)(values * count));
    return table;
}

static size_t molecule_reals(const Topology *t, int64_t molecule) {
    int64_t atoms = t->atom_start[molecule + 1] - t->atom_start[molecule], padded = whole_blocks(atoms);
    int64_t bonds = t->bond_start[molecule + 1] - t->bond_start[molecule];
    int64_t angles = t->angle_start[molecule + 1] - t->angle_start[molecule];
    int64_t torsions = t->torsion_start[molecule + 1] - t->torsion_start[molecule];
    int64_t impropers = t->improper_start[molecule + 1] - t->improper_start[molecule];
    return (size_t)((2 + BOND_VALUES) * whole_blocks(bonds) + (3 + ANGLE_VALUES) * whole_blocks(angles) +
                    (4 + TORSION_VALUES) * whole_blocks(torsions) + (4 + IMPROPER_VALUES) * whole_blocks(impropers) +
                    3 * (atoms / 2) * padded + 12 * whole_blocks(padded + atoms / 2));
}

INLINE void lay_pairs(const Topology *t, const Parameters *p, int64_t molecule, Molecule *m) {
    for (int64_t n = 0; n < m->shifts * m->padded; n++) m->inverse_radius[n] = 1, m->depth[n] = m->charge[n] = 0;
    for (int64_t n = t->pair_start[molecule]; n < t->pair_start[molecule + 1]; n++) {
        int64_t a = t->pairs[n], b = t->pairs[t->n_pairs + n];
        int64_t on = b > a ? b - a : b - a + m->atoms; /* from a to b, going round */
        int64_t place = on <= m->shifts ? (on - 1) * m->padded + a : (m->atoms - on - 1) * m->padded + b;
        m->inverse_radius[place] = 1 / p->pair_radius[n];
        m->depth[place] = p->pair_depth[n];
        m->charge[place] = p->pair_charge[n];
    }
}

INLINE Molecule molecule_of(const Topology *t, const Parameters *p, int64_t molecule, Real *memory) {
    Molecule m = {.atoms = t->atom_start[molecule + 1] - t->atom_start[molecule]};
    m.padded = whole_blocks(m.atoms), m.shifts = m.atoms / 2, m.stride = whole_blocks(m.padded + m.shifts);

    int64_t first = t->bond_start[molecule];
    m.bonds = table_of(t->bonds, 2, BOND_VALUES, first, t->bond_start[molecule + 1], t->n_bonds, &memory);
    for (int64_t n = first; n < t->bond_start[molecule + 1]; n++) {
        Real *value = m.bonds.values + n - first;
        value[0] = p->bond_k[n];
        value[m.bonds.count] = p->bond_length[n];
    }
    first = t->angle_start[molecule];
    m.angles = table_of(t->angles, 3, ANGLE_VALUES, first, t->angle_start[molecule + 1], t->n_angles, &memory);
    for (int64_t n = first; n < t->angle_start[molecule + 1]; n++) {
        Real *value = m.angles.values + n - first, k = p->angle_k[n];
        Real values[ANGLE_VALUES] = {t->angle_linear[n] ? k : 0,
                                      t->angle_linear[n] ? 0 : k,
                                      p->angle_theta[n],
                                      p->bond_length[t->angle_bonds[n]],
                                      p->bond_length[t->angle_bonds[t->n_angles + n]],
                                      p->stretch_bend_k[n],
                                      p->stretch_bend_k[t->n_angles + n]};
        for (int row = 0; row < ANGLE_VALUES; row++) value[row * m.angles.count] = values[row];
    }
    first = t->torsion_start[molecule];
    m.torsions =
        table_of(t->torsions, 4, TORSION_VALUES, first, t->torsion_start[molecule + 1], t->n_torsions, &memory);
    for (int row = 0; row < HARMONICS; row++)
        for (int64_t n = first; n < t->torsion_start[molecule + 1]; n++)
            m.torsions.values[row * m.torsions.count + n - first] = 0.5f * p->torsion_v[row * t->n_torsions + n];
    first = t->improper_start[molecule];
    m.impropers =
        table_of(t->impropers, 4, IMPROPER_VALUES, first, t->improper_start[molecule + 1], t->n_impropers, &memory);
    for (int64_t n = first; n < t->improper_start[molecule + 1]; n++)
        m.impropers.values[n - first] = p->improper_k[n];

    m.inverse_radius = take(&memory, m.shifts * m.padded);
    m.depth = take(&memory, m.shifts * m.padded), m.charge = take(&memory, m.shifts * m.padded);
    lay_pairs(t, p, molecule, &m);
    m.x = take(&memory, 3 * m.stride), m.gradient = take(&memory, 3 * m.stride);
    m.here = take(&memory, 3 * m.stride), m.there = take(&memory, 3 * m.stride);
    return m;
}

/* Gradients of a block of terms, by the ends of each. */
typedef struct {
    Real of[MOST_ENDS][3][ABREAST];
} Pushes;

INLINE Vector at(const Molecule *m, int32_t atom) {
    return (Vector){m->x[atom], m->x[m->stride + atom], m->x[2 * m->stride + atom]};
}

INLINE void push(Pushes *pushes, int end, int l, Vector v) {
    pushes->of[end][0][l] = v.x;
    pushes->of[end][1][l] = v.y;
    pushes->of[end][2][l] = v.z;
}

INLINE void scatter(const Molecule *m, const Table *table, int64_t n, int ends, const Pushes *pushes) {
    for (int end = 0; end < ends; end++)
        for (int l = 0; l < ABREAST; l++) {
            Real *row = m->gradient + table->atoms[end * table->count + n + l];
            row[0] += pushes->of[end][0][l];
            row[m->stride] += pushes->of[end][1][l];
            row[2 * m->stride] += pushes->of[end][2][l];
        }
}

INLINE double sum_abreast(const Real *partial) {
    double sum = 0;
    for (int l = 0; l < ABREAST; l++) sum += partial[l];
    return sum;
}

INLINE double bonds_alone(const Molecule *m) {
    Real partial[ABREAST] = {0};
    Pushes pushes;
    int64_t count = m->bonds.count;
    for (int64_t n = 0; n < count; n += ABREAST) {
        const int32_t *atom = m->bonds.atoms + n;
        const Real *value = m->bonds.values + n;
        EACH_ABREAST
        for (int l = 0; l < ABREAST; l++) {
            Bond term = bond(subtract(at(m, atom[count + l]), at(m, atom[l])), value[l], value[count + l]);
            partial[l] += term.energy;
            push(&pushes, 0, l, scale(-1, term.by_d));
            push(&pushes, 1, l, term.by_d);
        }
        scatter(m, &m->bonds, n, 2, &pushes);
    }
    return sum_abreast(partial);
}

INLINE double angles_alone(const Molecule *m) {
    Real partial[ABREAST] = {0};
    Pushes pushes;
    int64_t count = m->angles.count;
    for (int64_t n = 0; n < count; n += ABREAST) {
        const int32_t *atom = m->angles.atoms + n;
        const Real *value = m->angles.values + n;
        EACH_ABREAST
        for (int l = 0; l < ABREAST; l++) {
            Vector centre = at(m, atom[count + l]);
            AngleParameters of = {value[l],
                                  value[count + l],
                                  value[2 * count + l],
                                  value[3 * count + l],
                                  value[4 * count + l],
                                  value[5 * count + l],
                                  value[6 * count + l]};
            Angle term = angle(subtract(at(m, atom[l]), centre), subtract(at(m, atom[2 * count + l]), centre), of);
            partial[l] += term.energy;
            push(&pushes, 0, l, term.by_u);
            push(&pushes, 1, l, scale(-1, add(term.by_u, term.by_v)));
            push(&pushes, 2, l, term.by_v);
        }
        scatter(m, &m->angles, n, 3, &pushes);
    }
    return sum_abreast(partial);
}

INLINE double torsions_alone(const Molecule *m) {
    Real partial[ABREAST] = {0};
    Pushes pushes;
    int64_t count = m->torsions.count;
    for (int64_t n = 0; n < count; n += ABREAST) {
        const int32_t *atom = m->torsions.atoms + n;
        const Real *value = m->torsions.values + n;
        EACH_ABREAST
        for (int l = 0; l < ABREAST; l++) {
            Vector xj = at(m, atom[count + l]), xk = at(m, atom[2 * count + l]);
            TorsionParameters of = {value[l],
                                    value[count + l],
                                    value[2 * count + l],
                                    value[3 * count + l],
                                    value[4 * count + l],
                                    value[5 * count + l]};
            Torsion term = torsion(subtract(at(m, atom[l]), xj), subtract(xk, xj),
                                   subtract(at(m, atom[3 * count + l]), xk), of);
            partial[l] += term.energy;
            push(&pushes, 0, l, term.by_b0);
            push(&pushes, 1, l, scale(-1, add(term.by_b0, term.by_b1)));
            push(&pushes, 2, l, subtract(term.by_b1, term.by_b2));
            push(&pushes, 3, l, term.by_b2);
        }
        scatter(m, &m->torsions, n, 4, &pushes);
    }
    return sum_abreast(partial);
}

INLINE double impropers_alone(const Molecule *m) {
    Real partial[ABREAST] = {0};
    Pushes pushes;
    int64_t count = m->impropers.count;
    for (int64_t n = 0; n < count; n += ABREAST) {
        const int32_t *atom = m->impropers.atoms + n;
        const Real *value = m->impropers.values + n;
        EACH_ABREAST
        for (int l = 0; l < ABREAST; l++) {
            Vector centre = at(m, atom[count + l]);
            Vector u = subtract(at(m, atom[l]), centre), v = subtract(at(m, atom[2 * count + l]), centre);
            Improper term = improper(u, v, subtract(at(m, atom[3 * count + l]), centre), value[l]);
            partial[l] += term.energy;
            push(&pushes, 0, l, term.by_u);
            push(&pushes, 1, l, scale(-1, add(term.by_u, add(term.by_v, term.by_w))));
            push(&pushes, 2, l, term.by_v);
            push(&pushes, 3, l, term.by_w);
        }
        scatter(m, &m->impropers, n, 4, &pushes);
    }
    return sum_abreast(partial);
}

INLINE double pairs_alone(const Molecule *m) {
    double energy = 0;
    int64_t stride = m->stride;
    for (int64_t shift = 1; shift <= m->shifts; shift++) {
        Real partial[ABREAST] = {0};
        for (int64_t n = 0; n < m->padded; n += ABREAST) {
            int64_t place = (shift - 1) * m->padded + n;
            const Real *radius = m->inverse_radius + place, *depth = m->depth + place, *charge = m->charge + place;
            const Real *x = m->x + n;
            Real *here = m->here + n, *there = m->there + n + shift;
            EACH_ABREAST
            for (int l = 0; l < ABREAST; l++) {
                Vector d = {x[shift + l] - x[l], x[stride + shift + l] - x[stride + l],
                            x[2 * stride + shift + l] - x[2 * stride + l]};
                Pair term = pair(d, radius[l], depth[l], charge[l]);
                partial[l] += term.energy;
                here[l] -= term.by_d.x, there[l] += term.by_d.x;
                here[stride + l] -= term.by_d.y, there[stride + l] += term.by_d.y;
                here[2 * stride + l] -= term.by_d.z, there[2 * stride + l] += term.by_d.z;
            }
        }
        energy += sum_abreast(partial);
    }
    return energy;
}

/* Energy and gradient (atoms, 3) at x (atoms, 3). */
INLINE double evaluate_alone(const Molecule *m, const Real *x, Real *gradient) {
    int64_t stride = m->stride;
    for (int64_t place = 0, atom = 0; place < stride; place++, atom = atom + 1 < m->atoms ? atom + 1 : 0)
        for (int axis = 0; axis < 3; axis++) m->x[axis * stride + place] = x[3 * atom + axis];
    memset(m->gradient, 0, sizeof(Real) * (size_t)(3 * stride));
    memset(m->here, 0, sizeof(Real) * (size_t)(3 * stride));
    memset(m->there, 0, sizeof(Real) * (size_t)(3 * stride));
    double energy =
        bonds_alone(m) + angles_alone(m) + torsions_alone(m) + impropers_alone(m) + pairs_alone(m);
    for (int64_t atom = 0; atom < m->atoms; atom++)
        for (int axis = 0; axis < 3; axis++) {
            const Real *there = m->there + axis * stride + atom;
            Real round = atom < m->shifts ? there[m->atoms] : 0; /* what came to it from beyond the last atom */
            gradient[3 * atom + axis] =
                m->gradient[axis * stride + atom] + m->here[axis * stride + atom] + there[0] + round;
        }
    return energy;
}

#endif
