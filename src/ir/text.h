/* text.h - what printing and parsing the text form share. Grammar: docs/IR.md. */
#ifndef IR_TEXT_H
#define IR_TEXT_H

#include "base/str.h"
#include "ir/op.h"

/* Can the name stand without quotes? A letter or '_', then letters, digits, '_' and '.'. */
bool text_is_word(const char *name);
/* "name" with escapes. */
void text_quote(struct str *s, const char *name);
void text_quoten(struct str *s, const char *name, size_t n);

#endif
