/*
 * The running server as a service: waits for the signal that stops it, and meanwhile tells the
 * service manager, where there is one (os/notify.h), how the node is.
 *
 *   READY=1      once the node holds all that its logs had when it connected
 *   STATUS=      what it waits for; or how far it is
 *   WATCHDOG=1   in time, as long as the node's locks are free now and then
 *   STOPPING=1   from the signal on
 */
#ifndef HA_SERVER_SERVICE_H
#define HA_SERVER_SERVICE_H

struct server;

/* The number of the signal. Main thread, once. */
int service_wait(struct server *s);

#endif
