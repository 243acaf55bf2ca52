/* One prepared statement between a protocol's parameters and its sink. */
#ifndef HA_CORE_STATEMENT_H
#define HA_CORE_STATEMENT_H

#include "core/session.h"
#include "sql/stmt.h"

/* Every parameter of the statement needs a value; values that it has no parameter for may be meant
 * for others of the same text, where they have names. */
enum err_code statement_bind(struct stmt *st, const struct query *q, struct err *e);
/* The number that parameter i (1-based) is bound by: k of $k and ?k, else i. */
unsigned statement_param_number(const struct stmt *st, unsigned i);
/* What statement_bind() gives to parameter i (1-based); NULL = nothing. Borrowed from `q`. */
const struct value *statement_value(const struct stmt *st, const struct query *q, unsigned i);
void statement_columns(struct stmt *st, struct sink *sink);
enum sink_verdict statement_row(struct stmt *st, struct sink *sink);

#endif
