/* What request.c, write.c and travel.c share: a request, and how its statements are found. */
#ifndef HA_CORE_REQUEST_IMPL_H
#define HA_CORE_REQUEST_IMPL_H

#include "core/past.h"
#include "core/recorder.h"
#include "core/session_impl.h"
#include "sql/lex.h"
#include "sql/stmt.h"
#include "sql/writer.h"

/* Where in the request's texts execution stands. */
struct cursor {
    size_t query;  /* index */
    size_t offset; /* bytes into its text */
};

struct cross;

struct request {
    struct session *s;
    const struct query *queries;
    size_t n;
    struct request_options opt;
    int64_t deadline_ns;

    struct cursor at;
    size_t last;   /* query that failed or ran last */
    bool entered;  /* counted among the node's running requests */
    bool snapshot; /* an atomic request of reads holds a read transaction on `reader` */
    struct conn *reader;
    struct stmt *stmt; /* the paused read statement */
    bool stmt_started;
    struct past *past; /* the paused HISTORY */
    uint64_t rows;
    int64_t started_ns;
    uint64_t seq, position;

    struct cross *cross; /* a statement over several databases that is under way; NULL = none */
    size_t looked;       /* 1 + the query that `may_cross` is about */
    bool may_cross;      /* it has a comment that may be the hint */

    struct recorder recorder;
    struct cursor end;     /* no statement of a write begins here or behind */
    struct cursor reached; /* where a write's last run has come to */
    size_t failed_at;      /* query that failed inside a write */
    int64_t rowid; /* the session's last insert rowid: every run of a write begins with it */
};

/* The request's deadline and the ways to cancel it hold for `c` from now on. */
void request_guard(struct request *r, struct conn *c);
enum err_code request_too_big(struct err *e);
/* Skips empty statements. False at the end of the request (or at `end`). */
bool request_next(const struct request *r, struct cursor *at, const struct cursor *end,
                  struct lex *lex);
bool request_is_control(enum lex_kind kind);
/* Prepares the statement at `at` on `c`; *after stands behind it. */
enum err_code request_prepare(struct request *r, struct conn *c, const struct cursor *at,
                              struct stmt **st, struct cursor *after, struct err *e);

/* The texts from r->at up to *end, as queries of their own: an array for the caller to free, whose
 * elements borrow from the request. 0: no memory. */
size_t request_slice(const struct request *r, const struct cursor *end, struct query **out);

/* ---- write.c: on the write connection; results are kept until the commit ---- */

enum err_code request_may_write(const struct session *s, struct err *e);
/* Everything from r->at to r->end, once; a txn_fn. The write group runs it, possibly several times
 * and in another thread. */
enum err_code request_run_write(void *request, struct writer *w, struct err *e);
/* Everything from r->at to r->end as one transaction of the group. */
enum err_code request_write(struct request *r, struct sink *sink, struct err *e);
/* A statement on the write connection that the session holds. */
enum err_code request_write_in_tx(struct request *r, const struct lex *lex, struct sink *sink,
                                  struct err *e);

/* ---- history.c ---- */

enum request_status request_history(struct request *r, const struct lex *lex, struct sink *sink,
                                    struct err *e);
/* r->past goes on, until its end or a pause. */
enum request_status request_history_on(struct request *r, struct sink *sink, struct err *e);
enum err_code request_undo(struct request *r, const struct lex *lex, struct sink *sink,
                           struct err *e);

/* ---- away.c: what is run upstream (upstream.h) ---- */

/* Does what this session writes go there just now? */
bool request_is_away(const struct request *r);
/* Everything from r->at to r->end as one transaction, or one statement that is one by itself.
 * *here: it was not done, and this node is to do it. */
enum err_code request_write_away(struct request *r, bool *here, struct sink *sink, struct err *e);
/* A statement of the explicit transaction that the session has there. */
enum err_code request_run_away(struct request *r, const struct lex *lex, struct sink *sink,
                               struct err *e);

/* ---- travel.c: a write that another node runs ---- */

extern const struct txn_travel request_travel; /* of a txn whose arg is a request */

#endif
