/*
 * The script of --interceptor as it was read when the program started: its text, and a digest by
 * which nodes tell whether they have the same. Immutable; any thread. docs/interceptors.md says
 * what a script may do.
 */
#ifndef HA_SCRIPT_SCRIPT_H
#define HA_SCRIPT_SCRIPT_H

#include <stddef.h>

#include "base/err.h"
#include "base/sha256.h"

#define SCRIPT_MAX_BYTES ((size_t)1 << 20) /* of its text */

struct script {
    char *path; /* as it was named */
    char *text;
    size_t len;
    char digest[SHA256_TEXT_SIZE]; /* of the text */
    size_t memory_bytes;           /* limit of what it may use in one database */
};

/* Reads, compiles and runs it once, without a database. ERR_CONFIG says what is wrong, "FILE:LINE:"
 * in front; so does a script that defines neither before() nor after(). */
enum err_code script_load(struct script **out, const char *path, size_t memory_bytes,
                          struct err *e);
void script_free(struct script *s); /* NULL is fine */

#endif
