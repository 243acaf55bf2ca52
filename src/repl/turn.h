/*
 * Who else writes the database, and whose turn it is. Nodes that write the same database at once
 * would race for the log's end: all but one have run their group for nothing, and who has won, and
 * need not apply anything, is the first to try again. So
 *
 *   - the node that has written last runs the groups of all (handover.h), as long as it has
 *     transactions of its own to run, and says yes when it is asked;
 *   - where that is not to be, whoever has written longest ago goes first, and each of the others
 *     waits a little longer than the one in front of it.
 *
 * Nothing depends on it but speed: a node that goes too early loses its race as ever (I4), and one
 * that never comes costs the others a slot.
 *
 * Nodes are known by their names as tokens (base/name.h). Not synchronised: guarded by the
 * replica's mu.
 */
#ifndef HA_REPL_TURN_H
#define HA_REPL_TURN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/id.h"

#define TURN_OTHERS        15
#define TURN_RECENT_MIN_NS (INT64_C(250) * 1000 * 1000)

/* All zero: nobody has written. */
struct turns {
    uint64_t messages;      /* seen in the log since the replica was opened */
    uint64_t own;           /* which of them was this node's newest; 0 = none */
    int64_t newest_ns;      /* when the newest came, or was acknowledged */
    int64_t publish_ns;     /* how long a publish takes, about; 0 = not known */
    uint64_t forgotten_seq; /* no message of a node that is not among `others` is newer */
    struct turn_other {
        uint64_t node;         /* a hash of its name; 0 = free */
        uint64_t newest;       /* its newest message, as `messages` counts them; 0 = none yet */
        uint64_t seq;          /* where that stands in the log */
        int64_t ns;            /* when it came */
        int64_t rest_ns;       /* nothing is handed over to it before */
        char process[ID_SIZE]; /* whom to ask (nats/rpc.h); "" = not known */
    } others[TURN_OTHERS];
};

/* A message of another node has been applied. */
void turn_of_other(struct turns *t, const char *node, uint64_t seq, int64_t now_ns);
/* This node's own has been acknowledged, `publish_ns` after it was sent. */
void turn_of_own(struct turns *t, int64_t now_ns, int64_t publish_ns);
/* Who has written within so long may want to again: TURN_RECENT_MIN_NS, or longer where publishes
 * take long. Also what is worth waiting for another node to write. */
int64_t turn_recent_ns(const struct turns *t);
/* The time (CLOCK_MONOTONIC) before which this node should not begin; it may be past. */
int64_t turn_begins(const struct turns *t, int64_t now_ns);

/* The process that another node is at present. */
void turn_process(struct turns *t, const char *node, const char *process);
/* Whom to hand a group over to: who has written after this node, and lately. False: nobody. */
bool turn_runner(const struct turns *t, int64_t now_ns, char process[ID_SIZE]);
/* That process is not to be asked before `until_ns`. */
void turn_rest(struct turns *t, const char *process, int64_t until_ns);
/* No message of `node` that has been applied since the replica was opened stands behind this. */
uint64_t turn_newest_of(const struct turns *t, const char *node);

#endif
