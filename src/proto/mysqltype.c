/*
 * The types: declared ones, and those of values.
 *
 *   mysqltype_of_declared, mysqltype_of_value, mysqltype_widen, mysqltype_text, mysqltype_name
 */
#include "proto/mysqltype.h"

#include <string.h>
#include <strings.h>

#include "proto/mysqlwire.h"

#define TEXT_BYTES   65535u
#define LONG_BYTES   0xFFFFFFFFu
#define NOT_FIXED    31u /* decimals of a number that has as many as it needs */
#define UTF8_BYTES   4u  /* of one character */
#define MICROSECONDS 6u
#define NAME_BYTES   64

static struct mysqltype_ref make(uint8_t type, uint32_t length, uint16_t charset, uint16_t flags,
                                 uint8_t decimals)
{
    return (struct mysqltype_ref){.type = type,
                                  .length = length,
                                  .charset = charset,
                                  .flags = flags,
                                  .decimals = decimals,
                                  .modifier = -1};
}

static struct mysqltype_ref number(uint8_t type, uint32_t length, uint8_t decimals)
{
    return make(type, length, MYSQLWIRE_CHARSET_BINARY,
                MYSQLTYPE_FLAG_NUMBER | MYSQLTYPE_FLAG_BINARY, decimals);
}

/* `fraction` digits behind the second's point. */
static struct mysqltype_ref moment(uint8_t type, uint32_t length, uint32_t fraction)
{
    if (fraction > MICROSECONDS)
        fraction = MICROSECONDS;
    return make(type, length + (fraction > 0 ? fraction + 1 : 0), MYSQLWIRE_CHARSET_BINARY,
                MYSQLTYPE_FLAG_BINARY, (uint8_t)fraction);
}

static struct mysqltype_ref text(uint8_t type, uint32_t length)
{
    return make(type, length, MYSQLWIRE_CHARSET, type == MYSQLTYPE_BLOB ? MYSQLTYPE_FLAG_BLOB : 0,
                0);
}

static struct mysqltype_ref bytes(uint8_t type, uint32_t length)
{
    return make(type, length, MYSQLWIRE_CHARSET_BINARY,
                MYSQLTYPE_FLAG_BINARY | (type == MYSQLTYPE_BLOB ? MYSQLTYPE_FLAG_BLOB : 0), 0);
}

static struct mysqltype_ref integer(void)
{
    return number(MYSQLTYPE_LONGLONG, 20, 0);
}

static struct mysqltype_ref sized(uint8_t type, uint32_t length, bool is_unsigned)
{
    struct mysqltype_ref t = number(type, length, 0);

    if (is_unsigned)
        t.flags |= MYSQLTYPE_FLAG_UNSIGNED;
    return t;
}

static struct mysqltype_ref unknown(void)
{
    return make(MYSQLTYPE_NULL, 0, MYSQLWIRE_CHARSET_BINARY, 0, 0);
}

struct mysqltype_ref mysqltype_text(void)
{
    return text(MYSQLTYPE_VAR_STRING, TEXT_BYTES);
}

/* ---- declared ---- */

/* "VARCHAR(20)", "decimal unsigned(10, 2)": the words, and the numbers in parentheses. */
struct declared {
    char name[NAME_BYTES]; /* upper case, one blank between words */
    unsigned n_args;
    uint32_t args[2];
};

static void take_args(struct declared *d, const char *s, size_t len)
{
    for (size_t i = 0; i < len && s[i] != ')'; i++) {
        if (s[i] == ',' && d->n_args == 1)
            d->n_args = 2;
        if (s[i] < '0' || s[i] > '9')
            continue;
        if (d->n_args == 0)
            d->n_args = 1;
        uint32_t *arg = &d->args[d->n_args - 1];
        if (*arg < 100000000)
            *arg = *arg * 10 + (uint32_t)(s[i] - '0');
    }
}

