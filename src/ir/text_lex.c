/* text_lex.c - tokens of the text form. Numbers do not depend on the locale. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "ir/text.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '.';
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* -- faults ----------------------------------------------------------------------------------- */

enum status lex_error(struct lexer *lx, enum diag_code code, size_t at, const char *fmt, ...)
{
    struct where where = WHERE_NONE;
    size_t line = 1, column = 1;
    enum status st;
    va_list ap;

    for (size_t i = 0; i < at && i < lx->n; i++) {
        column = lx->text[i] == '\n' ? 1 : column + 1;
        line += lx->text[i] == '\n';
    }
    where.file = arena_printf(lx->arena, "%s:%zu:%zu", lx->name ? lx->name : "text", line, column);
    va_start(ap, fmt);
    st = diag_verror(lx->diags, code, where, fmt, ap);
    va_end(ap);
    lx->st = lx->st == OK ? st : lx->st;
    return st;
}

static const char *token_text(struct lexer *lx)
{
    const struct token *t = &lx->t;
    const int n = t->n > 40 ? 40 : (int)t->n;

    switch (t->kind) {
    case TOK_END:
        return "the end of the text";
    case TOK_STRING:
        return "a string";
    case TOK_HEX:
        return "bytes";
    case TOK_HASH:
        return "a hash";
    case TOK_ID:
        return arena_printf(lx->arena, "%%%.*s", n, t->s);
    case TOK_PUNCT:
        return arena_printf(lx->arena, "'%c'", t->c);
    default:
        return arena_printf(lx->arena, "\"%.*s\"", n, t->s);
    }
}

enum status lex_expected(struct lexer *lx, const char *what)
{
    if (lx->t.kind == TOK_BAD)
        return lx->st;
    return lex_error(lx, DIAG_text, lx->t.at, "expected %s, found %s", what, token_text(lx));
}

static void bad(struct lexer *lx, size_t at, const char *message)
{
    lex_error(lx, DIAG_text, at, "%s", message);
    lx->t.kind = TOK_BAD;
}

/* -- tokens ----------------------------------------------------------------------------------- */

static char at(const struct lexer *lx, size_t i)
{
    return i < lx->n ? lx->text[i] : '\0';
}

static void skip_blanks(struct lexer *lx)
{
    while (lx->pos < lx->n) {
        const char c = lx->text[lx->pos];

        if (c == '#')
            while (lx->pos < lx->n && lx->text[lx->pos] != '\n')
                lx->pos++;
        else if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            lx->pos++;
        else
            return;
    }
}

/* The character after a backslash; false: no such escape. */
static bool unescape(struct lexer *lx, char *out)
{
    const char c = at(lx, lx->pos++);
    int hi, lo;

    if (c == '"' || c == '\\') {
        *out = c;
        return true;
    }
    if (c == 'n') {
        *out = '\n';
        return true;
    }
    hi = hex_digit(at(lx, lx->pos));
    lo = hex_digit(at(lx, lx->pos + 1));
    if (c != 'x' || hi < 0 || lo < 0 || hi + lo == 0)
        return false;
    *out = (char)(hi * 16 + lo);
    lx->pos += 2;
    return true;
}

static void lex_quoted(struct lexer *lx)
{
    const size_t start = lx->pos++;
    size_t end = lx->pos, n = 0;
    char *s;

    while (end < lx->n && lx->text[end] != '"' && lx->text[end] != '\n')
        end += lx->text[end] == '\\' ? 2 : 1;
    if (at(lx, end) != '"') {
        bad(lx, start, "the string does not end on its line");
        return;
    }
    s = arena_alloc(lx->arena, end - start);
    while (lx->pos < end) {
        char c = lx->text[lx->pos++];

        if (c == '\0' || (c == '\\' && !unescape(lx, &c))) {
            bad(lx, lx->pos - 1, "expected one of \\\" \\\\ \\n \\xHH with HH above 00");
            return;
        }
        s[n++] = c;
    }
    s[n] = '\0';
    lx->pos = end + 1;
    lx->t.kind = TOK_STRING;
    lx->t.s = s;
    lx->t.n = n;
}

