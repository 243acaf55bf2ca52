/*
 * The extension reads the log and never writes into one: what a node needs for that (the writer
 * with its capture, the write group, the outbox, imports, the protocols' catalogs and functions) is
 * no part of it. Here stands what the pieces that it does have call of that. A replica that is
 * read_only comes to none of it, and where one did it would be told so; none answers as if
 * something had been done.
 */
#include <sqlite3.h>

#include "repl/carry.h"
#include "repl/debt.h"
#include "repl/impl.h"
#include "repl/queue.h"
#include "sql/mysql/function.h"
#include "sql/outbox.h"
#include "sql/pg/catalog.h"
#include "sql/pg/function.h"
#include "sql/writer.h"

static enum err_code refuse(struct err *e)
{
    return err_set(e, ERR_READ_ONLY, "a read-only replica writes nothing");
}

/* ---- sql ---- */

enum err_code writer_open(struct writer **out, const struct conn_config *cfg, struct spool *spool,
                          bool replicate_ddl, struct err *e)
{
    (void)cfg;
    (void)spool;
    (void)replicate_ddl;
    *out = NULL;
    return refuse(e);
}

void writer_close(struct writer *w)
{
    (void)w;
}

struct conn *writer_conn(struct writer *w)
{
    (void)w;
    return NULL;
}

void writer_schema_changed(struct writer *w)
{
    (void)w;
}

enum err_code writer_vacuum(struct writer *w, struct err *e)
{
    (void)w;
    return refuse(e);
}

/* Of connections for users, of which there are none. */
int pg_catalog_open(sqlite3 *db, struct policy *policy)
{
    (void)db;
    (void)policy;
    return SQLITE_READONLY;
}

int pg_functions_open(sqlite3 *db, int flags)
{
    (void)db;
    (void)flags;
    return SQLITE_READONLY;
}

int mysql_functions_open(sqlite3 *db)
{
    (void)db;
    return SQLITE_READONLY;
}

/* ---- repl ---- */

enum err_code import_begin(struct replica *r, const struct stream_state *st, struct err *e)
{
    (void)r;
    (void)st;
    return refuse(e);
}

enum err_code import_resume(struct replica *r, const struct stream_state *st, bool *foreign,
                            struct err *e)
{
    (void)r;
    (void)st;
    *foreign = false;
    return refuse(e);
}

void import_take_mark(struct replica *r)
{
    (void)r;
}

enum err_code outbox_open(struct replica *r, struct err *e)
{
    (void)r;
    return refuse(e);
}

void outbox_close(struct replica *r)
{
    (void)r;
}

enum err_code outbox_delivered(struct replica *r, const char *id, uint64_t seq, bool *own,
                               struct err *e)
{
    (void)r;
    (void)id;
    (void)seq;
    *own = false;
    return refuse(e);
}

enum err_code outbox_reapply(struct replica *r, struct err *e)
{
    (void)r;
    return refuse(e);
}

void *outbox_main(void *replica)
{
    (void)replica;
    return NULL;
}

enum err_code outbox_create(struct conn *c, struct err *e)
{
    (void)c;
    return refuse(e);
}

/* Only an outbox owes something. */
enum err_code debt_check(struct replica *r, struct err *e)
{
    (void)r;
    (void)e;
    return ERR_OK;
}

enum err_code carry_find(struct replica *r, bool prefix, uint64_t seq, struct buf *in_log,
                         struct err *e)
{
    (void)r;
    (void)prefix;
    (void)seq;
    (void)in_log;
    return refuse(e);
}

enum err_code carry_outbox(struct replica *r, const struct buf *in_log, uint64_t seq,
                           struct apply *a, struct err *e)
{
    (void)r;
    (void)in_log;
    (void)seq;
    (void)a;
    return refuse(e);
}

/* No session has a transaction. */
void tx_doom_locked(struct replica *r)
{
    (void)r;
}

void tx_abort_locked(struct replica *r)
{
    (void)r;
}

/* Nobody is served a copy from here. */
enum err_code replica_quiesce(struct replica *r, int64_t deadline_ns, struct err *e)
{
    (void)r;
    (void)deadline_ns;
    return refuse(e);
}

void replica_resume(struct replica *r)
{
    (void)r;
}
