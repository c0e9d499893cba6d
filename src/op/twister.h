/* twister.h - the random numbers of the random operators: MT19937, as NumPy's RandomState draws them,
 * so that a seed gives what the standard's own reference gives. */
#ifndef OP_TWISTER_H
#define OP_TWISTER_H

#include <stdbool.h>
#include <stdint.h>

struct twister {
    uint32_t state[624];
    int at;
    bool has_gauss; /* normal numbers come in pairs */
    double gauss;
};
void twister_seed(struct twister *t, uint32_t seed);
double twister_uniform(struct twister *t); /* [0, 1), 53 bits */
double twister_normal(struct twister *t);  /* mean 0, deviation 1 */

#endif
