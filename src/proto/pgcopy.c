/*
 * COPY data, the half without state: options and writing. pgcopy_reader.c reads.
 *
 * The rules are those of PostgreSQL 15's copyto.c and ProcessCopyOptions(): what it writes for the
 * same fields, byte for byte.
 */
#include "proto/pgcopy.h"

#include <string.h>

#include "proto/pgcopy_impl.h"

const char copy_signature[COPY_SIGNATURE_SIZE] = "PGCOPY\n\377\r\n";

void copy_options_init(struct copy_options *o, enum copy_format format)
{
    *o = (struct copy_options){.format = format,
                               .delimiter = format == COPY_CSV ? ',' : '\t',
                               .quote = '"',
                               .escape = '"'};
    if (format == COPY_TEXT) {
        memcpy(o->null, "\\N", 2);
        o->null_len = 2;
    }
}

static bool is_line_end(char c)
{
    return c == '\n' || c == '\r';
}

static enum err_code check_csv(const struct copy_options *o, bool reading, struct err *e)
{
    if (o->quote == o->delimiter)
        return err_set(e, ERR_PARAM, "COPY delimiter and quote must be different");
    if (is_line_end(o->quote) || is_line_end(o->escape))
        return err_set(e, ERR_PARAM, "COPY quote and escape cannot be newline or carriage return");
    if (memchr(o->null, o->quote, o->null_len))
        return err_set(e, ERR_PARAM,
                       "CSV quote character must not appear in the NULL specification");
    if (reading && (o->force_quote || o->force_quote_all))
        return err_set(e, ERR_UNSUPPORTED, "COPY force quote only available using COPY TO");
    if (!reading && o->force_not_null)
        return err_set(e, ERR_UNSUPPORTED, "COPY force not null only available using COPY FROM");
    if (!reading && o->force_null)
        return err_set(e, ERR_UNSUPPORTED, "COPY force null only available using COPY FROM");
    return ERR_OK;
}

enum err_code copy_options_check(const struct copy_options *o, bool reading, struct err *e)
{
    bool csv = o->format == COPY_CSV;

    if (o->format == COPY_BINARY) {
        if (o->header != COPY_HEADER_NONE)
            return err_set(e, ERR_UNSUPPORTED, "cannot specify HEADER in BINARY mode");
        return ERR_OK;
    }
    if (is_line_end(o->delimiter))
        return err_set(e, ERR_PARAM, "COPY delimiter cannot be newline or carriage return");
    if (memchr(o->null, '\n', o->null_len) || memchr(o->null, '\r', o->null_len))
        return err_set(e, ERR_PARAM,
                       "COPY null representation cannot use newline or carriage return");
    if (!csv &&
        (o->delimiter == '\0' || strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", o->delimiter)))
        return err_set(e, ERR_PARAM, "COPY delimiter cannot be \"%c\"", o->delimiter);
    if (memchr(o->null, o->delimiter, o->null_len))
        return err_set(e, ERR_PARAM, "COPY delimiter must not appear in the NULL specification");
    if (!reading && o->header == COPY_HEADER_MATCH)
        return err_set(e, ERR_PARAM, "cannot use \"match\" with HEADER in COPY TO");
    if (csv)
        return check_csv(o, reading, e);
    if (o->force_quote || o->force_quote_all || o->force_not_null || o->force_null)
        return err_set(e, ERR_UNSUPPORTED, "COPY force options available only in CSV mode");
    return ERR_OK;
}

/* The letter that stands for a control character behind a backslash; 0 = it has none. */
static char control_letter(char c)
{
    switch (c) {
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\v':
        return 'v';
    default:
        return 0;
    }
}

static void write_text(struct buf *out, const struct copy_options *o, const char *s, size_t len)
{
    size_t done = 0;

    for (size_t i = 0; i < len; i++) {
        char letter = control_letter(s[i]);

        if (!letter && s[i] != '\\' && s[i] != o->delimiter)
            continue;
        buf_put(out, s + done, i - done);
        buf_putc(out, '\\');
        buf_putc(out, letter ? letter : s[i]);
        done = i + 1;
    }
    buf_put(out, s + done, len - done);
}

/* Would the bare field be read as something else? */
static bool needs_quotes(const struct copy_options *o, const char *s, size_t len, bool alone)
{
    if (len == o->null_len && memcmp(s, o->null, len) == 0)
        return true;
    if (alone && len == 2 && memcmp(s, "\\.", 2) == 0)
        return true;
    for (size_t i = 0; i < len; i++)
        if (s[i] == o->delimiter || s[i] == o->quote || is_line_end(s[i]))
            return true;
    return false;
}

static void write_csv(struct buf *out, const struct copy_options *o, const char *s, size_t len,
                      bool quotes)
{
    size_t done = 0;

    if (!quotes) {
        buf_put(out, s, len);
        return;
    }
    buf_putc(out, o->quote);
    for (size_t i = 0; i < len; i++) {
        if (s[i] != o->quote && s[i] != o->escape)
            continue;
        buf_put(out, s + done, i - done);
        buf_putc(out, o->escape);
        done = i;
    }
    buf_put(out, s + done, len - done);
    buf_putc(out, o->quote);
}

static void write_field(struct buf *out, const struct copy_options *o, const char *s, size_t len,
                        bool forced, bool alone)
{
    if (len == 0)
        s = "";
    if (o->format == COPY_CSV)
        write_csv(out, o, s, len, forced || needs_quotes(o, s, len, alone));
    else
        write_text(out, o, s, len);
}

void copy_write_begin(struct buf *out, const struct copy_options *o, const char *const *names,
                      unsigned n)
{
    if (o->format == COPY_BINARY) {
        buf_put(out, copy_signature, COPY_SIGNATURE_SIZE);
        buf_be32(out, 0); /* flags */
        buf_be32(out, 0); /* bytes of header extension */
        return;
    }
    if (o->header == COPY_HEADER_NONE)
        return;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(out, o->delimiter);
        write_field(out, o, names[i], strlen(names[i]), false, n == 1);
    }
    buf_putc(out, '\n');
}

static void write_binary_row(struct buf *out, const struct value *fields, unsigned n)
{
    buf_be16(out, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        if (fields[i].type == VALUE_NULL) {
            buf_be32(out, UINT32_MAX);
            continue;
        }
        buf_be32(out, (uint32_t)fields[i].u.s.len);
        buf_put(out, fields[i].u.s.data, fields[i].u.s.len);
    }
}

void copy_write_row(struct buf *out, const struct copy_options *o, const struct value *fields,
                    unsigned n)
{
    if (o->format == COPY_BINARY) {
        write_binary_row(out, fields, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        bool forced = o->force_quote_all || (o->force_quote && o->force_quote[i]);

        if (i > 0)
            buf_putc(out, o->delimiter);
        if (fields[i].type == VALUE_NULL)
            buf_put(out, o->null, o->null_len);
        else
            write_field(out, o, fields[i].u.s.data, fields[i].u.s.len, forced, n == 1);
    }
    buf_putc(out, '\n');
}

void copy_write_end(struct buf *out, const struct copy_options *o)
{
    if (o->format == COPY_BINARY)
        buf_be16(out, UINT16_MAX);
}
