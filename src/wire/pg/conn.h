/*
 * What the files of this folder share: the server and a connection. A connection belongs to its
 * thread, except for what is said to be guarded.
 *
 *   server.c     accepts, lists, stops          io.c        messages in
 *   tls.c        certificates, handshake        startup.c   first packet up to ReadyForQuery
 *   auth.c       passwords                      users.c     who may come
 *   session.c    the message loop               query.c     simple queries
 *   extended.c   Parse … Sync                   prepared.c  statements by name
 *   params.c     their parameters               cursor.c    DECLARE, FETCH, MOVE, CLOSE
 *   portal.c     portals                        run.c       the executor's rows as messages
 *   text.c       one statement's kind and tag   infer*.c    types that no column declares
 *   tx.c         blocks, implicit ones, state   settings.c  their table, ParameterStatus
 *   command.c    statements of our own          set.c       SHOW, SET, RESET among them
 *   words.c      reads these word by word       error.c     errors as messages
 *   copy*.c      COPY
 */
#ifndef HA_WIRE_PG_CONN_H
#define HA_WIRE_PG_CONN_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/node.h"
#include "core/session.h"
#include "os/acceptor.h"
#include "proto/pgwire.h"
#include "proto/scram.h"
#include "sql/pg/session.h"
#include "wire/clients.h"
#include "wire/pg/pg.h"
#include "wire/pg/settings.h"
#include "wire/stream.h"

#define PG_ID_BYTES 256 /* of a database's or user's name, terminator included */

/* ---- users.c ---- */

struct pg_user {
    char *name;
    char *pass; /* NULL where only a SCRAM secret is known */
    bool open;  /* no password is asked for */
    bool read_only;
    struct scram_secret secret;
};

struct pg_users {
    struct pg_user *list;
    size_t n;
    unsigned char mock_key[SCRAM_KEY_BYTES]; /* what users that do not exist get their salt from */
};

enum err_code pg_users_load(struct pg_users *u, const struct pg_options *o, struct err *e);
void pg_users_free(struct pg_users *u);
const struct pg_user *pg_users_find(const struct pg_users *u, const char *name);
/* A secret for a user that does not exist. Its salt is always the same for the same name, as that
 * of a user who does exist is, so that the answer tells nothing. */
bool pg_users_mock(const struct pg_users *u, const char *name, struct scram_secret *out);

/* ---- the server ---- */

struct pg_conn;

struct pg_server {
    /* immutable after pg_start */
    struct node *node;
    struct pg_users users;
    enum pg_auth auth;
    SSL_CTX *tls; /* NULL = none */
    int64_t auth_timeout_ns;
    struct acceptor acceptor;
    /* atomic */
    _Atomic uint32_t next_pid;
    /* guards itself; its mu the connections' keys, too */
    struct clients clients;
};

/* ---- a connection ---- */

/*
 *            implicit block            BEGIN
 *   IMPLICIT <────────────── IDLE ─────────────> BLOCK ──error──> FAILED
 *       │   Sync, end of the  ^ ^                 │ ^               │ │
 *       └─────────────────────┘ └─ COMMIT, ───────┘ └──ROLLBACK TO──┘ │
 *           string, error          ROLLBACK <────────────────────────-┘
 */
enum pg_tx { PG_TX_IDLE, PG_TX_IMPLICIT, PG_TX_BLOCK, PG_TX_FAILED };

struct pg_prepared;
struct pg_portal;
struct pg_savepoint;
struct pg_undo;

struct pg_conn {
    struct client client; /* first, so that the list's client is the connection */
    struct pg_server *server;
    uint32_t pid;
    /* written before the connection is listed as open; read under mu by cancel requests */
    unsigned char key[PGWIRE_KEY_BYTES];
    size_t key_len;
    struct session *session;
    struct stream io; /* its deadline is CLOCK_EVER once the client is authenticated */

    /* startup.c */
    uint32_t protocol;
    const struct pg_user *user;
    char user_name[PG_ID_BYTES], database[PG_ID_BYTES];

    struct arena *arena; /* of one message or query string */
    struct pg_settings settings;
    struct pg_undo *undo;    /* what the transaction has set, the latest first */
    struct pg_session front; /* what functions answer about it */
    enum pg_tx tx;
    struct pg_savepoint *savepoints; /* open ones in the block, the innermost first */
    bool tx_read_only;               /* of the block */
    const char *context;             /* of errors: which line of a COPY; NULL = none */
    const char *query; /* the string of a simple query, in which positions count; else NULL */
    bool skipping;     /* an error: nothing until Sync */
    bool closing;      /* after this message */
    struct pg_prepared *prepared[64];
    unsigned n_prepared;
    struct pg_portal *portals;
    unsigned n_portals;
};

/* ---- server.c ---- */

bool pg_server_cancel(struct pg_server *s, uint32_t pid, const void *key, size_t len);

/* ---- io.c ---- */

struct pg_message {
    char type;
    const char *body; /* borrowed until the next pg_read() */
    size_t len;
};

enum pg_read { PG_READ_OK, PG_READ_CLOSED, PG_READ_TOO_LONG, PG_READ_UNKNOWN, PG_READ_TIMEOUT };

/* The first packet, without its length word. */
enum pg_read pg_read_startup(struct pg_conn *c, const char **body, size_t *len);
/* Flushes what there is to send before it waits. A message that is too long has been drained. */
enum pg_read pg_read(struct pg_conn *c, struct pg_message *m);
/* The types of complete messages that are here already: the i-th one, 0 where it is not. */
char pg_peek(const struct pg_conn *c, unsigned i);

/* ---- tls.c ---- */

enum err_code pg_tls_load(SSL_CTX **out, const char *cert, const char *key, struct err *e);
/* Has the client named the protocol? Only ours is accepted. */
bool pg_tls_has_alpn(const struct pg_conn *c);
/* RFC 5929 tls-server-end-point of the certificate; the number of bytes, 0 = none. */
size_t pg_tls_binding(SSL_CTX *tls, unsigned char out[64]);

/* ---- startup.c, auth.c ---- */

/* Up to the first ReadyForQuery; false ends the connection. */
bool pg_startup(struct pg_conn *c);
bool pg_authenticate(struct pg_conn *c);
/* Chooses the session's database; "" = the default one. */
enum err_code pg_use_database(struct pg_conn *c, const char *name, struct err *e);

/* ---- set.c ---- */

/* Of SHOW; NULL = unknown. *canonical is the name as PostgreSQL spells it. */
const char *pg_setting(struct pg_conn *c, const char *name, const char **canonical);
/* For functions: struct pg_session's callbacks. */
const char *pg_front_setting(void *conn, const char *name);
enum pg_set pg_front_set(void *conn, const char *name, const char *value, bool local);

/* ---- session.c ---- */

void pg_serve(struct pg_conn *c);

/* ---- error.c ---- */

void pg_error(struct pg_conn *c, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void pg_fatal(struct pg_conn *c, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void pg_notice(struct pg_conn *c, const char *severity, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* 22021: the text is not UTF-8. False, so that a check can be returned; true = it is, and nothing
 * was written. */
bool pg_check_text(struct pg_conn *c, const char *text, size_t len);
/* An error of core; `sql` (may be NULL) is the client's text that e->offset counts in. */
void pg_error_core(struct pg_conn *c, const struct err *e, const char *sql, size_t len);

#endif
