#include "repl/search.h"

#include <inttypes.h>

#include "base/clock.h"
#include "repl/impl.h"
#include "sql/outbox.h"

/* Messages that the leader is asked for one by one: where servers have copies of the log a feed may
 * hide one that the leader has. */
#define SEARCH_ASK_MAX  256
#define SEARCH_ASK_MANY FEED_DOUBTED
#define SEARCH_WAIT_MS  1000 /* for the next message of a feed, … */
#define SEARCH_PATIENCE 3    /* … so often in a row */

struct search {
    struct replica *r;   /* borrowed */
    struct conn *outbox; /* borrowed */
    search_seen *seen;
    void *arg;
    uint64_t ask_max;
};

static enum err_code look_at(const struct search *s, const struct stream_message *m, struct err *e)
{
    uint64_t id = 0;
    bool found = false;
    if (!m->id[0] || m->part < m->parts)
        return ERR_OK;
    enum err_code code = outbox_find(s->outbox, m->id, &id, &found, e);
    return code == ERR_OK && found ? s->seen(s->arg, id, m->seq, e) : code;
}

/* Asks the log's leader for all of [from, to]. */
static enum err_code ask_each(const struct search *s, uint64_t from, uint64_t to, struct err *e)
{
    enum err_code code = ERR_OK;
    if (from <= to && to - from >= s->ask_max)
        return err_set(e, ERR_LOG_UNAVAILABLE,
                       "the log does not show its messages %" PRIu64 " to %" PRIu64, from, to);
    for (uint64_t seq = from; code == ERR_OK && seq <= to; seq++) {
        struct stream_message m = {0};
        bool found = false;
        if (atomic_load(&s->r->cancel))
            return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
        code = stream_get(s->r->opt.client, s->r->stream, seq, &m, &found, e);
        if (code == ERR_OK && found)
            code = look_at(s, &m, e);
        stream_message_free(&m);
    }
    return code;
}

/* *from: what comes next. */
static enum err_code read_feed(const struct search *s, struct stream_feed *feed, uint64_t *from,
                               uint64_t to, struct err *e)
{
    enum err_code code = ERR_OK;
    unsigned quiet = 0;
    while (code == ERR_OK && *from <= to && quiet < SEARCH_PATIENCE) {
        struct stream_message m = {0};
        bool got = false;
        if (atomic_load(&s->r->cancel))
            return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
        code = stream_feed_next(feed, SEARCH_WAIT_MS, &m, &got, e);
        if (code != ERR_OK || !got) {
            quiet++;
            continue;
        }
        quiet = 0;
        if (m.seq > to) {
            stream_message_free(&m);
            return ERR_OK;
        }
        if (m.seq > *from)
            code = ask_each(s, *from, m.seq - 1, e);
        if (code == ERR_OK)
            code = look_at(s, &m, e);
        *from = m.seq + 1;
        stream_message_free(&m);
    }
    return code;
}

enum err_code search_log(struct replica *r, struct conn *outbox, uint64_t from, uint64_t to,
                         search_seen *seen, void *arg, struct err *e)
{
    struct search s = {.r = r, .outbox = outbox, .seen = seen, .arg = arg};
    struct stream_state st;
    struct stream_feed *feed = NULL;
    bool found = false;
    enum err_code code = stream_info(r->opt.client, r->stream, &st, &found, e);
    if (code != ERR_OK || !found)
        return code;
    s.ask_max = st.replicas > 1 ? SEARCH_ASK_MANY : SEARCH_ASK_MAX;
    if (from < st.first_seq)
        from = st.first_seq;
    if (to > st.last_seq)
        to = st.last_seq;
    if (from <= to && to - from >= s.ask_max) {
        code = stream_feed_open_headers(&feed, r->opt.client, r->stream, r->subject, from, e);
        if (code == ERR_OK)
            code = read_feed(&s, feed, &from, to, e);
        stream_feed_close(feed);
    }
    return code == ERR_OK ? ask_each(&s, from, to, e) : code;
}
