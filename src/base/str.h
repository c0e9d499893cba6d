/* str.h - growing strings in an arena, string tables, hashes, natural order, near matches. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/mem.h"

struct str {
    struct arena *arena;
    char *s; /* always terminated once anything was added; use str_text() */
    size_t n, cap;
};
void str_init(struct str *s, struct arena *a);
void str_add(struct str *s, const char *text);
void str_addn(struct str *s, const char *text, size_t n);
void str_addf(struct str *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
const char *str_text(struct str *s); /* never NULL */

/* Map from string to uint32_t, open addressing, insertion only (last value wins). */
struct strmap {
    struct arena *arena;
    struct strmap_slot *slot;
    size_t n, cap;
};
void strmap_init(struct strmap *m, struct arena *a);
void strmap_put(struct strmap *m, const char *key, uint32_t value); /* key is copied */
/* false: absent */
bool strmap_get(const struct strmap *m, const char *key, uint32_t *value);
bool strmap_getn(const struct strmap *m, const char *key, size_t n, uint32_t *value);

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed); /* not for security */
void sha256(const void *p, size_t n, uint8_t out[32]);
/* SHA-256 as 64 hex digits and NUL. */
void sha256_hex(const void *p, size_t n, char out[65]);

int str_natural_cmp(const char *a, const char *b); /* img2 < img10 */
/* The candidate nearest to word by edit distance, NULL when none is near (distance > 1/3). */
const char *str_nearest(const char *word, const char *const *candidates, size_t n);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Shell-like pattern with * and ?. */
bool str_match(const char *pattern, const char *s);
/* Whole-string numbers; false when anything is left over or out of range. */
bool str_to_i64(const char *s, int64_t *out);
bool str_to_f64(const char *s, double *out);
/* valid UTF-8 without NUL? */
bool str_is_utf8(const char *s, size_t n);

#endif
