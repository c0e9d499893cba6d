/* wire.c - the protocol buffers wire format: bounds-checked reading, writing in pieces. */
#include "format/onnx/wire.h"

#include <string.h>

/* -- reading ---------------------------------------------------------------------------------- */
struct pb pb_open(struct slice s)
{
    return (struct pb){ .p = s.p, .end = s.n ? s.p + s.n : s.p };
}

/* At most ten bytes, the tenth of which holds one bit. */
static bool take_varint(struct pb *r, uint64_t *out)
{
    uint64_t v = 0;
    const uint8_t *p = r->p;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p == r->end || (shift == 63 && *p > 1)) {
            r->bad = true;
            return false;
        }
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p++ & 0x80)) {
            r->p = p;
            *out = v;
            return true;
        }
    }
    r->bad = true;
    return false;
}

static uint64_t load_le(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static bool take_fixed(struct pb *r, int n, uint64_t *out)
{
    if (r->end - r->p < n) {
        r->bad = true;
        return false;
    }
    *out = load_le(r->p, n);
    r->p += n;
    return true;
}

static bool take_bytes(struct pb *r, struct slice *out)
{
    const uint8_t *at = r->p;
    uint64_t n;
    if (!take_varint(r, &n))
        return false;
    if (n > (uint64_t)(r->end - r->p)) {
        r->p = at;
        r->bad = true;
        return false;
    }
    *out = (struct slice){ r->p, (size_t)n };
    r->p += n;
    return true;
}

bool pb_next(struct pb *r, struct pb_field *f)
{
    if (r->bad || r->p == r->end)
        return false;
    *f = (struct pb_field){ .start = r->p };
    uint64_t tag;
    if (!take_varint(r, &tag))
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (enum pb_wire)(tag & 7);
    const bool number_ok = tag >> 3 >= 1 && tag >> 3 < (1u << 29);
    if (number_ok && f->wire == PB_VARINT)
        return take_varint(r, &f->v);
    if (number_ok && f->wire == PB_FIXED64)
        return take_fixed(r, 8, &f->v);
    if (number_ok && f->wire == PB_BYTES)
        return take_bytes(r, &f->bytes);
    if (number_ok && f->wire == PB_FIXED32)
        return take_fixed(r, 4, &f->v);
    r->p = f->start;
    r->bad = true;
    return false;
}

static bool expect(struct pb *r, const struct pb_field *f, enum pb_wire wire)
{
    if (f->wire == wire)
        return true;
    r->p = f->start;
    r->bad = true;
    return false;
}

struct slice pb_bytes(struct pb *r, const struct pb_field *f)
{
    return expect(r, f, PB_BYTES) ? f->bytes : (struct slice){ 0 };
}

int64_t pb_int(struct pb *r, const struct pb_field *f)
{
    return expect(r, f, PB_VARINT) ? (int64_t)f->v : 0;
}

static float bits_float(uint32_t u)
{
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}

float pb_float(struct pb *r, const struct pb_field *f)
{
    return expect(r, f, PB_FIXED32) ? bits_float((uint32_t)f->v) : 0;
}

size_t pb_count(struct pb *r, const struct pb_field *f, enum pb_wire elem)
{
    if (f->wire == elem)
        return 1;
    if (!expect(r, f, PB_BYTES))
        return 0;
    const size_t width = elem == PB_FIXED32 ? 4 : 8;
    size_t n = 0;
    if (elem != PB_VARINT) {
        if (f->bytes.n % width == 0)
            return f->bytes.n / width;
    } else {
        for (size_t i = 0; i < f->bytes.n; i++)
            n += !(f->bytes.p[i] & 0x80);
        if (f->bytes.n == 0 || !(f->bytes.p[f->bytes.n - 1] & 0x80))
            return n;
    }
    r->p = f->start;
    r->bad = true;
    return 0;
}

void pb_ints(struct pb *r, const struct pb_field *f, int64_t *out)
{
    if (f->wire == PB_VARINT) {
        *out = (int64_t)f->v;
        return;
    }
    struct pb in = pb_open(f->bytes);
    uint64_t v;
    while (in.p != in.end && take_varint(&in, &v))
        *out++ = (int64_t)v;
    r->bad |= in.bad;
}

void pb_floats(struct pb *r, const struct pb_field *f, float *out)
{
    (void)r;
    if (f->wire == PB_FIXED32)
        *out = bits_float((uint32_t)f->v);
    else
        for (size_t i = 0; i + 4 <= f->bytes.n; i += 4)
            *out++ = bits_float((uint32_t)load_le(f->bytes.p + i, 4));
}

void pb_doubles(struct pb *r, const struct pb_field *f, double *out)
{
    (void)r;
    uint64_t u = f->v;
    if (f->wire == PB_FIXED64) {
        memcpy(out, &u, 8);
        return;
    }
    for (size_t i = 0; i + 8 <= f->bytes.n; i += 8) {
        u = load_le(f->bytes.p + i, 8);
        memcpy(out++, &u, 8);
    }
}

/* -- writing ---------------------------------------------------------------------------------- */
struct pbw_ref {
    size_t at; /* before this byte of the buffer */
    const void *p;
    size_t n;
};
#define REF_LEAST 256 /* shorter ranges are copied */

void pbw_init(struct pbw *w, struct arena *a)
{
    *w = (struct pbw){ .arena = a };
}

static void put(struct pbw *w, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (w->cap - w->n < n)
        w->buf = arena_grow(w->arena, w->buf, w->n, w->n + n, &w->cap, 1);
    memcpy(w->buf + w->n, p, n);
    w->n += n;
}

static size_t encode_varint(uint8_t b[10], uint64_t v)
{
    size_t n = 0;
    do {
        b[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    return n;
}

static void put_varint(struct pbw *w, uint64_t v)
{
    uint8_t b[10];
    put(w, b, encode_varint(b, v));
}

static void put_tag(struct pbw *w, uint32_t field, enum pb_wire wire)
{
    put_varint(w, (uint64_t)field << 3 | (uint64_t)wire);
}

void pbw_int(struct pbw *w, uint32_t field, int64_t v)
{
    put_tag(w, field, PB_VARINT);
    put_varint(w, (uint64_t)v);
}

void pbw_float(struct pbw *w, uint32_t field, float v)
{
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    const uint8_t b[4] = { (uint8_t)u, (uint8_t)(u >> 8), (uint8_t)(u >> 16), (uint8_t)(u >> 24) };
    put_tag(w, field, PB_FIXED32);
    put(w, b, 4);
}

void pbw_bytes(struct pbw *w, uint32_t field, const void *p, size_t n)
{
    put_tag(w, field, PB_BYTES);
    put_varint(w, n);
    put(w, p, n);
}

void pbw_str(struct pbw *w, uint32_t field, const char *s)
{
    pbw_bytes(w, field, s, strlen(s));
}

void pbw_opt_str(struct pbw *w, uint32_t field, const char *s)
{
    if (s && *s)
        pbw_str(w, field, s);
}

void pbw_raw(struct pbw *w, const void *p, size_t n)
{
    put(w, p, n);
}

void pbw_ref(struct pbw *w, uint32_t field, const void *p, size_t n)
{
    put_tag(w, field, PB_BYTES);
    put_varint(w, n);
    if (n < REF_LEAST) {
        put(w, p, n);
        return;
    }
    w->ref = arena_grow(w->arena, w->ref, w->n_ref, w->n_ref + 1, &w->cap_ref, sizeof *w->ref);
    w->ref[w->n_ref++] = (struct pbw_ref){ w->n, p, n };
    w->ref_bytes += n;
}

struct pbw_mark pbw_begin(struct pbw *w, uint32_t field)
{
    put_tag(w, field, PB_BYTES);
    return (struct pbw_mark){ w->n, w->n_ref, w->ref_bytes };
}

/* The length is known only now: its varint is put in front by moving the body up. Messages nest a
 * few levels deep, so each byte moves a few times at most. */
void pbw_end(struct pbw *w, struct pbw_mark m)
{
    uint8_t b[10];
    const size_t body = w->n - m.at;
    const size_t n = encode_varint(b, body + (w->ref_bytes - m.ref_bytes));
    put(w, b, n);
    memmove(w->buf + m.at + n, w->buf + m.at, body);
    memcpy(w->buf + m.at, b, n);
    for (size_t i = m.n_ref; i < w->n_ref; i++)
        w->ref[i].at += n;
}

void pbw_packed_ints(struct pbw *w, uint32_t field, const int64_t *v, size_t n)
{
    const struct pbw_mark m = pbw_begin(w, field);
    for (size_t i = 0; i < n; i++)
        put_varint(w, (uint64_t)v[i]);
    pbw_end(w, m);
}

uint64_t pbw_size(const struct pbw *w)
{
    return w->n + w->ref_bytes;
}

enum status pbw_write(const struct pbw *w, struct outfile *out)
{
    size_t at = 0;
    for (size_t i = 0; i < w->n_ref; i++) {
        TRY(outfile_write(out, w->buf + at, w->ref[i].at - at));
        TRY(outfile_write(out, w->ref[i].p, w->ref[i].n));
        at = w->ref[i].at;
    }
    return w->n > at ? outfile_write(out, w->buf + at, w->n - at) : OK;
}

struct slice pbw_flat(const struct pbw *w)
{
    const size_t total = (size_t)pbw_size(w);
    uint8_t *p = arena_alloc(w->arena, total ? total : 1);
    size_t at = 0, to = 0;
    for (size_t i = 0; i < w->n_ref; i++) {
        memcpy(p + to, w->buf + at, w->ref[i].at - at);
        to += w->ref[i].at - at;
        memcpy(p + to, w->ref[i].p, w->ref[i].n);
        to += w->ref[i].n;
        at = w->ref[i].at;
    }
    if (w->n > at)
        memcpy(p + to, w->buf + at, w->n - at);
    return (struct slice){ p, total };
}
