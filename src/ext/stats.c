/*
 * ha_stats: how the replica stands that the connection's file is. Its first three columns are those
 * of the table that ha-sync's users know.
 *
 *   subject       STREAM.DATABASE
 *   received_seq  the position that this connection sees: all of the log up to there is in the file
 *   updated_at    when this process changed the file last, UTC
 *   durable       as it was inserted
 *   state         follower.h, and "idle": nothing follows for this connection
 *   log_seq       the end of the log, as far as it has been heard of
 *   lag           messages between the two
 *   reason        why the state is what it is
 *   restores      how often the file was replaced by a copy
 *   aside         where the last file that was no prefix of the log was kept
 *   last_error    the last failure, over or not, with its time (UTC)
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "ext/table.h"

enum column {
    COLUMN_SUBJECT,
    COLUMN_RECEIVED_SEQ,
    COLUMN_UPDATED_AT,
    COLUMN_DURABLE,
    COLUMN_STATE,
    COLUMN_LOG_SEQ,
    COLUMN_LAG,
    COLUMN_REASON,
    COLUMN_RESTORES,
    COLUMN_ASIDE,
    COLUMN_LAST_ERROR
};

static const char declaration[] =
    "CREATE TABLE x(subject TEXT, received_seq INTEGER, updated_at DATETIME, durable TEXT, "
    "state TEXT, log_seq INTEGER, lag INTEGER, reason TEXT, restores INTEGER, aside TEXT, "
    "last_error TEXT)";

struct stats {
    sqlite3_vtab base;
    struct host *host;
};

struct cursor {
    sqlite3_vtab_cursor base;
    bool at_end;
    /* of the one row */
    char subject[512], durable[256];
    bool follows;
    bool has_seq;
    uint64_t seq;
    struct follower_status status; /* where it follows */
};

static int stats_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **out, char **message)
{
    int rc = sqlite3_declare_vtab(db, declaration);
    struct stats *t = rc == SQLITE_OK ? sqlite3_malloc(sizeof *t) : NULL;

    (void)argc;
    (void)argv;
    (void)message;
    if (!t)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    *t = (struct stats){.host = aux};
    *out = &t->base;
    return SQLITE_OK;
}

static int stats_disconnect(sqlite3_vtab *vtab)
{
    sqlite3_free(vtab);
    return SQLITE_OK;
}

static int stats_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info)
{
    (void)vtab;
    info->estimatedCost = 1;
    info->estimatedRows = 1;
    return SQLITE_OK;
}

static int stats_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out)
{
    struct cursor *c = sqlite3_malloc(sizeof *c);

    (void)vtab;
    if (!c)
        return SQLITE_NOMEM;
    memset(c, 0, sizeof *c);
    c->at_end = true;
    *out = &c->base;
    return SQLITE_OK;
}

static int stats_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int stats_filter(sqlite3_vtab_cursor *cursor, int number, const char *text, int argc,
                        sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)cursor;
    struct host *h = ((struct stats *)cursor->pVtab)->host;
    const struct host_table *t = host_following(h);

    (void)number;
    (void)text;
    (void)argc;
    (void)argv;
    c->follows = t != NULL;
    /* Before what the process knows, so that the lag is never negative. */
    c->has_seq = host_position(h->db, &c->seq, c->subject, sizeof c->subject);
    char *dash = strchr(c->subject, '-'); /* where "STREAM-DATABASE" has none in STREAM */
    if (dash)
        *dash = '.';
    c->at_end = !c->follows && !c->has_seq;
    c->status = (struct follower_status){.state = FOLLOWER_CONNECTING};
    c->durable[0] = '\0';
    if (t) {
        (void)snprintf(c->subject, sizeof c->subject, "%s", t->subject);
        (void)snprintf(c->durable, sizeof c->durable, "%s", t->durable);
        follower_status(t->follower, &c->status);
    }
    return SQLITE_OK;
}

static int stats_next(sqlite3_vtab_cursor *cursor)
{
    ((struct cursor *)cursor)->at_end = true;
    return SQLITE_OK;
}

static int stats_eof(sqlite3_vtab_cursor *cursor)
{
    return ((struct cursor *)cursor)->at_end;
}

static void put(sqlite3_context *context, const char *text)
{
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* Numbers that are not known stay NULL. */
static int stats_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int i)
{
    const struct cursor *c = (struct cursor *)cursor;
    const struct follower_status *st = &c->status;
    uint64_t lag = st->log_seq > c->seq ? st->log_seq - c->seq : 0;
    char when[CLOCK_TEXT_SIZE];

    switch ((enum column)i) {
    case COLUMN_SUBJECT:
        put(context, c->subject);
        break;
    case COLUMN_RECEIVED_SEQ:
        if (c->has_seq)
            sqlite3_result_int64(context, (sqlite3_int64)c->seq);
        break;
    case COLUMN_UPDATED_AT:
        if (st->applied_wall_ns > 0) {
            clock_format(st->applied_wall_ns, when);
            put(context, when);
        }
        break;
    case COLUMN_DURABLE:
        put(context, c->durable);
        break;
    case COLUMN_STATE:
        put(context, c->follows ? follower_state_name(st->state) : "idle");
        break;
    case COLUMN_LOG_SEQ:
        if (st->log_seq > 0)
            sqlite3_result_int64(context, (sqlite3_int64)st->log_seq);
        break;
    case COLUMN_LAG:
        if (st->log_seq > 0 && c->has_seq)
            sqlite3_result_int64(context, (sqlite3_int64)lag);
        break;
    case COLUMN_REASON:
        put(context, st->reason);
        break;
    case COLUMN_RESTORES:
        sqlite3_result_int64(context, (sqlite3_int64)st->restores);
        break;
    case COLUMN_ASIDE:
        put(context, st->aside);
        break;
    case COLUMN_LAST_ERROR:
        if (st->last_error[0]) {
            char text[CLOCK_TEXT_SIZE + 1 + sizeof st->last_error];
            clock_format(st->last_error_wall_ns, when);
            (void)snprintf(text, sizeof text, "%s %s", when, st->last_error);
            put(context, text);
        }
        break;
    }
    return SQLITE_OK;
}

static int stats_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *out)
{
    (void)cursor;
    *out = 1;
    return SQLITE_OK;
}

/* Without xCreate it is there without being made. */
const sqlite3_module stats_module = {
    .iVersion = 0,
    .xConnect = stats_connect,
    .xBestIndex = stats_best_index,
    .xDisconnect = stats_disconnect,
    .xOpen = stats_open,
    .xClose = stats_close,
    .xFilter = stats_filter,
    .xNext = stats_next,
    .xEof = stats_eof,
    .xColumn = stats_column,
    .xRowid = stats_rowid,
};
