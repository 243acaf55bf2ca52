/*
 * Processes that hold the lock of a file (flock): found in /proc, as far as it shows them. Any
 * thread.
 */
#ifndef HA_OS_HOLDER_H
#define HA_OS_HOLDER_H

#include <sys/types.h>

/* A process other than this one whose program's name begins with `program`, and through one of
 * whose descriptors the file at `path` is locked, whoever has locked it; 0 where there is none, or
 * none that may be seen. */
pid_t holder_find(const char *path, const char *program);

#endif
