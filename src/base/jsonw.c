/* jsonw.c - write JSON (RFC 8259), two spaces a level, one element a line. */
#include "base/jsonw.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void jsonw_init(struct jsonw *w, struct arena *a)
{
    memset(w, 0, sizeof *w);
    str_init(&w->out, a);
    w->empty[0] = true;
}

static void before(struct jsonw *w)
{
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (!w->empty[w->depth])
        str_add(&w->out, ",");
    if (w->depth > 0)
        str_addf(&w->out, "\n%*s", w->depth * 2, "");
    w->empty[w->depth] = false;
}

static void open(struct jsonw *w, const char *bracket, bool array)
{
    before(w);
    str_add(&w->out, bracket);
    assert(w->depth + 1 < (int)COUNT(w->empty));
    w->depth++;
    w->empty[w->depth] = true;
    w->array[w->depth] = array;
}

void jsonw_object(struct jsonw *w)
{
    open(w, "{", false);
}

void jsonw_array(struct jsonw *w)
{
    open(w, "[", true);
}

void jsonw_end(struct jsonw *w)
{
    const bool empty = w->empty[w->depth], array = w->array[w->depth];

    w->depth--;
    if (!empty)
        str_addf(&w->out, "\n%*s", w->depth * 2, "");
    str_add(&w->out, array ? "]" : "}");
}

static void quoted(struct jsonw *w, const char *s)
{
    str_add(&w->out, "\"");
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            str_addf(&w->out, "\\%c", c);
        else if (c < 0x20)
            str_addf(&w->out, "\\u%04x", c);
        else
            str_addn(&w->out, s, 1);
    }
    str_add(&w->out, "\"");
}

void jsonw_key(struct jsonw *w, const char *key)
{
    before(w);
    quoted(w, key);
    str_add(&w->out, ": ");
    w->after_key = true;
}

void jsonw_string(struct jsonw *w, const char *s)
{
    before(w);
    if (s)
        quoted(w, s);
    else
        str_add(&w->out, "null");
}

void jsonw_int(struct jsonw *w, int64_t v)
{
    before(w);
    str_addf(&w->out, "%" PRId64, v);
}

void jsonw_double(struct jsonw *w, double v)
{
    char s[40];

    before(w);
    if (!isfinite(v)) {
        str_add(&w->out, "null");
        return;
    }
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(s, sizeof s, "%.*g", digits, v);
        if (strtod(s, NULL) == v)
            break;
    }
    str_add(&w->out, s);
}

void jsonw_bool(struct jsonw *w, bool v)
{
    before(w);
    str_add(&w->out, v ? "true" : "false");
}

void jsonw_kstring(struct jsonw *w, const char *key, const char *s)
{
    jsonw_key(w, key);
    jsonw_string(w, s);
}

void jsonw_kint(struct jsonw *w, const char *key, int64_t v)
{
    jsonw_key(w, key);
    jsonw_int(w, v);
}

void jsonw_kdouble(struct jsonw *w, const char *key, double v)
{
    jsonw_key(w, key);
    jsonw_double(w, v);
}

void jsonw_kbool(struct jsonw *w, const char *key, bool v)
{
    jsonw_key(w, key);
    jsonw_bool(w, v);
}

const char *jsonw_text(struct jsonw *w)
{
    if (w->depth == 0)
        str_add(&w->out, "\n");
    return str_text(&w->out);
}
