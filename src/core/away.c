/*
 * The executor's other side of write.c and transaction.c: what is written upstream (upstream.h)
 * instead of into the log by this node.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/request_impl.h"

#define AWAY_LOOK_NS                                                                               \
    (20 * CLOCK_MS) /* between two looks whether the file follows the log again                    \
                     */

void node_set_upstream(struct node *n, const struct upstream_ops *ops, void *arg)
{
    n->upstream = ops;
    n->upstream_arg = arg;
}

enum err_code upstream_check(const struct upstream_call *c, struct err *e)
{
    if (atomic_load(c->cancel) || (c->gone && c->gone(c->gone_arg)))
        return err_set(e, ERR_INTERRUPTED, "canceled");
    if (clock_mono_ns() >= c->deadline_ns)
        return err_set(e, ERR_TIMEOUT, "the statement ran out of time");
    return ERR_OK;
}

static struct upstream_call call_of(struct session *s, int64_t deadline_ns)
{
    return (struct upstream_call){.database = database_id(s->db),
                                  .front = s->front,
                                  .min_seq = replica_position(database_replica(s->db)),
                                  .deadline_ns = deadline_ns,
                                  .cancel = &s->cancel,
                                  .gone = s->gone,
                                  .gone_arg = s->arg,
                                  .last_rowid = s->last_rowid};
}

/* A node whose file does not follow the log could not show its client what that has written: what
 * is offline may come back in time, what is stopped needs somebody. A source says itself how its
 * mirror is waited for. */
static enum err_code follows(const struct session *s, const struct upstream_call *c, struct err *e)
{
    const struct node *n = s->node;
    int64_t until = clock_deadline(n->opt.replication_timeout_ns);
    for (;;) {
        struct replica_status rs;
        replica_status(database_replica(s->db), &rs);
        if (n->upstream->wait || rs.state == REPLICA_FOLLOWING)
            return ERR_OK;
        if (rs.state == REPLICA_STOPPED)
            return err_set(e, ERR_STOPPED, "database \"%s\" is stopped on this node: %s",
                           database_id(s->db), rs.reason);
        if (upstream_check(c, e) != ERR_OK)
            return e->code;
        if (clock_mono_ns() >= until)
            return err_set(e, ERR_LOG_UNAVAILABLE, "the log cannot be reached: %s", rs.reason);
        clock_nap(AWAY_LOOK_NS);
    }
}

/* Until this node's file holds what was written. It is written, whatever comes of that; but its
 * client could not read it here, so it is not told that all is well. */
static enum err_code wait_for(struct session *s, const struct upstream_call *c, struct err *e)
{
    const struct node *n = s->node;
    struct err why = ERR_INIT;
    int64_t until = clock_deadline(n->opt.replication_timeout_ns);
    if (c->deadline_ns < until)
        until = c->deadline_ns;
    if (n->upstream->wait) {
        if (n->upstream->wait(n->upstream_arg, c, until, &why) != ERR_OK)
            LOG_WARN("what was written upstream is not in this node's file yet",
                     LOG_STR("db", database_id(s->db)), LOG_STR("upstream", n->upstream->name),
                     LOG_STR("reason", why.msg));
        return ERR_OK;
    }
    if (c->seq == 0 || replica_wait(database_replica(s->db), c->seq, until, &why) == ERR_OK)
        return ERR_OK;
    return err_set(e, ERR_UNKNOWN_OUTCOME,
                   "it is committed, as message %llu of the log, but this node does not have it "
                   "yet: %s",
                   (unsigned long long)c->seq, why.msg);
}

/* ---- a write alone ---- */

bool request_is_away(const struct request *r)
{
    const struct node *n = r->s->node;
    return n->upstream && !r->opt.local &&
           n->upstream->away(n->upstream_arg, database_id(r->s->db));
}

/* Behind the last statement of the write that begins at r->at. */
static struct cursor end_of_write(const struct request *r)
{
    struct cursor at = r->at, end = r->at;
    struct lex lex;
    while (request_next(r, &at, &r->end, &lex)) {
        const struct query *q = &r->queries[at.query];
        at.offset += lex_length(q->sql + at.offset, q->len - at.offset);
        end = at;
    }
    return end;
}

/* The call's error, as one of the request's. */
static enum err_code failed(struct request *r, const struct upstream_call *c, struct err *e)
{
    r->last = r->at.query + c->failed;
    if (r->last >= r->n)
        r->last = r->at.query;
    if (e->offset >= 0 && c->failed == 0)
        e->offset += (int)r->at.offset;
    return e->code;
}

