/*
 * Everything that waits goes through await(): libmariadb's calls in two halves (…_start, …_cont),
 * between which the socket is waited for here.
 */
#include "proxy/my_link.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"

#define CONNECT_LIMIT_NS (15 * CLOCK_S)
#define PACKET_MOST      (1ul << 30) /* what a server may send in one: its own limit */
#define GIVE_UP_MOST     1000

struct my_link {
    MYSQL *conn;
    bool broken, mariadb;
    char who[16];
};

/* ---- waiting ---- */

/* A call of the library that is under way, and what it answers. */
struct step {
    struct my_link *l;
    int status; /* what it waits for; 0 = it is done */
    int (*go_on)(struct step *s, int ready);
    int ret;
    MYSQL *conn;
    MYSQL_RES *result;
    MYSQL_ROW row;
};

static short events_of(int status)
{
    return (short)((status & MYSQL_WAIT_READ ? POLLIN : 0) |
                   (status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
                   (status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
}

static int ready_of(int status, short got)
{
    int ready = (got & POLLIN ? MYSQL_WAIT_READ : 0) | (got & POLLOUT ? MYSQL_WAIT_WRITE : 0) |
                (got & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);

    if (got & (POLLERR | POLLHUP | POLLNVAL)) /* the call is to find out */
        ready |= status & ~MYSQL_WAIT_TIMEOUT;
    return ready;
}

/* Until the call is done. Where the wait ends first the call is told that its time is over, so that
 * it comes to an end, too; the connection is of no use then. */
static enum err_code await(struct step *s, const struct wait *w, struct err *e)
{
    enum err_code code = ERR_OK;

    for (int tries = 0; s->status != 0 && tries < GIVE_UP_MOST;) {
        short got = 0;
        if (code == ERR_OK)
            code = wait_fd((int)my.get_socket(s->l->conn), events_of(s->status), w, s->l->who, &got,
                           e);
        if (code != ERR_OK)
            tries++;
        s->status = s->go_on(s, code == ERR_OK ? ready_of(s->status, got) : MYSQL_WAIT_TIMEOUT);
    }
    if (code != ERR_OK)
        s->l->broken = true;
    return code;
}

/* ---- errors ---- */

static const struct {
    unsigned number;
    enum err_code code;
} numbers[] = {{ER_DUP_ENTRY, ERR_UNIQUE},
               {ER_DUP_KEY, ERR_UNIQUE},
               {1586, ERR_UNIQUE},
               {ER_BAD_NULL_ERROR, ERR_NOT_NULL},
               {ER_NO_DEFAULT_FOR_FIELD, ERR_NOT_NULL},
               {ER_NO_REFERENCED_ROW_2, ERR_FOREIGN_KEY},
               {ER_ROW_IS_REFERENCED_2, ERR_FOREIGN_KEY},
               {ER_NO_REFERENCED_ROW, ERR_FOREIGN_KEY},
               {ER_ROW_IS_REFERENCED, ERR_FOREIGN_KEY},
               {3819, ERR_CHECK}, /* MySQL's */
               {4025, ERR_CHECK}, /* MariaDB's */
               {ER_SIGNAL_EXCEPTION, ERR_RAISED},
               {ER_NO_SUCH_TABLE, ERR_NO_TABLE},
               {ER_BAD_TABLE_ERROR, ERR_NO_TABLE},
               {ER_BAD_FIELD_ERROR, ERR_NO_COLUMN},
               {ER_SP_DOES_NOT_EXIST, ERR_NO_FUNCTION},
               {ER_CANT_DROP_FIELD_OR_KEY, ERR_NO_OBJECT},
               {ER_TABLE_EXISTS_ERROR, ERR_TABLE_EXISTS},
               {ER_PARSE_ERROR, ERR_SYNTAX},
               {ER_LOCK_DEADLOCK, ERR_CONFLICT},
               {ER_CHECKREAD, ERR_CONFLICT},
               {ER_LOCK_WAIT_TIMEOUT, ERR_BUSY},
               {ER_TRUNCATED_WRONG_VALUE_FOR_FIELD, ERR_MISMATCH},
               {ER_TRUNCATED_WRONG_VALUE, ERR_MISMATCH},
               {ER_WARN_DATA_OUT_OF_RANGE, ERR_MISMATCH},
               {ER_DATA_TOO_LONG, ERR_MISMATCH},
               {ER_TABLE_DEF_CHANGED, ERR_SCHEMA_CHANGED},
               {ER_OPTION_PREVENTS_STATEMENT, ERR_READ_ONLY},
               {ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION, ERR_READ_ONLY},
               {ER_TABLEACCESS_DENIED_ERROR, ERR_DENIED},
               {ER_COLUMNACCESS_DENIED_ERROR, ERR_DENIED},
               {ER_DBACCESS_DENIED_ERROR, ERR_DENIED},
               {ER_SPECIFIC_ACCESS_DENIED_ERROR, ERR_DENIED},
               {ER_ACCESS_DENIED_ERROR, ERR_AUTH},
               {ER_BAD_DB_ERROR, ERR_NO_DATABASE},
               {ER_DB_CREATE_EXISTS, ERR_DATABASE_EXISTS},
               {ER_NOT_SUPPORTED_YET, ERR_UNSUPPORTED},
               {ER_CON_COUNT_ERROR, ERR_TOO_MANY},
               {ER_TOO_MANY_USER_CONNECTIONS, ERR_TOO_MANY},
               {ER_DISK_FULL, ERR_DISK_FULL},
               {ER_OUTOFMEMORY, ERR_NO_MEMORY},
               {ER_NET_PACKET_TOO_LARGE, ERR_TOO_BIG},
               {ER_QUERY_INTERRUPTED, ERR_INTERRUPTED},
               {ER_STATEMENT_TIMEOUT, ERR_TIMEOUT},
               {3024, ERR_TIMEOUT}, /* MySQL's */
               {ER_MASTER_FATAL_ERROR_READING_BINLOG, ERR_TOO_OLD},
               {ER_SERVER_SHUTDOWN, ERR_IO},
               {ER_CONNECTION_KILLED, ERR_IO}};

enum err_code my_link_error(struct my_link *l, struct err *e)
{
    unsigned number = my.number(l->conn);
    const char *text = my.error(l->conn), *state = my.sqlstate(l->conn);
    enum err_code code = ERR_SQL;

    if (number == 0 || (number >= CR_MIN_ERROR && number <= CR_MYSQL_LAST_ERROR) ||
        (number >= CER_MIN_ERROR && number <= CR_MARIADB_LAST_ERROR)) { /* the library's own */
        l->broken = true;
        return err_set(e, ERR_IO, "%s: %s", l->who, *text ? text : "the connection is lost");
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i].number == number)
            code = numbers[i].code;
    l->broken = l->broken || code == ERR_IO;
    err_set(e, code, "%s", *text ? text : "the server says no more than the number");
    e->number = (int)number;
    if (state && strlen(state) < sizeof e->sqlstate)
        memcpy(e->sqlstate, state, strlen(state) + 1);
    return code;
}

/* ---- life ---- */

static int go_on_connect(struct step *s, int ready)
{
    return my.real_connect_cont(&s->conn, s->l->conn, ready);
}

static void set_options(MYSQL *c, const struct my_dsn *dsn, const struct my_link_options *opt)
{
    static const my_bool yes = 1, no = 0;
    static const unsigned long packet = PACKET_MOST;
    static const unsigned off = 0;

    (void)my.options(c, MYSQL_OPT_NONBLOCK, NULL);
    (void)my.options(c, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    (void)my.options(c, MYSQL_OPT_LOCAL_INFILE, &off); /* no server reads files here */
    (void)my.options(c, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
    if (opt->silence_s)
        (void)my.options(c, MYSQL_OPT_READ_TIMEOUT, &opt->silence_s);
    if (dsn->tls == MY_TLS_OFF)
        return;
    (void)my.options(c, MYSQL_OPT_SSL_ENFORCE, dsn->tls == MY_TLS_PREFERRED ? &no : &yes);
    (void)my.options(c, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, dsn->tls == MY_TLS_ON ? &yes : &no);
    if (dsn->tls == MY_TLS_ON)
        (void)my.options(c, MYSQL_OPT_SSL_CA,
                         *dsn->ca ? dsn->ca : "/etc/ssl/certs/ca-certificates.crt");
}

static enum err_code connect_to(struct my_link *l, const struct my_dsn *dsn,
                                const struct my_link_options *opt, const struct wait *w,
                                struct err *e)
{
    struct step s = {.l = l, .go_on = go_on_connect};
    struct wait limited = *w;
    int64_t limit = clock_deadline(CONNECT_LIMIT_NS);

    if (limit < limited.deadline_ns)
        limited.deadline_ns = limit;
    set_options(l->conn, dsn, opt);
    s.status = my.real_connect_start(&s.conn, l->conn, *dsn->socket ? NULL : dsn->host, dsn->user,
                                     dsn->password, *dsn->database ? dsn->database : NULL,
                                     dsn->port, *dsn->socket ? dsn->socket : NULL, opt->flags);
    enum err_code code = await(&s, &limited, e);
    if (code == ERR_OK && !s.conn) {
        code = my_link_error(l, e);
        l->broken = true;
    }
    return code;
}

enum err_code my_link_open(struct my_link **out, const struct my_dsn *dsn,
                           const struct my_link_options *opt, const struct wait *w, struct err *e)
{
    struct my_link *l = calloc(1, sizeof *l);

    *out = NULL;
    if (l)
        l->conn = my.init(NULL);
    if (!l || !l->conn) {
        free(l);
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    }
    (void)snprintf(l->who, sizeof l->who, "MySQL");
    enum err_code code = connect_to(l, dsn, opt, w, e);
    if (code == ERR_OK) {
        const char *version = my.get_server_info(l->conn);
        l->mariadb = version && strstr(version, "MariaDB");
        (void)snprintf(l->who, sizeof l->who, l->mariadb ? "MariaDB" : "MySQL");
        code = my_link_run(l, "SET time_zone = '+00:00'", NULL, w, e);
    }
    if (code != ERR_OK) {
        my_link_close(l);
        return code;
    }
    *out = l;
    return ERR_OK;
}

void my_link_close(struct my_link *l)
{
    if (!l)
        return;
    my.close(l->conn);
    free(l);
}

bool my_link_broken(const struct my_link *l)
{
    return l->broken;
}

void my_link_break(struct my_link *l)
{
    l->broken = true;
}

bool my_link_is_mariadb(const struct my_link *l)
{
    return l->mariadb;
}

MYSQL *my_link_handle(struct my_link *l)
{
    return l->conn;
}

/* ---- statements ---- */

static int go_on_query(struct step *s, int ready)
{
    return my.real_query_cont(&s->ret, s->l->conn, ready);
}

static int go_on_next(struct step *s, int ready)
{
    return my.next_result_cont(&s->ret, s->l->conn, ready);
}

static int go_on_store(struct step *s, int ready)
{
    return my.store_result_cont(&s->result, s->l->conn, ready);
}

static int go_on_row(struct step *s, int ready)
{
    return my.fetch_row_cont(&s->row, s->result, ready);
}

enum err_code my_link_send(struct my_link *l, const char *sql, size_t len, const struct wait *w,
                           struct err *e)
{
    struct step s = {.l = l, .go_on = go_on_query};

    s.status = my.real_query_start(&s.ret, l->conn, sql, (unsigned long)len);
    enum err_code code = await(&s, w, e);
    return code == ERR_OK && s.ret != 0 ? my_link_error(l, e) : code;
}

enum err_code my_link_next(struct my_link *l, bool *more, const struct wait *w, struct err *e)
{
    struct step s = {.l = l, .go_on = go_on_next};

    *more = my.more_results(l->conn) != 0;
    if (!*more)
        return ERR_OK;
    s.status = my.next_result_start(&s.ret, l->conn);
    enum err_code code = await(&s, w, e);
    if (code == ERR_OK && s.ret > 0)
        code = my_link_error(l, e);
    *more = code == ERR_OK && s.ret == 0;
    return code;
}

enum err_code my_link_row(struct my_link *l, MYSQL_RES *result, MYSQL_ROW *row,
                          unsigned long **lengths, const struct wait *w, struct err *e)
{
    struct step s = {.l = l, .go_on = go_on_row, .result = result};

    s.status = my.fetch_row_start(&s.row, result);
    enum err_code code = s.status ? await(&s, w, e) : ERR_OK;
    *row = s.row;
    if (code != ERR_OK)
        return code;
    if (!s.row && my.number(l->conn) != 0)
        return my_link_error(l, e);
    *lengths = s.row ? my.fetch_lengths(result) : NULL;
    return ERR_OK;
}

enum err_code my_link_run(struct my_link *l, const char *sql, MYSQL_RES **out, const struct wait *w,
                          struct err *e)
{
    struct step s = {.l = l, .go_on = go_on_store};

    if (out)
        *out = NULL;
    enum err_code code = my_link_send(l, sql, strlen(sql), w, e);
    if (code != ERR_OK)
        return code;
    s.status = my.store_result_start(&s.result, l->conn);
    code = await(&s, w, e);
    if (code == ERR_OK && !s.result && my.number(l->conn) != 0)
        code = my_link_error(l, e);
    if (code == ERR_OK && out)
        *out = s.result;
    else if (s.result)
        my.free_result(s.result);
    return code;
}

MYSQL_ROW my_link_first(MYSQL_RES *result)
{
    MYSQL_ROW row = NULL;

    if (result)
        (void)my.fetch_row_start(&row, result); /* it is there: nothing is waited for */
    return row;
}

enum err_code my_link_ask(struct my_link *l, const char *sql, unsigned field, struct buf *out,
                          const struct wait *w, struct err *e)
{
    MYSQL_RES *result;
    enum err_code code = my_link_run(l, sql, &result, w, e);

    if (code != ERR_OK)
        return code;
    MYSQL_ROW row = my_link_first(result);
    if (row && field < my.num_fields(result) && row[field])
        buf_put(out, row[field], my.fetch_lengths(result)[field]);
    if (result)
        my.free_result(result);
    return buf_ok(out) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- texts ---- */

void my_put_name(struct buf *b, const char *name)
{
    buf_putc(b, '`');
    for (; *name; name++) {
        if (*name == '`')
            buf_putc(b, '`');
        buf_putc(b, *name);
    }
    buf_putc(b, '`');
}

void my_put_text(struct buf *b, const char *s, size_t len)
{
    buf_puts(b, "_utf8mb4 X'");
    hex_put(b, s, len);
    buf_putc(b, '\'');
}
