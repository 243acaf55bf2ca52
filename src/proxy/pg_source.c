#include "proxy/pg_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "proto/pgoutput.h"
#include "proxy/pg_impl.h"

#define SLOT_NAME_MAX 63 /* bytes */
#define FREE_TRIES    10 /* to get a slot that this cluster has */
#define FREE_PAUSE_NS (200 * CLOCK_MS)

/* ---- life ---- */

enum err_code pg_source_check(const struct pg_source_options *o, struct err *e)
{
    if (pq_load(e) != ERR_OK)
        return e->code;
    if (pg_link_check(o->dsn, e) != ERR_OK)
        return err_wrap(e, "--pg-proxied");
    if (!*o->publication || strlen(o->publication) > SLOT_NAME_MAX)
        return err_set(e, ERR_CONFIG, "--pg-publication is to be a name of 1 to %d bytes",
                       SLOT_NAME_MAX);
    if (!*o->slot || strlen(o->slot) > SLOT_NAME_MAX ||
        o->slot[strspn(o->slot, "abcdefghijklmnopqrstuvwxyz0123456789_")])
        return err_set(e, ERR_CONFIG,
                       "--pg-slot: '%s' is no name of a slot: 1 to %d lower case letters, digits "
                       "and underscores",
                       o->slot, SLOT_NAME_MAX);
    return ERR_OK;
}

enum err_code pg_source_new(struct pg_source **out, const struct pg_source_options *o,
                            struct err *e)
{
    struct pg_source *p = calloc(1, sizeof *p);

    *out = NULL;
    if (!p)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    p->opt = *o;
    if (pq_load(e) != ERR_OK) {
        free(p);
        return e->code;
    }
    *out = p;
    return ERR_OK;
}

void pg_source_free(struct pg_source *p)
{
    free(p);
}

/* ---- what the source has to have ---- */

static enum err_code check_stop(void *arg, struct err *e)
{
    return source_stopping(arg) ? err_set(e, ERR_INTERRUPTED, "the source is being stopped")
                                : ERR_OK;
}

static enum err_code query(struct pg_source *p, struct buf *sql, PGresult **out, struct err *e)
{
    enum err_code code = buf_ok(sql)
                             ? pg_link_run(p->link, buf_cstr(sql), NULL, 0, &p->wait, out, e)
                             : err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(sql);
    return code;
}

static enum err_code check_wal_level(struct pg_source *p, struct err *e)
{
    PGresult *r = NULL;
    enum err_code code =
        pg_link_run(p->link, "SELECT current_setting('wal_level')", NULL, 0, &p->wait, &r, e);

    if (code != ERR_OK)
        return code;
    if (strcmp(pq.getvalue(r, 0, 0), "logical") != 0)
        code = err_set(e, ERR_CONFIG,
                       "the source's wal_level is %s: it has to be logical (ALTER SYSTEM SET "
                       "wal_level = logical, and a restart of PostgreSQL)",
                       pq.getvalue(r, 0, 0));
    pq.clear(r);
    return code;
}

static enum err_code make_publication(struct pg_source *p, struct err *e)
{
    struct buf sql = BUF_INIT;
    char *name = pg_link_name(p->link, p->opt.publication);

    buf_printf(&sql, "CREATE PUBLICATION %s FOR ALL TABLES", name ? name : "");
    free(name);
    enum err_code code = query(p, &sql, NULL, e);
    if (code == ERR_DENIED)
        return err_set(e, ERR_DENIED,
                       "the source has no publication %.63s, and this user may not make one for "
                       "all tables: CREATE PUBLICATION %.63s FOR TABLE … as their owner",
                       p->opt.publication, p->opt.publication);
    if (code == ERR_OK)
        LOG_INFO("publication made in the source", LOG_STR("publication", p->opt.publication));
    return code;
}

static enum err_code ensure_publication(struct pg_source *p, struct err *e)
{
    struct buf sql = BUF_INIT;
    PGresult *r = NULL;

    buf_puts(&sql, "SELECT pubinsert AND pubupdate AND pubdelete FROM pg_publication WHERE pubname"
                   " = ");
    pg_link_put_literal(p->link, &sql, p->opt.publication);
    enum err_code code = query(p, &sql, &r, e);
    if (code != ERR_OK)
        return code;
    bool there = pq.ntuples(r) > 0;
    if (there && *pq.getvalue(r, 0, 0) != 't')
        LOG_WARN("the publication leaves out some kinds of changes, so the database will differ",
                 LOG_STR("publication", p->opt.publication));
    pq.clear(r);
    return there ? ERR_OK : make_publication(p, e);
}

/* A session of this very cluster that still has the slot: its node has lost the lease, and is
 * frozen or cut off. The server would only notice at its wal_sender_timeout. */
static enum err_code end_other_session(struct pg_source *p, bool *active, struct err *e)
{
    struct buf sql = BUF_INIT;
    PGresult *r = NULL;

    buf_puts(&sql, "SELECT CASE WHEN a.usename = current_user"
                   " AND a.application_name = current_setting('application_name')"
                   " THEN pg_terminate_backend(a.pid) END FROM pg_replication_slots s"
                   " JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = ");
    pg_link_put_literal(p->link, &sql, p->opt.slot);
    enum err_code code = query(p, &sql, &r, e);
    if (code != ERR_OK)
        return code;
    *active = pq.ntuples(r) > 0;
    if (*active && *pq.getvalue(r, 0, 0) == 't')
        LOG_WARN("the session of a node that followed the source before is ended",
                 LOG_STR("slot", p->opt.slot));
    pq.clear(r);
    return ERR_OK;
}

