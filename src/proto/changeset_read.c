/*
 * The reading half of changeset.h: yajl's tokens drive a small state machine (changeset_token.c).
 *
 *   changeset_reader_new, _free, _reset    one reader serves many messages
 *   changeset_feed, changeset_finish       bytes in, changes out
 *
 * yajl sees the head and the tail of a message, and of its changes those that are not exactly as
 * our own writers put them; the others are read by changeset_fast.c. For that the feeding stops
 * where the list of changes begins, and goes on change by change:
 *
 *   HEAD ─ "changes":[ ─ BETWEEN ─┬─ a change, in the fast way ─┬─ BETWEEN ─ ] ─ TAIL
 *                          │      └─ WITHIN a change, for yajl ─┘
 *   HEAD ─ its end is not in sight, or not as we write it ─ TAIL (all of it is yajl's)
 *
 * One yajl handle serves all messages (yajl_allow_multiple_values): making one costs more than
 * reading a short message. A line feed behind each message ends a token that is still open, so that
 * nothing of one message is left for the next; after any error the handle is thrown away.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/changeset_reader.h"

#define SPOOL_PIECE (64 << 10) /* bytes read from a spool at once */

/* ---- failing ---- */

int reader_fail(struct changeset_reader *r, const char *what)
{
    r->failed = err_set(r->err, ERR_FORMAT, "message cannot be decoded: change %llu: %s",
                        (unsigned long long)r->info.changes + 1, what);
    return 0;
}

int reader_no_memory(struct changeset_reader *r)
{
    r->failed = err_set(r->err, ERR_NO_MEMORY, "out of memory while reading a message");
    return 0;
}

/* ---- the interface ---- */

static bool make_yajl(struct changeset_reader *r)
{
    if (r->yajl)
        yajl_free(r->yajl);
    r->yajl = yajl_alloc(&token_callbacks, NULL, r);
    if (!r->yajl)
        return false;
    /* Strings are checked in the callbacks, more strictly than yajl would. */
    (void)yajl_config(r->yajl, yajl_dont_validate_strings, 1);
    (void)yajl_config(r->yajl, yajl_allow_multiple_values, 1);
    r->dirty = false;
    return true;
}

struct changeset_reader *changeset_reader_new(changeset_fn *fn, void *arg)
{
    struct changeset_reader *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->fn = fn;
    r->arg = arg;
    r->shapes = shape_set_new();
    if (!r->shapes || !make_yajl(r)) {
        changeset_reader_free(r);
        return NULL;
    }
    return r;
}

void changeset_reader_free(struct changeset_reader *r)
{
    if (!r)
        return;
    if (r->yajl)
        yajl_free(r->yajl);
    shape_set_free(r->shapes);
    fast_free(&r->fast);
    buf_free(&r->names.table);
    buf_free(&r->names.columns);
    buf_free(&r->names.pk_columns);
    buf_free(&r->database);
    buf_free(&r->command);
    buf_free(&r->text);
    free(r->old_image.values);
    free(r->new_image.values);
    free(r->txs);
    free(r->handed);
    free(r);
}

void changeset_reader_reset(struct changeset_reader *r)
{
    if (r->open)
        r->dirty = true;
    r->open = false;
    r->failed = ERR_OK;
    r->consumed = 0;
    r->feeding = FEEDING_HEAD;
    r->any = r->comma = r->yajl_has_value = false;
    memset(&r->info, 0, sizeof r->info);
    token_reset(r);
}

static enum err_code syntax_error(struct changeset_reader *r, const char *s, size_t n,
                                  struct err *e)
{
    unsigned char *why = yajl_get_error(r->yajl, 0, (const unsigned char *)s, n);
    unsigned long long at = r->consumed + yajl_get_bytes_consumed(r->yajl);

    (void)err_set(e, ERR_FORMAT, "message cannot be decoded: byte %llu: %.*s", at,
                  why ? (int)strcspn((char *)why, "\n") : 0, why ? (char *)why : "");
    if (why)
        yajl_free_error(r->yajl, why);
    return e->code;
}

static enum err_code parse(struct changeset_reader *r, const char *s, size_t n, struct err *e)
{
    yajl_status st = yajl_parse(r->yajl, (const unsigned char *)s, n);

    if (st == yajl_status_ok) {
        r->consumed += n;
        return ERR_OK;
    }
    r->dirty = true;
    if (!r->failed)
        r->failed = syntax_error(r, s, n, e);
    return r->failed;
}

/* The head ends with the bracket that opens the list of changes, if it is where we put it. */
static const char *feed_head(struct changeset_reader *r, const char *p, const char *end,
                             struct err *e)
{
    static const char mark[] = "\"changes\":[";
    const char *found = memmem(p, (size_t)(end - p), mark, sizeof mark - 1);
    const char *to = found ? found + sizeof mark - 1 : end;

    (void)parse(r, p, (size_t)(to - p), e);
    if (found)
        r->feeding = r->at == AT_CHANGES ? FEEDING_BETWEEN : FEEDING_TAIL;
    else if (r->at != AT_START && r->at != AT_MESSAGE)
        r->feeding = FEEDING_TAIL;
    return to;
}

/* A change that yajl reads, from its brace or from the middle, up to its end if that is in sight.
 */
static const char *feed_within(struct changeset_reader *r, const char *p, const char *end,
                               struct err *e)
{
    const char *to = fast_scan(&r->scan, p, end);

