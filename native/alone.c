/* Descents of one conformer at a time, in double precision: where few conformers share a molecule, terms fill the
 * vectors better than conformers do. */
#define LANES 1
#define REAL double
#include "alone.h"
#include "descent.h"
#include "processors.h"

#define OPERATIONS(suffix, target)                                                                                  \
    target static void mechanics_##suffix(const void *system, int64_t molecule, const Real *x, Real *gradient,    \
                                          double *energy) {                                                         \
        (void)molecule;                                                                                             \
        *energy += evaluate_alone(system, x, gradient);                                                             \
    }                                                                                                               \
    target static int minimise_##suffix(const Topology *t, const Parameters *p, Extent e, const DescentSettings *s, \
                                        const Descended *out, Real *work, double deadline) {                       \
        Molecule m = molecule_of(t, p, e.molecule, work);                                                           \
        Real *rest = work + molecule_reals(t, e.molecule);                                                        \
        return descend(mechanics_##suffix, &m, e, s, out, rest, deadline);                                          \
    }

FOR_EACH_PROCESSOR(OPERATIONS)

/* Do what molebm_minimise does, each conformer for itself. */
EXPORT int molebm_minimise_alone(const Topology *t, const Parameters *p, int64_t C, const DescentSettings *settings,
                                 const Descended *out) {
    size_t most = 0;
    for (int64_t g = 0; g < t->n_molecules; g++) {
        size_t needed = molecule_reals(t, g);
        most = needed > most ? needed : most;
    }
    void *memory;
    Real *work = aligned_reals(most + descent_reals(t->largest, 3, settings->history), &memory);
    if (!work) return NO_MEMORY;
    double deadline = seconds_now() + settings->seconds;
    int status = DONE;
    for (int64_t g = 0; g < t->n_molecules && status == DONE; g++) {
        Extent e = {g, t->atom_start[g], t->atom_start[g + 1] - t->atom_start[g], t->n_atoms, C, 3};
        status = WIDEST(minimise)(t, p, e, settings, out, work, deadline);
    }
    free(memory);
    return status;
}
