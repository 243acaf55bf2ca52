/* What the files of the PostgreSQL source share. All of it belongs to the source's thread. */
#ifndef HA_PROXY_PG_IMPL_H
#define HA_PROXY_PG_IMPL_H

#include "proxy/pg_link.h"
#include "proxy/pg_source.h"
#include "proxy/pg_table.h"

struct pg_source {
    struct pg_source_options opt;
    /* A change did not fit the tables here: they are to be made and filled anew. */
    bool copy_again;
    /* Of one try. */
    struct source *source;
    struct mirror *mirror;
    struct pg_link *link;
    struct wait wait; /* until the source is to stop */
    struct pg_domains domains;
};

/* ---- pg_copy.c ---- */

/* Makes the slot and copies all published tables as they are at its beginning, in one local
 * transaction. */
enum err_code pg_copy_all(struct pg_source *p, struct err *e);

/* ---- pg_follow.c ---- */

/* Follows the slot from `position` on, until the source is to stop or fails. */
enum err_code pg_follow(struct pg_source *p, uint64_t position, struct err *e);

/* ---- pg_value.c ---- */

/* A value of type `oid` (not of a domain) in text format, as it is stored; what its type's own form
 * is not known for stays text. Borrows `text`, or appends to `scratch` as pgtype_get() does. */
void pg_value(uint32_t oid, const char *text, size_t len, struct value *out, struct buf *scratch,
              bool *in_scratch);

#endif
