/*
 * What the files of this folder share: the server and a connection. A connection belongs to its
 * thread, except for what is said to be guarded.
 *
 *   server.c     accepts, stops, kills          io.c         packets in
 *   secret.c     passwords                      login.c      greeting up to the first command
 *   rsa.c        a password without TLS         session.c    the command loop
 *   query.c      COM_QUERY, COM_FIELD_LIST      statement.c  one statement, whatever brought it
 *   prepared.c   COM_STMT_…                     result.c     the executor's rows as packets
 *   tx.c         transactions, autocommit       set.c        SET
 *   variables.c  system and user variables      command.c    statements of our own
 *   context.c    what the dialect asks          lock.c       GET_LOCK
 *   error.c      errors and warnings
 */
#ifndef HA_WIRE_MYSQL_CONN_H
#define HA_WIRE_MYSQL_CONN_H

#include <openssl/evp.h>
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
#include "proto/mysqlwire.h"
#include "sql/mysql/session.h"
#include "wire/clients.h"
#include "wire/mysql/mysql.h"
#include "wire/mysql/secret.h"
#include "wire/mysql/variables.h"
#include "wire/stream.h"

#define MYSQL_VERSION        "8.0.36-ha"
#define MYSQL_ID_BYTES       256 /* of a database's or user's name, terminator included */
#define MYSQL_PACKET_BYTES   ((size_t)64 << 20) /* @@max_allowed_packet */
#define MYSQL_WARNINGS_MAX   64u
#define MYSQL_PREPARED_SLOTS 64u
#define MYSQL_PREPARED_MAX   16382u /* MySQL's max_prepared_stmt_count, here of one connection */

#define MYSQL_CAPABILITIES                                                                         \
    (UINT32_C(1) | MYSQLWIRE_FOUND_ROWS | MYSQLWIRE_LONG_FLAG | MYSQLWIRE_CONNECT_WITH_DB |        \
     MYSQLWIRE_IGNORE_SPACE | MYSQLWIRE_PROTOCOL_41 | MYSQLWIRE_TRANSACTIONS | MYSQLWIRE_SECURE |  \
     MYSQLWIRE_MULTI_STATEMENTS | MYSQLWIRE_MULTI_RESULTS | MYSQLWIRE_PS_MULTI_RESULTS |           \
     MYSQLWIRE_PLUGIN_AUTH | MYSQLWIRE_CONNECT_ATTRS | MYSQLWIRE_AUTH_LENENC |                     \
     MYSQLWIRE_SESSION_TRACK | MYSQLWIRE_DEPRECATE_EOF | MYSQLWIRE_QUERY_ATTRIBUTES)

/* ---- the server ---- */

struct mysql_lock;

struct mysql_server {
    /* immutable after mysql_start */
    struct node *node;
    char *user;
    struct secret secret;
    SSL_CTX *tls; /* NULL = none */
    int64_t auth_timeout_ns;
    int64_t started_ns;
    struct acceptor acceptor;
    /* atomic */
    _Atomic uint32_t next_id;
    _Atomic uint64_t questions;
    /* guards itself; its mu what says so below */
    struct clients clients;
    /* guarded by rsa_mu */
    pthread_mutex_t rsa_mu;
    EVP_PKEY *rsa; /* NULL until a client has asked for it */
    /* guarded by locks_mu */
    pthread_mutex_t locks_mu;
    struct mysql_lock *locks;
    size_t n_locks, cap_locks;
};

/* ---- a connection ---- */

struct mysql_prepared;

struct mysql_warning {
    unsigned code;
    const char *level; /* "Warning", "Note", "Error" */
    char text[200];
};

struct mysql_conn {
    struct client client; /* first, so that the list's client is the connection */
    struct mysql_server *server;
    uint32_t id;
    struct session *session;
    struct stream io;
    struct mysqlwire_out out; /* to io.out */
    struct buf big;           /* a payload of several packets */

    /* login.c */
    uint32_t capabilities;
    char nonce[MYSQLWIRE_NONCE_BYTES + 1];
    char host[64]; /* immutable */

    /* written by the own thread, under the server's clients.mu: other threads read them with it */
    bool known; /* the client has proved who it is */
    char user[MYSQL_ID_BYTES];
    char schema[MYSQL_ID_BYTES]; /* the database's name as MySQL's clients see it */
    char command[16];            /* "Sleep", "Query" … */
    int64_t since_ns;            /* of that command */

