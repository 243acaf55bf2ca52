#include "proxy/my_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/digits.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/log.h"
#include "core/node.h"
#include "proxy/my_impl.h"

/* ---- life ---- */

/* A number of 32 bits that no other replica of the source has: as it is given, or from the names.
 * Those above 2^31 are seldom chosen by people. */
static uint32_t server_id(const struct my_source_options *o)
{
    const char *s = o->id;
    uint64_t n;

    if (digits_read(&s, &n) && *s == '\0' && n > 0 && n <= UINT32_MAX)
        return (uint32_t)n;
    uint64_t h = hash_part(HASH_BEGIN, o->id, strlen(o->id));
    h = hash_part(h, o->stream, strlen(o->stream));
    h = hash_part(h, o->database, strlen(o->database));
    return (uint32_t)(h ^ h >> 32) | UINT32_C(0x80000000);
}

enum err_code my_source_check(const struct my_source_options *o, struct err *e)
{
    struct my_source *p = NULL;
    enum err_code code = my_source_new(&p, o, e);

    my_source_free(p);
    return code;
}

enum err_code my_source_new(struct my_source **out, const struct my_source_options *o,
                            struct err *e)
{
    struct my_source *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p)
        return my_out_of_memory(e);
    p->opt = *o;
    p->server_id = server_id(o);
    enum err_code code = my_load(e);
    if (code == ERR_OK)
        code = my_dsn_read(&p->dsn, o->dsn, e) == ERR_OK ? ERR_OK : err_wrap(e, "--mysql-proxied");
    if (code == ERR_OK)
        code = my_filter_new(&p->filter, o->include, o->exclude, e);
    if (code == ERR_OK && *o->dump_include && !(p->dumped = list_split(o->dump_include)))
        code = my_out_of_memory(e);
    if (code == ERR_OK && !*o->id)
        code = err_set(e, ERR_CONFIG, "--mysql-proxy-id is to be a name or a number");
    if (code != ERR_OK) {
        my_source_free(p);
        return code;
    }
    *out = p;
    return ERR_OK;
}

void my_source_free(struct my_source *p)
{
    if (!p)
        return;
    my_tables_free(&p->tables);
    my_filter_free(p->filter);
    my_dsn_free(&p->dsn);
    list_free(p->dumped);
    free(p);
}

/* ---- what the source has to have ---- */

/* A variable that one of the servers may not have is empty there. */
static enum err_code variable(struct my_source *p, const char *name, struct buf *value,
                              struct err *e)
{
    struct buf sql = BUF_INIT;

    buf_reset(value);
    buf_printf(&sql, "SHOW GLOBAL VARIABLES LIKE '%s'", name);
    enum err_code code = my_link_ask(p->link, buf_cstr(&sql), 1, value, &p->wait, e);
    buf_free(&sql);
    return code;
}

static enum err_code check_settings(struct my_source *p, struct err *e)
{
    static const struct {
        const char *name, *bad, *good, *why;
    } checks[] = {
        {"log_bin", "OFF", "ON", "the log is what is followed: start the server with log_bin"},
        {"binlog_format", "STATEMENT", "ROW", "SET GLOBAL binlog_format = ROW"},
        {"binlog_format", "MIXED", "ROW", "SET GLOBAL binlog_format = ROW"},
        {"binlog_row_image", "MINIMAL", "FULL", "SET GLOBAL binlog_row_image = FULL"},
        {"binlog_row_image", "NOBLOB", "FULL", "SET GLOBAL binlog_row_image = FULL"},
        {"binlog_row_value_options", "PARTIAL_JSON", "empty",
         "SET GLOBAL binlog_row_value_options = ''"},
        {"binlog_transaction_compression", "ON", "OFF",
         "SET GLOBAL binlog_transaction_compression = OFF"}};
    struct buf value = BUF_INIT;
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && code == ERR_OK; i++) {
        code = variable(p, checks[i].name, &value, e);
        if (code == ERR_OK && strcasecmp(buf_cstr(&value), checks[i].bad) == 0)
            code = err_set(e, ERR_CONFIG, "the source's %s is %s: it has to be %s (%s)",
                           checks[i].name, buf_cstr(&value), checks[i].good, checks[i].why);
    }
    if (code == ERR_OK) {
        code = variable(p, my_link_is_mariadb(p->link) ? "server_id" : "server_uuid", &value, e);
        if (code == ERR_OK && value.len < sizeof p->server)
            memcpy(p->server, buf_cstr(&value), value.len + 1);
    }
    buf_free(&value);
    return code;
}

