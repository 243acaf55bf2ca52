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
/* They do what they do in any program again; writing to a closed socket stays an error. */
void signal_release(void);

/* Blocks until the process is asked to stop and returns the signal's number; 0 = the deadline
 * passed. After such a signal the next one ends the process. Main thread only. */
int signal_wait(int64_t deadline_ns);

/* Asked already, though nobody waited? Any thread. */
bool signal_pending(void);

/* Ends the process (exit status 1, one line on standard error) if it still lives after so many
 * seconds: for a stop that hangs. Any kill is safe; hanging for ever is not useful. */
void signal_end_after(unsigned seconds);

#endif
