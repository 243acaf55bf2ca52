/*
 * COPY data read piece by piece, by the rules of PostgreSQL 15's copyfromparse.c.
 *
 *   copy_reader_new → copy_reader_feed / copy_reader_row … → copy_reader_finish / … → _free
 *
 * Text and csv take two steps, as there: find where a line ends, then take it apart into `decoded`
 * (which is never longer than the line). What was fed and not yet read waits in `in`:
 *
 *     in.data   | read: rows handed out | the line so far | not looked at yet |
 *               0                       at                scan               in.len
 *
 * Scanning stops in front of a byte whose meaning depends on the next one (a backslash, a carriage
 * return) until that has arrived or the data has ended; so pieces may be cut anywhere.
 */
#include "base/hex.h"
#include "proto/pgcopy.h"

#include <stdlib.h>
#include <string.h>

#include "proto/pgcopy_impl.h"

#define HAS_OIDS      (UINT32_C(1) << 16)
#define CRITICAL_BITS UINT32_C(0xffff0000)
#define LOOK_AHEAD    4u /* bytes at the end of a line that are not part of it, at most */

enum eol { EOL_UNKNOWN, EOL_NL, EOL_CR, EOL_CRNL };

struct copy_reader {
    /* Immutable. */
    struct copy_options o;
    const char *const *names;
    unsigned n;
    size_t max_row_bytes;
    bool special[256]; /* bytes that a line's scan has to look at */

    struct err err; /* sticky */
    struct buf in;
    size_t at, scan;
    bool finished; /* no more will be fed */
    bool ended;    /* nothing behind the row that was handed out last */
    bool header;   /* still to be read */
    uint64_t line;

    /* The line being scanned. */
    enum eol eol;
    bool in_quote;

    struct buf decoded;
    struct value *fields;
};

struct copy_reader *copy_reader_new(const struct copy_options *o, const char *const *names,
                                    unsigned n_columns, size_t max_row_bytes)
{
    struct copy_reader *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->fields = calloc(n_columns + 1U, sizeof *r->fields);
    if (!r->fields) {
        free(r);
        return NULL;
    }
    r->o = *o;
    r->names = names;
    r->n = n_columns;
    r->max_row_bytes = max_row_bytes;
    r->header = o->format == COPY_BINARY || o->header != COPY_HEADER_NONE;
    r->special['\n'] = r->special['\r'] = r->special['\\'] = true;
    if (o->format == COPY_CSV)
        r->special[(unsigned char)o->quote] = r->special[(unsigned char)o->escape] = true;
    err_clear(&r->err);
    buf_init(&r->in, 0);
    buf_init(&r->decoded, 0);
    return r;
}

void copy_reader_free(struct copy_reader *r)
{
    if (!r)
        return;
    buf_free(&r->in);
    buf_free(&r->decoded);
    free(r->fields);
    free(r);
}

void copy_reader_feed(struct copy_reader *r, const void *bytes, size_t n)
{
    /* Behind a binary trailer nothing may follow; behind the mark of a text nothing counts. */
    if ((r->ended && r->o.format != COPY_BINARY) || r->finished || r->err.code != ERR_OK)
        return;
    if (r->at > 0) {
        memmove(r->in.data, r->in.data + r->at, r->in.len - r->at);
        buf_cut(&r->in, r->in.len - r->at);
        r->scan -= r->at;
        r->at = 0;
    }
    buf_put(&r->in, bytes, n);
}

void copy_reader_finish(struct copy_reader *r)
{
    r->finished = true;
}

uint64_t copy_reader_line(const struct copy_reader *r)
{
    return r->line;
}

/* ---- where a line ends ---- */

/* The byte at `i`: false where it has not arrived yet. Behind the end of all data it reads as 0. */
static bool peek(const struct copy_reader *r, size_t i, char *c)
{
    *c = i < r->in.len ? r->in.data[i] : 0;
    return i < r->in.len || r->finished;
}

static enum copy_step fail(struct copy_reader *r, const char *text)
{
    (void)err_set(&r->err, ERR_COPY, "%s", text);
    return COPY_FAILED;
}

