/*
 * What a Debezium source knows of tables: those of the local database, made and extended as the
 * events' schemas have them if that is wanted, and which topic is about which of them.
 *
 * Events name a table by its name alone here: where two schemas or databases of the source have
 * tables of one name, the rows of both come into one, and it is logged.
 *
 * One thread at a time, the source's. Everything is forgotten with debezium_tables_free(): after a
 * transaction of the mirror was rolled back it begins anew.
 */
#ifndef HA_PROXY_DEBEZIUM_TABLES_H
#define HA_PROXY_DEBEZIUM_TABLES_H

#include <stdbool.h>

#include "base/err.h"
#include "proto/debezium.h"
#include "proxy/mirror.h"

struct debezium_tables;

/* `m` is borrowed. NULL: no memory. */
struct debezium_tables *debezium_tables_new(struct mirror *m, bool use_schema);
void debezium_tables_free(struct debezium_tables *t);

/* Before an event's change is put aside: puts aside what its table needs. */
enum err_code debezium_tables_prepare(struct debezium_tables *t, const char *topic,
                                      const struct debezium_event *ev, struct err *e);

/* The table whose row a tombstone of that topic names, NULL: nothing is to be done, since it is not
 * known, or there is no such table here. Valid until the next call. */
enum err_code debezium_tables_of_tombstone(struct debezium_tables *t, const char *topic,
                                           const struct debezium_event *ev, const char **table,
                                           struct err *e);

#endif
