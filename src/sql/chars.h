/* Kinds of characters of SQL texts, the same in PostgreSQL's and MySQL's. Any thread. */
#ifndef HA_SQL_CHARS_H
#define HA_SQL_CHARS_H

#include <stdbool.h>

static inline bool char_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Of a keyword or a name without quotes; what is not ASCII counts. */
static inline bool char_begins_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static inline bool char_continues_word(char c)
{
    return char_begins_word(c) || char_is_digit(c) || c == '$';
}

#endif
