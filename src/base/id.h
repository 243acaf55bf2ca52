/*
 * Message ids: 22 characters of [0-9A-Za-z], unique over all processes on all machines. The first
 * 12 are random (71 bits), chosen once per process; the last 10 count. Any thread.
 */
#ifndef HA_BASE_ID_H
#define HA_BASE_ID_H

#define ID_LEN  22
#define ID_SIZE (ID_LEN + 1) /* terminator included */

void id_next(char out[ID_SIZE]);

#endif
