/*
 *   follow ─ begin ─┬─ look_for_topics, now and then
 *                   ├─ take ─ apply ─ … ─ end_group
 *                   └─ end_group fails ─ narrow: the same events again, in smaller groups
 *
 * What is wrong with a change is told by the commit, so a group that fails does not say which of
 * its events it was. Then its events are read again and committed in smaller groups, until one
 * fails alone.
 */
#include "proxy/debezium_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/debezium.h"
#include "proxy/debezium_tables.h"

#define GROUP_BYTES      ((uint64_t)4 * 1024 * 1024) /* put aside, then the group is committed … */
#define GROUP_EVENTS     10000
#define GROUP_STRETCH    16 /* … or, within a transaction of the source, at so many times that */
#define GROUP_PARTS      16 /* into so many parts goes a group that fails */
#define GROUP_NS         (500 * CLOCK_MS) /* and no later than this after its first event */
#define WAIT_MS          200              /* for a message; a node that stops waits for it */
#define DISCOVER_NS      (3 * CLOCK_S)    /* while topics are missing, or are named by a pattern */
#define DISCOVER_IDLE_NS (60 * CLOCK_S)
/* Events that change nothing move the tracker only so often. */
#define IDLE_NS          (60 * CLOCK_S)

struct debezium_source {
    struct kafka_options opt;
    bool stuck; /* the last try has ended with an event that cannot be applied */
};

struct follower {
    struct source *source;
    struct mirror *mirror;
    struct debezium_source *d;
    struct kafka *kafka;
    struct debezium *decoder;
    struct debezium_tables *tables;
    struct kafka_position *done; /* the tracker's */
    struct kafka_position *next; /* with the open group */
    int64_t discover_ns;         /* when to look for topics again */
    bool ever;                   /* the tracker has a position */
    bool following;              /* and it was told */
    /* the open group */
    bool open;
    uint64_t events;      /* in it, or since the last commit where they changed nothing */
    int64_t begun_ns;     /* 0 = nothing came since the last commit */
    int64_t time_ns;      /* when the source committed the last of them; 0 = not known */
    char transaction[96]; /* of the last event; "" = it did not say */
    /* Among so many events that come next is one that cannot be applied: groups of this size. */
    uint64_t suspects, size;
    uint64_t rewinds; /* how often reading went back: what was at hand comes again */
    char place[320];  /* of its last event, for people */
    /* of a change; kept for the next one */
    struct mirror_column *columns;
    size_t cap;
    struct buf text;
    struct buf note; /* which topics are missing */
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- groups ---- */

static enum err_code read_position(struct follower *f, struct err *e)
{
    buf_reset(&f->text);
    if (mirror_position(f->mirror, &f->text, e) != ERR_OK)
        return e->code;
    if (kafka_position_read(f->done, f->text.data, f->text.len, e) != ERR_OK)
        return err_wrap(e, "the local database is the mirror of another kind of source: its "
                           "position is no position in Kafka");
    f->ever = f->text.len > 0;
    return kafka_position_copy(f->next, f->done) ? ERR_OK : no_memory(e);
}

static enum err_code begin_anew(struct follower *f, struct err *e)
{
    f->open = false;
    f->events = 0;
    f->begun_ns = 0;
    mirror_rollback(f->mirror);
    debezium_tables_free(f->tables);
    f->tables = debezium_tables_new(f->mirror, source_options(f->source)->use_schema);
    return f->tables ? ERR_OK : no_memory(e);
}

/* The errors that say something about a change, and not about this moment. */
static bool is_of_a_change(enum err_code code)
{
    switch (code) {
    case ERR_SYNTAX:
    case ERR_SQL:
    case ERR_NO_TABLE:
    case ERR_NO_COLUMN:
    case ERR_NO_FUNCTION:
    case ERR_NO_OBJECT:
    case ERR_TABLE_EXISTS:
    case ERR_UNIQUE:
    case ERR_NOT_NULL:
    case ERR_FOREIGN_KEY:
    case ERR_CHECK:
    case ERR_CONSTRAINT:
    case ERR_RAISED:
    case ERR_MISMATCH:
    case ERR_PARAM:
    case ERR_TOO_BIG:
    case ERR_DENIED:
    case ERR_UNSUPPORTED:
        return true;
    default:
        return false;
    }
}

/* Back to where the group began. */
static enum err_code narrow(struct follower *f, struct err *e)
{
    uint64_t events = f->events;

