/*
 * Foreign keys with ON DELETE and ON UPDATE rules. InnoDB follows them beneath the log: rows that
 * go with another one are not in it. So they are followed here, too, by statements on the mirror in
 * front of the change that sets them off. One thread at a time.
 */
#ifndef HA_PROXY_MY_CASCADE_H
#define HA_PROXY_MY_CASCADE_H

#include <stdbool.h>

#include "base/err.h"
#include "proxy/mirror.h"
#include "proxy/my_table.h"

struct my_source;

/* Fills t->references. */
enum err_code my_references_load(struct my_tables *t, struct my_link *l, const struct wait *w,
                                 struct err *e);

bool my_is_parent(const struct my_tables *t, const struct my_table *table);

/* A row that was, by its columns; `now` NULL: it is gone. */
struct my_gone {
    const struct my_table *table;
    const struct mirror_column *was;
    size_t n_was;
    const struct mirror_column *now;
    size_t n_now;
};
enum err_code my_cascade(struct my_source *p, const struct my_gone *row, struct err *e);

#endif
