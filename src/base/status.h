/* status.h - what a function that can fail returns.
 *
 * The status is for the program; the sentence for the human is a diagnostic (base/diag.h), written
 * once by whoever detects the fault. Who merely forwards a status adds nothing: TRY().
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

enum status {
    OK = 0,
    ERR_IO,          /* the operating system refused: missing file, no permission, full disk */
    ERR_INVALID,     /* the model or the data contradicts its format or itself */
    ERR_LIMIT,       /* a count or size beyond what we accept from a file */
    ERR_VERIFY,      /* a comparison or a check did not hold */
    ERR_USAGE,       /* a wrong option or argument */
    ERR_UNSUPPORTED, /* valid, but not ours (yet) */
    ERR_NOMEM,       /* only seen at the API border, see base/mem.h */
    ERR_INTERNAL,    /* our bug */
};

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        const enum status try_st_ = (expr);                                                        \
        if (try_st_ != OK)                                                                         \
            return try_st_;                                                                        \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define PRINTF_LIKE(fmt, first)
#endif

#endif
