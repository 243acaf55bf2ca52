/*
 * From the greeting to the first command:
 *
 *   greeting with a nonce → [SSLRequest → TLS] → HandshakeResponse41
 *     caching_sha2_password   right proof → 0x03, OK
 *                             the proof is not known here → 0x04 → the password itself:
 *                               by TLS as it is; else [0x02 → public key] → RSA-OAEP → OK
 *     mysql_native_password   right proof → OK
 *     any other plugin        AuthSwitchRequest to one of the two
 *
 * COM_CHANGE_USER goes the same way from the proof on. Whoever fails learns only that it failed.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "wire/mysql/session.h"

#define NATIVE       "mysql_native_password"
#define CACHING_SHA2 "caching_sha2_password"

#define AUTH_FAST_OK    3
#define AUTH_FULL       4
#define AUTH_PUBLIC_KEY 2

static bool refuse(struct mysql_conn *c, bool used_password)
{
    mysql_error(c, MYSQL_ER_ACCESS_DENIED, "Access denied for user '%s'@'%s' (using password: %s)",
                c->user, c->host, used_password ? "YES" : "NO");
    return false;
}

static bool malformed(struct mysql_conn *c)
{
    mysql_error(c, MYSQL_ER_HANDSHAKE, "Bad handshake");
    return false;
}

static bool read_answer(struct mysql_conn *c, const char **body, size_t *len)
{
    switch (mysql_read(c, body, len)) {
    case MYSQL_READ_OK:
        return true;
    case MYSQL_READ_TOO_LONG:
        return malformed(c);
    default:
        return false;
    }
}

/* ---- proofs ---- */

/* The password itself, encrypted under the server's key and XORed with the nonce, or as it is. */
static bool take_password(struct mysql_conn *c, const char *body, size_t len, bool encrypted)
{
    struct buf plain = BUF_INIT;
    bool right = false;

    if (!encrypted)
        buf_put(&plain, body, len);
    else if (mysql_rsa_decrypt(c->server, body, len, &plain))
        for (size_t i = 0; i < plain.len; i++)
            plain.data[i] = (char)(plain.data[i] ^ c->nonce[i % MYSQLWIRE_NONCE_BYTES]);
    /* With its terminator. */
    if (buf_ok(&plain) && plain.len > 0 && plain.data[plain.len - 1] == '\0')
        right = secret_check_password(&c->server->secret, plain.data, plain.len - 1);
    if (plain.len > 0)
        OPENSSL_cleanse(plain.data, plain.len);
    buf_free(&plain);
    return right;
}

static bool full_authentication(struct mysql_conn *c, bool *right)
{
    static const unsigned char full = AUTH_FULL;
    const char *body;
    size_t len;
    bool has_key = false;

    mysqlwire_write_auth_more(&c->out, &full, 1);
    if (!read_answer(c, &body, &len))
        return false;
    if (!c->io.ssl && len == 1 && *body == AUTH_PUBLIC_KEY) {
        struct buf pem = BUF_INIT;
        has_key = mysql_rsa_public(c->server, &pem);
        if (has_key)
            mysqlwire_write_auth_more(&c->out, pem.data, pem.len);
        buf_free(&pem);
        if (!has_key || !read_answer(c, &body, &len))
            return false;
    }
    *right = take_password(c, body, len, !c->io.ssl);
    return true;
}

static bool caching_sha2(struct mysql_conn *c, const char *proof, size_t len, bool is_user)
{
    static const unsigned char fine = AUTH_FAST_OK;
    bool right = false;

    if (len == 0) {
        if (is_user && c->server->secret.open)
            return true;
        return refuse(c, false);
    }
    switch (secret_check_fast(&c->server->secret, c->nonce, proof, len)) {
    case SECRET_RIGHT:
        if (!is_user)
            return refuse(c, true);
        mysqlwire_write_auth_more(&c->out, &fine, 1);
        return true;
    case SECRET_WRONG:
        return (is_user && c->server->secret.open) || refuse(c, true);
    default:
        if (!full_authentication(c, &right))
            return false;
        return (right && is_user) || refuse(c, true);
    }
}

static bool native(struct mysql_conn *c, const char *proof, size_t len, bool is_user)
{
    if (is_user && c->server->secret.open)
        return true;
    if (is_user && secret_check_native(&c->server->secret, c->nonce, proof, len))
        return true;
    return refuse(c, len > 0);
}

/* A nonce of the server's for each login: no NUL in it, and nothing that a text could not hold. */
static bool make_nonce(struct mysql_conn *c)
{
    unsigned char bytes[MYSQLWIRE_NONCE_BYTES];

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        c->nonce[i] = (char)('0' + bytes[i] % 75); /* up to 'z' */
    c->nonce[MYSQLWIRE_NONCE_BYTES] = '\0';
    return true;
}

/* `again`: COM_CHANGE_USER. There, and by a method that is not the one of the greeting, clients
 * send a proof only when they are asked for one. */
static bool authenticate(struct mysql_conn *c, const struct mysqlwire_login *l, bool again)
{
    bool has_plugins = (c->capabilities & MYSQLWIRE_PLUGIN_AUTH) != 0;
    bool is_user = strcmp(c->server->user, c->user) == 0;
    const char *body = l->auth, *plugin = has_plugins ? l->plugin : NATIVE;
    size_t len = l->auth_len;

    bool native_works = strcmp(plugin, NATIVE) == 0 && c->server->secret.has_native;
    bool ask = (again || native_works) && has_plugins && len <= 1 && !c->server->secret.open;
    if (ask || (strcmp(plugin, CACHING_SHA2) != 0 && !native_works)) {
        if (!has_plugins)
            return refuse(c, len > 0);
        if (!native_works)
            plugin = CACHING_SHA2;
        if (!make_nonce(c))
            return false;
        mysqlwire_write_auth_switch(&c->out, plugin, c->nonce);
        if (!read_answer(c, &body, &len))
            return false;
        if (len == 1 && *body == '\0') /* so some clients say that they have no password */
            len = 0;
    }
    if (strcmp(plugin, NATIVE) == 0)
        return native(c, body, len, is_user);
    return caching_sha2(c, body, len, is_user);
}

