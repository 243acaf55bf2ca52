/* Which type is which: names, sizes, declared types. */
#include "proto/pgtype.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"

struct known {
    const char *name;
    uint32_t oid;
};

/* Whole names, upper case, in what people and PostgreSQL's own tools write. */
static const struct known declared[] = {
    {"INT2", PGTYPE_INT2},
    {"SMALLINT", PGTYPE_INT2},
    {"SMALLSERIAL", PGTYPE_INT2},
    {"TINYINT", PGTYPE_INT2},
    {"INT4", PGTYPE_INT4},
    {"INT32", PGTYPE_INT4},
    {"SERIAL4", PGTYPE_INT4},
    {"INTEGER", PGTYPE_INT8},
    {"INT", PGTYPE_INT8},
    {"INT8", PGTYPE_INT8},
    {"BIGINT", PGTYPE_INT8},
    {"SERIAL", PGTYPE_INT8},
    {"BIGSERIAL", PGTYPE_INT8},
    {"TEXT", PGTYPE_TEXT},
    {"CLOB", PGTYPE_TEXT},
    {"CITEXT", PGTYPE_TEXT},
    {"NAME", PGTYPE_NAME},
    {"BOOL", PGTYPE_BOOL},
    {"BOOLEAN", PGTYPE_BOOL},
    {"REAL", PGTYPE_FLOAT8},
    {"FLOAT", PGTYPE_FLOAT8},
    {"FLOAT4", PGTYPE_FLOAT4},
    {"FLOAT8", PGTYPE_FLOAT8},
    {"DOUBLE", PGTYPE_FLOAT8},
    {"DOUBLE PRECISION", PGTYPE_FLOAT8},
    {"NUMERIC", PGTYPE_NUMERIC},
    {"DECIMAL", PGTYPE_NUMERIC},
    {"DEC", PGTYPE_NUMERIC},
    {"MONEY", PGTYPE_NUMERIC},
    {"VARCHAR", PGTYPE_VARCHAR},
    {"NVARCHAR", PGTYPE_VARCHAR},
    {"CHARACTER VARYING", PGTYPE_VARCHAR},
    {"VARYING CHARACTER", PGTYPE_VARCHAR},
    {"CHAR", PGTYPE_BPCHAR},
    {"BPCHAR", PGTYPE_BPCHAR},
    {"NCHAR", PGTYPE_BPCHAR},
    {"CHARACTER", PGTYPE_BPCHAR},
    {"BLOB", PGTYPE_BYTEA},
    {"BYTEA", PGTYPE_BYTEA},
    {"BINARY", PGTYPE_BYTEA},
    {"VARBINARY", PGTYPE_BYTEA},
    {"DATE", PGTYPE_DATE},
    {"TIME", PGTYPE_TIME},
    {"TIME WITHOUT TIME ZONE", PGTYPE_TIME},
    {"DATETIME", PGTYPE_TIMESTAMP},
    {"TIMESTAMP", PGTYPE_TIMESTAMP},
    {"TIMESTAMP WITHOUT TIME ZONE", PGTYPE_TIMESTAMP},
    {"TIMESTAMPTZ", PGTYPE_TIMESTAMPTZ},
    {"TIMESTAMP WITH TIME ZONE", PGTYPE_TIMESTAMPTZ},
    {"JSON", PGTYPE_JSON},
    {"JSONB", PGTYPE_JSONB},
    {"UUID", PGTYPE_UUID},
    {"GUID", PGTYPE_UUID},
    {"OID", PGTYPE_OID},
    {"XID", PGTYPE_INT8},
    {"REGCLASS", PGTYPE_REGCLASS},
    {"REGTYPE", PGTYPE_REGTYPE},
    {"REGPROC", PGTYPE_REGPROC},
    {"\"CHAR\"", PGTYPE_CHAR},
    {"_TEXT", 1009},
    {"TEXT[]", 1009},
    {"_NAME", 1003},
    {"NAME[]", 1003},
    {"_INT2", 1005},
    {"SMALLINT[]", 1005},
    {"_INT4", 1007},
    {"INTEGER[]", 1007},
    {"INT[]", 1007},
    {"_INT8", 1016},
    {"BIGINT[]", 1016},
    {"_OID", 1028},
    {"OID[]", 1028},
    {"_CHAR", 1002},
    {"_VARCHAR", 1015},
    {"INT2VECTOR", PGTYPE_INT2VECTOR},
    {"OIDVECTOR", PGTYPE_OIDVECTOR},
    {"PG_NODE_TREE", 194},
    {"ACLITEM[]", 1034},
    {"INTERVAL", PGTYPE_TEXT},
    {"VOID", PGTYPE_VOID},
};

