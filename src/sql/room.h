/*
 * What is full: the disk, or only the database?
 *
 * SQLite answers SQLITE_FULL for both: a write for which the disk has no room, and a limit of the
 * file's own, as when the largest rowid of an AUTOINCREMENT table is taken. It keeps no errno of
 * the former, so the writes themselves are watched, of all files, temporary ones too. Any thread.
 */
#ifndef HA_SQL_ROOM_H
#define HA_SQL_ROOM_H

#include <sqlite3.h>

/* Once, before any file is opened. */
void room_watch(void);

/* The errno behind a failure `rc` of the connection's: sqlite3_system_errno(), but for SQLITE_FULL
 * ENOSPC or 0. `db` may be NULL. */
int room_errno(sqlite3 *db, int rc);

#endif
