/* A listening TCP socket, for every protocol's server. */
#ifndef HA_OS_LISTEN_H
#define HA_OS_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

/* Non-blocking, both address families where `address` is NULL or "" (all). Port 0 = any free one.
 * ERR_CONFIG for an address that is none, ERR_IO where the port cannot be had; `what` names the
 * server in messages. */
enum err_code listen_open(int *out, const char *address, uint16_t port, const char *what,
                          struct err *e);
uint16_t listen_port(int fd);

/* Hands every connection that waits to take(), which owns the descriptor from then on; `flags` are
 * accept4()'s. True where accepting should pause: the process cannot have more descriptors now. */
bool listen_accept(int fd, int flags,
                   void (*take)(void *arg, int fd, const struct sockaddr_storage *from,
                                socklen_t len),
                   void *arg);

#endif