static bool has(const char *s, size_t len, const char *part)
{
    size_t n = strlen(part);

    for (size_t i = 0; i + n <= len; i++)
        if (strncasecmp(s + i, part, n) == 0)
            return true;
    return false;
}

/* https://sqlite.org/datatype3.html, section 3.1. */
static uint32_t by_affinity(const char *s, size_t len)
{
    if (has(s, len, "INT"))
        return PGTYPE_INT8;
    if (has(s, len, "CHAR") || has(s, len, "CLOB") || has(s, len, "TEXT"))
        return PGTYPE_TEXT;
    if (has(s, len, "BLOB"))
        return PGTYPE_BYTEA;
    if (has(s, len, "REAL") || has(s, len, "FLOA") || has(s, len, "DOUB"))
        return PGTYPE_FLOAT8;
    if (has(s, len, "STRING") || has(s, len, "ENUM"))
        return PGTYPE_TEXT;
    return PGTYPE_NUMERIC;
}

/* The numbers of "(10, 2)"; how many there are. */
static unsigned read_numbers(const char *s, size_t len, int32_t out[2])
{
    unsigned n = 0;

    for (size_t i = 0; i < len && s[i] != ')' && n < 2; i++) {
        if (s[i] < '0' || s[i] > '9')
            continue;
        out[n] = 0;
        for (; i < len && s[i] >= '0' && s[i] <= '9'; i++)
            if (out[n] < 100000000)
                out[n] = out[n] * 10 + (s[i] - '0');
        n++;
        if (i < len && s[i] == ')')
            break;
    }
    return n;
}

static int32_t modifier_of(uint32_t oid, const char *s, size_t len)
{
    int32_t x[2];
    unsigned n = read_numbers(s, len, x);

    if (n == 0)
        return -1;
    switch (oid) {
    case PGTYPE_VARCHAR:
    case PGTYPE_BPCHAR:
        return x[0] + 4;
    case PGTYPE_NUMERIC:
        if (x[0] > 1000 || (n > 1 && x[1] > 1000))
            return -1;
        return (int32_t)((uint32_t)x[0] << 16 | (uint32_t)(n > 1 ? x[1] : 0)) + 4;
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        return x[0] <= 6 ? x[0] : -1;
    default:
        return -1;
    }
}

struct pgtype_ref pgtype_of_declared(const char *s, size_t len)
{
    struct pgtype_ref out = {PGTYPE_NONE, -1};
    char word[64];
    size_t n = 0;
    const char *open;

    if (!s || len == 0)
        return out;
    open = memchr(s, '(', len);
    /* "VARCHAR(20)", "timestamp(3) with time zone": the name without its numbers. */
    for (size_t i = 0; i < len && n < sizeof word; i++) {
        if (s[i] == '(') {
            const char *close = memchr(s + i, ')', len - i);
            i = close ? (size_t)(close - s) : len;
            continue;
        }
        if (s[i] == ' ' && (n == 0 || word[n - 1] == ' '))
            continue;
        word[n++] = s[i];
    }
    while (n > 0 && word[n - 1] == ' ')
        n--;
    for (size_t i = 0; i < sizeof declared / sizeof *declared; i++) {
        if (strlen(declared[i].name) == n && strncasecmp(declared[i].name, word, n) == 0) {
            out.oid = declared[i].oid;
            if (open)
                out.modifier = modifier_of(out.oid, open, len - (size_t)(open - s));
            return out;
        }
    }
    if (n > 2 && n < sizeof word && memcmp(word + n - 2, "[]", 2) == 0)
        out.oid = pgtype_array_of(pgtype_of_declared(word, n - 2).oid);
    if (out.oid == PGTYPE_NONE)
        out.oid = by_affinity(s, len);
    return out;
}

