/* text.h - what printing and parsing the text form share. Grammar: docs/IR.md. */
#ifndef IR_TEXT_H
#define IR_TEXT_H

#include "base/str.h"
#include "ir/op.h"

#define TEXT_MAX_DEPTH 64 /* of regions, and of parentheses in dims */

/* -- printing (text_atoms.c) -------------------------------------------------------------------- */
/* Can the name stand without quotes? A letter or '_', then letters, digits, '_' and '.'. */
bool text_is_word(const char *name);
/* "name" with escapes. */
void text_quote(struct str *s, const char *name);
void text_quoten(struct str *s, const char *name, size_t n);
void text_int(struct str *s, int64_t v);
void text_float(struct str *s, double v);
void text_hex(struct str *s, const uint8_t *p, size_t n);
void text_type(struct str *s, const struct graph *g, const struct type *t);
void text_encoding(struct str *s, const struct encoding *e); /* with a space before; or nothing */
void text_attr(struct str *s, const struct attr_def *a, const void *field);
void text_element(struct str *s, const struct tensor *t, int64_t i);

/* -- the sidecar (text_data.c) ------------------------------------------------------------------ */
/* Bytes by their SHA-256 (64 hex digits). *out NULL: not in the file. */
struct sidecar;
enum status sidecar_open(struct arena *a, const char *path, struct diags *ds, struct sidecar **out);
bool sidecar_find(const struct sidecar *s, const char *hex, const void **data, size_t *bytes);
struct blob *sidecar_blob(const struct sidecar *s);
#define TEXT_INLINE_MAX 64
/* Does the text hold the elements of this constant itself? */
bool text_is_inline(const struct text_options *o, const struct tensor *t);

/* -- lexing (text_lex.c) ------------------------------------------------------------------------ */
enum token_kind {
    TOK_END,
    TOK_WORD,   /* name, n */
    TOK_ID,     /* %name or %12, without the % */
    TOK_STRING, /* text unescaped in the arena */
    TOK_NUMBER, /* as written */
    TOK_HEX,    /* x"00ff": bytes in the arena */
    TOK_HASH,   /* @ and 64 hex digits */
    TOK_PUNCT,  /* one character: c */
    TOK_BAD,    /* a diagnostic was written */
};
struct token {
    enum token_kind kind;
    char c;
    const char *s; /* terminated copies for STRING and HEX; the source for the others */
    size_t n, at;
};
struct lexer {
    const char *text;
    size_t n, pos;
    const char *name; /* of the file */
    struct arena *arena;
    struct diags *diags;
    enum status st; /* of the first fault */
    struct token t; /* the next token */
};
void lex_start(struct lexer *lx, struct arena *a, const char *text, size_t n, const char *name);
void lex_next(struct lexer *lx);
/* A diagnostic at the next token (or at a given place): "... expected WHAT, found TOKEN". */
enum status lex_expected(struct lexer *lx, const char *what);
enum status lex_error(struct lexer *lx, enum diag_code code, size_t at, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
bool lex_is_punct(const struct lexer *lx, char c);
bool lex_is_word(const struct lexer *lx, const char *word);
bool lex_take_punct(struct lexer *lx, char c); /* step over it if it is next */
bool lex_take_word(struct lexer *lx, const char *word);
enum status lex_punct(struct lexer *lx, char c); /* or an error */
enum status lex_word(struct lexer *lx, const char *word);
enum status lex_string(struct lexer *lx, const char **out);
enum status lex_int(struct lexer *lx, int64_t lo, int64_t hi, int64_t *out);
enum status lex_uint(struct lexer *lx, uint64_t *out);
enum status lex_double(struct lexer *lx, double *out);

/* -- parts (text_parts.c) ------------------------------------------------------------------------ */
enum status parse_type(struct lexer *lx, struct graph *g, struct type *out);
/* enc(...) if it is next, else *out = NULL. */
enum status parse_encoding(struct lexer *lx, struct graph *g, const struct encoding **out);
/* {name=value, ...} if it is next, over the defaults. */
enum status parse_attrs(struct lexer *lx, struct graph *g, const struct op_def *d, void *attrs);
/* {elements} of a constant of type t stored as dt; *data is for graph_add_const(). */
enum status parse_elements(struct lexer *lx, struct graph *g, const struct type *t, enum dtype dt,
                           const void **data, size_t *bytes);

#endif
