/*
 * The modules and functions that SQL sees. Registered on one connection; SQLite calls them.
 *
 *   CREATE VIRTUAL TABLE temp.ha USING ha(…)       a table whose one row is a replica that is kept:
 *       subject, durable, policy                   INSERT starts it, DELETE ends it
 *   ha_stats                                       a table of its own name: how the replica stands
 *   ha_info(), ha_wait(seq [, milliseconds])
 */
#ifndef HA_EXT_TABLE_H
#define HA_EXT_TABLE_H

#include "ext/host.h"

extern const sqlite3_module table_module; /* ha */
extern const sqlite3_module stats_module; /* ha_stats; its aux is the host, as that of the other */

/* SQLite's code. */
int function_register(struct host *h);

#endif