static enum copy_step too_big(struct copy_reader *r)
{
    (void)err_set(&r->err, ERR_TOO_BIG, "COPY row exceeds %zu bytes", r->max_row_bytes);
    return COPY_FAILED;
}

/*
 * A backslash at `i`, which may begin the end mark: COPY_END if it does, COPY_ROW if it is data.
 */
static enum copy_step end_mark(struct copy_reader *r, size_t i)
{
    bool csv = r->o.format == COPY_CSV;
    size_t next = i + 1;
    char c;

    if (!peek(r, next++, &c))
        return COPY_MORE;
    if (c != '.')
        return COPY_ROW;
    if (r->eol == EOL_CRNL) {
        if (!peek(r, next++, &c))
            return COPY_MORE;
        if (c == '\n' && !csv)
            return fail(r, "end-of-copy marker does not match previous newline style");
        if (c != '\r')
            return csv ? COPY_ROW : fail(r, "end-of-copy marker corrupt");
    }
    if (!peek(r, next, &c))
        return COPY_MORE;
    if (c != '\r' && c != '\n')
        return csv ? COPY_ROW : fail(r, "end-of-copy marker corrupt");
    if ((c != '\n' && (r->eol == EOL_NL || r->eol == EOL_CRNL)) || (c != '\r' && r->eol == EOL_CR))
        return fail(r, "end-of-copy marker does not match previous newline style");
    return COPY_END;
}

/* An unquoted line end at `i`: moves `scan` behind it. COPY_ROW if it is one. */
static enum copy_step line_end(struct copy_reader *r, size_t i)
{
    bool csv = r->o.format == COPY_CSV;
    char c = r->in.data[i], next;

    if (c == '\n') {
        if (r->eol == EOL_CR || r->eol == EOL_CRNL)
            return fail(r,
                        csv ? "unquoted newline found in data" : "literal newline found in data");
        r->eol = EOL_NL;
        r->scan = i + 1;
        return COPY_ROW;
    }
    if (r->eol == EOL_UNKNOWN || r->eol == EOL_CRNL) {
        if (!peek(r, i + 1, &next))
            return COPY_MORE;
        if (next == '\n') {
            r->eol = EOL_CRNL;
            r->scan = i + 2;
            return COPY_ROW;
        }
    }
    if (r->eol == EOL_CRNL || r->eol == EOL_NL)
        return fail(r, csv ? "unquoted carriage return found in data"
                           : "literal carriage return found in data");
    r->eol = EOL_CR;
    r->scan = i + 1;
    return COPY_ROW;
}

/* Quotes and escapes at `i` of a csv line. COPY_ROW: done with this byte, `skip` more besides. */
static enum copy_step csv_quote(struct copy_reader *r, size_t i, size_t *skip)
{
    char c = r->in.data[i], next;

    *skip = 0;
    if (r->in_quote && c == r->o.escape && c != r->o.quote) {
        if (!peek(r, i + 1, &next))
            return COPY_MORE;
        if (i + 1 < r->in.len && (next == r->o.escape || next == r->o.quote))
            *skip = 1;
        return COPY_ROW;
    }
    if (c == r->o.quote)
        r->in_quote = !r->in_quote;
    if (r->in_quote && c == (r->eol == EOL_NL ? '\n' : '\r'))
        r->line++;
    return COPY_ROW;
}

/*
 * Finds the end of the line that begins at `at`. COPY_ROW: it is [at, *end), and `scan` stands
 * behind its end. COPY_END: there is none.
 */
static enum copy_step scan_line(struct copy_reader *r, size_t *end)
{
    bool csv = r->o.format == COPY_CSV;
    size_t i = r->scan;

    for (; i < r->in.len; i++) {
        enum copy_step step = COPY_ROW;
        char c = r->in.data[i];
        size_t skip = 0;

        if (!r->special[(unsigned char)c])
            continue;
        r->scan = i;
        /* The look ahead comes first, so that a byte that has to wait is counted once. */
        if (c == '\\' && (!csv || i == r->at)) {
            step = end_mark(r, i);
            if (step == COPY_END) {
                *end = i;
                r->ended = true;
                return i > r->at ? COPY_ROW : COPY_END;
            }
            skip = csv ? 0 : 1;
        }
        if (step == COPY_ROW && csv)
            step = csv_quote(r, i, &skip);
        if (step != COPY_ROW)
            return step;
        if ((c == '\n' || c == '\r') && !r->in_quote) {
            *end = i;
            return line_end(r, i);
        }
        i += skip;
    }
    /* A backslash in front of the end of all data has no byte behind it to skip. */
    i = i < r->in.len ? i : r->in.len;
    r->scan = i;
    if (!r->finished)
        return COPY_MORE;
    r->ended = true;
    *end = i;
    return i > r->at ? COPY_ROW : COPY_END;
}

