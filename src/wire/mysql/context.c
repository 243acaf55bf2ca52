/* What the dialect asks about the session: its variables, its functions, and the rows of SHOW that
 * no table has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "sql/quote.h"
#include "wire/mysql/session.h"

#define NAME_BYTES 128

/* ---- literals ---- */

static void put_hex(struct buf *b, const char *s, size_t n)
{
    buf_puts(b, "X'");
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%02x", (unsigned char)s[i]);
    buf_putc(b, '\'');
}

void mysql_put_text_literal(struct buf *b, const char *s, size_t n)
{
    if (json_is_text(s, n))
        quote_put(b, s, n, '\'');
    else
        put_hex(b, s, n);
}

void mysql_put_literal(struct buf *b, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        buf_puts(b, "NULL");
        break;
    case VALUE_INTEGER:
        if (v->u.i == INT64_MIN) /* its digits alone would be one too many */
            buf_puts(b, "(-9223372036854775807 - 1)");
        else if (v->u.i < 0)
            buf_printf(b, "(%lld)", (long long)v->u.i);
        else
            buf_i64(b, v->u.i);
        break;
    case VALUE_REAL:
        buf_printf(b, "(%.17e)", v->u.r);
        break;
    case VALUE_TEXT:
        mysql_put_text_literal(b, v->u.s.data ? v->u.s.data : "", v->u.s.len);
        break;
    case VALUE_BLOB:
        put_hex(b, v->u.s.data ? v->u.s.data : "", v->u.s.len);
        break;
    }
}

static void put_str(struct buf *b, const char *s)
{
    mysql_put_text_literal(b, s, strlen(s));
}

/* ---- variables ---- */

/* Without backticks and the scope in front: "session.`a`" is a. */
static void plain_name(const char *name, char out[NAME_BYTES])
{
    static const char *const scopes[] = {"session.", "global.", "local.", "persist."};
    size_t n = 0;

    for (const char *p = name; *p && n < NAME_BYTES - 1; p++)
        if (*p != '`')
            out[n++] = *p;
    out[n] = '\0';
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        size_t k = strlen(scopes[i]);
        if (strncasecmp(out, scopes[i], k) == 0) {
            memmove(out, out + k, n - k + 1);
            return;
        }
    }
}

/* Those that are not simply in the table; NULL: it is. */
static const char *live_value(struct mysql_conn *c, const char *name, char text[NAME_BYTES])
{
    if (strcasecmp(name, "autocommit") == 0)
        return c->autocommit ? "ON" : "OFF";
    if (strcasecmp(name, "hostname") == 0)
        return node_options(c->server->node)->name;
    if (strcasecmp(name, "have_ssl") == 0 || strcasecmp(name, "have_openssl") == 0)
        return c->server->tls ? "YES" : "DISABLED";
    if (strcasecmp(name, "port") == 0)
        (void)snprintf(text, NAME_BYTES, "%u", c->server->acceptor.port);
    else if (strcasecmp(name, "pseudo_thread_id") == 0)
        (void)snprintf(text, NAME_BYTES, "%u", c->id);
    else if (strcasecmp(name, "last_insert_id") == 0 || strcasecmp(name, "identity") == 0)
        (void)snprintf(text, NAME_BYTES, "%llu", (unsigned long long)c->last_insert_id);
    else if (strcasecmp(name, "warning_count") == 0)
        (void)snprintf(text, NAME_BYTES, "%u", c->n_warnings);
    else if (strcasecmp(name, "error_count") == 0)
        (void)snprintf(text, NAME_BYTES, "%u", c->n_errors);
    else if (strcasecmp(name, "timestamp") == 0)
        (void)snprintf(text, NAME_BYTES, "%lld", (long long)time(NULL));
    else
        return NULL;
    return text;
}

/* Words, though they look like switches. */
static bool is_word(const char *name)
{
    static const char *const words[] = {"query_cache_type", "gtid_mode", "session_track_gtids",
                                        "event_scheduler", "use_secondary_engine"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(words[i], name) == 0)
            return true;
    return false;
}

static void system_variable(void *arg, const char *name, struct buf *out)
{
    struct mysql_conn *c = arg;
    char plain[NAME_BYTES], text[NAME_BYTES];
    const char *value;

    plain_name(name, plain);
    value = live_value(c, plain, text);
    if (!value)
        value = mysql_variable(&c->variables, plain);
    if (!value)
        value = "";
    if (!is_word(plain) && (strcmp(value, "ON") == 0 || strcmp(value, "OFF") == 0))
        buf_puts(out, value[1] == 'N' ? "1" : "0");
    else if (mysql_variable_is_number(plain) && strlen(value) < 19)
        buf_puts(out, value);
    else
        put_str(out, value);
}