    struct mysql_session front; /* what functions ask */
    struct arena *arena;        /* of one command */
    struct mysql_variables variables;
    bool autocommit;
    bool in_block;       /* since BEGIN, or the first statement without autocommit */
    bool read_only_once; /* the block is START TRANSACTION READ ONLY */
    bool schema_changed; /* to be told in the next OK */
    bool closing;        /* after this command */
    bool more;           /* another statement's result follows */
    uint64_t found_rows;
    int64_t row_count;
    uint64_t last_insert_id;
    struct mysql_warning *warnings; /* MYSQL_WARNINGS_MAX; NULL until there is one */
    unsigned n_warnings;            /* of the last statement; those beyond the most are counted */
    unsigned n_errors;
    struct mysql_prepared *prepared[MYSQL_PREPARED_SLOTS];
    unsigned n_prepared;
    uint32_t next_prepared;
};

/* ---- server.c ---- */

/* Cancels what connection `id` runs, and with `connection` ends it. False: there is none. */
bool mysql_server_kill(struct mysql_server *s, uint32_t id, bool connection);
unsigned mysql_server_connections(struct mysql_server *s);
void mysql_set_command(struct mysql_conn *c, const char *command);

/* ---- io.c ---- */

enum mysql_read { MYSQL_READ_OK, MYSQL_READ_CLOSED, MYSQL_READ_TIMEOUT, MYSQL_READ_TOO_LONG };

/* The next payload, borrowed until the next call; flushes before it waits. Answers begin with the
 * sequence number behind its own. A payload that is too long has been drained. */
enum mysql_read mysql_read(struct mysql_conn *c, const char **body, size_t *len);

/* ---- login.c, rsa.c ---- */

/* Up to the first command; false ends the connection. */
bool mysql_login(struct mysql_conn *c);
/* COM_CHANGE_USER: the same again, with a new session. */
bool mysql_change_user(struct mysql_conn *c, const char *body, size_t len);
/* Chooses the session's database; "" = the default one. */
enum err_code mysql_use_database(struct mysql_conn *c, const char *name, struct err *e);
/* The name that clients see for a database's id: without .db, unless another one is called so. */
void mysql_schema_name(struct mysql_conn *c, const char *id, char name[MYSQL_ID_BYTES]);

/* The server's public key as PEM, and what was encrypted with it, in place; false: it cannot be. */
bool mysql_rsa_public(struct mysql_server *s, struct buf *pem);
bool mysql_rsa_decrypt(struct mysql_server *s, const void *data, size_t len, struct buf *out);

/* ---- lock.c ---- */

/* By the connection's thread, once: its functions find its locks. */
void mysql_locks_begin(struct mysql_conn *c);
void mysql_locks_release(struct mysql_conn *c);
void mysql_locks_free(struct mysql_server *s);

/* ---- session.c ---- */

void mysql_serve(struct mysql_conn *c);

/* ---- error.c ---- */

/* MySQL's own numbers, of what has none in base/err.h. */
#define MYSQL_ER_HANDSHAKE         1043u
#define MYSQL_ER_ACCESS_DENIED     1045u
#define MYSQL_ER_UNKNOWN_COMMAND   1047u
#define MYSQL_ER_SHUTDOWN          1053u
#define MYSQL_ER_EMPTY_QUERY       1065u
#define MYSQL_ER_NO_SUCH_THREAD    1094u
#define MYSQL_ER_OUT_OF_MEMORY     1037u
#define MYSQL_ER_PARSE             1064u
#define MYSQL_ER_TOO_BIG           1153u
#define MYSQL_ER_UNKNOWN_VARIABLE  1193u
#define MYSQL_ER_WRONG_ARGUMENTS   1210u
#define MYSQL_ER_UNKNOWN_STATEMENT 1243u
#define MYSQL_ER_WRONG_VALUE       1231u
#define MYSQL_ER_UNSUPPORTED       1235u
#define MYSQL_ER_READ_ONLY_VAR     1238u
#define MYSQL_ER_OUT_OF_RANGE      1264u
#define MYSQL_ER_INCORRECT_VALUE   1366u
#define MYSQL_ER_TOO_MANY_PREPARED 1461u
#define MYSQL_ER_DROP_EXISTS       1008u
#define MYSQL_ER_CREATE_EXISTS     1007u
#define MYSQL_ER_MALFORMED         1835u

const char *mysql_sqlstate(unsigned code);
void mysql_error(struct mysql_conn *c, unsigned code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* An error of core's. */
void mysql_error_core(struct mysql_conn *c, const struct err *e);
/* Notes a warning of the statement that runs. */
void mysql_warn(struct mysql_conn *c, const char *level, unsigned code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void mysql_clear_warnings(struct mysql_conn *c);

#endif
