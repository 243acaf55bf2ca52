/* TCP ports of this machine. Any thread. */
#ifndef HA_OS_PORT_H
#define HA_OS_PORT_H

#include <stdbool.h>

/* Could a server listen on it now, on all addresses? Only a good guess: the next moment another
 * program may. True where the system cannot tell. */
bool port_is_free(int port);

#endif