static void user_variable(void *arg, const char *name, struct buf *out)
{
    struct mysql_conn *c = arg;
    const struct value *v = mysql_user_variable(&c->variables, name);
    const struct value none = value_null();

    mysql_put_literal(out, v ? v : &none);
}

static bool session_function(void *arg, const char *name, struct buf *out)
{
    struct mysql_conn *c = arg;
    char text[MYSQL_ID_BYTES + 80];

    if (strcasecmp(name, "DATABASE") == 0 || strcasecmp(name, "SCHEMA") == 0) {
        put_str(out, c->schema);
    } else if (strcasecmp(name, "VERSION") == 0) {
        put_str(out, MYSQL_VERSION);
    } else if (strcasecmp(name, "CONNECTION_ID") == 0) {
        buf_printf(out, "%u", c->id);
    } else if (strcasecmp(name, "LAST_INSERT_ID") == 0) {
        buf_printf(out, "%llu", (unsigned long long)c->last_insert_id);
    } else if (strcasecmp(name, "ROW_COUNT") == 0) {
        buf_printf(out, "(%lld)", (long long)c->row_count);
    } else if (strcasecmp(name, "FOUND_ROWS") == 0) {
        buf_printf(out, "%llu", (unsigned long long)c->found_rows);
    } else if (strcasecmp(name, "USER") == 0 || strcasecmp(name, "SESSION_USER") == 0 ||
               strcasecmp(name, "SYSTEM_USER") == 0) {
        (void)snprintf(text, sizeof text, "%s@%s", c->user, c->host);
        put_str(out, text);
    } else if (strcasecmp(name, "CURRENT_USER") == 0) {
        (void)snprintf(text, sizeof text, "%s@%%", c->user);
        put_str(out, text);
    } else if (strcasecmp(name, "CURRENT_ROLE") == 0) {
        put_str(out, "NONE");
    } else {
        return false;
    }
    return true;
}

/* ---- rows ---- */

static void begin_row(struct buf *b, bool *any)
{
    buf_puts(b, *any ? ", (" : "(");
    *any = true;
}

static void put_pair(struct buf *b, bool *any, const char *name, const char *value)
{
    begin_row(b, any);
    put_str(b, name);
    buf_puts(b, ", ");
    put_str(b, value);
    buf_putc(b, ')');
}

static void put_variables(struct mysql_conn *c, struct buf *b, bool *any)
{
    const char *name, *value, *live;
    char text[NAME_BYTES];

    for (size_t i = 0; mysql_variable_at(&c->variables, i, &name, &value); i++) {
        live = live_value(c, name, text);
        put_pair(b, any, name, live ? live : value);
    }
}

static void put_number(struct buf *b, bool *any, const char *name, uint64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)n);
    put_pair(b, any, name, text);
}

static void put_status(struct mysql_conn *c, struct buf *b, bool *any)
{
    unsigned n = mysql_server_connections(c->server);

    put_number(b, any, "Connections", atomic_load(&c->server->next_id) - 1);
    put_number(b, any, "Questions", atomic_load(&c->server->questions));
    put_number(b, any, "Queries", atomic_load(&c->server->questions));
    put_pair(b, any, "Ssl_cipher", c->io.ssl ? SSL_get_cipher(c->io.ssl) : "");
    put_pair(b, any, "Ssl_version", c->io.ssl ? SSL_get_version(c->io.ssl) : "");
    put_number(b, any, "Threads_connected", n);
    put_number(b, any, "Threads_running", 1);
    put_number(b, any, "Uptime", (uint64_t)((clock_mono_ns() - c->server->started_ns) / CLOCK_S));
}

static void put_databases(struct mysql_conn *c, struct buf *b, bool *any)
{
    char id[MYSQL_ID_BYTES], name[MYSQL_ID_BYTES];

    begin_row(b, any);
    buf_puts(b, "'information_schema')");
    for (size_t i = 0; node_database_at(c->server->node, i, id, sizeof id); i++) {
        mysql_schema_name(c, id, name);
        begin_row(b, any);
        put_str(b, name);
        buf_putc(b, ')');
    }
}