int16_t pgtype_size(uint32_t oid)
{
    switch (oid) {
    case PGTYPE_BOOL:
    case PGTYPE_CHAR:
        return 1;
    case PGTYPE_INT2:
        return 2;
    case PGTYPE_INT4:
    case PGTYPE_OID:
    case PGTYPE_FLOAT4:
    case PGTYPE_DATE:
    case PGTYPE_REGCLASS:
    case PGTYPE_REGTYPE:
    case PGTYPE_REGPROC:
    case PGTYPE_VOID:
        return 4;
    case PGTYPE_INT8:
    case PGTYPE_FLOAT8:
    case PGTYPE_TIME:
    case PGTYPE_TIMESTAMP:
    case PGTYPE_TIMESTAMPTZ:
        return 8;
    case PGTYPE_UUID:
        return 16;
    case PGTYPE_NAME:
        return 64;
    default:
        return -1;
    }
}

const char *pgtype_name(uint32_t oid)
{
    switch (oid) {
    case PGTYPE_BOOL:
        return "boolean";
    case PGTYPE_BYTEA:
        return "bytea";
    case PGTYPE_INT8:
        return "bigint";
    case PGTYPE_INT2:
        return "smallint";
    case PGTYPE_INT4:
        return "integer";
    case PGTYPE_OID:
        return "oid";
    case PGTYPE_JSON:
        return "json";
    case PGTYPE_FLOAT4:
        return "real";
    case PGTYPE_FLOAT8:
        return "double precision";
    case PGTYPE_BPCHAR:
        return "character";
    case PGTYPE_VARCHAR:
        return "character varying";
    case PGTYPE_DATE:
        return "date";
    case PGTYPE_TIME:
        return "time without time zone";
    case PGTYPE_TIMESTAMP:
        return "timestamp without time zone";
    case PGTYPE_TIMESTAMPTZ:
        return "timestamp with time zone";
    case PGTYPE_NUMERIC:
        return "numeric";
    case PGTYPE_UUID:
        return "uuid";
    case PGTYPE_JSONB:
        return "jsonb";
    default:
        return "text";
    }
}

uint32_t pgtype_of_value(const struct value *v)
{
    switch (v->type) {
    case VALUE_INTEGER:
        return PGTYPE_INT8;
    case VALUE_REAL:
        return PGTYPE_FLOAT8;
    case VALUE_BLOB:
        return PGTYPE_BYTEA;
    default:
        return PGTYPE_TEXT;
    }
}

const char *pgtype_sqlstate(uint32_t oid, enum pgtype_fault fault)
{
    bool is_time = oid == PGTYPE_DATE || oid == PGTYPE_TIME || oid == PGTYPE_TIMESTAMP ||
                   oid == PGTYPE_TIMESTAMPTZ;

    switch (fault) {
    case PGTYPE_RANGE:
        return is_time ? "22008" : "22003";
    case PGTYPE_NO_BINARY:
        return "0A000";
    case PGTYPE_ENCODING:
        return "22021";
    default:
        return is_time ? "22007" : "22P02";
    }
}

/* How long the character would be that begins with this byte. */
static size_t meant_length(unsigned char first)
{
    return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 1;
}

void pgtype_bad_bytes(const char *data, size_t len, char out[PGTYPE_BAD_BYTES])
{
    size_t at = json_text_prefix(data, len), n = 0;

    out[0] = '\0';
    if (at == len)
        return;
    for (size_t i = 0; i < meant_length((unsigned char)data[at]) && at + i < len; i++)
        n += (size_t)snprintf(out + n, PGTYPE_BAD_BYTES - n, "%s0x%02x", i ? " " : "",
                              (unsigned char)data[at + i]);
}
