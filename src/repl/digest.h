/*
 * A running sum over the messages that a file contains: their places in the log and their ids. Two
 * nodes that have followed the same log from a place on have added the same in between, whatever
 * they began with; so a pair of numbers tells whether their files stand for the same messages,
 * however many these are (I5, I8).
 *
 * It remembers the sum at the newest messages, and at every 64th place of many more, so that it can
 * be compared with that of a node which is ahead or behind. It is not stored: it begins anew, with
 * another name, when the file is opened or its position moves in any other way than by a message.
 *
 * Every function may be called by any thread.
 */
#ifndef HA_REPL_DIGEST_H
#define HA_REPL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/id.h"

#define DIGEST_NEWEST 1024 /* messages whose sums are known */
#define DIGEST_MARKS  1024 /* places, DIGEST_STEP apart, whose sums are known */
#define DIGEST_STEP   64

struct digest;

struct digest_point {
    uint64_t seq; /* of a whole message, its last part where it has parts */
    uint64_t sum; /* modulo 2^64, up to and with that message */
};

/* What one node tells the others. */
struct digest_state {
    char name[ID_SIZE];       /* sums are only to be compared with others of the same name */
    uint64_t base;            /* where it has begun; 0 = at the log's beginning, with nothing */
    struct digest_point end;  /* its newest message; seq 0 = none yet */
    struct digest_point mark; /* the newest place that is a multiple of DIGEST_STEP; seq 0 = none */
    /* Whose messages in (from, to] are not this node's; "" = nobody's. That one may not be able to
     * see it by itself: it may know nothing of what this one knew at `from`. */
    char accused[ID_SIZE];
    uint64_t from, to;
};

/* NULL: out of memory. */
struct digest *digest_new(void);
void digest_free(struct digest *d); /* NULL is fine */

/* What a message adds. */
uint64_t digest_of(uint64_t seq, const char *id);

/* The file stands at `seq`: if the sum ends elsewhere, it begins there, under a new name. */
void digest_stand(struct digest *d, uint64_t seq);
/* The same, whatever it ended with: the file at `seq` is another one now. */
void digest_restart(struct digest *d, uint64_t seq);
/* The next message of the log, behind all that were added before. */
void digest_add(struct digest *d, uint64_t seq, const char *id);
/* Takes back what was added behind `seq`, which was the end when that began. */
void digest_cut(struct digest *d, uint64_t seq);

void digest_read(struct digest *d, struct digest_state *out);
/* Is the message at `seq` known, and is it another one than `id`? Then *before is the place of the
 * message in front of it. */
bool digest_denies(struct digest *d, uint64_t seq, const char *id, uint64_t *before);
/* Is the message at `seq` known, and is it `id`? Then all behind it up to the sum's end were added.
 */
bool digest_has(struct digest *d, uint64_t seq, const char *id);
/* The known points from `from` to `to`, both included, ascending, at most `max`: the first ones. 0
 * where `from` itself is not known. */
size_t digest_points(struct digest *d, uint64_t from, uint64_t to, struct digest_point *out,
                     size_t max);

/* ---- another node's ---- */

/* What is known of another node's sum. All zero: nothing. */
struct digest_peer {
    char name[ID_SIZE], own[ID_SIZE]; /* whose sum and which of ours were compared */
    bool met;                         /* `difference` and `agreed` are known */
    uint64_t difference;              /* their sum less ours, wherever both are the same */
    uint64_t agreed;                  /* the newest place where it was so */
    struct digest_point later;        /* told, and this node is not there yet; seq 0 = none */
};

/* The other node has said `told`, or nothing new (NULL: what it has said before is looked at
 * again). True: its messages in (*from, *to] are not those of this node. */
bool digest_compare(struct digest *d, struct digest_peer *p, const struct digest_state *told,
                    uint64_t *from, uint64_t *to);

#endif
