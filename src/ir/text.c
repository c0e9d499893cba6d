/* text.c - words and quoted names of the text form. */
#include "ir/text.h"

#include <string.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool text_is_word(const char *name)
{
    if (!is_letter(name[0]))
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
