/*
 * A file that the log cannot continue is replaced by one that it can. Applier thread.
 *
 *   verdict              the file                            what is done
 *   GAP, HOLE, BROKEN    ends before what the log still has  copy
 *   ANEW, REWRITTEN      is not a prefix of this log         kept aside, copy
 *   DIFFERS              has other messages in the middle    kept aside, copy
 *   LOST_END             is longer than the log              kept aside, copy; refused on the only
 *                                                            node that has it
 *   GONE, or an empty    is all that is left                 refused: the user decides
 *   log instead of ours
 *
 * A copy is, in this order: for a file that is no prefix, nothing at all, where the log still
 * reaches back to its beginning; the newest snapshot that the log continues; what another node has.
 * Where there is none the database stays stopped and says why: a gap is never skipped (I3).
 *
 * The copy is made complete and checked beside the file, and then takes its place in one SQLite
 * transaction. So a crash at any point leaves the old file or the new one, and readers keep what
 * they were reading until they begin anew.
 */
#ifndef HA_REPL_RESTORE_H
#define HA_REPL_RESTORE_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "nats/stream.h"

/* What the log's leader lacks may still come: longer than an election takes (4 to 9 s). */
#define RESTORE_PATIENCE_NS (15 * CLOCK_S)

struct replica;

enum verdict {
    VERDICT_OURS, /* the log continues the file */
    VERDICT_GAP,
    VERDICT_HOLE,
    VERDICT_BROKEN, /* servers' copies have become different, and the log is a mixture of them */
    VERDICT_ANEW,
    VERDICT_REWRITTEN,
    VERDICT_DIFFERS, /* the message at the position is the log's, one before it is not */
    VERDICT_LOST_END,
    VERDICT_GONE
};

const char *verdict_name(enum verdict v);

/* r->verdict is not OURS, and `e` says why. ERR_OK: the file now stands in the log `st`; or, with
 * *anew, it is to begin a new one (--adopt). */
enum err_code restore_mend(struct replica *r, const struct stream_state *st, bool *anew,
                           struct err *e);

/* The write lock is held. From here on the file belongs to no log, and there is none. */
enum err_code restore_anew(struct replica *r, const struct stream_state *st, struct err *e);

/* An empty file of a node that was told to begin with the newest snapshot. *done = false where
 * there is none. An empty log has to begin with the snapshot's content: then the file belongs to no
 * log. */
enum err_code restore_begin(struct replica *r, const struct stream_state *st, bool *done,
                            struct err *e);

/* Finishes a restore whose last step failed; else does nothing. */
enum err_code restore_settle(struct replica *r, struct err *e);

/* What a restore that was killed has left behind. */
void restore_clean(const struct replica *r);

#endif
