/* wire.h - the protocol buffers wire format, read and written.
 *
 * https://protobuf.dev/programming-guides/encoding/ : a message is a list of (field number, wire
 * type, value). Reading copies nothing: strings and nested messages are ranges of the input. Groups
 * (wire types 3 and 4, unused by ONNX) are refused. Writing builds a message as a list of byte
 * ranges, so that weights are referenced, not copied, and every length is known before the first
 * byte is written.
 */
#ifndef FORMAT_ONNX_WIRE_H
#define FORMAT_ONNX_WIRE_H

#include "base/file.h"

/* -- reading ---------------------------------------------------------------------------------- */
struct slice {
    const uint8_t *p;
    size_t n;
};

struct pb {
    const uint8_t *p, *end;
    bool bad; /* malformed: p is where */
};

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_field {
    uint32_t number;
    enum pb_wire wire;
    uint64_t v;           /* varint, fixed */
    struct slice bytes;   /* strings, messages, packed lists */
    const uint8_t *start; /* the field's tag */
};

struct pb pb_open(struct slice s);
/* The next field; false at the end or when malformed (r->bad). */
bool pb_next(struct pb *r, struct pb_field *f);
/* The field's value when its wire type fits, else r->bad. */
struct slice pb_bytes(struct pb *r, const struct pb_field *f);
int64_t pb_int(struct pb *r, const struct pb_field *f);
float pb_float(struct pb *r, const struct pb_field *f);
/* Elements of a repeated scalar field given as one packed or one unpacked piece: how many, and the
 * elements themselves (room for that many). Wire types: PB_VARINT, PB_FIXED32 or PB_FIXED64. */
size_t pb_count(struct pb *r, const struct pb_field *f, enum pb_wire elem);
void pb_ints(struct pb *r, const struct pb_field *f, int64_t *out);
void pb_floats(struct pb *r, const struct pb_field *f, float *out);
void pb_doubles(struct pb *r, const struct pb_field *f, double *out);

/* -- writing ---------------------------------------------------------------------------------- */
/* A growing buffer of small fields, and where in it ranges of other memory belong. */
struct pbw {
    struct arena *arena;
    uint8_t *buf;
    size_t n, cap;
    struct pbw_ref *ref;
    size_t n_ref, cap_ref;
    uint64_t ref_bytes;
};
struct pbw_mark {
    size_t at, n_ref;
    uint64_t ref_bytes;
};
void pbw_init(struct pbw *w, struct arena *a);
void pbw_int(struct pbw *w, uint32_t field, int64_t v);
void pbw_float(struct pbw *w, uint32_t field, float v);
void pbw_bytes(struct pbw *w, uint32_t field, const void *p, size_t n); /* copied */
void pbw_str(struct pbw *w, uint32_t field, const char *s);
void pbw_opt_str(struct pbw *w, uint32_t field, const char *s);       /* nothing when NULL or "" */
void pbw_ref(struct pbw *w, uint32_t field, const void *p, size_t n); /* referenced when large */
void pbw_raw(struct pbw *w, const void *p, size_t n);                 /* whole fields, copied */
void pbw_packed_ints(struct pbw *w, uint32_t field, const int64_t *v, size_t n);
/* A nested message: what is written between belongs to it. */
struct pbw_mark pbw_begin(struct pbw *w, uint32_t field);
void pbw_end(struct pbw *w, struct pbw_mark m);
uint64_t pbw_size(const struct pbw *w);
enum status pbw_write(const struct pbw *w, struct outfile *out);
/* The whole message in one new range of bytes. */
struct slice pbw_flat(const struct pbw *w);

#endif
