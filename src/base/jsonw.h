/* jsonw.h - write JSON, stable: keys in the order written, shortest numbers that read back equal. */
#ifndef BASE_JSONW_H
#define BASE_JSONW_H

#include "base/str.h"

struct jsonw {
    struct str out;
    int depth;
    bool empty[64], array[64]; /* by depth: nothing written yet; closes with ] */
    bool after_key;
};
void jsonw_init(struct jsonw *w, struct arena *a);
void jsonw_object(struct jsonw *w); /* { */
void jsonw_array(struct jsonw *w);  /* [ */
void jsonw_end(struct jsonw *w);    /* closes the innermost */
void jsonw_key(struct jsonw *w, const char *key);
void jsonw_string(struct jsonw *w, const char *s); /* NULL writes null */
void jsonw_int(struct jsonw *w, int64_t v);
void jsonw_double(struct jsonw *w, double v); /* NaN and infinities are written as null */
void jsonw_bool(struct jsonw *w, bool v);
/* key and value at once */
void jsonw_kstring(struct jsonw *w, const char *key, const char *s);
void jsonw_kint(struct jsonw *w, const char *key, int64_t v);
void jsonw_kdouble(struct jsonw *w, const char *key, double v);
void jsonw_kbool(struct jsonw *w, const char *key, bool v);
/* The text so far, with a final newline once everything is closed. */
const char *jsonw_text(struct jsonw *w);

#endif
