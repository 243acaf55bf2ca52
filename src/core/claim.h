/*
 * Which database files are open, in this process and, by a lock on "<file>-lock", in all of this
 * machine. Two nodes over one file would each apply what the other one has written to it already. A
 * dropped database stays open until its last session leaves it, and SQLite, when it closes a file,
 * deletes the WAL of that name: a new database of the same name must not begin before. Any thread.
 */
#ifndef HA_CORE_CLAIM_H
#define HA_CORE_CLAIM_H

#include <stdint.h>

#include "base/err.h"

/* Waits until nobody has `path` claimed, and claims it. ERR_BUSY at the deadline; ERR_IO,
 * ERR_DISK_FULL or ERR_CONFIG where the lock's file cannot be made or opened. */
enum err_code claim_path(const char *path, int64_t deadline_ns, struct err *e);
void claim_release(const char *path);
/* In a child after fork(), which inherits the locks' descriptors: the locks are its parent's alone.
 * Async-signal-safe. */
void claim_forget(void);

#endif
