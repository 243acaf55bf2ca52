/* COPY: what its two directions share. */
#ifndef HA_WIRE_PG_COPY_H
#define HA_WIRE_PG_COPY_H

#include "sql/pg/copy.h"
#include "wire/pg/session.h"

#define COPY_CONTEXT_BYTES 320

/* A COPY statement whose columns are known. Everything lives in the connection's arena, which is
 * not reset while the statement runs. */
struct pg_copy_plan {
    struct pg_copy stmt;
    unsigned n;
    const char **names;
    struct pgtype_ref *types; /* as declared; PGTYPE_NONE for expressions */
};

/* copy_in.c: True = done, with the number of rows; after false an error has been written. */
bool pg_copy_in(struct pg_conn *c, struct pg_copy_plan *p, uint64_t *rows);

#endif
