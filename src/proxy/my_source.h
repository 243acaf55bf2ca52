/*
 * A MySQL or MariaDB as a source: some of its tables are copied, and its binary log is followed.
 * Needs MariaDB 10.2 or MySQL 5.7, or newer, with log_bin, binlog_format = ROW and binlog_row_image
 * = FULL, and a user who may read the tables and replicate.
 *
 *   connect ─ the server's settings ─ the tracker's position
 *      none, or the log no longer has it:  a consistent snapshot of all tables ─ commit
 *      otherwise:                          the log from there on ─ commit, commit, …
 *
 * The server keeps nothing about who follows it: the position is in the tracker alone, together
 * with the data. So a death at any point loses nothing and takes nothing twice.
 */
#ifndef HA_PROXY_MY_SOURCE_H
#define HA_PROXY_MY_SOURCE_H

#include "base/err.h"
#include "proxy/source.h"

struct my_source;

/* Strings are borrowed, and outlive it. */
struct my_source_options {
    const char *dsn; /* my_dsn.h */
    const char *include, *exclude;
    const char *dump_db, *dump_include; /* what is copied at first; "" = all */
    const char *id; /* --mysql-proxy-id: the server id itself, or a name from which it is made */
    const char *stream;   /* of the cluster, and … */
    const char *database; /* … the local database: both count in that, too */
    bool prompt;          /* the tracker follows the log even where it says nothing of interest */
};

/* Can it be what it says? Connects to nothing. ERR_CONFIG. */
enum err_code my_source_check(const struct my_source_options *o, struct err *e);

enum err_code my_source_new(struct my_source **out, const struct my_source_options *o,
                            struct err *e);
void my_source_free(struct my_source *p); /* after source_free(); NULL is fine */

extern const struct source_driver my_source_driver; /* its argument is a struct my_source */

#endif
