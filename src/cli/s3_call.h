/*
 * One request to S3-compatible storage, and what its answer says: what the calls of s3.h are made
 * of. Errors as there.
 */
#ifndef HA_CLI_S3_CALL_H
#define HA_CLI_S3_CALL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/bar.h"
#include "cli/curl.h"

#define S3_TAG_SIZE     128
#define S3_HEADER_BYTES 4096

/* HTTP's statuses. */
enum {
    S3_OK = 200,
    S3_PARTIAL = 206,
    S3_MOVED = 301,
    S3_REDIRECT = 307,
    S3_NOT_THERE = 404,
    S3_NO_RANGE = 416
};

/* The object, and the connection to its storage. */
struct s3 {
    CURL *curl;
    char *name;     /* as the user wrote it */
    struct buf url; /* endpoint/bucket/key, escaped */
    char *key_id, *secret, *token, *sigv4;
    int64_t part_bytes;
    struct bar *bar; /* borrowed, of the call under way; NULL = none */
};

struct s3_call {
    /* asked for */
    const char *method, *query; /* query: canonical, NULL = none */
    const char *text;           /* the body, or NULL */
    int from;                   /* the body is of this file, or -1: `len` bytes at `offset` */
    int64_t offset, len;
    int64_t before, total;                 /* for the bar: bytes of earlier calls, bytes of all */
    const volatile sig_atomic_t *stopping; /* ends it where it becomes true; NULL = nothing does */
    /* Where a body of 200 goes; NULL = into `answer`. */
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    const char *range;
    /* answered */
    long status;
    int64_t size; /* Content-Length, -1 = unknown */
    char tag[S3_TAG_SIZE];
    struct buf answer; /* owned; a longer one than 64 KiB ends the request */
    int64_t got;       /* bytes that write() took */
    bool unwanted;     /* it took no more */
    /* on the way */
    struct s3 *s;
    int64_t at; /* bytes of the body that were sent */
    int failed; /* errno of reading a file */
};

void s3_call_init(struct s3_call *c, struct s3 *s, const char *method);

/* Sends it and waits for the answer. ERR_OK: there is one, of whatever status. The caller frees
 * `answer` in any case. */
enum err_code s3_call_send(struct s3_call *c, struct err *e);

/* The text of the first element of that name in the answer, made fit for one line; false where
 * there is none. These answers are flat, and their elements have no attributes. */
bool s3_call_element(struct s3_call *c, const char *name, char *out, size_t size);

/* The error that an answer of another status than the wished one is: "cannot <what> <name>: …" */
enum err_code s3_call_refused(struct s3_call *c, const char *what, struct err *e);

#endif