/* Until nobody has it, or it stays somebody else's: then whoever wants it is told. */
static enum err_code free_slot(struct pg_source *p, struct err *e)
{
    bool active = mirror_log_created(p->mirror) != 0; /* else there is no other node */
    enum err_code code = ERR_OK;

    for (unsigned i = 0; i < FREE_TRIES && active && code == ERR_OK; i++) {
        if (i > 0 && !source_pause(p->source, FREE_PAUSE_NS))
            return check_stop(p->source, e);
        code = end_other_session(p, &active, e);
    }
    return code;
}

enum slot_state { SLOT_NONE, SLOT_GOOD, SLOT_BEHIND };

/* May the slot be followed from `position` on? SLOT_BEHIND: it has been given away, or lost, what
 * came after that. */
static enum err_code look_at_slot(struct pg_source *p, uint64_t position, enum slot_state *state,
                                  struct err *e)
{
    struct buf sql = BUF_INIT;
    PGresult *r = NULL;
    uint64_t confirmed = 0;

    *state = SLOT_NONE;
    buf_puts(&sql, "SELECT plugin, database = current_database(), confirmed_flush_lsn, ");
    buf_puts(&sql, pq.serverVersion(pg_link_handle(p->link)) >= 130000 ? "wal_status" : "NULL");
    buf_puts(&sql, " FROM pg_replication_slots WHERE slot_name = ");
    pg_link_put_literal(p->link, &sql, p->opt.slot);
    enum err_code code = query(p, &sql, &r, e);
    if (code != ERR_OK)
        return code;
    if (pq.ntuples(r) > 0) {
        *state = SLOT_GOOD;
        if (strcmp(pq.getvalue(r, 0, 0), "pgoutput") != 0 || *pq.getvalue(r, 0, 1) != 't')
            code = err_set(e, ERR_CONFIG,
                           "slot %.63s of the source is somebody else's: it is not of this "
                           "database, or not of pgoutput; choose another --pg-slot",
                           p->opt.slot);
        else if (!pgoutput_parse_lsn(pq.getvalue(r, 0, 2), &confirmed) || confirmed > position ||
                 strcmp(pq.getvalue(r, 0, 3), "lost") == 0)
            *state = SLOT_BEHIND;
    }
    pq.clear(r);
    return code;
}

/* ---- one try ---- */

static enum err_code read_position(struct pg_source *p, uint64_t *position, struct err *e)
{
    struct buf text = BUF_INIT;
    enum err_code code = mirror_position(p->mirror, &text, e);

    *position = 0;
    if (code == ERR_OK && text.len > 0 && !pgoutput_parse_lsn(buf_cstr(&text), position))
        code = err_set(e, ERR_FORMAT,
                       "ha_proxied_tracker says %.60s, which is no place in a PostgreSQL's WAL: "
                       "does the database mirror another source?",
                       buf_cstr(&text));
    buf_free(&text);
    return code;
}

static enum err_code copy_or_follow(struct pg_source *p, struct err *e)
{
    enum slot_state slot = SLOT_NONE;
    uint64_t position = 0;
    enum err_code code = read_position(p, &position, e);

    if (code == ERR_OK)
        code = free_slot(p, e);
    if (code == ERR_OK)
        code = look_at_slot(p, position, &slot, e);
    if (code != ERR_OK)
        return code;
    if (position != 0 && !p->copy_again && slot != SLOT_GOOD)
        LOG_WARN("the source no longer has what came after the position; it is copied anew",
                 LOG_STR("db", source_options(p->source)->database),
                 LOG_STR("slot", slot == SLOT_NONE ? "is not there" : "is ahead, or lost"));
    if (position == 0 || p->copy_again || slot != SLOT_GOOD) {
        code = pg_copy_all(p, e);
        if (code == ERR_OK)
            code = read_position(p, &position, e);
    }
    return code == ERR_OK ? pg_follow(p, position, e) : code;
}

static enum err_code follow(void *arg, struct source *s, struct err *e)
{
    struct pg_source *p = arg;

    p->source = s;
    p->mirror = source_mirror(s);
    p->wait = (struct wait){
        .deadline_ns = CLOCK_EVER, .wake_fd = source_wake_fd(s), .check = check_stop, .arg = s};
    /* The same on every node of the cluster, and on none of another one. */
    char session[64];
    snprintf(session, sizeof session, "ha %" PRIx64 " %.40s",
             (uint64_t)mirror_log_created(p->mirror), source_options(s)->database);
    enum err_code code = pg_link_open(&p->link, p->opt.dsn, session, &p->wait, e);
    if (code == ERR_OK)
        code = check_wal_level(p, e);
    if (code == ERR_OK)
        code = ensure_publication(p, e);
    if (code == ERR_OK)
        code = pg_domains_load(&p->domains, p->link, &p->wait, e);
    if (code == ERR_OK)
        code = copy_or_follow(p, e);
    pg_domains_free(&p->domains);
    pg_link_close(p->link);
    p->link = NULL;
    return code;
}

const struct source_driver pg_source_driver = {
    .kind = "postgresql", .unit = "ms", .follow = follow};