    LOG_DEBUG("a group of events cannot be applied: they are tried in smaller ones",
              LOG_UINT("events", events), LOG_STR("reason", e->msg));
    err_clear(e);
    if (begin_anew(f, e) != ERR_OK)
        return e->code;
    if (f->suspects < events)
        f->suspects = events;
    f->size = events > GROUP_PARTS ? events / GROUP_PARTS : 1;
    f->rewinds++;
    if (read_position(f, e) != ERR_OK)
        return e->code;
    return kafka_rewind(f->kafka, f->next, e);
}

/* Not before something has succeeded: an event that cannot be applied stops it again and again. */
static void is_following(struct follower *f)
{
    if (f->following)
        return;
    source_is_following(f->source);
    source_note(f->source, buf_cstr(&f->note));
    f->following = true;
}

/* Nothing is behind, as far as is known of all partitions. */
static bool tell_behind(struct follower *f)
{
    uint64_t messages;
    bool known = kafka_behind(f->kafka, f->done, &messages);

    source_behind(f->source, messages);
    return known && messages == 0;
}

/* ERR_OK also where the group has failed, and its events come again (f->rewinds). */
static enum err_code end_group(struct follower *f, struct err *e)
{
    uint64_t events = f->events;

    if (!f->begun_ns)
        return ERR_OK;
    if (!f->open && mirror_begin(f->mirror, e) != ERR_OK)
        return e->code;
    f->open = true;
    buf_reset(&f->text);
    kafka_position_put(&f->text, f->next);
    if (!buf_ok(&f->text))
        return no_memory(e);
    enum err_code code = source_commit(f->source, buf_cstr(&f->text), f->time_ns, events, e);
    if (code != ERR_OK && is_of_a_change(code)) {
        f->d->stuck = true;
        return events > 1 ? narrow(f, e) : err_wrap(e, "%s", f->place);
    }
    if (code != ERR_OK)
        return code;
    f->suspects -= events < f->suspects ? events : f->suspects;
    f->open = false;
    f->events = 0;
    f->begun_ns = 0;
    if (!kafka_position_copy(f->done, f->next))
        return no_memory(e);
    f->ever = true;
    f->d->stuck = false;
    is_following(f);
    kafka_commit(f->kafka, f->done);
    (void)tell_behind(f);
    return ERR_OK;
}

static bool is_full(const struct follower *f, bool within)
{
    uint64_t stretch = within ? GROUP_STRETCH : 1;

    if (f->suspects > 0 && f->events >= f->size)
        return true;
    return f->events >= GROUP_EVENTS * stretch ||
           mirror_pending_bytes(f->mirror) >= GROUP_BYTES * stretch ||
           clock_mono_ns() - f->begun_ns >= (int64_t)stretch * GROUP_NS;
}

/* ---- events ---- */

static enum err_code room_for_columns(struct follower *f, size_t n, struct err *e)
{
    if (n <= f->cap)
        return ERR_OK;
    free(f->columns);
    f->columns = calloc(n, sizeof *f->columns);
    f->cap = f->columns ? n : 0;
    return f->columns ? ERR_OK : no_memory(e);
}

static enum err_code change(struct follower *f, enum mirror_op op, const char *table,
                            const struct debezium_event *ev, struct err *e)
{
    struct mirror_change c = {.op = op, .table = table};

    if (room_for_columns(f, ev->n_row + ev->n_keys, e) != ERR_OK)
        return e->code;
    for (size_t i = 0; i < ev->n_row; i++)
        f->columns[i] = (struct mirror_column){ev->row[i].name, ev->row[i].value};
    for (size_t i = 0; i < ev->n_keys; i++)
        f->columns[ev->n_row + i] = (struct mirror_column){ev->keys[i].name, ev->keys[i].value};
    c.columns = f->columns;
    c.n_columns = ev->n_row;
    c.keys = f->columns + ev->n_row;
    c.n_keys = ev->n_keys;
    return mirror_change(f->mirror, &c, e);
}

static enum err_code apply(struct follower *f, const char *topic, const struct debezium_event *ev,
                           struct err *e)
{
    static const enum mirror_op ops[] = {[DEBEZIUM_INSERT] = MIRROR_INSERT,
                                         [DEBEZIUM_UPDATE] = MIRROR_UPDATE,
                                         [DEBEZIUM_DELETE] = MIRROR_DELETE,
                                         [DEBEZIUM_TRUNCATE] = MIRROR_TRUNCATE,
                                         [DEBEZIUM_TOMBSTONE] = MIRROR_DELETE};
    const char *table = ev->table;