static void read_declared(struct declared *d, const char *s, size_t len)
{
    size_t n = 0;

    memset(d, 0, sizeof *d);
    for (size_t i = 0; i < len && n < sizeof d->name - 1; i++) {
        char c = s[i];
        if (c == '(') {
            take_args(d, s + i + 1, len - i - 1);
            const char *close = memchr(s + i, ')', len - i);
            i = close ? (size_t)(close - s) : len;
            c = ' ';
        }
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            if (n > 0 && d->name[n - 1] != ' ')
                d->name[n++] = ' ';
        } else {
            d->name[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
    }
    while (n > 0 && d->name[n - 1] == ' ')
        n--;
    d->name[n] = '\0';
}

enum family {
    BOOLEAN,
    TINYINTS,
    SMALLINTS,
    MEDIUMINTS,
    INTS,
    INTEGER,
    FLOATING,
    DECIMAL,
    CHARS,
    VARCHARS,
    TEXTS,
    LONG_TEXTS,
    BYTES,
    BLOBS,
    DATES,
    TIMES,
    DATETIMES,
    TIMESTAMPS,
    JSONS,
    OTHER
};

static const struct {
    const char *name;
    enum family family;
    const char *mysql; /* as SHOW COLUMNS names it */
} types[] = {
    {"BOOL", BOOLEAN, "tinyint(1)"},
    {"BOOLEAN", BOOLEAN, "tinyint(1)"},
    {"TINYINT", TINYINTS, "tinyint"},
    {"SMALLINT", SMALLINTS, "smallint"},
    {"INT2", SMALLINTS, "smallint"},
    {"MEDIUMINT", MEDIUMINTS, "mediumint"},
    {"INT", INTS, "int"},
    {"INT4", INTS, "int"},
    {"INTEGER", INTEGER, "bigint"}, /* SQLite's has 64 bits */
    {"BIGINT", INTEGER, "bigint"},
    {"INT8", INTEGER, "bigint"},
    {"BIT", INTEGER, "bit"},
    {"YEAR", SMALLINTS, "year"},
    {"FLOAT", FLOATING, "float"},
    {"REAL", FLOATING, "double"},
    {"DOUBLE", FLOATING, "double"},
    {"DOUBLE PRECISION", FLOATING, "double"},
    {"DECIMAL", DECIMAL, "decimal"},
    {"DEC", DECIMAL, "decimal"},
    {"FIXED", DECIMAL, "decimal"},
    {"NUMERIC", DECIMAL, "decimal"},
    {"CHAR", CHARS, "char"},
    {"CHARACTER", CHARS, "char"},
    {"NCHAR", CHARS, "char"},
    {"VARCHAR", VARCHARS, "varchar"},
    {"NVARCHAR", VARCHARS, "varchar"},
    {"CHARACTER VARYING", VARCHARS, "varchar"},
    {"TINYTEXT", TEXTS, "tinytext"},
    {"TEXT", TEXTS, "text"},
    {"CLOB", LONG_TEXTS, "longtext"},
    {"MEDIUMTEXT", LONG_TEXTS, "mediumtext"},
    {"LONGTEXT", LONG_TEXTS, "longtext"},
    {"BINARY", BYTES, "binary"},
    {"VARBINARY", BYTES, "varbinary"},
    {"TINYBLOB", BLOBS, "tinyblob"},
    {"BLOB", BLOBS, "blob"},
    {"BYTEA", BLOBS, "longblob"},
    {"MEDIUMBLOB", BLOBS, "mediumblob"},
    {"LONGBLOB", BLOBS, "longblob"},
    {"DATE", DATES, "date"},
    {"TIME", TIMES, "time"},
    {"DATETIME", DATETIMES, "datetime"},
    {"TIMESTAMP", TIMESTAMPS, "timestamp"},
    {"TIMESTAMPTZ", TIMESTAMPS, "timestamp"},
    {"TIMESTAMP WITHOUT TIME ZONE", TIMESTAMPS, "timestamp"},
    {"TIMESTAMP WITH TIME ZONE", TIMESTAMPS, "timestamp"},
    {"JSON", JSONS, "json"},
    {"JSONB", JSONS, "json"},
    {"UUID", CHARS, "char(36)"},
};

#define N_TYPES (sizeof types / sizeof types[0])

/* Its place in the table, N_TYPES where it has none; words behind the type are cut off. */
static size_t find_type(const struct declared *d, bool *is_unsigned)
{
    static const char *const words[] = {" UNSIGNED", " ZEROFILL", " SIGNED"};
    char name[NAME_BYTES];
    size_t n = strlen(d->name);

    *is_unsigned = false;
    memcpy(name, d->name, n + 1);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char *at = strstr(name, words[i]);
        if (!at)
            continue;
        *is_unsigned = *is_unsigned || i < 2;
        size_t w = strlen(words[i]);
        memmove(at, at + w, strlen(at + w) + 1);
    }
    for (size_t i = 0; i < N_TYPES; i++)
        if (strcmp(types[i].name, name) == 0)
            return i;
    return N_TYPES;
}