static void lex_hex(struct lexer *lx)
{
    const size_t start = lx->pos;
    size_t end = start + 2, n = 0;
    char *s;

    while (hex_digit(at(lx, end)) >= 0)
        end++;
    if (at(lx, end) != '"' || (end - start) % 2) {
        bad(lx, end, "expected pairs of hex digits and '\"'");
        return;
    }
    s = arena_alloc(lx->arena, (end - start) / 2);
    for (size_t i = start + 2; i < end; i += 2)
        s[n++] = (char)(hex_digit(lx->text[i]) * 16 + hex_digit(lx->text[i + 1]));
    lx->pos = end + 1;
    lx->t.kind = TOK_HEX;
    lx->t.s = s;
    lx->t.n = n;
}

/* From start + skip to the end of what word characters make. */
static void take_word(struct lexer *lx, enum token_kind kind, size_t skip)
{
    lx->pos += skip;
    lx->t.kind = kind;
    lx->t.s = lx->text + lx->pos;
    while (lx->pos < lx->n && is_word_char(lx->text[lx->pos]))
        lx->pos++;
    lx->t.n = (size_t)(lx->text + lx->pos - lx->t.s);
}

static void lex_number(struct lexer *lx)
{
    const bool is_hex = at(lx, lx->pos) == '0' && (at(lx, lx->pos + 1) | 32) == 'x';
    const char mark = is_hex ? 'p' : 'e';

    lx->t.kind = TOK_NUMBER;
    lx->t.s = lx->text + lx->pos;
    while (lx->pos < lx->n) {
        const char c = lx->text[lx->pos];

        if (!is_word_char(c) && !((c == '+' || c == '-') && (lx->text[lx->pos - 1] | 32) == mark))
            break;
        lx->pos++;
    }
    lx->t.n = (size_t)(lx->text + lx->pos - lx->t.s);
}

void lex_next(struct lexer *lx)
{
    char c;

    if (lx->t.kind == TOK_BAD)
        return;
    skip_blanks(lx);
    c = at(lx, lx->pos);
    lx->t = (struct token){ .at = lx->pos, .s = lx->text + lx->pos };
    if (lx->pos == lx->n) {
        lx->t.kind = TOK_END;
    } else if (c == 'x' && at(lx, lx->pos + 1) == '"') {
        lex_hex(lx);
    } else if (is_letter(c)) {
        take_word(lx, TOK_WORD, 0);
    } else if (is_digit(c)) {
        lex_number(lx);
    } else if (c == '"') {
        lex_quoted(lx);
    } else if (c == '%' && (is_letter(at(lx, lx->pos + 1)) || is_digit(at(lx, lx->pos + 1)))) {
        take_word(lx, TOK_ID, 1);
    } else if (c == '@') {
        take_word(lx, TOK_HASH, 1);
        if (lx->t.n != 64)
            bad(lx, lx->t.at, "expected 64 hex digits after '@'");
    } else if (c > ' ' && c < 0x7f) {
        lx->t.kind = TOK_PUNCT;
        lx->t.c = c;
        lx->pos++;
    } else {
        bad(lx, lx->pos, "a byte that belongs to no token");
    }
}

void lex_start(struct lexer *lx, struct arena *a, const char *text, size_t n, const char *name)
{
    struct diags *ds = lx->diags;

    *lx = (struct lexer){ .text = text, .n = n, .name = name, .arena = a, .diags = ds };
    lex_next(lx);
}

/* -- expecting -------------------------------------------------------------------------------- */

bool lex_is_punct(const struct lexer *lx, char c)
{
    return lx->t.kind == TOK_PUNCT && lx->t.c == c;
}

bool lex_is_word(const struct lexer *lx, const char *word)
{
    return lx->t.kind == TOK_WORD && lx->t.n == strlen(word) && memcmp(lx->t.s, word, lx->t.n) == 0;
}

bool lex_take_punct(struct lexer *lx, char c)
{
    if (!lex_is_punct(lx, c))
        return false;
    lex_next(lx);
    return true;
}

bool lex_take_word(struct lexer *lx, const char *word)
{
    if (!lex_is_word(lx, word))
        return false;
    lex_next(lx);
    return true;
}

enum status lex_punct(struct lexer *lx, char c)
{
    const char what[] = { '\'', c, '\'', '\0' };

