/*
 * What the load clients speak: one connection to one server, whatever its protocol, and one
 * transaction over it at a time.
 *
 * A protocol turns a struct work into bytes and an answer into a struct answer; it knows nothing of
 * threads, clocks or counts. A connection belongs to one thread. Nothing here tries anything again:
 * what a lost connection or a refusal means is the caller's matter.
 */
#ifndef HA_BENCH_CLIENT_H
#define HA_BENCH_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_TIMEOUT_S 30 /* for one answer */

/* Text that grows; zero-initialised is empty. */
struct text {
    char *bytes; /* owned, terminated when not NULL */
    size_t len, size;
};

void text_append(struct text *t, const char *bytes, size_t len);
void text_number(struct text *t, uint64_t number);
void text_free(struct text *t);

/* Where the numbers of a template come from; of one thread but for `next`. */
struct numbers {
    atomic_long *next; /* borrowed: shared by all threads of a program */
    uint64_t seed;     /* not 0 */
    long keys;         /* random numbers are below it */
    /* What %s becomes: `bytes` characters of the pool, from a random place on. */
    const char *pool; /* borrowed: `bytes` and FILL_SPARE characters; may be NULL with no bytes */
    size_t bytes;
};

#define FILL_SPARE ((size_t)16 << 20) /* so that compression finds no row in the ones before it */

/* A pool of random letters and digits for so many bytes; owned. */
char *text_pool(size_t bytes);

/*
 * A template filled in: %i becomes a number that nobody else gets, %r a random one in [0, keys), %s
 * the filling. What stands between %( and %) is there `times` times, with commas between.
 */
void text_fill(struct text *out, const char *template, struct numbers *numbers, long times);

/* One kind of transaction. All members borrowed. */
struct work {
    const char *method, *path; /* HTTP; the path is a template */
    const char *sql;           /* other protocols: a statement that is prepared once */
    const char *body;    /* template: HTTP's body, or parameters with tabs between; may be NULL */
    const char *refusal; /* an answer that holds this text is an error; may be NULL */
    long batch;          /* statements in the transaction */
};

struct answer {
    const char *text; /* the first bytes of it; valid until the connection's next call */
    size_t bytes;     /* of the whole */
    bool lost;        /* there is no connection any more: nobody knows what became of the work */
};

struct target {
    uint16_t port;
    const char *database, *user, *password; /* SQLite: `database` is the file, a port its ending */
};

struct connection;

struct protocol {
    const char *name;
    struct connection *(*open)(const struct target *target,
                               struct text *why); /* NULL: why says it */
    /* True when it was committed, or answered. */
    bool (*run)(struct connection *c, const struct work *w, struct numbers *n, struct answer *a);
    void (*close)(struct connection *c); /* takes NULL */
};

/* NULL where there is none of that name. */
const struct protocol *protocol_find(const char *name);

extern const struct protocol protocol_http, protocol_mysql, protocol_pg, protocol_sqlite;

#endif
