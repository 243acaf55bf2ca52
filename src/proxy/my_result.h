/* The result of a statement that a MySQL source has run, as the executor wants it. */
#ifndef HA_PROXY_MY_RESULT_H
#define HA_PROXY_MY_RESULT_H

#include <stdint.h>

#include "core/sink.h"
#include "proxy/my_link.h"

/* Reads what comes next over the connection, to its end, and gives it to the sink. ERR_TOO_BIG
 * where the sink wants no more; the rest is read all the same. */
enum err_code my_result_put(struct my_link *l, int64_t since_ns, int64_t *last_rowid,
                            struct sink *sink, const struct wait *w, struct err *e);

#endif
