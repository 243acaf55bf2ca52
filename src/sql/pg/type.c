/* The table of types, and how their names are read. */
#include "sql/pg/type.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* clang-format off */
static const struct pg_type types[] = {
    {PG_OID_BOOL, 1000, "bool", "boolean", "BOOLEAN", "INTEGER", "pg_bool", 1, 'B'},
    {PG_OID_BYTEA, 1001, "bytea", "bytea", "BLOB", "BLOB", "pg_bytea", -1, 'U'},
    {PG_OID_CHAR, 1002, "char", "\"char\"", "CHAR", "TEXT", NULL, 1, 'Z'},
    {PG_OID_NAME, 1003, "name", "name", "TEXT", "TEXT", NULL, 64, 'S'},
    {PG_OID_INT8, 1016, "int8", "bigint", "BIGINT", "INTEGER", "pg_int8", 8, 'N'},
    {PG_OID_INT2, 1005, "int2", "smallint", "SMALLINT", "INTEGER", "pg_int2", 2, 'N'},
    {PG_OID_INT2VECTOR, 1006, "int2vector", "int2vector", "TEXT", "TEXT", NULL, -1, 'A'},
    {PG_OID_INT4, 1007, "int4", "integer", "INTEGER", "INTEGER", "pg_int4", 4, 'N'},
    {PG_OID_REGPROC, 1008, "regproc", "regproc", "INTEGER", "INTEGER", NULL, 4, 'N'},
    {PG_OID_TEXT, 1009, "text", "text", "TEXT", "TEXT", NULL, -1, 'S'},
    {PG_OID_OID, 1028, "oid", "oid", "INTEGER", "INTEGER", "pg_int8", 4, 'N'},
    {PG_OID_OIDVECTOR, 1013, "oidvector", "oidvector", "TEXT", "TEXT", NULL, -1, 'A'},
    {PG_OID_JSON, 199, "json", "json", "JSON", "TEXT", "pg_json", -1, 'U'},
    {PG_OID_XML, 143, "xml", "xml", "TEXT", "TEXT", NULL, -1, 'U'},
    {PG_OID_FLOAT4, 1021, "float4", "real", "REAL", "REAL", "pg_float8", 4, 'N'},
    {PG_OID_FLOAT8, 1022, "float8", "double precision", "DOUBLE PRECISION", "REAL", "pg_float8", 8, 'N'},
    {PG_OID_UNKNOWN, 0, "unknown", "unknown", "TEXT", "TEXT", NULL, -2, 'X'},
    {PG_OID_MONEY, 791, "money", "money", "NUMERIC", "NUMERIC", NULL, 8, 'N'},
    {PG_OID_INET, 1041, "inet", "inet", "TEXT", "TEXT", NULL, -1, 'I'},
    {PG_OID_BPCHAR, 1014, "bpchar", "character", "CHAR", "TEXT", NULL, -1, 'S'},
    {PG_OID_VARCHAR, 1015, "varchar", "character varying", "VARCHAR", "TEXT", NULL, -1, 'S'},
    {PG_OID_DATE, 1182, "date", "date", "DATE", "TEXT", "pg_date", 4, 'D'},
    {PG_OID_TIME, 1183, "time", "time without time zone", "TIME", "TEXT", "pg_time", 8, 'D'},
    {PG_OID_TIMESTAMP, 1115, "timestamp", "timestamp without time zone", "TIMESTAMP", "TEXT", "pg_timestamp", 8, 'D'},
    {PG_OID_TIMESTAMPTZ, 1185, "timestamptz", "timestamp with time zone", "TIMESTAMPTZ", "TEXT", "pg_timestamp", 8, 'D'},
    {PG_OID_INTERVAL, 1187, "interval", "interval", "TEXT", "TEXT", NULL, 16, 'T'},
    {PG_OID_TIMETZ, 1270, "timetz", "time with time zone", "TIME", "TEXT", "pg_time", 12, 'D'},
    {PG_OID_BIT, 1561, "bit", "bit", "TEXT", "TEXT", NULL, -1, 'V'},
    {PG_OID_NUMERIC, 1231, "numeric", "numeric", "NUMERIC", "NUMERIC", "pg_numeric", -1, 'N'},
    {PG_OID_REGCLASS, 2210, "regclass", "regclass", "INTEGER", "INTEGER", NULL, 4, 'N'},
    {PG_OID_REGTYPE, 2211, "regtype", "regtype", "INTEGER", "INTEGER", NULL, 4, 'N'},
    {PG_OID_UUID, 2951, "uuid", "uuid", "UUID", "TEXT", "pg_uuid", 16, 'U'},
    {PG_OID_JSONB, 3807, "jsonb", "jsonb", "JSONB", "TEXT", "pg_json", -1, 'U'},
    {PG_OID_REGNAMESPACE, 4090, "regnamespace", "regnamespace", "INTEGER", "INTEGER", NULL, 4, 'N'},
    {PG_OID_REGROLE, 4097, "regrole", "regrole", "INTEGER", "INTEGER", NULL, 4, 'N'},
};

