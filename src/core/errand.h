/*
 * Errands: statements of another node's clients that this one runs for it, because it leads. One
 * conversation is one write, or one explicit transaction; order.h has what is sent, wire/grpc
 * carries it:
 *
 *     follower                                     leader
 *     WRITE ─────────────────────────────────────> runs it, a transaction of its own
 *       <──────────────────────────────── answer   the end
 *     BEGIN ─────────────────────────────────────> begins, if it is where `base` says
 *       <──────────────────────────────── answer
 *     RUN, DESCRIBE … ───────────────────────────> one after the other
 *       <──────────────────────────────── answer
 *     COMMIT ────────────────────────────────────>
 *       <──────────────────────────────── answer   the end; without COMMIT it is rolled back
 *
 * Whatever comes while something runs cancels that; the answer says what came of it. So a CANCEL
 * that comes too late finds nothing to cancel, and has no answer.
 *
 * A leader does not look whether it still leads, nor sends an errand on: whoever runs it, the log's
 * expected end (I4) decides what is committed. One thread at a time.
 */
#ifndef HA_CORE_ERRAND_H
#define HA_CORE_ERRAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct errand;
struct node;
struct session;

/* `gone` as in session_open(): it is also to say whether a message is waiting. */
enum err_code errand_open(struct errand **out, struct node *n, bool (*gone)(void *arg), void *arg,
                          struct err *e);
void errand_close(struct errand *x); /* rolls back; NULL is fine */
struct session *errand_session(struct errand *x);

/* Runs an order, and appends the answer, if it has one. *more: the conversation goes on. ERR_FORMAT
 * where the bytes are none; errors of statements are answers. */
enum err_code errand_run(struct errand *x, const void *bytes, size_t len, struct buf *answer,
                         bool *more, struct err *e);

#endif
