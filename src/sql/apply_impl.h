/*
 * What the files of apply share. apply.c drives the transaction and the reader, apply_row.c changes
 * rows, apply_ddl.c runs schema statements.
 */
#ifndef HA_SQL_APPLY_IMPL_H
#define HA_SQL_APPLY_IMPL_H

#include <sqlite3.h>

#include "sql/apply.h"
#include "sql/apply_plan.h"
#include "sql/schema.h"

/* Bytes of a list of names: terminated, one behind the other. */
#define NAMES_MAX_BYTES (1 << 20)

#define SEQUENCE_STATEMENTS 4

struct apply {
    struct conn *conn;
    sqlite3 *db;
    enum apply_mode mode;
    enum row_identify identify;
    struct schema *schema;
    struct plans *plans;
    struct changeset_reader *reader;
    sqlite3_stmt *begin, *commit, *rollback, *schema_version, *schema_look;
    sqlite3_stmt *sequence[SEQUENCE_STATEMENTS]; /* see sequence_row() */

    bool open;        /* between begin and its end */
    bool failed;      /* may only be rolled back */
    bool ran_ddl;     /* in this transaction */
    bool took_schema; /* see apply_took_schema() */
    int cookie;       /* of the schema that `schema` describes */

    changeset_fn *divert; /* apply_divert(); NULL: nobody */
    void *divert_arg;
    size_t marked_created; /* created.len at apply_mark() */

    /* Of the running message, lww: tables that its changes need and the file lacks, forgiven if a
     * later schema statement of the message says where they have gone; and tables that it has
     * created. */
    struct buf absent, created;
};

/* ERR_DIVERGED with the change's operation, table and key in front. */
enum err_code apply_diverged(const struct change *c, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failure `rc` of SQLite's; disk, memory and locks keep codes of their own. */
enum err_code apply_failed(struct apply *a, const struct change *c, int rc, struct err *e);

/* Descriptions as of now; whatever was prepared with older ones goes. */
enum err_code apply_refresh(struct apply *a, struct err *e);
enum err_code apply_row(struct apply *a, const struct change *c, struct err *e);
enum err_code apply_ddl(struct apply *a, const struct change *c, struct err *e);

enum err_code absent_note(struct apply *a, const char *table, struct err *e);
void absent_explain(struct apply *a, const char *table);
enum err_code absent_check(struct apply *a, struct err *e);

#endif
