/* text_atoms.c - the smallest parts of the text form: names, numbers, types, encodings, attributes,
 * elements of constants. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/text.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool text_is_word(const char *name)
{
    if (!is_letter(name[0]) || strcmp(name, "_") == 0)
        return false;
    for (const char *s = name + 1; *s; s++)
        if (!is_letter(*s) && !(*s >= '0' && *s <= '9') && *s != '.')
            return false;
    return true;
}

void text_quoten(struct str *s, const char *name, size_t n)
{
    const bool is_utf8 = str_is_utf8(name, n);
    size_t from = 0;

    str_add(s, "\"");
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)name[i];

        if (c >= ' ' && c != '"' && c != '\\' && (c < 0x7f || (c > 0x7f && is_utf8)))
            continue;
        str_addn(s, name + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\')
            str_addf(s, "\\%c", c);
        else if (c == '\n')
            str_add(s, "\\n");
        else
            str_addf(s, "\\x%02x", c);
    }
    str_addn(s, name + from, n - from);
    str_add(s, "\"");
}

void text_quote(struct str *s, const char *name)
{
    text_quoten(s, name, strlen(name));
}

/* Long graphs are mostly numbers: printf would take a third of the time. */
void text_int(struct str *s, int64_t v)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char digits[24];
    size_t n = sizeof(digits);

    do
        digits[--n] = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0)
        digits[--n] = '-';
    str_addn(s, digits + n, sizeof(digits) - n);
}