/* ---- one try ---- */

static enum err_code check_stop(void *arg, struct err *e)
{
    return source_stopping(arg) ? err_set(e, ERR_INTERRUPTED, "the source is being stopped")
                                : ERR_OK;
}

static enum err_code read_position(struct my_source *p, struct my_position *position, struct err *e)
{
    struct buf text = BUF_INIT;
    enum err_code code = mirror_position(p->mirror, &text, e);

    if (code == ERR_OK && !my_position_read(position, text.data ? text.data : "", text.len))
        code = err_set(e, ERR_FORMAT,
                       "ha_proxied_tracker says %.60s, which is no place in a MySQL's log: does "
                       "the database mirror another source?",
                       buf_cstr(&text));
    buf_free(&text);
    return code;
}

/* A server that has not come as far as the position, or has something else there, has begun its log
 * anew, or has lost its end: GTIDs are numbers only, and are given again. */
static enum err_code check_gtids(struct my_source *p, const struct my_position *at, bool *good,
                                 struct err *e)
{
    struct my_position newest = {.pos = 0}, there = {.pos = 0};
    struct buf sql = BUF_INIT, text = BUF_INIT;
    enum err_code code = my_link_ask(p->link, "SELECT @@gtid_binlog_pos", 0, &text, &p->wait, e);

    *good = code == ERR_OK && my_position_set_gtids(&newest, buf_cstr(&text), text.len) &&
            my_position_reached(&newest, at);
    if (*good && strcmp(at->server, p->server) == 0) {
        buf_reset(&text);
        buf_puts(&sql, "SELECT BINLOG_GTID_POS(");
        my_put_text(&sql, at->file, strlen(at->file));
        buf_printf(&sql, ", %" PRIu64 ")", at->pos);
        code = my_link_ask(p->link, buf_cstr(&sql), 0, &text, &p->wait, e);
        /* Nothing: that file is gone, which the log itself will tell, if it matters. */
        *good =
            code == ERR_OK &&
            (text.len == 0 || (my_position_set_gtids(&there, buf_cstr(&text), text.len) &&
                               my_position_reached(&there, at) && my_position_reached(at, &there)));
    }
    buf_free(&sql);
    buf_free(&text);
    return code;
}

/* May the log be followed from there on? */
static enum err_code check_place(struct my_source *p, const struct my_position *at, bool *good,
                                 struct err *e)
{
    *good = true;
    if (my_link_is_mariadb(p->link) && at->n_gtids > 0)
        return check_gtids(p, at, good, e);
    /* Files are a server's own. */
    *good = !*at->server || !*p->server || strcmp(at->server, p->server) == 0;
    return ERR_OK;
}

static enum err_code copy_or_follow(struct my_source *p, struct err *e)
{
    struct my_position position;
    bool good = true;
    enum err_code code = read_position(p, &position, e);

    if (code == ERR_OK && *position.file)
        code = check_place(p, &position, &good, e);
    if (code != ERR_OK)
        return code;
    if (!good)
        LOG_WARN("the source is another server, or has another log, than before; it is copied anew",
                 LOG_STR("db", source_options(p->source)->database));
    if (!*position.file || p->copy_again || !good) {
        code = my_copy_all(p, e);
        if (code == ERR_OK)
            code = read_position(p, &position, e);
    } else {
        code = my_load_tables(p, e);
    }
    if (code == ERR_OK)
        code = my_follow(p, &position, e);
    if (code == ERR_TOO_OLD) {
        p->copy_again = true;
        LOG_WARN("the source no longer has its log from the position on; it is copied anew",
                 LOG_STR("db", source_options(p->source)->database), LOG_STR("reason", e->msg));
    }
    return code;
}

static enum err_code follow(void *arg, struct source *s, struct err *e)
{
    struct my_source *p = arg;

    p->source = s;
    p->mirror = source_mirror(s);
    p->wait = (struct wait){
        .deadline_ns = CLOCK_EVER, .wake_fd = source_wake_fd(s), .check = check_stop, .arg = s};
    enum err_code code =
        my_link_open(&p->link, &p->dsn, &(struct my_link_options){.flags = 0}, &p->wait, e);
    if (code == ERR_OK)
        code = check_settings(p, e);
    if (code == ERR_OK)
        code = copy_or_follow(p, e);
    my_tables_free(&p->tables);
    my_link_close(p->link);
    p->link = NULL;
    return code;
}

const struct source_driver my_source_driver = {.kind = "mysql", .unit = "ms", .follow = follow};
