#include "repl/carry.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/log.h"
#include "repl/impl.h"
#include "repl/search.h"
#include "sql/outbox.h"

static enum err_code note_contained(void *arg, uint64_t id, uint64_t seq, struct err *e)
{
    struct buf *ids = arg;
    (void)seq;
    buf_put(ids, &id, sizeof id);
    return buf_ok(ids) ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

static int by_id(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

enum err_code carry_find(struct replica *r, bool prefix, uint64_t seq, struct buf *in_log,
                         struct err *e)
{
    struct conn *live = NULL;
    uint64_t base = 0;
    bool any = false;
    enum err_code code = conn_open(&live, &r->opt.conn, CONN_READER, e);
    if (code == ERR_OK)
        code = outbox_least_base(live, &base, &any, e);
    /* Where the log was written anew it may have been shorter than the file was. */
    if (code == ERR_OK && any)
        code = search_log(r, live, prefix ? base + 1 : 1, seq, note_contained, in_log, e);
    conn_close(live);
    if (in_log->len > 0)
        qsort(in_log->data, in_log->len / sizeof base, sizeof base, by_id);
    return code;
}

static bool contains(const struct buf *in_log, uint64_t id)
{
    return in_log->len > 0 && bsearch(&id, in_log->data, in_log->len / sizeof id, sizeof id, by_id);
}

enum err_code carry_outbox(struct replica *r, const struct buf *in_log, uint64_t seq,
                           struct apply *a, struct err *e)
{
    struct conn *live = NULL;
    struct spool *s = spool_new(r->opt.spool_dir, SPOOL_MEMORY);
    uint64_t after = 0, messages = 0;
    char entry_id[CHANGESET_ID_SIZE];
    enum err_code code = s ? conn_open(&live, &r->opt.conn, CONN_READER, e)
                           : err_set(e, ERR_NO_MEMORY, "out of memory");
    while (code == ERR_OK) {
        struct outbox_entry entry;
        bool found = false;
        const struct changeset_info *info = NULL;
        uint64_t id;
        code = outbox_next(live, after, &entry, &found, e);
        if (code != ERR_OK || !found)
            break;
        id = entry.id;
        after = entry.last_id;
        if (contains(in_log, id)) {
            if (messages == 0)
                continue;
            id_next(entry_id);
        } else {
            memcpy(entry_id, entry.msg_id, sizeof entry_id);
        }
        spool_reset(s);
        for (uint64_t from = 0; code == ERR_OK && from < entry.len; id++) {
            uint64_t n =
                entry.len - from < OUTBOX_PART_BYTES ? entry.len - from : OUTBOX_PART_BYTES;
            struct buf part = BUF_INIT;
            code = outbox_read(live, &entry, from, n, &part, e);
            if (code == ERR_OK)
                code = outbox_insert(apply_conn(a),
                                     &(struct outbox_place){.id = id,
                                                            .msg_id = entry_id,
                                                            .base = seq,
                                                            .part = from / OUTBOX_PART_BYTES},
                                     part.data, part.len, e);
            buf_put(spool_tail(s), part.data, part.len);
            spool_flush(s);
            buf_free(&part);
            from += n;
        }
        if (code == ERR_OK)
            code = spool_error(s, e);
        if (code == ERR_OK)
            code = apply_spooled(a, s, &info, e);
        messages++;
    }
    conn_close(live);
    spool_free(s);
    if (code == ERR_OK && messages > 0)
        LOG_INFO("transactions that are not in the log yet are carried over",
                 LOG_STR("db", r->opt.id), LOG_UINT("messages", messages));
    return code;
}