/* printf's %a would follow the locale. */
void text_float(struct str *s, double v)
{
    uint64_t bits, mantissa;
    int exponent, digits = 13;

    memcpy(&bits, &v, sizeof(bits));
    if (isnan(v) || isinf(v)) {
        str_add(s, isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    mantissa = bits & ((UINT64_C(1) << 52) - 1);
    exponent = (int)(bits >> 52 & 0x7ff);
    str_add(s, signbit(v) ? "-0x" : "0x");
    str_add(s, exponent ? "1" : "0");
    if (!exponent && !mantissa) {
        str_add(s, "p+0");
        return;
    }
    exponent = exponent ? exponent - 1023 : -1022;
    while (digits && !(mantissa & 15)) {
        mantissa >>= 4;
        digits--;
    }
    if (digits)
        str_addf(s, ".%0*" PRIx64, digits, mantissa);
    str_addf(s, "p%+d", exponent);
}

/* -- types ------------------------------------------------------------------------------------ */

static void add_dim(struct str *s, const struct graph *g, dim_t d)
{
    const char *name = graph_symbol_name(g, d);

    if (dim_is_const(d))
        text_int(s, d);
    else if (!name)
        str_add(s, "?");
    else if (g->symbol[DIM_SYMBOL0 - d].op || text_is_word(name))
        str_add(s, name);
    else
        text_quote(s, name);
}

void text_type(struct str *s, const struct graph *g, const struct type *t)
{
    static const char *const open[] = { "", "seq(", "opt(", "optseq(" };

    str_add(s, open[t->kind]);
    str_add(s, dtype_name(t->dtype));
    str_add(s, "[");
    if (t->rank < 0)
        str_add(s, "*");
    for (int d = 0; d < t->rank; d++) {
        if (d)
            str_add(s, ",");
        add_dim(s, g, t->dim[d]);
    }
    str_add(s, t->kind == TYPE_TENSOR ? "]" : "])");
}

static bool has_zero_points(const struct encoding *e)
{
    for (int64_t i = 0; i < e->n; i++)
        if (encoding_zero(e, i))
            return true;
    return false;
}

void text_encoding(struct str *s, const struct encoding *e)
{
    if (!e)
        return;
    str_addf(s, " enc(%s", dtype_name(e->storage));
    if (e->axis >= 0)
        str_addf(s, ", axis %d", e->axis);
    if (e->block > 0)
        str_addf(s, ", block %" PRId64, e->block);
    str_add(s, ", [");
    for (int64_t i = 0; i < e->n; i++) {
        if (i)
            str_add(s, ",");
        text_float(s, e->scale[i]);
    }
    str_add(s, "]");
    if (has_zero_points(e)) {
        str_add(s, ", [");
        for (int64_t i = 0; i < e->n; i++)
            str_addf(s, "%s%" PRId64, i ? "," : "", encoding_zero(e, i));
        str_add(s, "]");
    }
    str_add(s, ")");
}

/* -- attributes ------------------------------------------------------------------------------- */

static void add_enum(struct str *s, const struct attr_def *a, int64_t v)
{
    if (v < 0 || v >= attr_choice_count(a))
        text_int(s, v);
    else if (text_is_word(a->choices[v]))
        str_add(s, a->choices[v]);
    else
        text_quote(s, a->choices[v]);
}

void text_hex(struct str *s, const uint8_t *p, size_t n)
{
    static const char digit[] = "0123456789abcdef";

    str_add(s, "x\"");
    for (size_t i = 0; i < n; i++) {
        const char pair[2] = { digit[p[i] >> 4], digit[p[i] & 15] };

        str_addn(s, pair, 2);
    }
    str_add(s, "\"");
}

static void add_list(struct str *s, const struct attr_def *a, const void *p)
{
    const struct ints *ints = p;
    const struct floats *floats = p;
    const struct strs *strs = p;
    const int n = a->kind == ATTR_INTS ? ints->n : a->kind == ATTR_FLOATS ? floats->n : strs->n;

    str_add(s, "[");
    for (int i = 0; i < n; i++) {
        if (i)
            str_add(s, ",");
        if (a->kind == ATTR_INTS)
            text_int(s, ints->v[i]);
        else if (a->kind == ATTR_FLOATS)
            text_float(s, floats->v[i]);
        else
            text_quote(s, strs->v[i]);
    }
    str_add(s, "]");
}

void text_attr(struct str *s, const struct attr_def *a, const void *p)
{
    switch (a->kind) {
    case ATTR_END:
        break;
    case ATTR_INT:
    case ATTR_BOOL:
        text_int(s, *(const int64_t *)p);
        break;
    case ATTR_ENUM:
        add_enum(s, a, *(const int64_t *)p);
        break;
    case ATTR_DTYPE:
        str_add(s, dtype_name((enum dtype) * (const int64_t *)p));
        break;
    case ATTR_FLOAT:
        text_float(s, *(const double *)p);
        break;
    case ATTR_STRING:
        if (*(const char *const *)p)
            text_quote(s, *(const char *const *)p);
        else
            str_add(s, "none");
        break;
    case ATTR_INTS:
    case ATTR_FLOATS:
    case ATTR_STRS:
        add_list(s, a, p);
        break;
    case ATTR_BLOB:
        text_hex(s, ((const struct attr_blob *)p)->v, ((const struct attr_blob *)p)->n);
        break;
    }
}

/* -- constants -------------------------------------------------------------------------------- */

static uint64_t element_bits(const struct tensor *t, int64_t i)
{
    const uint8_t *p = t->data;
    const size_t bytes = (size_t)dtype_bits(t->dtype) / 8;
    uint64_t bits = 0;

    if (!bytes) /* f4e2m1 has no NaN */
        return 0;
    memcpy(&bits, p + (size_t)i * bytes, bytes);
    return bits;
}

static void add_complex_part(struct str *s, const struct tensor *t, int64_t i)
{
    const bool is_long = t->dtype == DT_c128;
    struct tensor parts = { .dtype = is_long ? DT_f64 : DT_f32, .data = t->data };

    text_element(s, &parts, i);
}

void text_element(struct str *s, const struct tensor *t, int64_t i)
{
    double v;

    if (t->dtype == DT_string) {
        text_quote(s, ((const char *const *)t->data)[i]);
    } else if (t->dtype == DT_c64 || t->dtype == DT_c128) {
        add_complex_part(s, t, i);
    } else if (t->dtype == DT_bool) {
        str_addf(s, "%d", ((const uint8_t *)t->data)[i]);
    } else if (t->dtype == DT_u64) {
        str_addf(s, "%" PRIu64, ((const uint64_t *)t->data)[i]);
    } else if (dtype_is_int(t->dtype)) {
        text_int(s, tensor_get_i64(t, i));
    } else {
        v = tensor_get_f64(t, i);
        if (isnan(v))
            str_addf(s, "nan(0x%" PRIx64 ")", element_bits(t, i));
        else
            text_float(s, v);
    }
}