    r->feeding = to ? FEEDING_BETWEEN : FEEDING_WITHIN;
    if (!to)
        to = end;
    (void)parse(r, p, (size_t)(to - p), e);
    return to;
}

/* yajl takes over: it has to see the comma that it has missed, if it has seen what stands before
 * it. */
static bool feed_comma(struct changeset_reader *r, struct err *e)
{
    bool owed = r->comma && r->yajl_has_value;

    r->comma = false;
    if (!owed)
        return true;
    r->consumed--; /* it was counted when it was met */
    return parse(r, ",", 1, e) == ERR_OK;
}

static const char *feed_between(struct changeset_reader *r, const char *p, const char *end,
                                struct err *e)
{
    const char *next;
    struct change c;

    if (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t' || (*p == ',' && r->any && !r->comma)) {
        r->comma = r->comma || *p == ',';
        r->consumed++;
        return p + 1;
    }
    if (*p == '{' && (r->comma || !r->any)) {
        r->any = true;
        if (fast_change(&r->fast, r->shapes, p, end, &c, &next)) {
            r->comma = false;
            r->consumed += (uint64_t)(next - p);
            if (!build_hand_over(r, &c))
                r->dirty = true;
            return next;
        }
        if (!feed_comma(r, e))
            return end;
        r->yajl_has_value = true;
        r->scan = (struct fast_scan){0};
        return feed_within(r, p, end, e);
    }
    /* The end of the list; or nothing that may stand here, of which yajl says so, unless it
     * believes that the list is empty. */
    if (r->any && !r->yajl_has_value && (*p != ']' || r->comma)) {
        r->dirty = true;
        (void)reader_fail(r, "changes are separated by one comma each");
        return end;
    }
    r->feeding = FEEDING_TAIL;
    if (feed_comma(r, e))
        (void)parse(r, p, (size_t)(end - p), e);
    return end;
}

enum err_code changeset_feed(struct changeset_reader *r, const void *bytes, size_t n, struct err *e)
{
    const char *p = bytes, *end = p + n;

    if (r->failed)
        return err_set(e, r->failed, "message cannot be decoded: it has already failed");
    if (r->dirty && !make_yajl(r))
        return r->failed = err_set(e, ERR_NO_MEMORY, "out of memory while reading a message");
    r->open = true;
    r->err = e;
    while (p < end && !r->failed) {
        switch (r->feeding) {
        case FEEDING_HEAD:
            p = feed_head(r, p, end, e);
            break;
        case FEEDING_BETWEEN:
            p = feed_between(r, p, end, e);
            break;
        case FEEDING_WITHIN:
            p = feed_within(r, p, end, e);
            break;
        case FEEDING_TAIL:
            (void)parse(r, p, (size_t)(end - p), e);
            p = end;
            break;
        }
    }
    return r->failed;
}

/* Do the transactions account for the changes? A message that does not add up is not ours. */
static enum err_code check_txs(struct changeset_reader *r, struct err *e)
{
    uint64_t sum = 0;

    if (r->info.n_txs == 0)
        return ERR_OK;
    for (size_t i = 0; i < r->info.n_txs; i++)
        sum += r->txs[i].changes;
    if (sum == r->info.changes)
        return ERR_OK;
    return r->failed = err_set(e, ERR_FORMAT,
                               "message cannot be decoded: it has %llu changes, its transactions "
                               "%llu",
                               (unsigned long long)r->info.changes, (unsigned long long)sum);
}

enum err_code changeset_feed_spool(struct changeset_reader *r, struct spool *s, struct err *e)
{
    char piece[SPOOL_PIECE];
    const char *data;
    enum err_code code;
    uint64_t at = 0;
    size_t got;

    if (spool_in_memory(s, &data))
        return changeset_feed(r, data, (size_t)spool_len(s), e);
    do {
        code = spool_read(s, at, piece, sizeof piece, &got, e);
        if (code == ERR_OK)
            code = changeset_feed(r, piece, got, e);
        at += got;
    } while (code == ERR_OK && got == sizeof piece);
    return code;
}

enum err_code changeset_finish(struct changeset_reader *r, const struct changeset_info **info,
                               struct err *e)
{
    enum err_code code;

    if (r->failed)
        return err_set(e, r->failed, "message cannot be decoded: it has already failed");
    if (r->dirty && !make_yajl(r))
        return r->failed = err_set(e, ERR_NO_MEMORY, "out of memory while reading a message");
    r->err = e;
    code = parse(r, "\n", 1, e);
    if (code)
        return code;
    if (r->at != AT_END) {
        r->dirty = true;
        return r->failed = err_set(e, ERR_FORMAT,
                                   "message cannot be decoded: it ends after %llu bytes, too soon",
                                   (unsigned long long)r->consumed - 1);
    }
    if (!(r->seen_message & UINT32_C(1) << F_CHANGES))
        return r->failed =
                   err_set(e, ERR_FORMAT, "message cannot be decoded: it has no list of changes");
    r->open = false;
    code = check_txs(r, e);
    if (code)
        return code;
    r->info.txs = r->info.n_txs > 0 ? r->txs : NULL;
    r->info.handed = (const char(*)[CHANGESET_ID_SIZE])r->handed;
    *info = &r->info;
    return ERR_OK;
}
