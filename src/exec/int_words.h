/* int_words.h - TFLite's 16-bit LOGISTIC and TANH: 256 points, lines between them. */
#ifndef EXEC_INT_WORDS_H
#define EXEC_INT_WORDS_H

#include <stdint.h>

struct words {
    uint16_t point[256];
};

void words_init(struct words *w);
/* x: in units of 1/(3*4096); 15 fraction bits. */
int16_t words_logistic(const struct words *w, int32_t x);
int16_t words_tanh(const struct words *w, int32_t x);

#endif
