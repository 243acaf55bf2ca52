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

/* What came later is not to be called: without its macro it is a name that nothing defines. */
#undef sqlite3_deserialize
#undef sqlite3_serialize
#undef sqlite3_db_name
#undef sqlite3_value_encoding
#undef sqlite3_is_interrupted
#undef sqlite3_stmt_explain
#undef sqlite3_get_clientdata
#undef sqlite3_set_clientdata
#undef sqlite3_setlk_timeout
#undef sqlite3_set_errmsg
#undef sqlite3_db_status64
#undef sqlite3_str_truncate
#undef sqlite3_str_free
#undef sqlite3_carray_bind
#undef sqlite3_carray_bind_v2
#undef sqlite3_incomplete
#undef sqlite3_result_str

#endif