/* Names beside pg_type's own. */
static const struct {
    const char *name;
    uint32_t oid;
} synonyms[] = {
    {"boolean", PG_OID_BOOL},
    {"int", PG_OID_INT4},
    {"integer", PG_OID_INT4},
    {"smallint", PG_OID_INT2},
    {"bigint", PG_OID_INT8},
    {"serial", PG_OID_INT4},
    {"serial4", PG_OID_INT4},
    {"serial2", PG_OID_INT2},
    {"smallserial", PG_OID_INT2},
    {"serial8", PG_OID_INT8},
    {"bigserial", PG_OID_INT8},
    {"real", PG_OID_FLOAT4},
    {"float", PG_OID_FLOAT8},
    {"double", PG_OID_FLOAT8},
    {"decimal", PG_OID_NUMERIC},
    {"dec", PG_OID_NUMERIC},
    {"character", PG_OID_BPCHAR},
    {"nchar", PG_OID_BPCHAR},
    {"string", PG_OID_TEXT},
    {"citext", PG_OID_TEXT},
    {"cidr", PG_OID_INET},
    {"macaddr", PG_OID_INET},
    {"datetime", PG_OID_TIMESTAMP},
    {"blob", PG_OID_BYTEA},
    {"varbit", PG_OID_BIT},
    {"xid", PG_OID_OID},
    {"cid", PG_OID_OID},
    {"regprocedure", PG_OID_REGPROC},
    {"regoper", PG_OID_REGPROC},
};
/* clang-format on */

const struct pg_type *pg_type_nth(size_t i)
{
    return i < sizeof types / sizeof types[0] ? &types[i] : NULL;
}

const struct pg_type *pg_type_by_oid(uint32_t oid)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].oid == oid)
            return &types[i];
    return NULL;
}

static bool same(const char *name, const char *s, size_t len)
{
    return strlen(name) == len && strncasecmp(name, s, len) == 0;
}

const struct pg_type *pg_type_by_name(const char *name, size_t len)
{
    if (same("char", name, len)) /* the name is CHAR(n)'s; "char" is written by catalogs only */
        return pg_type_by_oid(PG_OID_BPCHAR);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (same(types[i].name, name, len))
            return &types[i];
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (same(synonyms[i].name, name, len))
            return pg_type_by_oid(synonyms[i].oid);
    return NULL;
}

/* ---- what SQLite's columns are declared as ---- */

/* (n) is n + 4, (p, s) is p and s packed, + 4: as in atttypmod. */
static int32_t read_modifier(const char *decl, uint32_t oid)
{
    const char *open = strchr(decl, '(');
    char *end;
    long p, s = 0;

    if (!open || (oid != PG_OID_NUMERIC && oid != PG_OID_VARCHAR && oid != PG_OID_BPCHAR))
        return -1;
    p = strtol(open + 1, &end, 10);
    if (end == open + 1 || p < 1 || p > 10485760)
        return -1;
    if (oid != PG_OID_NUMERIC)
        return (int32_t)p + 4;
    if (*end == ',')
        s = strtol(end + 1, NULL, 10);
    if (p > 1000 || s < 0 || s > 1000)
        return -1;
    return (int32_t)(((uint32_t)p << 16 | (uint32_t)s) + 4);
}

static bool has(const char *decl, const char *word)
{
    return strcasestr(decl, word) != NULL;
}

static uint32_t declared_oid(const char *decl)
{
    size_t word = strcspn(decl, " (");
    const struct pg_type *t;

    if (has(decl, "TIME ZONE") || has(decl, "TIMESTAMPTZ"))
        return has(decl, "WITHOUT") ? has(decl, "STAMP") ? PG_OID_TIMESTAMP : PG_OID_TIME
               : has(decl, "STAMP") ? PG_OID_TIMESTAMPTZ
                                    : PG_OID_TIMETZ;
    if (has(decl, "VARYING"))
        return PG_OID_VARCHAR;
    /* SQLite's INTEGER has 64 bits, and so have the rowids that it names. */
    if (same("integer", decl, word) || same("int", decl, word))
        return PG_OID_INT8;
    if (same("real", decl, word) || same("float", decl, word))
        return PG_OID_FLOAT8;
    if (same("int32", decl, word) || same("mediumint", decl, word))
        return PG_OID_INT4;
    if (same("tinyint", decl, word) || same("int16", decl, word))
        return PG_OID_INT2;
    t = pg_type_by_name(decl, word);
    if (t)
        return t->oid;
    if (has(decl, "INT"))
        return PG_OID_INT8;
    if (has(decl, "VARCHAR"))
        return PG_OID_VARCHAR;
    if (has(decl, "CHAR") || has(decl, "CLOB") || has(decl, "TEXT"))
        return PG_OID_TEXT;
    if (has(decl, "BLOB") || has(decl, "BINARY"))
        return PG_OID_BYTEA;
    if (has(decl, "REAL") || has(decl, "FLOA") || has(decl, "DOUB"))
        return PG_OID_FLOAT8;
    return PG_OID_TEXT;
}

const struct pg_type *pg_type_declared(const char *decl, int32_t *modifier)
{
    uint32_t oid = decl && decl[0] ? declared_oid(decl) : PG_OID_TEXT;

    *modifier = decl ? read_modifier(decl, oid) : -1;
    return pg_type_by_oid(oid);
}
