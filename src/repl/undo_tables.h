/*
 * What schema statements between a change and now mean for taking it back. The images of a row fit
 * a table only as long as it is the same table: one that was created, altered or dropped since is
 * another one. Internal to undo; one thread at a time.
 */
#ifndef HA_REPL_UNDO_TABLES_H
#define HA_REPL_UNDO_TABLES_H

#include <stddef.h>

#include "proto/address.h"
#include "proto/changeset.h"
#include "proto/inverse.h"
#include "sql/conn.h"

/* A table that is another one behind `place`. */
struct table_mark {
    char *name; /* owned */
    uint64_t place;
    struct address by;
};

struct table_marks {
    struct table_mark *at;
    size_t n, cap;

    /* the table that was asked about last, and what is known of it */
    char *last; /* owned; NULL = none */
    uint64_t last_place;
    struct address last_by;
};

void table_marks_fini(struct table_marks *t); /* a zeroed one is empty */
/* Takes note of a schema statement of transaction `by`; `place` is inverse_list_end(). */
enum err_code table_marks_note(struct table_marks *t, const struct change *c, uint64_t place,
                               const struct address *by, struct err *e);
/* The list was cut to `place`. */
void table_marks_cut(struct table_marks *t, uint64_t place);
/* May `x` be taken back as far as those say? ERR_SCHEMA_CHANGED. Asks `c` what a table is. Nothing
 * is noted between two calls without table_marks_again(). */
enum err_code table_marks_check(struct table_marks *t, struct conn *c, const struct inverse *x,
                                struct err *e);
void table_marks_again(struct table_marks *t);

#endif
