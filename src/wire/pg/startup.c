/*
 * From the first byte to the first ReadyForQuery:
 *
 *   [0x16: TLS at once] → [SSLRequest → S and TLS, or N] → [GSSENCRequest → N]
 *     → CancelRequest: done and closed
 *     → StartupMessage → [NegotiateProtocolVersion] → authentication → database
 *     → ParameterStatus… BackendKeyData ReadyForQuery
 */
#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "wire/pg/conn.h"
#include "wire/pg/session.h"

#define KEY_3_0_BYTES 4
#define UNKNOWN_MAX   16 /* _pq_ options that are told to be unknown */
#define REQUESTS_MAX  4  /* encryption requests before a startup packet */

/* ---- encryption ---- */

/* The first byte of a direct TLS connection. */
static bool begins_with_tls(struct pg_conn *c)
{
    unsigned char first = 0;
    struct pollfd p = {.fd = c->io.fd, .events = POLLIN};
    int64_t left_ms = (c->io.deadline_ns - clock_mono_ns()) / CLOCK_MS;

    if (!c->server->tls || left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0)
        return false;
    return recv(c->io.fd, &first, 1, MSG_PEEK) == 1 && first == 0x16;
}

static void answer_byte(struct pg_conn *c, char byte)
{
    buf_putc(&c->io.out, byte);
    stream_flush(&c->io);
}

static bool ssl_request(struct pg_conn *c)
{
    if (!c->server->tls || c->io.ssl) {
        answer_byte(c, 'N');
        return !c->io.dead;
    }
    /* What came before the handshake was not protected by it (CVE-2021-23214). */
    if (c->io.in.len != c->io.in_at) {
        pg_fatal(c, "08P01", "received unencrypted data after SSL request");
        return false;
    }
    answer_byte(c, 'S');
    return !c->io.dead && stream_accept_tls(&c->io, c->server->tls);
}

/* ---- the startup packet ---- */

static void cancel(struct pg_conn *c, struct reader *r)
{
    uint32_t pid = reader_u32(r);
    size_t n = (size_t)(r->end - r->at);
    const char *key = reader_bytes(r, n);

    if (!r->bad && n > 0)
        (void)pg_server_cancel(c->server, pid, key, n);
}

static bool keep(char *to, const char *value)
{
    size_t n = strlen(value);

    if (n >= PG_ID_BYTES)
        return false;
    memcpy(to, value, n + 1);
    return true;
}

/* "-c name=value --name=value" of the parameter `options`, with backslashes before blanks. */
static void take_options(struct pg_conn *c, const char *s)
{
    char word[512] = "";

    while (*s) {
        size_t n = 0;
        while (*s == ' ')
            s++;
        while (*s && *s != ' ' && n < sizeof word - 1) {
            if (*s == '\\' && s[1])
                s++;
            word[n++] = *s++;
        }
        word[n] = '\0';
        char *setting = strncmp(word, "--", 2) == 0 ? word + 2 : word;
        if (strncmp(setting, "-c", 2) == 0)
            setting += 2;
        char *equals = strchr(setting, '=');
        if (!equals)
            continue;
        *equals = '\0';
        for (char *p = setting; *p; p++)
            if (*p == '-')
                *p = '_';
        (void)pg_settings_set(&c->settings, setting, equals + 1);
    }
}

static bool take_parameter(struct pg_conn *c, const char *key, const char *value)
{
    enum pg_set set;

    if (strcmp(key, "user") == 0)
        return keep(c->user_name, value);
    if (strcmp(key, "database") == 0)
        return keep(c->database, value);
    if (strcmp(key, "options") == 0) {
        take_options(c, value);
        return true;
    }
    if (strcmp(key, "replication") == 0) {
        if (strcasecmp(value, "false") == 0 || strcmp(value, "0") == 0 ||
            strcasecmp(value, "off") == 0)
            return true;
        pg_fatal(c, "0A000", "replication connections are not supported");
        return false;
    }
    set = pg_settings_set(&c->settings, key, value);
    if (set == PG_SET_OK)
        return true;
    if (set == PG_SET_UNKNOWN)
        pg_fatal(c, "42704", "unrecognized configuration parameter \"%s\"", key);
    else
        pg_fatal(c, "22023", "invalid value for parameter \"%s\": \"%s\"", key, value);
    return false;
}

