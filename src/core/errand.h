/*
 * Errands: statements of another node's clients that this one runs for it, because it leads, and
 * what the other node sends for that (wire/grpc carries both). One conversation is one write, or
 * one explicit transaction:
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
 *     order    u8 1 · u8 what · database · u64 base · u64 ns left, 0 = no limit
 *              u64 last insert rowid · u32 bytes that the recording may have · u8 atomic
 *              u16 n · n × { setting's name, u8 has a value, [value] }
 *              front, queries (parcel.h)
 *     answer   u8 is the transaction open? · u64 seq · u8 empty · u8 reads · u32 parameters
 *              u8 lacks a setting · [its name] · result (parcel.h)
 *
 * The settings of a PostgreSQL session stay with its own node. A statement that asks for one that
 * the order does not have is undone; the answer names it, and the follower sends the order again,
 * with it.
 *
 * A leader does not look whether it still leads, nor sends an errand on: whoever runs it, the log's
 * expected end (I4) decides what is committed.
 */
#ifndef HA_CORE_ERRAND_H
#define HA_CORE_ERRAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/parcel.h"
#include "core/upstream.h"

#define ERRAND_SETTINGS_MAX 64u

enum errand_order {
    ERRAND_WRITE = 'W',
    ERRAND_BEGIN = 'B',
    ERRAND_RUN = 'R',
    ERRAND_DESCRIBE = 'D',
    ERRAND_COMMIT = 'C',
    ERRAND_CANCEL = 'X'
};

/* ---- the follower; one thread at a time for each buffer ---- */

/* Names of settings that answers have asked for, in the caller's storage. */
struct errand_settings {
    unsigned n;
    char names[ERRAND_SETTINGS_MAX][128];
};

/* Appends an order. `known` may be NULL. */
void errand_put_order(struct buf *b, enum errand_order what, const struct upstream_call *c,
                      uint64_t base, size_t limit_bytes, const struct errand_settings *known);

/* Borrows from the bytes. */
struct errand_answer {
    bool open; /* the transaction stands */
    uint64_t seq;
    struct session_shape shape; /* DESCRIBE */
    const char *lacks;          /* NULL = nothing; else the result is void */
    struct parcel_result result;
};

/* ERR_FORMAT. */
enum err_code errand_get_answer(const void *bytes, size_t len, struct errand_answer *out,
                                struct err *e);
/* Adds the name; false: there are too many, or it is there already, and was of no use. */
bool errand_add_setting(struct errand_settings *s, const char *name);

/* ---- the leader; one thread at a time ---- */

struct errand;

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