/* ---- a line's fields ---- */

static int octal(char c)
{
    return c >= '0' && c <= '7' ? c - '0' : -1;
}

/* Reads up to `most` digits. */
static const char *digits(const char *s, const char *end, int most, int base, int (*digit)(char),
                          int *value)
{
    for (; most > 0 && s < end && digit(*s) >= 0; most--)
        *value = *value * base + digit(*s++);
    return s;
}

/* What a backslash and the bytes at `s` (at least one) stand for; answers what follows them. */
static const char *unescape(const char *s, const char *end, char *out)
{
    int value = 0;
    char c = *s++;

    switch (c) {
    case 'b':
        *out = '\b';
        break;
    case 'f':
        *out = '\f';
        break;
    case 'n':
        *out = '\n';
        break;
    case 'r':
        *out = '\r';
        break;
    case 't':
        *out = '\t';
        break;
    case 'v':
        *out = '\v';
        break;
    case 'x':
        if (s < end && hex_value(*s) >= 0) {
            s = digits(s, end, 2, 16, hex_value, &value);
            *out = (char)value;
        } else {
            *out = 'x';
        }
        break;
    default:
        if (octal(c) >= 0) {
            s = digits(s - 1, end, 3, 8, octal, &value);
            *out = (char)(value & 0xff);
        } else {
            *out = c;
        }
    }
    return s;
}

static bool is_null(const struct copy_reader *r, const char *start, const char *end)
{
    return (size_t)(end - start) == r->o.null_len && memcmp(start, r->o.null, r->o.null_len) == 0;
}

/* One field of [*s, end): decoded to `out`, which is answered behind it; *s moves behind the field
 * and its delimiter. `more`: there was a delimiter. `null`: the bytes as written are the marker. */
static char *text_field(const struct copy_reader *r, const char **s, const char *end, char *out,
                        bool *more, bool *null)
{
    const char *start = *s, *p = start, *stop = end;

    while (p < end && *p != r->o.delimiter) {
        if (*p != '\\') {
            *out++ = *p++;
        } else if (p + 1 < end) {
            p = unescape(p + 1, end, out++);
        } else {
            /* A backslash in front of the end of all data is dropped. */
            stop = p;
            p = end;
        }
    }
    *more = p < end;
    if (*more)
        stop = p;
    *null = is_null(r, start, stop);
    *s = p + *more;
    return out;
}

/* The same of csv; NULL where a quote is not closed. */
static char *csv_field(const struct copy_reader *r, const char **s, const char *end, char *out,
                       bool *more, bool *null)
{
    const char *start = *s, *p = start;
    bool quoted = false, inside = false;

    for (; p < end && (inside || *p != r->o.delimiter); p++) {
        if (inside && *p == r->o.escape && p + 1 < end &&
            (p[1] == r->o.escape || p[1] == r->o.quote)) {
            *out++ = *++p;
        } else if (*p == r->o.quote) {
            quoted = true;
            inside = !inside;
        } else {
            *out++ = *p;
        }
    }
    if (inside)
        return NULL;
    *null = !quoted && is_null(r, start, p);
    *more = p < end;
    *s = p + *more;
    return out;
}

static struct value null_as_forced(const struct copy_reader *r, unsigned i, struct value v)
{
    const struct copy_options *o = &r->o;

    if (v.type == VALUE_NULL && o->force_not_null && o->force_not_null[i])
        return value_text(o->null, o->null_len);
    if (v.type == VALUE_TEXT && o->force_null && o->force_null[i] && v.u.s.len == o->null_len &&
        memcmp(v.u.s.data, o->null, o->null_len) == 0)
        return value_null();
    return v;
}