static bool startup_packet(struct pg_conn *c, struct reader *r, uint32_t version)
{
    const char *key, *value, *unknown[UNKNOWN_MAX];
    unsigned n_unknown = 0;

    if (version >> 16 != 3) {
        pg_fatal(c, "0A000", "unsupported frontend protocol %u.%u: server supports 3.0 to 3.2",
                 version >> 16, version & 0xFFFF);
        return false;
    }
    c->protocol = version < PGWIRE_3_2 ? PGWIRE_3_0 : PGWIRE_3_2;
    while (pgwire_startup_next(r, &key, &value)) {
        if (strncmp(key, "_pq_.", 5) == 0) {
            if (n_unknown < UNKNOWN_MAX)
                unknown[n_unknown++] = key;
        } else if (!take_parameter(c, key, value)) {
            if (!c->closing)
                pg_fatal(c, "08P01", "startup parameter \"%s\" is too long", key);
            return false;
        }
    }
    if (!reader_done(r)) {
        pg_fatal(c, "08P01", "invalid startup packet layout");
        return false;
    }
    if (*c->user_name == '\0') {
        pg_fatal(c, "28000", "no PostgreSQL user name specified in startup packet");
        return false;
    }
    if (version != c->protocol || n_unknown > 0)
        pgwire_write_negotiate(&c->io.out, version > PGWIRE_3_2 ? PGWIRE_3_2 : c->protocol, unknown,
                               n_unknown);
    return true;
}

/* False ends the connection; an error has been written where one is due. */
static bool first_packets(struct pg_conn *c)
{
    const char *body;
    size_t len;

    if (begins_with_tls(c)) {
        if (!stream_accept_tls(&c->io, c->server->tls))
            return false;
        /* Without SSLRequest only its name tells that this protocol is meant: a browser that was
         * lured here does not say it (ALPACA). */
        if (!pg_tls_has_alpn(c)) {
            pg_fatal(c, "08P01",
                     "received direct SSL connection request without ALPN protocol negotiation "
                     "extension");
            return false;
        }
    }
    for (unsigned i = 0; i < REQUESTS_MAX; i++) {
        struct reader r;
        enum pg_read got = pg_read_startup(c, &body, &len);
        if (got == PG_READ_TOO_LONG)
            pg_fatal(c, "08P01", "invalid length of startup packet");
        if (got != PG_READ_OK)
            return false;
        r = reader_of(body, len);
        uint32_t code = reader_u32(&r);
        switch (code) {
        case PGWIRE_SSL:
            if (!ssl_request(c))
                return false;
            break;
        case PGWIRE_GSSENC:
            answer_byte(c, 'N');
            break;
        case PGWIRE_CANCEL:
            cancel(c, &r);
            return false;
        default:
            return startup_packet(c, &r, code);
        }
    }
    pg_fatal(c, "08P01", "too many encryption requests");
    return false;
}

/* ---- the database ---- */

static bool exists(struct pg_conn *c, const char *name, char id[PG_ID_BYTES])
{
    for (size_t i = 0; node_database_at(c->server->node, i, id, PG_ID_BYTES); i++)
        if (strcmp(id, name) == 0)
            return true;
    return false;
}

enum err_code pg_use_database(struct pg_conn *c, const char *name, struct err *e)
{
    char with_suffix[PG_ID_BYTES + 4], id[PG_ID_BYTES];
    const char *chosen = name;

    (void)snprintf(with_suffix, sizeof with_suffix, "%s.db", name);
    if (*name == '\0')
        chosen = NULL;
    else if (!exists(c, name, id) && exists(c, with_suffix, id))
        chosen = with_suffix;
    enum err_code code = session_use(c->session, chosen, e);
    if (code == ERR_OK)
        (void)keep(c->database, session_database(c->session));
    return code;
}

