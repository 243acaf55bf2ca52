/* Parameters as SQLite's values: text, then binary. See pgtype.h for what each type becomes. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/json.h"
#include "proto/pgtype.h"

#define US_DAY INT64_C(86400000000)

/* What was appended to scratch since `start`, as an offset. */
static struct value in_scratch_since(const struct buf *scratch, size_t start, bool blob)
{
    const char *offset = (const char *)(uintptr_t)start;
    size_t n = scratch->len - start;

    return blob ? value_blob(offset, n) : value_text(offset, n);
}

void pgtype_settle(struct value *v, const struct buf *scratch)
{
    v->u.s.data = scratch->data ? scratch->data + (uintptr_t)v->u.s.data : "";
}

/* ---- text ---- */

static void trim(const char **s, size_t *len)
{
    while (*len > 0 && (**s == ' ' || **s == '\n' || **s == '\t')) {
        (*s)++;
        (*len)--;
    }
    while (*len > 0 && ((*s)[*len - 1] == ' ' || (*s)[*len - 1] == '\n' || (*s)[*len - 1] == '\t'))
        (*len)--;
}

static enum pgtype_fault text_int(const char *s, size_t len, int64_t least, int64_t most,
                                  struct value *out)
{
    char text[32], *stop;
    long long i;

    trim(&s, &len);
    size_t digits = len;
    for (size_t k = 0; k < len; k++)
        if (!(s[k] >= '0' && s[k] <= '9') && !(k == 0 && (s[k] == '-' || s[k] == '+')))
            return PGTYPE_SYNTAX;
    if (digits == 0 || (digits == 1 && (s[0] == '-' || s[0] == '+')))
        return PGTYPE_SYNTAX;
    if (len >= sizeof text)
        return PGTYPE_RANGE;
    memcpy(text, s, len);
    text[len] = '\0';
    errno = 0;
    i = strtoll(text, &stop, 10);
    if (errno || i < least || i > most)
        return PGTYPE_RANGE;
    *out = value_int(i);
    return PGTYPE_FINE;
}

static bool is_special(const char *s, size_t len, double *r)
{
    static const struct {
        const char *name;
        double r;
    } names[] = {{"NaN", NAN},       {"Infinity", INFINITY}, {"+Infinity", INFINITY},
                 {"inf", INFINITY},  {"+inf", INFINITY},     {"-Infinity", -INFINITY},
                 {"-inf", -INFINITY}};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].name) == len && strncasecmp(names[i].name, s, len) == 0) {
            *r = names[i].r;
            return true;
        }
    return false;
}

static enum pgtype_fault text_float(const char *s, size_t len, struct value *out)
{
    char text[1100];
    double r;

    trim(&s, &len);
    if (is_special(s, len, &r)) {
        *out = value_real(r);
        return PGTYPE_FINE;
    }
    if (len >= sizeof text || !pgtype_is_numeric_text(s, len))
        return PGTYPE_SYNTAX;
    memcpy(text, s, len);
    text[len] = '\0';
    *out = value_real(strtod(text, NULL));
    return PGTYPE_FINE;
}

/* The significant digits of a decimal text. */
static size_t significant(const char *s, size_t len)
{
    size_t n = 0, zeros = 0;
    bool started = false;

    for (size_t i = 0; i < len && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] < '0' || s[i] > '9')
            continue;
        if (s[i] == '0' && !started)
            continue;
        started = true;
        zeros = s[i] == '0' ? zeros + 1 : 0;
        n++;
    }
    return n - zeros;
}

static enum pgtype_fault text_numeric(const char *s, size_t len, struct value *out)
{
    double r;

    trim(&s, &len);
    if (text_int(s, len, INT64_MIN, INT64_MAX, out) == PGTYPE_FINE)
        return PGTYPE_FINE;
    if (is_special(s, len, &r) && isnan(r)) {
        *out = value_null(); /* SQLite has no NaN */
        return PGTYPE_FINE;
    }
    if (!pgtype_is_numeric_text(s, len))
        return PGTYPE_SYNTAX;
    if (significant(s, len) > 15) {
        *out = value_text(s, len);
        return PGTYPE_FINE;
    }
    enum pgtype_fault fault = text_float(s, len, out);
    /* As a column of NUMERIC affinity would keep it, and as it comes back: 12.00 is 12. */
    if (fault == PGTYPE_FINE && out->type == VALUE_REAL && out->u.r == trunc(out->u.r) &&
        fabs(out->u.r) < 1e15)
        *out = value_int((int64_t)out->u.r);
    return fault;
}

static enum pgtype_fault text_bool(const char *s, size_t len, struct value *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    trim(&s, &len);
    for (size_t i = 0; i < 4 && len > 0; i++) {
        bool is_yes = len <= strlen(yes[i]) && strncasecmp(yes[i], s, len) == 0;
        bool is_no = len <= strlen(no[i]) && strncasecmp(no[i], s, len) == 0;
        if (is_yes == is_no) /* neither, or the "o" of both */
            continue;
        *out = value_int(is_yes);
        return PGTYPE_FINE;
    }
    return PGTYPE_SYNTAX;
}

