/*
 * What a service manager wants to be told by a service of its type "notify": one datagram to the
 * socket that NOTIFY_SOCKET names (systemd's sd_notify(3), which others speak, too). Without that
 * variable nobody wants to know, and nothing happens. Any thread, as long as none changes the
 * environment.
 */
#ifndef HA_OS_NOTIFY_H
#define HA_OS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

bool notify_wanted(void);

/* Lines of NAME=value, such as "READY=1\nSTATUS=at seq 5". Does not block, and what cannot be
 * delivered is lost. */
void notify_send(const char *lines);

/* The manager ends a service that has not said WATCHDOG=1 for so long; 0 = it does not. */
int64_t notify_watchdog_ns(void);

#endif
