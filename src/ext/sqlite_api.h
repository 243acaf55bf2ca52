/*
 * Included before everything else by whatever becomes part of the loadable extension, the files of
 * src/sql among it (-include, Makefile): "sqlite3_…()" is from then on a call through the table of
 * the SQLite that has loaded the extension. So one source serves the program and the extension, and
 * no second SQLite comes into a process that has one.
 */
#ifndef HA_EXT_SQLITE_API_H
#define HA_EXT_SQLITE_API_H

#include <sqlite3ext.h>

SQLITE_EXTENSION_INIT3

/* The oldest SQLite whose table has all that is called; sqlite3_error_offset() is the newest. */
#define EXT_SQLITE_LEAST      3038000
#define EXT_SQLITE_LEAST_TEXT "3.38.0"

#endif
