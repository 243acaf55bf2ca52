/*
 * A statement's text for a source that numbers its parameters, $1, $2 …, or has a ? for each: the
 * parameters ?, ?3, :name, @name and $name are found as SQLite finds them, and everything else
 * stays as it was written. Pure; any thread.
 */
#ifndef HA_PROXY_FOREIGN_TEXT_H
#define HA_PROXY_FOREIGN_TEXT_H

#include "base/buf.h"
#include "base/err.h"
#include "core/session.h"

/* The values in the order in which the text wants them, borrowed from the query. */
struct foreign_params {
    const struct value **all; /* owned */
    size_t n, cap;
};

/* Appends one statement (`sql`, a part of q->sql or of what was written) to `out`. `dollars`:
 * parameters become $1, $2 … and the same one is one value; else each becomes a ?. ERR_PARAM where
 * no value is given for one. */
enum err_code foreign_text(const struct query *q, const char *sql, size_t len, bool dollars,
                           struct buf *out, struct foreign_params *params, struct err *e);
enum err_code foreign_params_add(struct foreign_params *p, const struct value *v, struct err *e);
void foreign_params_free(struct foreign_params *p);

#endif
