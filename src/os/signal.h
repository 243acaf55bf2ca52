/*
 * Signals of the whole process. SIGTERM, SIGINT and SIGHUP ask it to stop gracefully; the second
 * one ends it at once (exit status 128 + number). SIGPIPE is ignored: writing to a closed socket is
 * an error of that call.
 */
#ifndef HA_OS_SIGNAL_H
#define HA_OS_SIGNAL_H

#include <stdbool.h>
#include <stdint.h>

/* Call once, in main(), before any thread is created: threads inherit the blocked signals. */
void signal_setup(void);

/* Blocks until the process is asked to stop and returns the signal's number. From then on the next
 * such signal ends the process. Main thread only. */
int signal_wait(void);

/* Asked already, though nobody waited? Any thread. */
bool signal_pending(void);

#endif
