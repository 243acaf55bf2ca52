/*
 * PostgreSQL's type names: which type they mean, what SQLite stores for it. Pure; any thread.
 */
#ifndef HA_SQL_PG_TYPE_H
#define HA_SQL_PG_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* OIDs as every PostgreSQL has them. */
enum pg_oid {
    PG_OID_BOOL = 16,
    PG_OID_BYTEA = 17,
    PG_OID_CHAR = 18,
    PG_OID_NAME = 19,
    PG_OID_INT8 = 20,
    PG_OID_INT2 = 21,
    PG_OID_INT2VECTOR = 22,
    PG_OID_INT4 = 23,
    PG_OID_REGPROC = 24,
    PG_OID_TEXT = 25,
    PG_OID_OID = 26,
    PG_OID_OIDVECTOR = 30,
    PG_OID_JSON = 114,
    PG_OID_XML = 142,
    PG_OID_FLOAT4 = 700,
    PG_OID_FLOAT8 = 701,
    PG_OID_UNKNOWN = 705,
    PG_OID_MONEY = 790,
    PG_OID_INET = 869,
    PG_OID_BPCHAR = 1042,
    PG_OID_VARCHAR = 1043,
    PG_OID_DATE = 1082,
    PG_OID_TIME = 1083,
    PG_OID_TIMESTAMP = 1114,
    PG_OID_TIMESTAMPTZ = 1184,
    PG_OID_INTERVAL = 1186,
    PG_OID_TIMETZ = 1266,
    PG_OID_BIT = 1560,
    PG_OID_NUMERIC = 1700,
    PG_OID_REGCLASS = 2205,
    PG_OID_REGTYPE = 2206,
    PG_OID_UUID = 2950,
    PG_OID_JSONB = 3802,
    PG_OID_REGNAMESPACE = 4089,
    PG_OID_REGROLE = 4096
};

struct pg_type {
    uint32_t oid;
    uint32_t array_oid;
    const char *name;     /* pg_type.typname: "int4" */
    const char *sql_name; /* format_type(): "integer" */
    const char *declared; /* what a table's column is declared as: "INTEGER" */
    const char *cast;     /* what CAST(x AS …) says in the schema: "INTEGER" */
    const char *convert;  /* our function that converts and refuses what is none; NULL = CAST */
    int16_t len;          /* pg_type.typlen */
    char category;        /* pg_type.typcategory */
};

/* All of them, by number; NULL at the end. */
const struct pg_type *pg_type_nth(size_t i);
const struct pg_type *pg_type_by_oid(uint32_t oid);
/* By any of its one-word names in lower case ("int", "int4", "serial" …); NULL = unknown. */
const struct pg_type *pg_type_by_name(const char *name, size_t len);

/* Does the text mean a boolean: t, false, yes …? (pg/boolean.c) */
bool pg_boolean_of(const char *s, size_t n, bool *value);

/* A column's default as clients are to see it, who did not write what it was translated to: now().
 * (pg/call.c; static, or `sql` itself) */
const char *pg_shown_default(const char *sql);

/* A type as it is written in a statement. */
struct pg_type_ref {
    const struct pg_type *type; /* NULL: unknown */
    bool serial;                /* SERIAL, BIGSERIAL, SMALLSERIAL */
    bool array;
    int32_t modifier[2]; /* (n), (p, s); -1 = not given */
};

/* What a column's declaration in SQLite means; NULL and "" are no declaration (text). *modifier is
 * n of (n) or the packed (p, s) as in pg_attribute.atttypmod, -1 = none. */
const struct pg_type *pg_type_declared(const char *decl, int32_t *modifier);

#endif
