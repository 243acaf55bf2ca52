/*
 * A connection to the MySQL or MariaDB that is a source. Calls block, but no longer than their wait
 * allows. One thread at a time. An error that is no answer of the server leaves a connection that
 * can only be closed; my_link_broken() tells.
 *
 * Texts are UTF-8 both ways, moments UTC. A server's error is the nearest one of err.h, with the
 * server's own number and SQLSTATE beside it.
 */
#ifndef HA_PROXY_MY_LINK_H
#define HA_PROXY_MY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "proxy/my.h"
#include "proxy/my_dsn.h"
#include "proxy/wait.h"

struct my_link;

struct my_link_options {
    unsigned long flags; /* CLIENT_… of the library */
    unsigned silence_s;  /* a call that blocks in the library ends after so long; 0 = never */
};

/* my_load() must have succeeded, as for everything here. */
enum err_code my_link_open(struct my_link **out, const struct my_dsn *dsn,
                           const struct my_link_options *opt, const struct wait *w, struct err *e);
void my_link_close(struct my_link *l); /* NULL is fine */
bool my_link_broken(const struct my_link *l);
void my_link_break(struct my_link *l); /* it can only be closed from now on */
bool my_link_is_mariadb(const struct my_link *l);
MYSQL *my_link_handle(struct my_link *l); /* for what is not here and does not block */

/* What the library says just now as one of our errors; a connection that is lost is broken then. */
enum err_code my_link_error(struct my_link *l, struct err *e);

/* Runs a text; its first result is what comes next. */
enum err_code my_link_send(struct my_link *l, const char *sql, size_t len, const struct wait *w,
                           struct err *e);
/* Goes on to the next result of the text. *more false: there is none. */
enum err_code my_link_next(struct my_link *l, bool *more, const struct wait *w, struct err *e);
/* A row of a result that is read as it comes (my.use_result()); *row NULL at the end. */
enum err_code my_link_row(struct my_link *l, MYSQL_RES *result, MYSQL_ROW *row,
                          unsigned long **lengths, const struct wait *w, struct err *e);

/* Runs one statement. *out (owned: my.free_result(); NULL = not wanted) has all its rows, and is
 * NULL where it has none to have. */
enum err_code my_link_run(struct my_link *l, const char *sql, MYSQL_RES **out, const struct wait *w,
                          struct err *e);
/* The first row of a result that has all its rows; NULL where it has none. */
MYSQL_ROW my_link_first(MYSQL_RES *result);
/* One field of a statement's first row, appended; nothing where it is NULL or there is no row. */
enum err_code my_link_ask(struct my_link *l, const char *sql, unsigned field, struct buf *out,
                          const struct wait *w, struct err *e);

/* A name in backticks, a text in quotes that every sql_mode reads the same way. Appended. */
void my_put_name(struct buf *b, const char *name);
void my_put_text(struct buf *b, const char *s, size_t len);

#endif
