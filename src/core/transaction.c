/*
 * Explicit transactions of a session. One begins on a read connection, so that transactions that
 * only read never stand in anybody's way, and moves to the write connection with its first write.
 */
#include "base/clock.h"
#include "core/session_impl.h"

static void drop_reader(struct session *s)
{
    struct err ignored = ERR_INIT;
    if (!s->reader)
        return;
    conn_exec(s->reader, "ROLLBACK", &ignored);
    database_give(s->db, s->reader);
    s->reader = NULL;
}

enum err_code transaction_begin(struct session *s, bool write, bool away, int64_t deadline_ns,
                                struct err *e)
{
    enum err_code code;
    s->has_read = false;
    if (away && (write || s->node->upstream->begins_at_once)) {
        bool here = false;
        code = away_begin(s, UPSTREAM_ANY, deadline_ns, &here, e);
        if (!here)
            return code;
    }
    if (write) {
        code = tx_begin(&s->tx, database_replica(s->db), deadline_ns, e);
        if (code == ERR_OK)
            s->phase = TX_WRITING;
        return code;
    }
    code = database_reader(s->db, deadline_ns, &s->reader, e);
    if (code != ERR_OK)
        return code;
    /* Taken before the snapshot: a commit in between makes a later upgrade fail needlessly, taken
     * after it, one could go unnoticed. */
    s->version = replica_version(database_replica(s->db));
    s->base = replica_position(database_replica(s->db));
    code = conn_exec(s->reader, "BEGIN", e);
    if (code != ERR_OK) {
        drop_reader(s);
        return code;
    }
    s->phase = TX_READING;
    return ERR_OK;
}

enum err_code transaction_upgrade(struct session *s, bool away, int64_t deadline_ns, struct err *e)
{
    struct tx *tx = NULL;
    bool has_read = s->has_read, here = true;
    uint64_t version = s->version;
    enum err_code code = ERR_OK;
    drop_reader(s);
    if (away)
        code = away_begin(s, has_read ? s->base : UPSTREAM_ANY, deadline_ns, &here, e);
    if (code != ERR_OK)
        transaction_fail(s, e);
    if (!here)
        return code;
    code = tx_begin(&tx, database_replica(s->db), deadline_ns, e);
    if (code == ERR_OK && has_read && replica_version(database_replica(s->db)) != version) {
        tx_free(tx);
        code = err_set(e, ERR_CONFLICT,
                       "data that the transaction has read was changed; run it again");
    }
    if (code != ERR_OK) {
        transaction_fail(s, e);
        return code;
    }
    s->tx = tx;
    s->phase = TX_WRITING;
    return ERR_OK;
}

enum err_code transaction_commit(struct session *s, int64_t deadline_ns, uint64_t *seq,
                                 struct err *e)
{
    enum err_code code = ERR_OK;
    *seq = 0;
    if (s->phase == TX_FAILED) {
        *e = s->failed;
        code = e->code;
    } else if (s->phase == TX_WRITING) {
        code = tx_commit(s->tx, seq, e);
        if (code == ERR_FOREIGN_KEY && tx_open(s->tx))
            return code;
    } else if (s->phase == TX_AWAY) {
        code = away_commit(s, deadline_ns, seq, e);
        if (s->away)
            return code;
    }
    transaction_rollback(s);
    return code;
}

void transaction_rollback(struct session *s)
{
    drop_reader(s);
    tx_free(s->tx);
    s->tx = NULL;
    away_close(s);
    s->phase = TX_NONE;
}

void transaction_fail(struct session *s, const struct err *why)
{
    transaction_rollback(s);
    s->failed = *why;
    s->phase = TX_FAILED;
}
