/*
 * One request to a node and its answer, by libcurl.
 *
 * A body is handed to the connection once. libcurl would send a request again by itself where a
 * connection that it had kept turns out to be dead; for a write that might be twice, so that is
 * refused here, and the caller learns from `sent` whether the node may have got it.
 *
 * One thread at a time for each handle. What goes wrong on the way is ERR_IO; a URL that is none is
 * ERR_CONFIG; what the node refuses has the node's own code and words.
 */
#ifndef HA_CLI_CALL_H
#define HA_CLI_CALL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/bar.h"
#include "cli/curl.h"

#define CALL_NODE_SIZE 256

struct call {
    /* asked for; borrowed */
    const char *method; /* "GET", "POST", "DELETE" */
    const char *base;   /* "http://host:port", perhaps with slashes behind it */
    const char *path;
    const char *token;       /* NULL or "" = none */
    const char *cacert;      /* file of CAs for https; NULL or "" = the system's */
    const char *accept;      /* NULL = anything */
    const char *transaction; /* HA-Transaction; NULL = none */
    uint64_t min_seq;        /* HA-Min-Seq; 0 = none */
    const char *body;        /* NULL = none */
    size_t body_len;
    /* What a success says goes here; false ends it. NULL = is thrown away. */
    bool (*write)(void *arg, const void *bytes, size_t len);
    void *arg;
    struct bar *bar;                       /* NULL = none; ended by the caller */
    bool is_short;                         /* the answer: the bar shows only how long it takes */
    const volatile sig_atomic_t *stopping; /* ends it where it becomes true; NULL = nothing does */
    /* answered */
    long status;               /* of HTTP; 0 = there was none */
    uint64_t seq;              /* HA-Seq; 0 = none */
    char node[CALL_NODE_SIZE]; /* HA-Node; "" = none */
    bool sent;                 /* it has left, whole or in part: the node may have acted on it */
    bool unwanted;             /* write() took no more */
    /* on the way */
    CURL *curl;
    size_t body_at;
    struct buf problem; /* the body of an answer that is no success */
};

/* An http or https URL? ERR_CONFIG. */
enum err_code call_check_url(const char *base, struct err *e);
/* Sends it and waits for the whole answer. ERR_INTERRUPTED where `stopping` ended it. The handle
 * keeps its connection. */
enum err_code call_run(struct call *c, CURL *curl, struct err *e);

/* What {"code", "detail", "offset", …} says, as an error; ERR_IO with the status for anything
 * else. */
enum err_code call_problem(const char *text, size_t len, long status, struct err *e);

#endif
