/*
 * One object in S3-compatible storage, "s3://bucket/key": put there from a file, got into one, by
 * libcurl, which also signs (AWS Signature Version 4). The bucket is part of the path, as every
 * server understands it. What is sent is hashed first, so that the server refuses a body that was
 * damaged on the way.
 *
 * Credentials come from the environment only: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where
 * there is one, AWS_SESSION_TOKEN. They are in no message.
 *
 * Memory stays the same whatever the object's size. A bar may be NULL; the caller ends it. One
 * thread at a time. Errors: ERR_CONFIG where
 * something was asked in a wrong way, ERR_AUTH where the server does not let us, ERR_NOT_FOUND,
 * else ERR_IO.
 */
#ifndef HA_CLI_S3_H
#define HA_CLI_S3_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cli/bar.h"

struct s3;

bool s3_is_uri(const char *word);

/* Speaks to nobody yet. `endpoint` NULL: AWS_ENDPOINT_URL, else that of AWS for the region.
 * `region` NULL: AWS_REGION, else us-east-1. The strings are copied. */
enum err_code s3_open(struct s3 **out, const char *uri, const char *endpoint, const char *region,
                      struct err *e);
void s3_free(struct s3 *s); /* NULL is fine */

/* Is there such an object? An error where there is no such bucket. */
enum err_code s3_find(struct s3 *s, bool *there, struct err *e);
/* Puts the whole file there, in parts where it is large; either the complete object is there
 * afterwards or (on an error) nothing of it, as far as the server can still be reached. SIGINT and
 * SIGTERM end it that way too, with ERR_INTERRUPTED. */
enum err_code s3_put(struct s3 *s, int fd, struct bar *bar, struct err *e);
/* The object's bytes, in order; `write` answers false to end early, with *e set by itself. What
 * came before an error is worth nothing. */
enum err_code s3_get(struct s3 *s, bool (*write)(void *arg, const void *bytes, size_t len),
                     void *arg, struct bar *bar, struct err *e);

#endif