/* SQLite, "Determination Of Column Affinity" */
static enum family by_affinity(const char *name)
{
    if (strstr(name, "INT"))
        return INTEGER;
    if (strstr(name, "CHAR") || strstr(name, "CLOB") || strstr(name, "TEXT"))
        return VARCHARS;
    if (strstr(name, "BLOB"))
        return BLOBS;
    if (strstr(name, "REAL") || strstr(name, "FLOA") || strstr(name, "DOUB"))
        return FLOATING;
    return OTHER;
}

static struct mysqltype_ref decimal(const struct declared *d)
{
    uint32_t digits = d->n_args > 0 ? d->args[0] : 65, scale = d->n_args > 1 ? d->args[1] : 0;
    struct mysqltype_ref t;

    if (digits > 65)
        digits = 65;
    if (scale > 30)
        scale = 30;
    t = number(MYSQLTYPE_NEWDECIMAL, digits + 2, d->n_args > 0 ? (uint8_t)scale : 10);
    if (d->n_args > 0)
        t.modifier = (int32_t)((digits << 16 | scale) + 4);
    return t;
}

static uint32_t chars(const struct declared *d)
{
    uint32_t n = d->n_args > 0 ? d->args[0] : 255;

    return n > TEXT_BYTES ? TEXT_BYTES : n * UTF8_BYTES;
}

struct mysqltype_ref mysqltype_of_declared(const char *s, size_t len)
{
    struct declared d;
    bool is_unsigned;
    size_t i;
    enum family f;

    if (!s || len == 0)
        return unknown();
    read_declared(&d, s, len);
    i = find_type(&d, &is_unsigned);
    f = i < N_TYPES ? types[i].family : by_affinity(d.name);
    if (i < N_TYPES && strcmp(types[i].name, "TINYINT") == 0 && d.n_args == 1 && d.args[0] == 1)
        f = BOOLEAN;
    switch (f) {
    case BOOLEAN:
        return number(MYSQLTYPE_TINY, 1, 0);
    case TINYINTS:
        return sized(MYSQLTYPE_TINY, 4, is_unsigned);
    case SMALLINTS:
        return sized(MYSQLTYPE_SHORT, 6, is_unsigned);
    case MEDIUMINTS:
        return sized(MYSQLTYPE_INT24, 9, is_unsigned);
    case INTS:
        return sized(MYSQLTYPE_LONG, 11, is_unsigned);
    case INTEGER:
        return sized(MYSQLTYPE_LONGLONG, 20, is_unsigned);
    case FLOATING:
        return number(MYSQLTYPE_DOUBLE, 22, NOT_FIXED);
    case DECIMAL:
        return decimal(&d);
    case CHARS:
        return text(MYSQLTYPE_STRING, chars(&d));
    case VARCHARS:
        return text(MYSQLTYPE_VAR_STRING, chars(&d));
    case TEXTS:
        return text(MYSQLTYPE_BLOB, TEXT_BYTES * UTF8_BYTES);
    case LONG_TEXTS:
        return text(MYSQLTYPE_BLOB, LONG_BYTES);
    case BYTES:
        return bytes(MYSQLTYPE_VAR_STRING, d.n_args > 0 ? d.args[0] : 1);
    case BLOBS:
        return bytes(MYSQLTYPE_BLOB, TEXT_BYTES);
    case DATES:
        return moment(MYSQLTYPE_DATE, 10, 0);
    case TIMES:
        return moment(MYSQLTYPE_TIME, 10, d.args[0]);
    case DATETIMES:
        return moment(MYSQLTYPE_DATETIME, 19, d.args[0]);
    case TIMESTAMPS:
        return moment(MYSQLTYPE_TIMESTAMP, 19, d.args[0]);
    case JSONS:
        return make(MYSQLTYPE_JSON, LONG_BYTES, MYSQLWIRE_CHARSET, MYSQLTYPE_FLAG_BLOB, 0);
    case OTHER:
        break;
    }
    return unknown();
}

