/* The rows of the benchmark's table, made from their id: the same ones in the log and in the bare
 * loop. */
#ifndef HA_BENCH_ITEM_H
#define HA_BENCH_ITEM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#define ITEM_SCHEMA    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, value REAL)"
#define ITEM_NAME_SIZE 40

static inline void item_name(char out[ITEM_NAME_SIZE], int64_t id)
{
    snprintf(out, ITEM_NAME_SIZE, "item number %" PRId64, id);
}

static inline double item_value(int64_t id)
{
    return (double)id * 0.37 + 0.5;
}

#endif