static enum err_code done(struct request *r, const struct upstream_call *c,
                          const struct cursor *end, struct sink *sink, struct err *e)
{
    r->s->last_rowid = c->last_rowid;
    r->last = end->query < r->n ? end->query : r->n - 1;
    r->at = *end;
    return recorder_replay(&r->recorder, sink) ? ERR_OK : request_too_big(e);
}

enum err_code request_write_away(struct request *r, bool *here, struct sink *sink, struct err *e)
{
    struct node *n = r->s->node;
    struct upstream_call c = call_of(r->s, r->deadline_ns);
    struct cursor end = end_of_write(r);
    struct query *queries = NULL;
    *here = false;
    if (request_may_write(r->s, e) != ERR_OK || follows(r->s, &c, e) != ERR_OK)
        return e->code;
    c.n = request_slice(r, &end, &queries);
    if (c.n == 0)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c.queries = queries;
    c.atomic = r->opt.atomic;
    recorder_reset(&r->recorder);
    atomic_fetch_add(&n->upstream_calls, 1);
    enum err_code code = n->upstream->write(n->upstream_arg, &c, &r->recorder, e);
    free(queries);
    *here = code == ERR_OK && c.here;
    if (code == ERR_OK && !c.here) {
        if (c.seq > r->seq)
            r->seq = c.seq;
        code = wait_for(r->s, &c, e);
        if (code == ERR_OK)
            code = done(r, &c, &end, sink, e);
    } else if (code != ERR_OK) {
        code = failed(r, &c, e);
    }
    buf_free(&c.position);
    return code;
}

/* ---- explicit transactions ---- */

enum err_code away_begin(struct session *s, uint64_t base, int64_t deadline_ns, bool *here,
                         struct err *e)
{
    struct node *n = s->node;
    struct upstream_call c = call_of(s, deadline_ns);
    /* An asynchronous file is no prefix of the log: its position does not say what was read. */
    if (n->opt.async_replication)
        base = UPSTREAM_ANY;
    void *tx = NULL;
    if (follows(s, &c, e) != ERR_OK) {
        *here = false;
        return e->code;
    }
    atomic_fetch_add(&n->upstream_calls, 1);
    enum err_code code = n->upstream->begin(n->upstream_arg, &c, base, &tx, e);
    buf_free(&c.position);
    *here = code == ERR_OK && c.here;
    if (code == ERR_OK && !c.here) {
        s->away = tx;
        s->phase = TX_AWAY;
    }
    return code;
}

enum err_code away_commit(struct session *s, int64_t deadline_ns, uint64_t *seq, struct err *e)
{
    struct upstream_call c = call_of(s, deadline_ns);
    enum err_code code = s->node->upstream->commit(s->away, &c, e);
    *seq = code == ERR_OK ? c.seq : 0;
    if (code == ERR_OK)
        code = wait_for(s, &c, e);
    buf_free(&c.position);
    if (code == ERR_FOREIGN_KEY && !c.ended)
        return code;
    away_close(s);
    return code;
}

void away_close(struct session *s)
{
    if (s->away)
        s->node->upstream->close(s->away);
    s->away = NULL;
}

enum err_code request_run_away(struct request *r, const struct lex *lex, struct sink *sink,
                               struct err *e)
{
    struct session *s = r->s;
    struct upstream_call c = call_of(s, r->deadline_ns);
    const struct query *q = &r->queries[r->at.query];
    struct cursor end = r->at;
    end.offset += request_is_control(lex->kind)
                      ? lex->len
                      : lex_length(q->sql + end.offset, q->len - end.offset);
    struct query *queries = NULL;
    c.n = request_slice(r, &end, &queries);
    if (c.n == 0)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    c.queries = queries;
    recorder_reset(&r->recorder);
    enum err_code code = s->node->upstream->run(s->away, &c, &r->recorder, e);
    free(queries);
    buf_free(&c.position);
    if (code == ERR_OK)
        return done(r, &c, &end, sink, e);
    failed(r, &c, e);
    if (c.ended)
        transaction_fail(s, e);
    return code;
}

enum err_code away_describe(struct session *s, const struct query *q, struct sink *columns,
                            struct session_shape *shape, struct err *e)
{
    struct upstream_call c = call_of(s, clock_deadline(s->node->opt.replication_timeout_ns));
    c.queries = q;
    c.n = 1;
    enum err_code code = s->node->upstream->describe(s->away, &c, columns, shape, e);
    buf_free(&c.position);
    if (code != ERR_OK && c.ended)
        transaction_fail(s, e);
    return code;
}
