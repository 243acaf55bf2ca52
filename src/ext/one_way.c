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
#include "script/interceptor.h"
#include "sql/front.h"
#include "sql/outbox.h"
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
int front_open(sqlite3 *db, struct policy *policy, bool catalogs)
{
    (void)db;
    (void)policy;
    (void)catalogs;
    return SQLITE_READONLY;
}

/* ---- script ---- */

/* A replica holds what the log says. */
enum err_code interceptor_open(struct interceptor **out, const struct script *script,
                               const char *id, const atomic_bool *cancel, struct err *e)
{
    (void)script;
    (void)id;
    (void)cancel;
    *out = NULL;
    return refuse(e);
}

void interceptor_close(struct interceptor *i)
{
    (void)i;
}

enum err_code interceptor_apply(struct interceptor *i, struct apply *a,
                                const struct interceptor_message *m,
                                const struct changeset_info **info, struct err *e)
{
    (void)i;
    (void)a;
    (void)m;
    (void)info;
    return refuse(e);
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