/* Takes [s, s + len) apart into `fields`; counts fields beyond the last column, too. */
static bool split_line(struct copy_reader *r, const char *s, size_t len, unsigned *count)
{
    const char *end = s + len;
    char *out;
    bool more = true;

    *count = 0;
    if (r->n == 0 && len == 0)
        return true;
    buf_reset(&r->decoded);
    out = buf_reserve(&r->decoded, len + 1);
    if (!out) {
        (void)err_set(&r->err, ERR_NO_MEMORY, "out of memory");
        return false;
    }
    for (; more; (*count)++) {
        char *start = out;
        bool null = false;

        out = r->o.format == COPY_CSV ? csv_field(r, &s, end, out, &more, &null)
                                      : text_field(r, &s, end, out, &more, &null);
        if (!out) {
            (void)fail(r, "unterminated CSV quoted field");
            return false;
        }
        if (*count < r->n)
            r->fields[*count] = null ? value_null() : value_text(start, (size_t)(out - start));
    }
    return true;
}

static enum copy_step check_header(struct copy_reader *r, const char *s, size_t len)
{
    unsigned count;

    if (!split_line(r, s, len, &count))
        return COPY_FAILED;
    if (count != r->n) {
        (void)err_set(&r->err, ERR_COPY,
                      "wrong number of fields in header line: got %u, expected %u", count, r->n);
        return COPY_FAILED;
    }
    for (unsigned i = 0; i < count; i++) {
        const struct value *f = &r->fields[i];

        if (f->type == VALUE_NULL)
            (void)err_set(&r->err, ERR_COPY,
                          "column name mismatch in header line field %u: got null value (\"%s\"), "
                          "expected \"%s\"",
                          i + 1, r->o.null, r->names[i]);
        else if (f->u.s.len != strlen(r->names[i]) ||
                 memcmp(f->u.s.data, r->names[i], f->u.s.len) != 0)
            (void)err_set(&r->err, ERR_COPY,
                          "column name mismatch in header line field %u: got \"%.*s\", expected "
                          "\"%s\"",
                          i + 1, (int)(f->u.s.len < 100 ? f->u.s.len : 100), f->u.s.data,
                          r->names[i]);
        else
            continue;
        return COPY_FAILED;
    }
    return COPY_MORE;
}

static enum copy_step parse_line(struct copy_reader *r, const char *s, size_t len)
{
    unsigned count;

    if (r->header) {
        r->header = false;
        return r->o.header == COPY_HEADER_MATCH ? check_header(r, s, len) : COPY_MORE;
    }
    if (!split_line(r, s, len, &count))
        return COPY_FAILED;
    if (count > r->n)
        return fail(r, "extra data after last expected column");
    if (count < r->n) {
        (void)err_set(&r->err, ERR_COPY, "missing data for column \"%s\"", r->names[count]);
        return COPY_FAILED;
    }
    for (unsigned i = 0; i < r->n; i++)
        r->fields[i] = null_as_forced(r, i, r->fields[i]);
    return COPY_ROW;
}

static enum copy_step line_row(struct copy_reader *r)
{
    for (;;) {
        size_t end = 0, start = r->at;
        enum copy_step step;

        if (r->ended)
            return COPY_END;
        step = scan_line(r, &end);
        /* Whatever else is wrong behind that: in pieces nobody would have come to see it. */
        if ((step == COPY_MORE && r->in.len - r->at > r->max_row_bytes + LOOK_AHEAD) ||
            (step == COPY_ROW && end - start > r->max_row_bytes) ||
            (step == COPY_FAILED && r->scan - r->at > r->max_row_bytes))
            step = too_big(r);
        /* The column names are asked of no line at all, too. */
        if (step == COPY_END && r->header && r->o.header == COPY_HEADER_MATCH)
            step = COPY_ROW;
        if (step != COPY_ROW) {
            r->line += step == COPY_FAILED;
            return step;
        }
        r->line++;
        r->at = r->scan;
        r->in_quote = false;
        step = parse_line(r, r->in.data ? r->in.data + start : "", end - start);
        if (step != COPY_MORE)
            return step;
    }
}

/* ---- binary ---- */

