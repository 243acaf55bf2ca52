/*
 * A source: another database system that one of the node's databases mirrors. What all kinds have
 * in common is here: the thread, whose turn it is in a cluster, trying again, and what people are
 * told. A driver (pg_follow.h and its like) knows one kind of system.
 *
 *   STARTING ──► WAITING ──► COPYING ──► FOLLOWING
 *                   ▲ │          │            │
 *                   │ └──────────┴────────────┴──► STOPPED (why) ──(a pause)──► WAITING
 *                   └── another node holds the lease source-<database>
 *
 * Of all nodes with the same source only the one that holds the lease follows it; the others get
 * what it writes through the log, and take over when it is gone. The lease only saves work: what
 * makes every transaction of the source arrive exactly once is the compare-and-set of mirror.h.
 *
 * A failure is logged, shown in /status and /metrics, and followed by another try, after a pause
 * that doubles up to SOURCE_PAUSE_MOST_NS as long as nothing is committed in between.
 */
#ifndef HA_PROXY_SOURCE_H
#define HA_PROXY_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "proxy/mirror.h"

#define SOURCE_PAUSE_LEAST_NS (250 * CLOCK_MS)
#define SOURCE_PAUSE_MOST_NS  (15 * CLOCK_S)

struct source;

/* A kind of source. The functions are called by the source's thread. */
struct source_driver {
    const char *kind; /* "postgresql" */
    const char *unit; /* of the lag that source_behind() tells: "ms", "messages" */
    /* One try: connects, copies what there is if the mirror's position is empty, and follows, until
     * source_stopping() or a failure. Everything that it opens it closes. ERR_OK only where it was
     * told to stop. */
    enum err_code (*follow)(void *arg, struct source *s, struct err *e);
};

/* What is the same for all kinds; from the --proxy-… flags. Strings are borrowed, and outlive the
 * source. */
struct source_options {
    struct node *node;
    const char *database; /* id of the local one; it is open */
    const struct source_driver *driver;
    void *arg;       /* of its functions */
    bool use_schema; /* tables that are missing here are made like the source's */
};

/* ---- by whoever wires the node ---- */

/* Starts the thread, after node_start(). */
enum err_code source_start(struct source **out, const struct source_options *opt, struct err *e);
/* Tells it to stop, and returns at once; before node_stop(), which ends what it may wait for. */
void source_stop(struct source *s); /* NULL is fine */
/* Waits for its end and frees it; after node_stop(), before node_free(). NULL is fine. */
void source_free(struct source *s);

/* ---- by its driver, in its thread ---- */

struct mirror *source_mirror(struct source *s);
const struct source_options *source_options(const struct source *s);
/* The node stops, or the lease is lost: return soon. Stays so until then. Any thread. */
bool source_stopping(const struct source *s);
/* The same for those who look at a flag. */
const atomic_bool *source_stop_flag(const struct source *s);
/* Readable as soon as source_stopping(), for poll(2); borrowed. */
int source_wake_fd(const struct source *s);
/* Sleeps; false as soon as source_stopping(). */
bool source_pause(struct source *s, int64_t duration_ns);

void source_is_copying(struct source *s);
void source_is_following(struct source *s);
/* What /status says besides that it follows; "" = nothing. */
void source_note(struct source *s, const char *note);
/* So many rows more were read by the copy. */
void source_copied(struct source *s, uint64_t rows);
/* mirror_commit() with the bookkeeping; `transactions` of the source are in it. */
enum err_code source_commit(struct source *s, const char *position, int64_t server_time_ns,
                            uint64_t transactions, struct err *e);
/* How much the source has that was not committed here, in the driver's unit. */
void source_behind(struct source *s, uint64_t amount);

#endif
