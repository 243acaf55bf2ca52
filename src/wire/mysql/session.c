/* The command loop: one command at a time; answers leave when there is nothing more to read. */
#include "wire/mysql/session.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

void mysql_reset(struct mysql_conn *c)
{
    mysql_tx_rollback(c);
    mysql_locks_release(c);
    mysql_prepared_clear(c);
    mysql_variables_free(&c->variables);
    mysql_clear_warnings(c);
    c->autocommit = true;
    c->found_rows = c->last_insert_id = 0;
    c->row_count = 0;
    mysql_apply_read_only(c);
}

static bool keep_name(struct mysql_conn *c, const char *body, size_t len, char name[MYSQL_ID_BYTES])
{
    if (len < MYSQL_ID_BYTES && !memchr(body, '\0', len)) {
        memcpy(name, body, len);
        name[len] = '\0';
        return true;
    }
    mysql_error(c, 1049, "Unknown database '%.*s'", len < 64 ? (int)len : 64, body);
    return false;
}

static void init_db(struct mysql_conn *c, const char *body, size_t len)
{
    char name[MYSQL_ID_BYTES];

    if (keep_name(c, body, len, name) && mysql_use(c, name))
        mysql_write_ok(c, 0, 0, NULL);
}

static void statistics(struct mysql_conn *c)
{
    size_t start = mysqlwire_begin(&c->out);

    buf_printf(c->out.b, "Uptime: %lld  Threads: %u  Questions: %llu  Slow queries: 0",
               (long long)((clock_mono_ns() - c->server->started_ns) / CLOCK_S),
               mysql_server_connections(c->server),
               (unsigned long long)atomic_load(&c->server->questions));
    mysqlwire_end(&c->out, start);
}

static void process_kill(struct mysql_conn *c, const char *body, size_t len)
{
    struct reader r = reader_of(body, len);
    uint32_t id = mysqlwire_u32(&r);

    if (r.bad)
        mysql_error(c, MYSQL_ER_MALFORMED, "Malformed communication packet");
    else if (mysql_kill(c, id, true))
        mysql_write_ok(c, 0, 0, NULL);
}

/* MYSQL_OPTION_MULTI_STATEMENTS_ON and _OFF */
static void set_option(struct mysql_conn *c, const char *body, size_t len)
{
    struct reader r = reader_of(body, len);
    uint16_t option = mysqlwire_u16(&r);

    if (r.bad || option > 1) {
        mysql_error(c, MYSQL_ER_UNKNOWN_COMMAND, "Unknown command");
        return;
    }
    if (option == 0)
        c->capabilities |= MYSQLWIRE_MULTI_STATEMENTS;
    else
        c->capabilities &= ~MYSQLWIRE_MULTI_STATEMENTS;
    mysqlwire_write_eof(&c->out, mysql_status(c), 0);
}

static void query(struct mysql_conn *c, const char *body, size_t len)
{
    const char *sql;
    size_t n;

    if (mysqlwire_read_query(body, len, c->capabilities, &sql, &n))
        mysql_query(c, sql, n);
    else
        mysql_error(c, MYSQL_ER_MALFORMED, "Malformed communication packet");
}

static const char *name_of(uint8_t command)
{
    switch (command) {
    case MYSQLWIRE_QUERY:
        return "Query";
    case MYSQLWIRE_STMT_PREPARE:
        return "Prepare";
    case MYSQLWIRE_STMT_EXECUTE:
        return "Execute";
    case MYSQLWIRE_STMT_FETCH:
        return "Fetch";
    default:
        return NULL; /* too quick to be seen */
    }
}

static void command(struct mysql_conn *c, uint8_t type, const char *body, size_t len)
{
    switch (type) {
    case MYSQLWIRE_QUIT:
        c->closing = true;
        break;
    case MYSQLWIRE_INIT_DB:
        init_db(c, body, len);
        break;
    case MYSQLWIRE_QUERY:
        query(c, body, len);
        break;
    case MYSQLWIRE_FIELD_LIST:
        mysql_field_list(c, body, len);
        break;
    case MYSQLWIRE_STATISTICS:
        statistics(c);
        break;
    case MYSQLWIRE_PROCESS_INFO:
        mysql_query(c, "SHOW PROCESSLIST", strlen("SHOW PROCESSLIST"));
        break;
    case MYSQLWIRE_PROCESS_KILL:
        process_kill(c, body, len);
        break;
    case MYSQLWIRE_DEBUG:
        mysqlwire_write_eof(&c->out, mysql_status(c), 0);
        break;
    case MYSQLWIRE_PING:
        mysql_write_ok(c, 0, 0, NULL);
        break;
    case MYSQLWIRE_CHANGE_USER:
        if (!mysql_change_user(c, body, len))
            c->closing = true;
        break;
    case MYSQLWIRE_STMT_PREPARE:
        mysql_prepare(c, body, len);
        break;
    case MYSQLWIRE_STMT_EXECUTE:
        mysql_execute(c, body, len);
        break;
    case MYSQLWIRE_STMT_LONG_DATA:
        mysql_long_data(c, body, len);
        break;
    case MYSQLWIRE_STMT_CLOSE:
        mysql_close_prepared(c, body, len);
        break;
    case MYSQLWIRE_STMT_RESET:
        mysql_reset_prepared(c, body, len);
        break;
    case MYSQLWIRE_STMT_FETCH:
        mysql_fetch(c, body, len);
        break;
    case MYSQLWIRE_SET_OPTION:
        set_option(c, body, len);
        break;
    case MYSQLWIRE_RESET_CONNECTION:
        mysql_reset(c);
        mysql_write_ok(c, 0, 0, NULL);
        break;
    default:
        mysql_error(c, MYSQL_ER_UNKNOWN_COMMAND, "Unknown command 0x%02x", type);
        break;
    }
}

/* False ends the connection. */
static bool next(struct mysql_conn *c)
{
    const char *body;
    size_t len;

    switch (mysql_read(c, &body, &len)) {
    case MYSQL_READ_OK:
        if (len == 0) {
            mysql_error(c, MYSQL_ER_MALFORMED, "Malformed communication packet");
            return false;
        }
        arena_reset(c->arena);
        atomic_fetch_add(&c->server->questions, 1);
        const char *name = name_of((uint8_t)*body);
        if (name)
            mysql_set_command(c, name);
        command(c, (uint8_t)*body, body + 1, len - 1);
        if (name)
            mysql_set_command(c, "Sleep");
        return !c->closing && !c->io.dead;
    case MYSQL_READ_TOO_LONG:
        mysql_error(c, MYSQL_ER_TOO_BIG, "Got a packet bigger than 'max_allowed_packet' bytes");
        return false;
    default:
        /* It goes where an answer would: clients that ask next find it. */
        if (atomic_load(&c->server->clients.stopping)) {
            c->out.sequence = 0;
            mysql_error(c, MYSQL_ER_SHUTDOWN, "Server shutdown in progress");
        }
        return false;
    }
}

void mysql_serve(struct mysql_conn *c)
{
    mysql_set_command(c, "Sleep");
    while (next(c))
        ;
}
