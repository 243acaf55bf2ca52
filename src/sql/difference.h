/*
 * What one database file has that another one lacks, as SQL for a person to read, and then to apply
 * to the other. It is made for a file that was kept aside when its log had lost its end: the rows
 * that only it has are what the log has lost.
 *
 *     CREATE …; INSERT …;       what only KEPT has: nothing is in its way
 *     -- UPDATE …; -- DELETE …  rows that both have, with other values, and rows that only LIVE
 * has: lost changes, or newer ones; only a person knows
 *
 * Rows are matched by primary key; those of a table without one as a whole, and equal ones count as
 * one. Left out are virtual tables and the tables behind them, which is said, and tables of ha's
 * and SQLite's own. Neither file is changed; both are read at one moment each, so LIVE may be in
 * use. Memory is bounded by the largest row.
 */
#ifndef HA_SQL_DIFFERENCE_H
#define HA_SQL_DIFFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "sql/watch.h"

struct difference {
    uint64_t only_kept, only_live, other; /* rows */
    uint64_t objects;                     /* tables, indexes … that only KEPT has */
    uint64_t left_out;                    /* tables that could not be compared */
};

/* `write` gets whole lines and answers false to end early (ERR_INTERRUPTED). ERR_NO_DATABASE: a
 * file is not there. */
enum err_code difference_find(const char *kept, const char *live,
                              bool (*write)(void *arg, const char *bytes, size_t len), void *arg,
                              const struct watch *watch, struct difference *out, struct err *e);

#endif
