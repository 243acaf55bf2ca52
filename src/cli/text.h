/*
 * Text on a terminal: how wide it is, and how it is kept from being more than text. Any thread that
 * has called text_locale() before, or whose process has.
 */
#ifndef HA_CLI_TEXT_H
#define HA_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* The user's locale, or where that is none of UTF-8 one that is: values are UTF-8. Changes the
 * process. */
void text_locale(void);

/* Columns that it takes: two for a wide character, none for one that combines. What
 * text_put_plain() would write is counted. */
size_t text_width(const char *s, size_t len);

/* Appends it with control characters and broken UTF-8 as escapes (\n, \x1b): data must not move the
 * cursor. With `lines`, newlines and tabs stay. */
void text_put_plain(struct buf *b, const char *s, size_t len, bool lines);

#endif