static uint32_t be32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static enum copy_step binary_header(struct copy_reader *r)
{
    const char *p = r->in.data;
    size_t fixed = COPY_SIGNATURE_SIZE + 8;
    uint32_t flags, extension;

    if (r->in.len < fixed) {
        size_t have = r->in.len < COPY_SIGNATURE_SIZE ? r->in.len : COPY_SIGNATURE_SIZE;

        if (r->finished || (have > 0 && memcmp(p, copy_signature, have) != 0))
            return fail(r, "COPY file signature not recognized");
        return COPY_MORE;
    }
    if (memcmp(p, copy_signature, COPY_SIGNATURE_SIZE) != 0)
        return fail(r, "COPY file signature not recognized");
    flags = be32(p + COPY_SIGNATURE_SIZE);
    extension = be32(p + COPY_SIGNATURE_SIZE + 4);
    if (flags & HAS_OIDS)
        return fail(r, "invalid COPY file header (WITH OIDS)");
    if (flags & CRITICAL_BITS)
        return fail(r, "unrecognized critical flags in COPY file header");
    if (extension > r->max_row_bytes)
        return fail(r, "invalid COPY file header (missing length)");
    if (r->in.len - fixed < extension)
        return r->finished ? fail(r, "invalid COPY file header (wrong length)") : COPY_MORE;
    r->at = fixed + extension;
    r->header = false;
    return COPY_ROW;
}

/* A row that is not all there: more bytes, or the end of all data in its middle. */
static enum copy_step binary_short(struct copy_reader *r)
{
    return r->finished ? fail(r, "unexpected EOF in COPY data") : COPY_MORE;
}

static enum copy_step binary_fields(struct copy_reader *r, size_t *at)
{
    for (unsigned i = 0; i < r->n; i++) {
        uint32_t len;

        if (r->in.len - *at < 4)
            return binary_short(r);
        len = be32(r->in.data + *at);
        *at += 4;
        if (len == UINT32_MAX) {
            r->fields[i] = value_null();
            continue;
        }
        if (len > INT32_MAX)
            return fail(r, "invalid field size");
        if (len > r->max_row_bytes || *at - r->at + len > r->max_row_bytes)
            return too_big(r);
        if (r->in.len - *at < len)
            return binary_short(r);
        r->fields[i] = value_blob(r->in.data + *at, len);
        *at += len;
    }
    return COPY_ROW;
}

static enum copy_step binary_row(struct copy_reader *r)
{
    enum copy_step step = r->header ? binary_header(r) : COPY_ROW;
    size_t at = r->at;
    unsigned count;

    if (step != COPY_ROW)
        return step;
    if (r->ended && r->in.len > r->at)
        return fail(r, "received copy data after EOF marker");
    if (r->ended)
        return r->finished ? COPY_END : COPY_MORE;
    if (r->in.len - at < 2) {
        /* Like PostgreSQL: the trailer may be missing, and half of a count is none. */
        if (r->finished)
            r->ended = true;
        return r->finished ? COPY_END : COPY_MORE;
    }
    count = be32((char[4]){0, 0, r->in.data[at], r->in.data[at + 1]});
    at += 2;
    if (count == UINT16_MAX) {
        r->ended = true;
        r->at = at;
        return binary_row(r);
    }
    if (count != r->n) {
        (void)err_set(&r->err, ERR_COPY, "row field count is %d, expected %u", (int)(int16_t)count,
                      r->n);
        step = COPY_FAILED;
    } else {
        step = binary_fields(r, &at);
    }
    if (step != COPY_MORE)
        r->line++;
    if (step == COPY_ROW)
        r->at = at;
    return step;
}

enum copy_step copy_reader_row(struct copy_reader *r, const struct value **fields, struct err *e)
{
    enum copy_step step = COPY_FAILED;

    *fields = r->fields;
    if (r->err.code == ERR_OK && !buf_ok(&r->in))
        (void)err_set(&r->err, ERR_NO_MEMORY, "out of memory");
    if (r->err.code == ERR_OK)
        step = r->o.format == COPY_BINARY ? binary_row(r) : line_row(r);
    if (step == COPY_FAILED)
        *e = r->err;
    return step;
}
