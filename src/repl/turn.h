/*
 * Whose turn it is to extend the log. Nodes that write the same database at once would race for its
 * end: all but one have run their group for nothing, and who has won, and need not apply anything,
 * is the first to try again. So whoever has written longest ago goes first, and each of the others
 * waits a little longer than the one in front of it. Nothing depends on it: a node that goes
 * too early loses its race as ever (I4), and one that never comes costs the others a slot.
 *
 * Not synchronised: guarded by the replica's mu.
 */
#ifndef HA_REPL_TURN_H
#define HA_REPL_TURN_H

#include <stdint.h>

#define TURN_OTHERS 15

/* All zero: nobody has written. */
struct turns {
    uint64_t messages; /* seen in the log since the replica was opened */
    uint64_t own;      /* which of them was this node's newest; 0 = none */
    int64_t newest_ns; /* when the newest came, or was acknowledged */
    int64_t slot_ns;   /* how long a turn takes, about */
    struct {
        uint64_t node;   /* a hash of its name; 0 = free */
        uint64_t newest; /* its newest message */
        int64_t ns;      /* when that came */
    } others[TURN_OTHERS];
};

/* A message of another node has been applied. */
void turn_of_other(struct turns *t, const char *node, int64_t now_ns);
/* This node's own has been acknowledged, `publish_ns` after it was sent. */
void turn_of_own(struct turns *t, int64_t now_ns, int64_t publish_ns);
/* The time (CLOCK_MONOTONIC) before which this node should not begin; it may be past. */
int64_t turn_begins(const struct turns *t, int64_t now_ns);

#endif
