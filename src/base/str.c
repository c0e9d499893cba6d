/* str.c - growing strings, a string map, hashing, comparing. */
#include "base/str.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void str_init(struct str *s, struct arena *a)
{
    *s = (struct str){ .arena = a };
}

/* Room for n more characters and the NUL. */
static void reserve(struct str *s, size_t n)
{
    size_t want;

    if (!size_add(s->n, n, &want) || !size_add(want, 1, &want))
        mem_fail(n);
    s->s = arena_grow(s->arena, s->s, s->s ? s->n + 1 : 0, want, &s->cap, 1);
}

void str_addn(struct str *s, const char *text, size_t n)
{
    reserve(s, n);
    if (n)
        memcpy(s->s + s->n, text, n);
    s->n += n;
    s->s[s->n] = '\0';
}

void str_add(struct str *s, const char *text)
{
    str_addn(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_fail(0);
    reserve(s, (size_t)n);
    va_start(ap, fmt);
    vsnprintf(s->s + s->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    s->n += (size_t)n;
}

const char *str_text(struct str *s)
{
    return s->s ? s->s : "";
}

/* ---- string map ---- */

struct strmap_slot {
    const char *key; /* NULL: empty */
    size_t n;
    uint64_t hash;
    uint32_t value;
};

void strmap_init(struct strmap *m, struct arena *a)
{
    *m = (struct strmap){ .arena = a };
}

/* The slot of the key, or the empty one where it belongs. Needs cap > n. */
static struct strmap_slot *find(const struct strmap *m, const char *key, size_t n, uint64_t hash)
{
    for (size_t i = (size_t)hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct strmap_slot *s = &m->slot[i];

        if (!s->key || (s->hash == hash && s->n == n && memcmp(s->key, key, n) == 0))
            return s;
    }
}

static void rehash(struct strmap *m)
{
    const struct strmap old = *m;

    m->cap = old.cap ? mem_mul(old.cap, 2) : 16;
    m->slot = ARENA_ARRAY(m->arena, struct strmap_slot, m->cap);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slot[i].key)
            *find(m, old.slot[i].key, old.slot[i].n, old.slot[i].hash) = old.slot[i];
}

void strmap_put(struct strmap *m, const char *key, uint32_t value)
{
    const size_t n = strlen(key);
    const uint64_t hash = hash_bytes(key, n, 0);
    struct strmap_slot *s;

    if (4 * (m->n + 1) > 3 * m->cap)
        rehash(m);
    s = find(m, key, n, hash);
    if (!s->key) {
        *s = (struct strmap_slot){ arena_strn(m->arena, key, n), n, hash, 0 };
        m->n++;
    }
    s->value = value;
}

bool strmap_getn(const struct strmap *m, const char *key, size_t n, uint32_t *value)
{
    const struct strmap_slot *s;

    if (m->n == 0)
        return false;
    s = find(m, key, n, hash_bytes(key, n, 0));
    if (!s->key)
        return false;
    *value = s->value;
    return true;
}

bool strmap_get(const struct strmap *m, const char *key, uint32_t *value)
{
    return strmap_getn(m, key, strlen(key), value);
}

/* ---- hash ---- */

static uint64_t load_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

/* Both halves of a 128-bit product folded together: each input bit reaches each output bit. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    const unsigned __int128 r = (unsigned __int128)a * b;

    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed)
{
    /* Odd constants from the fractional digits of pi and of the golden ratio. */
    const uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0x243f6a8885a308d3u;
    const uint8_t *b = p;
    uint64_t h = seed ^ fold(n ^ k0, k1);
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        h = fold(h ^ load_le(b + i, 8) ^ k1, k0);
    if (i < n)
        h = fold(h ^ load_le(b + i, n - i) ^ k1, k0);
    return fold(h ^ k0, k1);
}

/* ---- comparing ---- */

static const char *skip_zeros(const char *s)
{
    while (*s == '0' && isdigit((unsigned char)s[1]))
        s++;
    return s;
}

static size_t digits(const char *s)
{
    size_t n = 0;

    while (isdigit((unsigned char)s[n]))
        n++;
    return n;
}

int str_natural_cmp(const char *a, const char *b)
{
    const char *const a0 = a, *const b0 = b;

    while (*a && *b) {
        if (isdigit((unsigned char)*a) && isdigit((unsigned char)*b)) {
            size_t na, nb;
            int c;

            a = skip_zeros(a);
            b = skip_zeros(b);
            na = digits(a);
            nb = digits(b);
            if (na != nb)
                return na < nb ? -1 : 1;
            c = memcmp(a, b, na);
            if (c != 0)
                return c < 0 ? -1 : 1;
            a += na;
            b += nb;
        } else if (*a != *b) {
            return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        } else {
            a++;
            b++;
        }
    }
    if (*a || *b)
        return *a ? 1 : -1;
    return strcmp(a0, b0); /* "01" and "1": a total order all the same */
}

/* Levenshtein's distance by one row of the table (Wagner and Fischer 1974). */
enum { NEAR_MAX = 128 };

static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t row[NEAR_MAX + 1];

    assert(nb <= NEAR_MAX);
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const size_t above = row[j];
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[nb];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t n)
{
    const size_t nw = strlen(word);
    const char *best = NULL;
    size_t least = SIZE_MAX;

    if (nw > NEAR_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const size_t nc = strlen(candidates[i]);
        size_t d;

        if (nc > NEAR_MAX)
            continue;
        d = edit_distance(word, nw, candidates[i], nc);
        if (d < least && 3 * d <= (nw > nc ? nw : nc)) {
            least = d;
            best = candidates[i];
        }
    }
    return best;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    const size_t n = strlen(s), k = strlen(suffix);

    return k <= n && memcmp(s + n - k, suffix, k) == 0;
}

/* On a mismatch only the last star has to take one character more. */
bool str_match(const char *pattern, const char *s)
{
    const char *star = NULL, *mark = NULL;

    while (*s) {
        if (*pattern == '*') {
            star = pattern++;
            mark = s;
        } else if (*pattern == '?' || *pattern == *s) {
            pattern++;
            s++;
        } else if (star) {
            pattern = star + 1;
            s = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

/* ---- numbers ---- */

/* Numbers in our files have a dot whatever the program's locale says. */
static locale_t c_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool str_to_i64(const char *s, int64_t *out)
{
    char *end;
    long long v;

    if (!isdigit((unsigned char)s[0]) &&
        !((s[0] == '-' || s[0] == '+') && isdigit((unsigned char)s[1])))
        return false;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *out = v;
    return true;
}

bool str_to_f64(const char *s, double *out)
{
    char *end;
    double v;

    if (s[0] == '\0' || isspace((unsigned char)s[0]))
        return false;
    pthread_once(&locale_once, make_locale);
    v = c_locale ? strtod_l(s, &end, c_locale) : strtod(s, &end);
    if (*end != '\0')
        return false;
    *out = v;
    return true;
}

/* ---- UTF-8 (RFC 3629) ---- */

/* Bytes of the sequence at p, 0 when it is not valid. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const size_t k = p[0] < 0x80 ? 1 : p[0] < 0xc0 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t c;

    if (k == 1)
        return p[0] != 0;
    if (k == 0 || k > n || p[0] > 0xf4)
        return 0;
    c = p[0] & (0x7fu >> k);
    for (size_t i = 1; i < k; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[k] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    return k;
}

bool str_is_utf8(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t k = utf8_len((const unsigned char *)s + i, n - i);

        if (k == 0)
            return false;
        i += k;
    }
    return true;
}
