/*
 * Connections that a library made and whose descriptor it does not tell. Any thread.
 */
#ifndef HA_OS_SOCKET_H
#define HA_OS_SOCKET_H

/*
 * Shuts down the TCP connections of this process that have this local address and a peer at this
 * port: whoever uses one sees it end, as if the peer had closed it, and closes the descriptor.
 * Returns how many.
 */
unsigned socket_cut(const char *local_ip, int local_port, int peer_port);

#endif