    if (!f->open && mirror_begin(f->mirror, e) != ERR_OK)
        return e->code;
    f->open = true;
    if (ev->kind == DEBEZIUM_TOMBSTONE) {
        if (debezium_tables_of_tombstone(f->tables, topic, ev, &table, e) != ERR_OK)
            return e->code;
    } else if (debezium_tables_prepare(f->tables, topic, ev, e) != ERR_OK) {
        return e->code;
    }
    return table ? change(f, ops[ev->kind], table, ev, e) : ERR_OK;
}

/* What is before the event is committed first: it is not to blame. */
static enum err_code refuse(struct follower *f, const char *place, struct err *e)
{
    struct err other = ERR_INIT;
    uint64_t rewinds = f->rewinds;

    if (end_group(f, &other) != ERR_OK)
        *e = other;
    else if (f->rewinds != rewinds)
        err_clear(e); /* it comes again, behind another one that is wrong */
    else
        (void)err_wrap(e, "%s", place);
    return e->code;
}

static enum err_code count(struct follower *f, const struct kafka_message *m,
                           const struct debezium_event *ev, const char *place, struct err *e)
{
    if (!kafka_position_set(f->next, m->topic, m->partition, m->offset + 1))
        return no_memory(e);
    (void)snprintf(f->place, sizeof f->place, "%s", place);
    (void)snprintf(f->transaction, sizeof f->transaction, "%s", ev->transaction);
    if (ev->time_ms > 0 && ev->time_ms < INT64_MAX / CLOCK_MS)
        f->time_ns = ev->time_ms * CLOCK_MS;
    if (!f->begun_ns)
        f->begun_ns = clock_mono_ns();
    f->events++;
    return ERR_OK;
}

static enum err_code take(struct follower *f, const struct kafka_message *m, struct err *e)
{
    const struct debezium_message message = {.topic = m->topic,
                                             .key = m->key,
                                             .value = m->value,
                                             .key_len = m->key_len,
                                             .value_len = m->value_len};
    struct debezium_event ev;
    int64_t at = 0;
    uint64_t rewinds = f->rewinds;
    char place[sizeof f->place];

    /* Never the same one twice, whatever librdkafka had on the way when it was told where to go on.
     */
    if (kafka_position_get(f->next, m->topic, m->partition, &at) && m->offset < at)
        return ERR_OK;
    (void)snprintf(place, sizeof place, "topic %.250s, partition %d, offset %lld", m->topic,
                   (int)m->partition, (long long)m->offset);
    if (debezium_decode(f->decoder, &message, &ev, e) != ERR_OK)
        return refuse(f, place, e);
    bool within =
        *ev.transaction && strncmp(f->transaction, ev.transaction, sizeof f->transaction - 1) == 0;
    if (f->begun_ns && is_full(f, within) && end_group(f, e) != ERR_OK)
        return e->code;
    if (f->rewinds != rewinds)
        return ERR_OK;
    if (ev.kind == DEBEZIUM_NOTHING)
        LOG_DEBUG("an event that is no change", LOG_STR("what", ev.why), LOG_STR("place", place));
    else if (apply(f, m->topic, &ev, e) != ERR_OK)
        return err_wrap(e, "%s", place);
    return count(f, m, &ev, place, e);
}

/* ---- following ---- */

static enum err_code look_for_topics(struct follower *f, struct err *e)
{
    int64_t now = clock_mono_ns();

