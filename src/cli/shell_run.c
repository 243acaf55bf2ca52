#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/edit.h"
#include "cli/shell.h"
#include "cli/text.h"

/* ---- saying ---- */

void shell_say(const struct shell *sh, const char *fmt, ...)
{
    va_list ap;
    if (!sh->interactive)
        return;
    va_start(ap, fmt);
    (void)vfprintf(sh->show.out, fmt, ap);
    va_end(ap);
}

static unsigned long newlines_before(const char *s, size_t len)
{
    unsigned long n = 0;
    for (size_t i = 0; i < len; i++)
        n += s[i] == '\n';
    return n;
}

/* The line in which it is, and a sign below it. */
static void point_at(const char *sql, size_t len, size_t offset)
{
    struct buf line = BUF_INIT;
    size_t begin = offset, end = offset;
    while (begin > 0 && sql[begin - 1] != '\n')
        begin--;
    while (end < len && sql[end] != '\n')
        end++;
    text_put_plain(&line, sql + begin, end - begin, false);
    (void)fprintf(stderr, "  %s\n  %*s^\n", buf_cstr(&line),
                  (int)text_width(sql + begin, offset - begin), "");
    buf_free(&line);
}

void shell_error(struct shell *sh, const struct shell_source *src, const char *sql, size_t len,
                 const struct err *e)
{
    struct buf text = BUF_INIT;
    bool has_place = sql && e->offset >= 0 && (size_t)e->offset <= len;
    sh->failed = true;
    (void)fflush(sh->show.out);
    if (e->code == ERR_INTERRUPTED)
        (void)fputc('\n', stderr); /* behind the terminal's ^C */
    text_put_plain(&text, e->msg, strlen(e->msg), true);
    if (src && src->name)
        (void)fprintf(stderr, "ha: %s:%lu: ", src->name,
                      (sql ? src->begun : src->line) +
                          (has_place ? newlines_before(sql, (size_t)e->offset) : 0));
    else
        (void)fputs("error: ", stderr);
    (void)fprintf(stderr, "%s", buf_cstr(&text));
    if (e->code != ERR_CONFIG && e->code != ERR_INTERRUPTED && e->code != ERR_IO)
        (void)fprintf(stderr, " (%s)", err_sqlstate(e->code));
    (void)fputc('\n', stderr);
    if (has_place)
        point_at(sql, len, (size_t)e->offset);
    if (sh->bail || e->code == ERR_INTERRUPTED)
        sh->stopped = true;
    buf_free(&text);
}

static void put_time(struct buf *b, int64_t ns)
{
    double ms = (double)ns / (double)CLOCK_MS;
    if (ms < 1000)
        buf_printf(b, "  %.1f ms", ms);
    else
        buf_printf(b, "  %.2f s", ms / 1000);
}

static void put_count(struct buf *b, uint64_t n)
{
    buf_printf(b, "%" PRIu64 " row%s", n, n == 1 ? "" : "s");
}

/* How much it was, for people and below tables. */
static void sum_up(const struct shell *sh, enum lex_kind kind, int64_t ns)
{
    const struct show *s = &sh->show;
    struct buf b = BUF_INIT;
    bool rows = s->done.has_rows && (sh->interactive || s->mode == SHOW_TABLE);
    bool changes = sh->interactive && (s->done.rows_affected > 0 || kind == LEX_WRITE);
    if (rows) {
        buf_putc(&b, '(');
        put_count(&b, s->rows);
        buf_putc(&b, ')');
    }
    if (changes) {
        buf_puts(&b, rows ? ", " : "");
        put_count(&b, (uint64_t)s->done.rows_affected);
        buf_puts(&b, " changed");
    }
    if (!rows && !changes && sh->interactive)
        buf_puts(&b, "ok");
    if (sh->timer)
        put_time(&b, ns);
    if (b.len > 0)
        (void)fprintf(s->out, "%s\n", buf_cstr(&b) + (*buf_cstr(&b) == ' ' ? 2 : 0));
    buf_free(&b);
}

static void tell_moved(struct shell *sh)
{
    if (remote_has_moved(sh->remote))
        (void)fprintf(stderr, "ha: goes on with node %s at %s\n", remote_node(sh->remote),
                      remote_url(sh->remote));
}

/* ---- running ---- */

static void run_sql(struct shell *sh, const struct shell_source *src, const char *sql, size_t len)
{
    struct err e = ERR_INIT;
    enum lex_kind kind = lex_statement(sql, len).kind;
    int64_t start = clock_mono_ns();
    show_reset(&sh->show);
    enum err_code code = remote_sql(sh->remote, sql, len, NULL, 0, &sh->show.sink, &e);
    int64_t took = clock_mono_ns() - start;
    if (kind == LEX_DDL || code != ERR_OK) {
        free(sh->names);
        sh->names = NULL;
    }
    tell_moved(sh);
    if (code == ERR_OK)
        sum_up(sh, kind, took);
    else if (show_ok(&sh->show)) {
        show_reset(&sh->show);
        shell_error(sh, src, sql, len, &e);
    }
    (void)fflush(sh->show.out);
    if (!show_ok(&sh->show)) /* nobody reads on, or the disk is full */
        sh->failed = sh->ended = true;
}

void shell_statement(struct shell *sh, const struct shell_source *src, const char *sql, size_t len)
{
    struct shell_source at = *src; /* where the statement begins: for messages, not to be freed */
    while (len > 0 && strchr(" \t\r\n", *sql)) {
        at.begun += *sql == '\n';
        sql++;
        len--;
    }
    if (lex_statement(sql, len).kind == LEX_EMPTY || shell_word(sh, &at, sql, len))
        return;
    run_sql(sh, &at, sql, len);
}

/* ---- the client's own questions ---- */

struct each {
    struct sink sink;
    bool (*each)(void *arg, const char *text, size_t len);
    void *arg;
};

static void no_columns(struct sink *s, const struct sink_column *cols, unsigned n)
{
    (void)s;
    (void)cols;
    (void)n;
}

static enum sink_verdict each_row(struct sink *s, const struct value *values, unsigned n)
{
    struct each *x = (struct each *)s;
    if (n == 0 || values[0].type != VALUE_TEXT)
        return SINK_MORE;
    return x->each(x->arg, values[0].u.s.data, values[0].u.s.len) ? SINK_MORE : SINK_STOP;
}

static void no_done(struct sink *s, const struct sink_done *d)
{
    (void)s;
    (void)d;
}

enum err_code shell_each(struct shell *sh, const char *sql, const char *param,
                         bool (*each)(void *arg, const char *text, size_t len), void *arg,
                         struct err *e)
{
    static const struct sink_ops ops = {no_columns, each_row, no_done};
    struct each x = {{&ops}, each, arg};
    struct value v = value_text(param, param ? strlen(param) : 0);
    enum err_code code = remote_sql(sh->remote, sql, strlen(sql), &v, param ? 1 : 0, &x.sink, e);
    tell_moved(sh);
    return code;
}
