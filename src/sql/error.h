/*
 * SQLite's results as codes of the error table. Pure; any thread.
 */
#ifndef HA_SQL_ERROR_H
#define HA_SQL_ERROR_H

#include "base/err.h"

/* `rc` is an extended result code, `msg` SQLite's message for it (NULL = unknown), `sys_errno` what
 * the operating system said (room_errno(); 0 = nothing). Never answers ERR_OK but for SQLITE_OK,
 * _ROW, _DONE. */
enum err_code error_from_sqlite(int rc, const char *msg, int sys_errno);

#endif