    if (now < f->discover_ns)
        return ERR_OK;
    buf_reset(&f->text);
    if (kafka_discover(f->kafka, f->next, &f->text, e) != ERR_OK)
        return e->code;
    bool missing = f->text.len > 0;
    f->discover_ns =
        now + (missing || strchr(f->d->opt.topics, '^') ? DISCOVER_NS : DISCOVER_IDLE_NS);
    buf_reset(&f->note);
    if (missing)
        buf_printf(&f->note, "Kafka does not have these topics yet: %s", buf_cstr(&f->text));
    source_note(f->source, buf_cstr(&f->note));
    return ERR_OK;
}

static enum err_code step(struct follower *f, struct err *e)
{
    struct kafka_message m;
    bool got = false;

    if (look_for_topics(f, e) != ERR_OK)
        return e->code;
    /* Whatever is there already goes into the open group; it does not wait for more. */
    if (kafka_next(f->kafka, f->open ? 0 : WAIT_MS, &m, &got, e) != ERR_OK)
        return e->code;
    if (got)
        return take(f, &m, e);
    bool idle = f->begun_ns && clock_mono_ns() - f->begun_ns >= IDLE_NS;
    if (f->open || idle)
        return end_group(f, e);
    is_following(f);
    kafka_commit_rest(f->kafka, f->done);
    if (!tell_behind(f) || f->ever)
        return ERR_OK;
    /* All that there is was nothing: the database holds it, and says so. */
    f->begun_ns = clock_mono_ns();
    return end_group(f, e);
}

static enum err_code start(struct follower *f, struct err *e)
{
    f->done = kafka_position_new();
    f->next = kafka_position_new();
    f->decoder = debezium_new();
    if (!f->done || !f->next || !f->decoder)
        return no_memory(e);
    if (begin_anew(f, e) != ERR_OK || read_position(f, e) != ERR_OK)
        return e->code;
    return kafka_open(&f->kafka, &f->d->opt, e);
}

static enum err_code follow(void *arg, struct source *s, struct err *e)
{
    struct debezium_source *d = arg;
    /* The event that it was stuck at is tried alone, and told by its place. */
    struct follower f = {
        .source = s, .mirror = source_mirror(s), .d = d, .suspects = d->stuck, .size = 1};
    enum err_code code = start(&f, e);

    while (code == ERR_OK && !source_stopping(s))
        code = step(&f, e);
    kafka_close(f.kafka);
    debezium_free(f.decoder);
    debezium_tables_free(f.tables);
    kafka_position_free(f.done);
    kafka_position_free(f.next);
    free(f.columns);
    buf_free(&f.text);
    buf_free(&f.note);
    return code;
}

const struct source_driver debezium_source_driver = {
    .kind = "debezium", .unit = "messages", .follow = follow};

/* ---- the interface ---- */

enum err_code debezium_source_check(const struct kafka_options *o, struct err *e)
{
    return kafka_check(o, e);
}

enum err_code debezium_source_new(struct debezium_source **out, const struct kafka_options *o,
                                  struct err *e)
{
    *out = NULL;
    struct debezium_source *d = calloc(1, sizeof *d);
    if (!d)
        return no_memory(e);
    d->opt = *o;
    *out = d;
    return ERR_OK;
}

void debezium_source_free(struct debezium_source *d)
{
    free(d);
}