    return lex_take_punct(lx, c) ? OK : lex_expected(lx, what);
}

enum status lex_word(struct lexer *lx, const char *word)
{
    return lex_take_word(lx, word) ? OK : lex_expected(lx, word);
}

enum status lex_string(struct lexer *lx, const char **out)
{
    if (lx->t.kind != TOK_STRING)
        return lex_expected(lx, "a string");
    *out = lx->t.s;
    lex_next(lx);
    return OK;
}

/* The digits of the next token, decimal or 0x; false: no whole number. */
static bool magnitude(const struct token *t, uint64_t *out)
{
    const bool is_hex = t->n > 2 && t->s[0] == '0' && (t->s[1] | 32) == 'x';
    const uint64_t base = is_hex ? 16 : 10;

    *out = 0;
    for (size_t i = is_hex ? 2 : 0; i < t->n; i++) {
        const int digit = hex_digit(t->s[i]);

        if (digit < 0 || (uint64_t)digit >= base || __builtin_mul_overflow(*out, base, out) ||
            __builtin_add_overflow(*out, (uint64_t)digit, out))
            return false;
    }
    return true;
}

enum status lex_uint(struct lexer *lx, uint64_t *out)
{
    if (lx->t.kind != TOK_NUMBER || !magnitude(&lx->t, out))
        return lex_expected(lx, "a whole number of at most 64 bits");
    lex_next(lx);
    return OK;
}

enum status lex_int(struct lexer *lx, int64_t lo, int64_t hi, int64_t *out)
{
    const size_t from = lx->t.at;
    const bool negative = lex_take_punct(lx, '-');
    const uint64_t limit = (uint64_t)INT64_MAX + negative;
    uint64_t u;

    TRY(lex_uint(lx, &u));
    if (u > limit)
        return lex_error(lx, DIAG_text, from, "the number does not fit 64 bits");
    *out = negative ? (int64_t)(0 - u) : (int64_t)u;
    if (*out < lo || *out > hi)
        return lex_error(lx, DIAG_text, from, "%" PRId64 " is outside [%" PRId64 ", %" PRId64 "]",
                         *out, lo, hi);
    return OK;
}

/* 0x1.8p-3; more than 64 bits of digits are refused, so the result is exact or rounded once. */
static bool hex_float(const struct token *t, double *out)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0, written = 0;
    bool fraction = false, negative = false;
    size_t i = 2, digits = 0;

    for (; i < t->n && (t->s[i] | 32) != 'p'; i++) {
        if (t->s[i] == '.' && !fraction) {
            fraction = true;
            continue;
        }
        if (hex_digit(t->s[i]) < 0 || mantissa >> 60)
            return false;
        mantissa = mantissa * 16 + (uint64_t)hex_digit(t->s[i]);
        digits++;
        exponent -= fraction ? 4 : 0;
    }
    if (!digits)
        return false;
    if (i < t->n) {
        i++;
        negative = i < t->n && t->s[i] == '-';
        i += i < t->n && (t->s[i] == '-' || t->s[i] == '+');
        if (i == t->n)
            return false;
        for (; i < t->n; i++) {
            if (!is_digit(t->s[i]) || written > 100000)
                return false;
            written = written * 10 + (t->s[i] - '0');
        }
    }
    *out = ldexp((double)mantissa, (int)(exponent + (negative ? -written : written)));
    return true;
}

static bool number(const struct token *t, double *out)
{
    char copy[64];

    if (t->n > 2 && t->s[0] == '0' && (t->s[1] | 32) == 'x')
        return hex_float(t, out);
    if (t->n >= sizeof(copy))
        return false;
    memcpy(copy, t->s, t->n);
    copy[t->n] = '\0';
    return str_to_f64(copy, out);
}

enum status lex_double(struct lexer *lx, double *out)
{
    const bool negative = lex_take_punct(lx, '-');

    if (lex_is_word(lx, "inf"))
        *out = INFINITY;
    else if (lex_is_word(lx, "nan"))
        *out = NAN;
    else if (lx->t.kind != TOK_NUMBER || !number(&lx->t, out))
        return lex_expected(lx, "a number");
    *out = negative ? -*out : *out;
    lex_next(lx);
    return OK;
}
