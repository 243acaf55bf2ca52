/*
 * A statement that runs in several databases of the node: SELECT … with the hint db=<regex> in a
 * comment. Each of the databases whose id matches runs it, one after the other, in the order in
 * which the node lists them; their rows reach one sink as one result (sql/cross_text.h says how
 * they are put together). It only reads; each database is read at a moment of its own.
 *
 * At most one read connection is held at a time (--concurrent-queries), but between two pieces of a
 * result that is read slowly, too. The session's thread, with the session's mutex.
 */
#ifndef HA_CORE_CROSS_H
#define HA_CORE_CROSS_H

#include "core/request_impl.h"

struct cross;

/* Does the statement at `at` ask for other databases? The text is looked at once for all of its
 * statements that do not. */
bool cross_is_asked(struct request *r, const struct cursor *at);

/* Begins it; r->at then stands behind the statement. */
enum err_code cross_begin(struct request *r, const struct lex *lex, struct err *e);
/* Goes on until its end or a pause. */
enum request_status cross_run(struct request *r, struct sink *sink, struct err *e);
void cross_free(struct cross *x); /* NULL is fine; gives back what it holds */

/* The first database that the hint of `q` names, *out NULL where there is no hint. */
enum err_code cross_first(struct session *s, const struct query *q, struct database **out,
                          struct err *e);

#endif
