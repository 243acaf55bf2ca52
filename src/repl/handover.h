/*
 * Handing a group over. Nodes that write one database at the same time would each pay a message for
 * a third of the transactions. So one of them runs everybody's: a group of autocommit transactions
 * goes as it is, not run yet, to the node that has written last (turn.h), which puts it into its
 * own queue and answers what came of each.
 *
 *     origin                                     runner
 *     a group ── id, base, the transactions ──>  waits until its file holds `base`; runs them in
 *                                                its own groups, whose messages name the id
 *     its file holds what the results are of <── results ──
 *
 * Each transaction is run once, whoever falls silent:
 *
 *   - Between handing over and the end of it the origin publishes nothing of its own.
 *   - The runner puts what has the id into a message only if it has applied the very message that
 *     the origin's file ended with, at `base`, and none of the origin's behind it; and it publishes
 *     expecting the end of the log that its file holds (I4). When a log was created proves nothing:
 *     servers do not always agree on it.
 *   - An origin that gets no answer publishes a message that holds nothing, expecting the end of a
 *     log in which it has seen all messages behind `base`. Either one of them names the id, and the
 *     outcome is the log's, or that message stands before whatever the runner still has; then
 *     nothing of it has happened, nor will, and the origin runs the group itself.
 *
 * Where the runner says that it has not run one (it is not about to write anything itself, an
 * explicit transaction is open, the result is too long, …) the origin runs that at once.
 *
 * A question is (numbers big-endian, strings with their NUL):
 *
 *     u8 1 · 22 bytes id · u64 base · u32 milliseconds that the origin waits ·
 *     the id of the message at base · origin's name as a token · the log's subject ·
 *     u16 n · n × { u32 length, a packed transaction }
 *
 * and an answer n × { u8 what came of it ('D' done or failed by itself, 'H' not run, '?' unknown) ·
 * u64 seq · u32 place in the message, 0 = it is in none, and seq is what it has seen · u32 length,
 * its result }. An error instead says that none has been run, but for UNKNOWN_OUTCOME. What is in a
 * packed transaction and in a result is the executor's business (struct txn_travel).
 *
 * Core NATS delivers a question once or not at all, and that is relied on: the runner keeps no list
 * of those that it has run. A transaction runs with the runner's settings; nodes of a cluster are
 * expected to have the same.
 */
#ifndef HA_REPL_HANDOVER_H
#define HA_REPL_HANDOVER_H

#include "base/buf.h"
#include "base/name.h"
#include "repl/replica.h"
#include "repl/turn.h"

#define HANDOVER_METHOD  "run"                /* of nats/rpc.h */
#define HANDOVER_AT_ONCE 48u                  /* calls that a node takes */
#define HANDOVER_MAX     256u                 /* transactions */
#define HANDOVER_ANSWER  ((size_t)384 * 1024) /* bytes of all results together */

/* What a node was asked to run. Borrows the question's bytes. */
struct handover {
    char id[ID_SIZE];
    char origin[NAME_TOKEN_SIZE];
    uint64_t base;
    int64_t patience_ns; /* then the origin does not wait any more */
    const char *base_id, *subject;
    unsigned n;
    struct {
        const char *data;
        size_t len;
    } txns[HANDOVER_MAX];
};

/* ---- the runner, for whoever serves the question; any thread ---- */

/* ERR_FORMAT. */
enum err_code handover_read(struct handover *h, const char *body, size_t len, struct err *e);
/* Runs txns[0 … h->n), which are of `h`, and blocks until the fate of each is known: errs[i]. Where
 * txns[i].index is 0 its seq is what it has seen. An error: none has been run. */
enum err_code handover_run(struct replica *r, const struct handover *h, struct txn *txns,
                           struct err *errs, struct err *e);
/* Appends what came of one transaction. True: its result (handover_put_result()) comes next. */
bool handover_put(struct buf *answer, const struct txn *t, const struct err *e);
void handover_put_result(struct buf *answer, const struct buf *result);

/* ---- the origin, for the group's leader ---- */

struct waiting;

/* Hands the group over, if this is the moment to, and every member can travel. Returns how many
 * settled[i] are true: those members have their results, as if they had been run here. The others
 * are to be run here. Blocks. The write lock is not held. */
size_t handover_group(struct replica *r, struct waiting *const *members, size_t n, bool *settled);

/* ---- both: the write lock is held ---- */

/* May a transaction that was handed over be in the message that this group is about to publish? */
bool handover_stands(struct replica *r, const struct handover *h);

#endif