/* ---- by value ---- */

struct mysqltype_ref mysqltype_of_value(const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
        return integer();
    case VALUE_REAL:
        return number(MYSQLTYPE_DOUBLE, 22, NOT_FIXED);
    case VALUE_TEXT:
        return mysqltype_text();
    case VALUE_BLOB:
        return bytes(MYSQLTYPE_BLOB, TEXT_BYTES);
    case VALUE_NULL:
        break;
    }
    return unknown();
}

struct mysqltype_ref mysqltype_widen(struct mysqltype_ref t, const struct value *v)
{
    struct mysqltype_ref of = mysqltype_of_value(v);

    if (of.type == MYSQLTYPE_NULL || of.type == t.type)
        return t;
    if (t.type == MYSQLTYPE_NULL)
        return of;
    if ((t.type == MYSQLTYPE_LONGLONG && of.type == MYSQLTYPE_DOUBLE) ||
        (t.type == MYSQLTYPE_DOUBLE && of.type == MYSQLTYPE_LONGLONG))
        return number(MYSQLTYPE_DOUBLE, 22, NOT_FIXED);
    if (t.type == MYSQLTYPE_BLOB || of.type == MYSQLTYPE_BLOB)
        return bytes(MYSQLTYPE_BLOB, TEXT_BYTES);
    return mysqltype_text();
}

/* ---- names ---- */

static void put_lower(struct buf *b, const char *s)
{
    for (; *s; s++)
        buf_putc(b, *s >= 'A' && *s <= 'Z' ? (char)(*s - 'A' + 'a') : *s);
}

void mysqltype_name(struct buf *b, const char *decltype, size_t len)
{
    struct declared d;
    bool is_unsigned;
    size_t i;
    enum family f;

    read_declared(&d, decltype ? decltype : "", decltype ? len : 0);
    i = find_type(&d, &is_unsigned);
    if (*d.name == '\0') {
        buf_puts(b, "blob"); /* SQLite's affinity of a column without a type */
        return;
    }
    if (i == N_TYPES) {
        static const char *const by_family[] = {
            [INTEGER] = "bigint", [VARCHARS] = "text", [BLOBS] = "blob", [FLOATING] = "double"};
        f = by_affinity(d.name);
        if (f == OTHER)
            put_lower(b, d.name);
        else
            buf_puts(b, by_family[f]);
        return;
    }
    f = types[i].family;
    buf_puts(b, types[i].mysql);
    if (f == TINYINTS && d.n_args == 1 && d.args[0] == 1)
        buf_puts(b, "(1)");
    else if (f == DECIMAL)
        buf_printf(b, "(%u,%u)", d.n_args > 0 ? d.args[0] : 10u, d.n_args > 1 ? d.args[1] : 0u);
    else if ((f == CHARS || f == VARCHARS || f == BYTES) && !strchr(types[i].mysql, '('))
        buf_printf(b, "(%u)", d.n_args > 0 ? d.args[0] : f == VARCHARS ? 255u : 1u);
    else if ((f == TIMES || f == DATETIMES || f == TIMESTAMPS) && d.n_args > 0 && d.args[0] > 0)
        buf_printf(b, "(%u)", d.args[0]);
    if (is_unsigned)
        buf_puts(b, " unsigned");
}