/* psql and libpq ask for a database named like the user; tools for "postgres". */
static bool choose_database(struct pg_conn *c)
{
    struct err e = ERR_INIT;
    char wanted[PG_ID_BYTES];

    memcpy(wanted, c->database, sizeof wanted);
    if (pg_use_database(c, wanted, &e) == ERR_OK)
        return true;
    if (e.code == ERR_NO_DATABASE &&
        (strcmp(wanted, c->user_name) == 0 || strcmp(wanted, "ha") == 0 ||
         strcmp(wanted, "postgres") == 0)) {
        err_clear(&e);
        if (pg_use_database(c, "", &e) == ERR_OK)
            return true;
    }
    if (e.code == ERR_NO_DATABASE)
        pg_fatal(c, "3D000", "database \"%s\" does not exist", wanted);
    else
        pg_fatal(c, err_sqlstate(e.code), "%s", e.msg);
    return false;
}

/* ---- ready ---- */

static bool make_key(struct pg_conn *c)
{
    pthread_mutex_lock(&c->server->clients.mu);
    c->key_len = c->protocol >= PGWIRE_3_2 ? PGWIRE_KEY_BYTES : KEY_3_0_BYTES;
    bool ok = RAND_bytes(c->key, (int)c->key_len) == 1;
    if (!ok)
        c->key_len = 0;
    pthread_mutex_unlock(&c->server->clients.mu);
    return ok;
}

static void report_settings(struct pg_conn *c)
{
    const char *name, *value;
    bool reported;

    for (size_t i = 0; pg_settings_at(&c->settings, i, &name, &value, &reported); i++) {
        if (strcmp(name, "session_authorization") == 0)
            value = c->user_name;
        if (reported)
            pgwire_write_parameter(&c->io.out, name, value);
    }
}

static bool open_session(struct pg_conn *c)
{
    struct err e = ERR_INIT;
    struct session *s;

    if (session_open(&s, c->server->node, "pg", stream_gone, &c->io, &e) != ERR_OK) {
        pg_fatal(c, err_sqlstate(e.code), "%s", e.msg);
        return false;
    }
    c->session = s;
    clients_set_session(&c->server->clients, &c->client, s);
    return true;
}

/* pg_dump reads PostgreSQL's own catalogs in depth, and what it wrote would not be a backup. */
static bool is_welcome(struct pg_conn *c)
{
    const char *program = pg_settings_get(&c->settings, "application_name", NULL);

    if (strcmp(program, "pg_dump") != 0 && strcmp(program, "pg_dumpall") != 0)
        return true;
    pg_fatal(c, "0A000",
             "%s is not supported: GET /download of the HTTP port gives a copy of the database",
             program);
    return false;
}

static bool database_at(void *conn, size_t i, char *id, size_t size)
{
    const struct pg_conn *c = conn;

    return node_database_at(c->server->node, i, id, size);
}

bool pg_startup(struct pg_conn *c)
{
    if (!first_packets(c) || !pg_authenticate(c) || !open_session(c) || !choose_database(c))
        return false;
    if (c->user->read_only)
        (void)pg_settings_set(&c->settings, "default_transaction_read_only", "on");
    if (!is_welcome(c))
        return false;
    pg_settings_started(&c->settings);
    c->front = (struct pg_session){.user = c->user_name,
                                   .read_only = c->user->read_only,
                                   .database = c->database,
                                   .pid = (int32_t)c->pid,
                                   .setting = pg_front_setting,
                                   .set = pg_front_set,
                                   .database_at = database_at,
                                   .arg = c};
    session_set_front(c->session, &c->front);
    pg_apply_read_only(c);
    if (!make_key(c)) {
        pg_fatal(c, "58000", "could not generate random cancel key");
        return false;
    }
    report_settings(c);
    pgwire_write_key(&c->io.out, c->pid, c->key, c->key_len);
    pgwire_write_ready(&c->io.out, 'I');
    c->io.deadline_ns = CLOCK_EVER;
    return true;
}
