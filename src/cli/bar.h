/*
 * How far something is that takes its time, as one line on standard error that is drawn anew; only
 * where that is a terminal. One piece for all commands, one thread.
 */
#ifndef HA_CLI_BAR_H
#define HA_CLI_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
    char what[32];
    bool on, drawn;
    int64_t begin_ns, next_ns; /* drawn again not before */
};

/* Shows nothing yet. `what`: "copying"; what is too long is cut. */
void bar_begin(struct bar *b, const char *what);
/* `done` of `total` bytes; of an unknown total (0) only bytes; without bytes (0) how long it takes.
 * Cheap when called often. NULL is fine. */
void bar_show(struct bar *b, uint64_t done, uint64_t total);
/* Ends the line. Twice is fine, NULL too. */
void bar_end(struct bar *b);

/* bar_show() for a struct watch (sql/watch.h); `arg` is the bar. */
void bar_moved(void *arg, uint64_t done, uint64_t total);

#endif