static void put_process(struct buf *b, bool *any, const struct mysql_conn *k)
{
    begin_row(b, any);
    buf_printf(b, "%u, ", k->id);
    put_str(b, k->known ? k->user : "unauthenticated user");
    buf_puts(b, ", ");
    put_str(b, k->host);
    buf_puts(b, ", ");
    if (*k->schema)
        put_str(b, k->schema);
    else
        buf_puts(b, "NULL");
    buf_puts(b, ", ");
    put_str(b, k->command);
    buf_printf(b, ", %lld, '', NULL)", (long long)((clock_mono_ns() - k->since_ns) / CLOCK_S));
}

static void put_processes(struct mysql_conn *c, struct buf *b, bool *any)
{
    pthread_mutex_lock(&c->server->clients.mu);
    for (struct client *k = c->server->clients.first; k; k = k->next)
        put_process(b, any, (const struct mysql_conn *)k);
    pthread_mutex_unlock(&c->server->clients.mu);
}

static void put_warnings(const struct mysql_conn *c, struct buf *b, bool *any, bool errors)
{
    for (unsigned i = 0; i < c->n_warnings && i < MYSQL_WARNINGS_MAX; i++) {
        const struct mysql_warning *w = &c->warnings[i];
        if (errors && strcmp(w->level, "Error") != 0)
            continue;
        begin_row(b, any);
        put_str(b, w->level);
        buf_printf(b, ", %u, ", w->code);
        put_str(b, w->text);
        buf_putc(b, ')');
    }
}

static void rows(void *arg, enum mysql_rows which, struct buf *out)
{
    struct mysql_conn *c = arg;
    bool any = false;

    switch (which) {
    case MYSQL_ROWS_VARIABLES:
        put_variables(c, out, &any);
        break;
    case MYSQL_ROWS_STATUS:
        put_status(c, out, &any);
        break;
    case MYSQL_ROWS_DATABASES:
        put_databases(c, out, &any);
        break;
    case MYSQL_ROWS_PROCESSES:
        put_processes(c, out, &any);
        break;
    case MYSQL_ROWS_WARNINGS:
    case MYSQL_ROWS_ERRORS:
        put_warnings(c, out, &any, which == MYSQL_ROWS_ERRORS);
        break;
    }
}

/* ---- the schema ---- */

static enum sink_verdict take_text(struct sink *s, const struct value *values, unsigned n);

struct text_sink {
    struct sink sink;
    struct buf *out;
};

static enum sink_verdict take_text(struct sink *s, const struct value *values, unsigned n)
{
    struct text_sink *t = (struct text_sink *)s;

    if (n > 0 && values[0].type == VALUE_TEXT && t->out->len == 0)
        buf_put(t->out, values[0].u.s.data, values[0].u.s.len);
    return SINK_MORE;
}

static void no_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static void no_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

static void index_table(void *arg, const char *name, struct buf *out)
{
    static const struct sink_ops ops = {no_columns, take_text, no_done};
    struct mysql_conn *c = arg;
    struct text_sink t = {.sink = {&ops}, .out = out};
    const struct param p = {.value = value_text(name, strlen(name))};
    static const char sql[] =
        "SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?1 COLLATE NOCASE";
    const struct query q = {
        .sql = sql, .len = sizeof sql - 1, .params = &p, .n_params = 1, .numbered = true};
    const struct request_options o = {.atomic = false};
    struct request *r;
    struct err ignored = ERR_INIT;

    if (session_state(c->session) == SESSION_TX_FAILED ||
        request_new(&r, c->session, &q, 1, &o, &ignored) != ERR_OK)
        return;
    while (request_run(r, &t.sink, &ignored) == REQUEST_PAUSED)
        ;
    request_free(r);
}

struct mysql_context mysql_context(struct mysql_conn *c)
{
    const char *mode = mysql_variable(&c->variables, "sql_mode");

    return (struct mysql_context){.schema = c->schema,
                                  .ansi_quotes =
                                      strstr(mode, "ANSI_QUOTES") || strcasecmp(mode, "ANSI") == 0,
                                  .no_backslash = strstr(mode, "NO_BACKSLASH_ESCAPES") != NULL,
                                  .system_variable = system_variable,
                                  .user_variable = user_variable,
                                  .session_function = session_function,
                                  .rows = rows,
                                  .index_table = index_table,
                                  .arg = c};
}
