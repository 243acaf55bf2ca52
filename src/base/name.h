/*
 * Database ids and node names as NATS tokens (parts of subjects, stream and consumer names), so
 * that no two names ever share a token:
 *
 *     [A-Za-z0-9_-]   stays
 *     any other byte  "=XX", upper-case hexadecimal
 *     no byte at all  "=e"
 *     too long        the first bytes of the above, "=h" and 128 bits of the name's SHA-256
 *
 * "a.db" becomes "a=2Edb" and "a_db" stays "a_db". Any thread.
 */
#ifndef HA_BASE_NAME_H
#define HA_BASE_NAME_H

#include <stdbool.h>

#define NAME_TOKEN_MAX  160                  /* bytes of the longest token */
#define NAME_TOKEN_SIZE (NAME_TOKEN_MAX + 1) /* terminator included */

void name_encode(const char *name, char out[NAME_TOKEN_SIZE]);
/* The name behind a token; false for what is none, and for those that do not hold the whole name.
 */
bool name_decode(const char *token, char out[NAME_TOKEN_SIZE]);

#endif