/* ---- the database ---- */

static bool exists(struct mysql_conn *c, const char *name)
{
    char id[MYSQL_ID_BYTES];

    for (size_t i = 0; node_database_at(c->server->node, i, id, sizeof id); i++)
        if (strcmp(id, name) == 0)
            return true;
    return false;
}

void mysql_schema_name(struct mysql_conn *c, const char *id, char name[MYSQL_ID_BYTES])
{
    size_t n = strlen(id);

    (void)snprintf(name, MYSQL_ID_BYTES, "%s", id);
    if (n > 3 && n < MYSQL_ID_BYTES && strcmp(id + n - 3, ".db") == 0) {
        name[n - 3] = '\0';
        if (exists(c, name))
            name[n - 3] = '.';
    }
}

enum err_code mysql_use_database(struct mysql_conn *c, const char *name, struct err *e)
{
    char with_suffix[MYSQL_ID_BYTES + 4], schema[MYSQL_ID_BYTES];
    const char *chosen = name;

    (void)snprintf(with_suffix, sizeof with_suffix, "%.*s.db", MYSQL_ID_BYTES - 1, name);
    if (*name == '\0')
        chosen = NULL;
    else if (!exists(c, name) && exists(c, with_suffix))
        chosen = with_suffix;
    enum err_code code = session_use(c->session, chosen, e);
    if (code == ERR_NO_DATABASE)
        return err_set(e, ERR_NO_DATABASE, "there is no database \"%s\"", name);
    if (code != ERR_OK)
        return code;
    mysql_schema_name(c, session_database(c->session), schema);
    pthread_mutex_lock(&c->server->clients.mu);
    memcpy(c->schema, schema, sizeof c->schema);
    pthread_mutex_unlock(&c->server->clients.mu);
    return ERR_OK;
}

/* ---- the session ---- */

static bool open_session(struct mysql_conn *c, const char *database)
{
    struct err e = ERR_INIT;
    struct session *s = NULL;

    if (session_open(&s, c->server->node, "mysql", stream_gone, &c->io, &e) == ERR_OK) {
        c->session = s;
        clients_set_session(&c->server->clients, &c->client, s);
        if (mysql_use_database(c, database, &e) == ERR_OK)
            return true;
    }
    mysql_error_core(c, &e);
    return false;
}

static void welcome(struct mysql_conn *c)
{
    const struct mysqlwire_ok ok = {.status = mysql_status(c)};

    mysqlwire_write_ok(&c->out, c->capabilities, &ok, false);
}

/* For SHOW PROCESSLIST of other connections, too. */
static void set_user(struct mysql_conn *c, const char *user, bool known)
{
    pthread_mutex_lock(&c->server->clients.mu);
    (void)snprintf(c->user, sizeof c->user, "%s", user);
    c->known = known;
    pthread_mutex_unlock(&c->server->clients.mu);
}

static bool keep(char to[MYSQL_ID_BYTES], const char *value)
{
    size_t n = strlen(value);

    if (n >= MYSQL_ID_BYTES)
        return false;
    memcpy(to, value, n + 1);
    return true;
}

/* The response, perhaps after TLS has begun. */
static bool read_login(struct mysql_conn *c, struct mysqlwire_login *l)
{
    const char *body;
    size_t len;

    if (!read_answer(c, &body, &len))
        return false;
    if (!mysqlwire_read_login(body, len, l))
        return malformed(c);
    if (!l->ssl_only)
        return true;
    if (!c->server->tls)
        return malformed(c);
    if (!stream_accept_tls(&c->io, c->server->tls) || !read_answer(c, &body, &len))
        return false;
    if (!mysqlwire_read_login(body, len, l) || l->ssl_only)
        return malformed(c);
    return true;
}

bool mysql_login(struct mysql_conn *c)
{
    uint32_t offered = MYSQL_CAPABILITIES | (c->server->tls ? MYSQLWIRE_SSL : 0);
    struct mysqlwire_login l;
    char user[MYSQL_ID_BYTES], database[MYSQL_ID_BYTES];

    if (!make_nonce(c))
        return false;
    mysqlwire_write_greeting(&c->out, MYSQL_VERSION, c->id, c->nonce, offered, MYSQLWIRE_AUTOCOMMIT,
                             CACHING_SHA2);
    if (!read_login(c, &l))
        return false;
    c->capabilities = l.capabilities & offered;
    if (!keep(user, l.user) || !keep(database, l.database))
        return malformed(c);
    set_user(c, user, false);
    if (!authenticate(c, &l, false) || !open_session(c, database))
        return false;
    set_user(c, user, true);
    c->io.deadline_ns = CLOCK_EVER;
    welcome(c);
    return true;
}

bool mysql_change_user(struct mysql_conn *c, const char *body, size_t len)
{
    struct mysqlwire_login l;
    char user[MYSQL_ID_BYTES], database[MYSQL_ID_BYTES];

    if (!mysqlwire_read_change_user(body, len, c->capabilities, &l) || !keep(user, l.user) ||
        !keep(database, l.database))
        return malformed(c);
    mysql_reset(c);
    set_user(c, user, true);
    if (!authenticate(c, &l, true))
        return false;
    clients_set_session(&c->server->clients, &c->client, NULL);
    session_close(c->session);
    c->session = NULL;
    if (!open_session(c, database))
        return false;
    welcome(c);
    return true;
}
