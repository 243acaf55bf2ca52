/*
 * A TCP connection to a host and a port, for threads that have to end when they are told to. Any
 * thread.
 */
#ifndef HA_OS_DIAL_H
#define HA_OS_DIAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* "host:port", "[::1]:port" in two; both are terminated. False: it is none, or too long. */
bool dial_split(const char *address, char *host, size_t host_size, char *port, size_t port_size);

/* Tries each address of the host until the deadline (monotonic), or until *give_up. *out is a
 * socket that does not block, answers at once (TCP_NODELAY), and breaks when its peer acknowledges
 * nothing for `patience_ms`; the caller closes it. ERR_IO says why there is none. Looking up a name
 * takes as long as the system's resolver likes. */
enum err_code dial(int *out, const char *host, const char *port, unsigned patience_ms,
                   const atomic_bool *give_up, int64_t deadline_ns, struct err *e);

#endif
