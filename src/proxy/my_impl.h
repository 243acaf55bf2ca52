/* What the files of the MySQL source share. All of it belongs to the source's thread. */
#ifndef HA_PROXY_MY_IMPL_H
#define HA_PROXY_MY_IMPL_H

#include "base/arena.h"
#include "proto/binlog.h"
#include "proxy/my_ddl.h"
#include "proxy/my_link.h"
#include "proxy/my_position.h"
#include "proxy/my_source.h"
#include "proxy/my_table.h"

struct my_source {
    struct my_source_options opt;
    struct my_dsn dsn;
    struct my_filter *filter;
    char **dumped; /* --mysql-dump-include, as a list; NULL = all */
    uint32_t server_id;
    /* A change did not fit the tables here: they are to be made and filled anew. */
    bool copy_again;
    /* Of one try. */
    struct source *source;
    struct mirror *mirror;
    struct my_link *link;
    struct wait wait; /* until the source is to stop */
    struct my_tables tables;
    struct my_position tables_at; /* file and place: they are not older than that */
    bool tables_compared;         /* what they changed is done here */
    char server[64];              /* MySQL's server_uuid, MariaDB's server_id */
};

static inline enum err_code my_out_of_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* A change of which the mirror could only be had by a new copy. */
#define MY_COPY_AGAIN(p, e, ...) ((p)->copy_again = true, err_set(e, ERR_UNSUPPORTED, __VA_ARGS__))

/* ---- my_copy.c ---- */

/* Copies the tables as they are at one place of the log, in one local transaction. */
enum err_code my_copy_all(struct my_source *p, struct err *e);
/* Loads p->tables anew, and tells how new they are. */
enum err_code my_load_tables(struct my_source *p, struct err *e);
/* The end of the source's log, by file. */
enum err_code my_show_place(struct my_source *p, struct my_position *at, struct err *e);

/* ---- my_follow.c ---- */

/* Follows the log from a place on, until the source is to stop or fails. */
enum err_code my_follow(struct my_source *p, const struct my_position *from, struct err *e);

/* ---- my_schema.c ---- */

enum err_code my_change_sql(struct my_source *p, const char *sql, struct err *e);
/* The local table for a copy: made, made anew or emptied. */
enum err_code my_prepare_table(struct my_source *p, const struct my_table *t, struct err *e);
/* Without --proxy-use-schema the tables are the user's: what they lack, all at once. */
enum err_code my_check_tables(struct my_source *p, struct err *e);
/* Is it about tables that are of interest? */
bool my_ddl_concerns(const struct my_source *p, const struct my_ddl *d);
/* What a schema statement of the source does here, as changes of the mirror's open transaction.
 * p->tables are the ones of before, and are loaded anew; `ahead`: they may have known it already.
 */
enum err_code my_apply_ddl(struct my_source *p, const struct my_ddl *d, bool ahead, struct err *e);

/* ---- my_value.c ---- */

/* What a SELECT shows of a column, as it is stored. Borrows `text`, or the arena's memory. */
enum err_code my_value_of_text(const struct my_column *c, const char *text, size_t len,
                               struct arena *a, struct value *out, struct err *e);
/* How a SELECT list is to name a column, so that nothing of it is lost in the text. Appended. */
void my_put_selected(struct buf *b, const struct my_column *c);

/* Texts of the log, which has them in each column's own character set. */
struct my_charsets;
enum err_code my_charsets_new(struct my_charsets **out, struct err *e);
void my_charsets_free(struct my_charsets *s); /* NULL is fine */
/* A value of the log's as it is stored; `v` is replaced where it has to be. */
enum err_code my_value_of_log(struct my_charsets *s, const struct my_column *c, struct arena *a,
                              struct value *v, struct err *e);

#endif