/* "\x00ff", or the escape format: \\ and \ooo. */
static enum pgtype_fault text_bytea(const char *s, size_t len, struct value *out,
                                    struct buf *scratch)
{
    size_t start = scratch->len;

    if (len >= 2 && s[0] == '\\' && s[1] == 'x') {
        if (!hex_decode(s + 2, len - 2, scratch))
            return PGTYPE_SYNTAX;
    } else {
        for (size_t i = 0; i < len; i++) {
            if (s[i] != '\\') {
                buf_putc(scratch, s[i]);
            } else if (i + 1 < len && s[i + 1] == '\\') {
                buf_putc(scratch, '\\');
                i++;
            } else if (i + 3 < len && s[i + 1] >= '0' && s[i + 1] <= '3' && s[i + 2] >= '0' &&
                       s[i + 2] <= '7' && s[i + 3] >= '0' && s[i + 3] <= '7') {
                buf_u8(scratch,
                       (uint8_t)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 | (s[i + 3] - '0')));
                i += 3;
            } else {
                return PGTYPE_SYNTAX;
            }
        }
    }
    *out = in_scratch_since(scratch, start, true);
    return PGTYPE_FINE;
}

static void format_time(struct buf *b, uint32_t oid, int64_t us)
{
    pgtype_format_moment(b, oid, us);
    if (oid == PGTYPE_TIMESTAMPTZ)
        buf_puts(b, "+00:00");
}

static enum pgtype_fault text_time(uint32_t oid, const char *s, size_t len, struct value *out,
                                   struct buf *scratch)
{
    struct value text = value_text(s, len);
    size_t start = scratch->len;
    int64_t us;

    if (!pgtype_time_of_value(&text, oid, &us))
        return PGTYPE_SYNTAX;
    format_time(scratch, oid, us);
    *out = in_scratch_since(scratch, start, false);
    return PGTYPE_FINE;
}

static enum pgtype_fault text_uuid(const char *s, size_t len, struct value *out,
                                   struct buf *scratch)
{
    size_t start = scratch->len;

    if (!pgtype_format_uuid(scratch, s, len))
        return PGTYPE_SYNTAX;
    *out = in_scratch_since(scratch, start, false);
    return PGTYPE_FINE;
}

static enum pgtype_fault get_text(uint32_t oid, const char *s, size_t len, struct value *out,
                                  struct buf *scratch, bool *in_scratch)
{
    switch (oid) {
    case PGTYPE_BOOL:
        return text_bool(s, len, out);
    case PGTYPE_INT2:
        return text_int(s, len, INT16_MIN, INT16_MAX, out);
    case PGTYPE_INT4:
        return text_int(s, len, INT32_MIN, INT32_MAX, out);
    case PGTYPE_INT8:
        return text_int(s, len, INT64_MIN, INT64_MAX, out);
    case PGTYPE_OID:
        return text_int(s, len, 0, UINT32_MAX, out);
    case PGTYPE_FLOAT4:
    case PGTYPE_FLOAT8:
        return text_float(s, len, out);
    case PGTYPE_NUMERIC:
        return text_numeric(s, len, out);
    case PGTYPE_BYTEA:
        *in_scratch = true;
        return text_bytea(s, len, out, scratch);
    case PGTYPE_DATE:
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        *in_scratch = true;
        return text_time(oid, s, len, out, scratch);
    case PGTYPE_UUID:
        *in_scratch = true;
        return text_uuid(s, len, out, scratch);
    default:
        *out = value_text(s, len);
        return PGTYPE_FINE;
    }
}

/* ---- binary ---- */

static uint64_t be(const char *s, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)s[i];
    return v;
}

static enum pgtype_fault binary_float(const char *s, size_t len, struct value *out)
{
    double r;

    if (len == 8) {
        uint64_t bits = be(s, 8);
        memcpy(&r, &bits, sizeof r);
    } else if (len == 4) {
        uint32_t bits = (uint32_t)be(s, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        r = (double)f;
    } else {
        return PGTYPE_SYNTAX;
    }
    *out = value_real(r);
    return PGTYPE_FINE;
}

static enum pgtype_fault binary_int(const char *s, size_t len, size_t want, struct value *out)
{
    if (len != want)
        return PGTYPE_SYNTAX;
    if (want == 2)
        *out = value_int((int16_t)be(s, 2));
    else if (want == 4)
        *out = value_int((int32_t)be(s, 4));
    else
        *out = value_int((int64_t)be(s, 8));
    return PGTYPE_FINE;
}

static enum pgtype_fault binary_time(uint32_t oid, const char *s, size_t len, struct value *out,
                                     struct buf *scratch)
{
    size_t start = scratch->len;
    int64_t us;

