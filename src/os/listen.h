/* A listening TCP socket, for every protocol's server. */
#ifndef HA_OS_LISTEN_H
#define HA_OS_LISTEN_H

#include <stdint.h>

#include "base/err.h"

/* Non-blocking, both address families where `address` is NULL or "" (all). Port 0 = any free one.
 * ERR_CONFIG for an address that is none, ERR_IO where the port cannot be had; `what` names the
 * server in messages. */
enum err_code listen_open(int *out, const char *address, uint16_t port, const char *what,
                          struct err *e);
uint16_t listen_port(int fd);

#endif
