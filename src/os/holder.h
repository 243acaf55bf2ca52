/*
 * Processes that hold a file: found in /proc, as far as it shows them. Any thread.
 */
#ifndef HA_OS_HOLDER_H
#define HA_OS_HOLDER_H

#include <sys/types.h>

/* A process other than this one that has the file at `path` open, whatever it calls it; 0 where
 * there is none, or none that may be seen. */
pid_t holder_find(const char *path);

#endif