    if (len != (oid == PGTYPE_DATE ? 4 : 8))
        return PGTYPE_SYNTAX;
    if (oid == PGTYPE_DATE) {
        int64_t days = (int32_t)be(s, 4);
        if (days > INT64_MAX / US_DAY || days < INT64_MIN / US_DAY)
            return PGTYPE_RANGE;
        us = days * US_DAY;
    } else {
        us = (int64_t)be(s, 8);
    }
    if (oid == PGTYPE_TIME ? us < 0 || us > US_DAY
                           : us < INT64_C(-63082281600000000) || us > INT64_C(252455615999999999))
        return PGTYPE_RANGE;
    format_time(scratch, oid, us);
    *out = in_scratch_since(scratch, start, false);
    return PGTYPE_FINE;
}

static enum pgtype_fault binary_uuid(const char *s, size_t len, struct value *out,
                                     struct buf *scratch)
{
    char text[32];

    if (len != 16)
        return PGTYPE_SYNTAX;
    hex_encode(s, len, text);
    return text_uuid(text, sizeof text, out, scratch);
}

static enum pgtype_fault binary_numeric(const char *s, size_t len, struct value *out,
                                        struct buf *scratch, bool *in_scratch)
{
    size_t start = scratch->len;
    enum pgtype_fault fault;

    if (!pgtype_numeric_get(scratch, s, len) || !buf_ok(scratch))
        return PGTYPE_SYNTAX;
    fault = text_numeric(scratch->data + start, scratch->len - start, out);
    if (fault == PGTYPE_FINE && out->type == VALUE_TEXT) {
        *out = in_scratch_since(scratch, start, false);
        *in_scratch = true;
    }
    return fault;
}

static enum pgtype_fault get_binary(uint32_t oid, const char *s, size_t len, struct value *out,
                                    struct buf *scratch, bool *in_scratch)
{
    switch (oid) {
    case PGTYPE_BOOL:
        if (len != 1)
            return PGTYPE_SYNTAX;
        *out = value_int(s[0] != 0);
        return PGTYPE_FINE;
    case PGTYPE_INT2:
        return binary_int(s, len, 2, out);
    case PGTYPE_INT4:
        return binary_int(s, len, 4, out);
    case PGTYPE_INT8:
        return binary_int(s, len, 8, out);
    case PGTYPE_OID:
    case PGTYPE_REGCLASS:
    case PGTYPE_REGTYPE:
    case PGTYPE_REGPROC:
        if (len != 4)
            return PGTYPE_SYNTAX;
        *out = value_int((int64_t)be(s, 4));
        return PGTYPE_FINE;
    case PGTYPE_FLOAT4:
    case PGTYPE_FLOAT8:
        return len == (oid == PGTYPE_FLOAT4 ? 4 : 8) ? binary_float(s, len, out) : PGTYPE_SYNTAX;
    case PGTYPE_NUMERIC:
        return binary_numeric(s, len, out, scratch, in_scratch);
    case PGTYPE_NONE: /* what nobody has said anything about is bytes */
    case PGTYPE_BYTEA:
        *out = value_blob(s, len);
        return PGTYPE_FINE;
    case PGTYPE_DATE:
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        *in_scratch = true;
        return binary_time(oid, s, len, out, scratch);
    case PGTYPE_UUID:
        *in_scratch = true;
        return binary_uuid(s, len, out, scratch);
    case PGTYPE_JSONB:
        if (len < 1 || s[0] != 1)
            return PGTYPE_SYNTAX;
        *out = value_text(s + 1, len - 1);
        return PGTYPE_FINE;
    case PGTYPE_CHAR:
    case PGTYPE_NAME:
    case PGTYPE_TEXT:
    case PGTYPE_JSON:
    case PGTYPE_UNKNOWN:
    case PGTYPE_BPCHAR:
    case PGTYPE_VARCHAR:
        *out = value_text(s, len);
        return PGTYPE_FINE;
    default:
        break;
    }
    if (pgtype_element_of(oid) == PGTYPE_NONE)
        return PGTYPE_NO_BINARY;
    size_t start = scratch->len;
    enum pgtype_fault fault = pgtype_array_get(oid, s, len, scratch);
    *out = in_scratch_since(scratch, start, false);
    *in_scratch = true;
    return fault;
}

enum pgtype_fault pgtype_get(uint32_t oid, bool binary, const char *data, size_t len,
                             struct value *out, struct buf *scratch, bool *in_scratch)
{
    *in_scratch = false;
    if (!binary && !json_is_text(data, len))
        return PGTYPE_ENCODING;
    enum pgtype_fault fault = binary ? get_binary(oid, data, len, out, scratch, in_scratch)
                                     : get_text(oid, data, len, out, scratch, in_scratch);

    if (fault == PGTYPE_FINE && binary && out->type == VALUE_TEXT && !*in_scratch &&
        !json_is_text(out->u.s.data, out->u.s.len))
        fault = PGTYPE_ENCODING;
    if (fault != PGTYPE_FINE)
        *in_scratch = false;
    return fault;
}
