#include "core/lease.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json.h"
#include "base/json_tree.h"
#include "base/log.h"
#include "base/name.h"
#include "base/stack.h"
#include "nats/stream.h"

#define LEASE_STREAM_SIZE 384              /* of a stream's name */
#define LEASE_KEPT        64               /* messages that the stream keeps, for people */
#define LEASE_WAIT_NS     CLOCK_S          /* for the next message, at most */
#define LEASE_RETRY_NS    (300 * CLOCK_MS) /* after a failure */
#define LEASE_RELEASE_NS  CLOCK_S          /* to give it up before closing */

/* What the last message says. */
struct claim_text {
    char holder[LEASE_NAME_SIZE], note[LEASE_NAME_SIZE], session[ID_SIZE];
    uint64_t since;
    int64_t ttl_ns;
    bool released;
};

struct lease {
    /* immutable */
    struct nats_client *client;
    char stream[LEASE_STREAM_SIZE];
    char name[LEASE_NAME_SIZE], holder[LEASE_NAME_SIZE], note[LEASE_NAME_SIZE];
    char session[ID_SIZE]; /* tells this lease from an earlier one of the same node */
    int replicas;
    void (*changed)(void *arg);
    bool (*fit)(void *arg);
    void *arg;
    pthread_t thread;
    /* atomic */
    atomic_bool candidate;
    /* the thread's */
    int64_t renew_ns; /* not before */
    int64_t again_ns; /* nothing is published before */
    int64_t free_ns;  /* since when nobody has it; 0 = somebody has */
    int64_t unfit_ns; /* since when this node is not fit; 0 = it is */
    int64_t yield_ns; /* not given up for the sake of others before */
    bool told;        /* changed() was called for this: … */
    bool told_held;
    uint64_t told_since;
    /* guarded by mu; written by the thread alone, but for `closing` */
    pthread_mutex_t mu;
    pthread_cond_t moved;
    bool closing, stopped;
    struct stream_feed *feed; /* here so that closing can wake it */
    uint64_t seq;             /* of the stream's last message, 0 = it has none */
    bool looked;              /* the stream has been read */
    bool known;               /* `last` is what it says */
    struct claim_text last;
    int64_t seen_ns; /* when it was seen first */
    int64_t sent_ns; /* when the last try of our own began */
};

/* ---- the message ---- */

static bool parse(const struct stream_message *m, struct claim_text *out)
{
    yajl_val tree = json_tree_parse(m->data, m->len);
    int64_t since = json_tree_integer(tree, "since", 0);
    int64_t ttl_ms = json_tree_integer(tree, "ttl_ms", LEASE_TTL_NS / CLOCK_MS);
    snprintf(out->holder, sizeof out->holder, "%s", json_tree_text(tree, "holder"));
    snprintf(out->note, sizeof out->note, "%s", json_tree_text(tree, "note"));
    snprintf(out->session, sizeof out->session, "%s", json_tree_text(tree, "session"));
    out->released = json_tree_is_true(tree, "released");
    /* Whoever takes it does not know yet at which sequence: it is that of the message. */
    out->since = since > 0 ? (uint64_t)since : m->seq;
    /* Another version's span is believed, within reason. */
    out->ttl_ns = (ttl_ms > 0 && ttl_ms < 600000 ? ttl_ms : LEASE_TTL_NS / CLOCK_MS) * CLOCK_MS;
    yajl_tree_free(tree);
    return out->holder[0] && out->session[0];
}

static void write_claim(const struct lease *l, uint64_t since, bool released, struct buf *json)
{
    buf_puts(json, "{\"holder\":");
    json_put_cstr(json, l->holder);
    buf_puts(json, ",\"note\":");
    json_put_cstr(json, l->note);
    buf_puts(json, ",\"session\":");
    json_put_cstr(json, l->session);
    if (since > 0) {
        buf_puts(json, ",\"since\":");
        buf_u64(json, since);
    }
    buf_puts(json, ",\"ttl_ms\":");
    buf_i64(json, LEASE_TTL_NS / CLOCK_MS);
    buf_puts(json, released ? ",\"released\":true}" : "}");
}

/* ---- who holds it; l->mu is held ---- */

static bool ours_locked(const struct lease *l)
{
    return l->known && !l->last.released && strcmp(l->last.session, l->session) == 0;
}

static bool held_locked(const struct lease *l, int64_t now)
{
    return ours_locked(l) && now < l->sent_ns + LEASE_TTL_NS && !l->stopped;
}

/* When somebody else's span is over for sure. */
static int64_t over_locked(const struct lease *l)
{
    if (!l->known || l->last.released || l->stopped)
        return 0;
    return l->seen_ns + l->last.ttl_ns + LEASE_GRACE_NS;
}

static bool someone_locked(const struct lease *l, int64_t now)
{
    return ours_locked(l) ? held_locked(l, now) : now < over_locked(l);
}

static void describe_locked(const struct lease *l, struct lease_view *out)
{
    int64_t now = clock_mono_ns();
    *out = (struct lease_view){.held = someone_locked(l, now), .mine = held_locked(l, now)};
    if (!out->held)
        return;
    out->since = l->last.since;
    snprintf(out->holder, sizeof out->holder, "%s", l->last.holder);
    snprintf(out->note, sizeof out->note, "%s", l->last.note);
}

/* ---- the thread ---- */

static bool closing(struct lease *l)
{
    pthread_mutex_lock(&l->mu);
    bool stop = l->closing;
    pthread_mutex_unlock(&l->mu);
    return stop;
}

/* Calls changed() if it has. */
static void tell(struct lease *l)
{
    struct lease_view v;
    pthread_mutex_lock(&l->mu);
    describe_locked(l, &v);
    bool news = (l->looked && !l->told) || v.held != l->told_held || v.since != l->told_since;
    l->told = l->looked;
    l->told_held = v.held;
    l->told_since = v.since;
    if (news)
        pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->mu);
    if (!news)
        return;
    if (v.held)
        LOG_INFO("lease is held", LOG_STR("name", l->name), LOG_STR("holder", v.holder),
                 LOG_STR("note", v.note), LOG_UINT("since", v.since));
    else
        LOG_INFO("lease is free", LOG_STR("name", l->name));
    if (l->changed)
        l->changed(l->arg);
}

/* A message of the stream, or none at all (NULL) at the stream's end `seq`. */
static void take_in(struct lease *l, const struct stream_message *m, uint64_t seq)
{
    struct claim_text text;
    bool sound = m && parse(m, &text);
    if (m && !sound)
        LOG_WARN("the lease has an entry that cannot be read", LOG_STR("name", l->name),
                 LOG_UINT("seq", m->seq));
    pthread_mutex_lock(&l->mu);
    if (!m || m->seq > l->seq) {
        l->seq = seq;
        l->known = sound;
        if (sound)
            l->last = text;
        l->seen_ns = clock_mono_ns();
    }
    l->looked = true;
    pthread_mutex_unlock(&l->mu);
    tell(l);
}

/* Reads the last message from the stream's leader. *next is where a feed goes on. */
static enum err_code refresh(struct lease *l, uint64_t *next, struct err *e)
{
    struct stream_state st;
    struct stream_message m;
    bool found = false;
    enum err_code code = stream_info(l->client, l->stream, &st, &found, e);
    if (code == ERR_OK && !found)
        code = err_set(e, ERR_LOG_UNAVAILABLE, "the lease's stream is gone");
    if (code != ERR_OK)
        return code;
    *next = st.last_seq + 1;
    pthread_mutex_lock(&l->mu);
    if (st.last_seq < l->seq) { /* another stream of that name: what the old one said is void */
        l->seq = 0;
        l->known = false;
    }
    bool news = st.last_seq > l->seq || st.last_seq == 0;
    pthread_mutex_unlock(&l->mu);
    if (!news)
        return ERR_OK;
    if (st.last_seq > 0) {
        code = stream_get(l->client, l->stream, st.last_seq, &m, &found, e);
        if (code != ERR_OK)
            return code;
    }
    take_in(l, found && st.last_seq > 0 ? &m : NULL, st.last_seq);
    if (found && st.last_seq > 0)
        stream_message_free(&m);
    return ERR_OK;
}

/* Takes, renews (`since` is that of the lease as it is held) or gives up. */
static void publish(struct lease *l, uint64_t since, bool released, int64_t deadline_ns)
{
    struct buf json = BUF_INIT;
    struct err e = ERR_INIT;
    uint64_t seq = 0, next = 0;
    write_claim(l, since, released, &json);
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&l->mu);
    struct publish p = {.stream = l->stream,
                        .subject = l->stream,
                        .data = json.data,
                        .len = json.len,
                        .expect_seq = l->seq};
    pthread_mutex_unlock(&l->mu);
    enum publish_result result = PUBLISH_REFUSED;
    if (buf_ok(&json))
        result = stream_publish(l->client, &p, deadline_ns, &seq, &e);
    pthread_mutex_lock(&l->mu);
    if (result == PUBLISH_ACKED) {
        struct stream_message m = {.seq = seq, .data = json.data, .len = json.len};
        l->known = parse(&m, &l->last);
        l->seq = seq;
        l->seen_ns = l->sent_ns = now;
    }
    pthread_mutex_unlock(&l->mu);
    buf_free(&json);
    l->renew_ns = now + LEASE_RENEW_NS;
    if (result != PUBLISH_ACKED) {
        /* What was sent may be there all the same; the span of what is known to be there counts. */
        LOG_DEBUG("lease", LOG_STR("name", l->name), LOG_STR("reason", e.msg));
        bool is_clear = refresh(l, &next, &e) == ERR_OK && result == PUBLISH_CONFLICT;
        l->again_ns = clock_deadline(is_clear ? 0 : LEASE_RETRY_NS);
    }
    tell(l);
}

static void look_at_self(struct lease *l, int64_t now)
{
    if (!l->fit || l->fit(l->arg))
        l->unfit_ns = 0;
    else if (l->unfit_ns == 0)
        l->unfit_ns = now;
}

/* Whoever is not fit leaves it to the others for a while. */
static int64_t may_take_at(struct lease *l, bool someone, int64_t now)
{
    if (someone)
        l->free_ns = 0;
    else if (l->free_ns == 0)
        l->free_ns = now;
    int64_t at = l->free_ns + (l->unfit_ns != 0 ? LEASE_HANDICAP_NS : 0);
    return at > l->again_ns ? at : l->again_ns;
}

static bool yields(struct lease *l, int64_t now)
{
    if (l->unfit_ns == 0 || now - l->unfit_ns < LEASE_UNFIT_NS || now < l->yield_ns)
        return false;
    l->yield_ns = now + LEASE_YIELD_NS;
    return true;
}

/* Does what is due, and answers when something is due next. */
static int64_t act(struct lease *l)
{
    int64_t now = clock_mono_ns();
    pthread_mutex_lock(&l->mu);
    bool held = held_locked(l, now), someone = someone_locked(l, now), ours = ours_locked(l);
    int64_t end = l->sent_ns + LEASE_TTL_NS;
    int64_t over = ours ? end : over_locked(l);
    uint64_t since = l->last.since;
    pthread_mutex_unlock(&l->mu);
    int64_t due = clock_deadline(LEASE_WAIT_NS);
    bool candidate = atomic_load(&l->candidate);
    look_at_self(l, now);
    int64_t take_at = may_take_at(l, someone, now);
    if (held && now >= l->again_ns && (!candidate || yields(l, now)))
        publish(l, since, true, end);
    else if (held && now >= l->renew_ns && now >= l->again_ns)
        publish(l, since, false, end);
    else if (!someone && candidate && now >= take_at)
        publish(l, 0, false, clock_deadline(LEASE_TTL_NS / 2));
    else if (held)
        due = l->renew_ns > l->again_ns ? l->renew_ns : l->again_ns;
    else if (someone)
        due = over;
    else if (candidate)
        due = take_at;
    else
        return due;
    int64_t most = clock_deadline(LEASE_WAIT_NS);
    return due < most ? due : most;
}

static void show_feed(struct lease *l, struct stream_feed *feed)
{
    pthread_mutex_lock(&l->mu);
    l->feed = feed;
    pthread_mutex_unlock(&l->mu);
}

static enum err_code watch(struct lease *l, struct stream_feed *feed, struct err *e)
{
    enum err_code code = ERR_OK;
    while (code == ERR_OK && !closing(l) && nats_client_connected(l->client)) {
        struct stream_message m;
        bool got = false;
        int64_t wait_ns = act(l) - clock_mono_ns();
        code = stream_feed_next(feed, wait_ns > 0 ? wait_ns / CLOCK_MS + 1 : 0, &m, &got, e);
        if (code == ERR_OK && got) {
            take_in(l, &m, m.seq);
            stream_message_free(&m);
        } else {
            tell(l); /* a span may be over */
        }
    }
    return code;
}

/* Until the feed breaks, the connection is lost or the lease is closed. */
static void follow(struct lease *l)
{
    struct stream_config cfg = {.name = l->stream,
                                .subject = l->stream,
                                .replicas = l->replicas,
                                .max_per_subject = LEASE_KEPT};
    struct stream_state st;
    struct stream_feed *feed = NULL;
    struct err e = ERR_INIT;
    uint64_t next = 1;
    enum err_code code = stream_ensure(l->client, &cfg, &st, &e);
    if (code == ERR_OK)
        code = refresh(l, &next, &e);
    if (code == ERR_OK)
        code = stream_feed_open(&feed, l->client, l->stream, l->stream, next, &e);
    if (code == ERR_OK) {
        show_feed(l, feed);
        code = watch(l, feed, &e);
    }
    show_feed(l, NULL);
    stream_feed_close(feed);
    if (code != ERR_OK)
        LOG_DEBUG("lease", LOG_STR("name", l->name), LOG_STR("reason", e.msg));
}

/* A while without the stream; spans may end meanwhile. */
static void rest(struct lease *l)
{
    int64_t until = clock_deadline(LEASE_RETRY_NS);
    pthread_mutex_lock(&l->mu);
    while (!l->closing && clock_cond_wait(&l->moved, &l->mu, until))
        ;
    pthread_mutex_unlock(&l->mu);
    tell(l);
}

static void *run(void *arg)
{
    struct lease *l = arg;
    while (!closing(l)) {
        if (nats_client_connected(l->client))
            follow(l);
        if (!closing(l))
            rest(l);
    }
    if (lease_held(l) && nats_client_connected(l->client))
        publish(l, l->last.since, true, clock_deadline(LEASE_RELEASE_NS));
    return NULL;
}

/* ---- from outside ---- */

enum err_code lease_open(struct lease **out, struct nats_client *c, const struct lease_options *opt,
                         struct err *e)
{
    char token[NAME_TOKEN_SIZE];
    *out = NULL;
    struct lease *l = calloc(1, sizeof *l);
    if (!l)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    l->client = c;
    name_encode(opt->name, token);
    snprintf(l->stream, sizeof l->stream, "%s_LEASE_%s", opt->stream, token);
    snprintf(l->name, sizeof l->name, "%s", opt->name);
    snprintf(l->holder, sizeof l->holder, "%s", opt->holder);
    snprintf(l->note, sizeof l->note, "%s", opt->note);
    id_next(l->session);
    l->replicas = opt->replicas;
    atomic_store(&l->candidate, opt->candidate);
    l->changed = opt->changed;
    l->fit = opt->fit;
    l->arg = opt->arg;
    pthread_mutex_init(&l->mu, NULL);
    clock_cond_init(&l->moved);
    int rc = stack_start(&l->thread, run, l);
    if (rc != 0) {
        pthread_cond_destroy(&l->moved);
        pthread_mutex_destroy(&l->mu);
        free(l);
        return err_set(e, ERR_NO_MEMORY, "cannot start a thread: %s", strerror(rc));
    }
    *out = l;
    return ERR_OK;
}

static void wake_locked(struct lease *l)
{
    pthread_cond_broadcast(&l->moved);
    if (l->feed && nats_client_connected(l->client))
        stream_feed_wake(l->feed);
}

void lease_resign(struct lease *l)
{
    atomic_store(&l->candidate, false);
    pthread_mutex_lock(&l->mu);
    wake_locked(l);
    pthread_mutex_unlock(&l->mu);
}

void lease_stop(struct lease *l)
{
    pthread_mutex_lock(&l->mu);
    bool again = l->closing;
    l->closing = true;
    wake_locked(l);
    pthread_mutex_unlock(&l->mu);
    if (again)
        return;
    pthread_join(l->thread, NULL);
    pthread_mutex_lock(&l->mu);
    l->stopped = true;
    pthread_cond_broadcast(&l->moved);
    pthread_mutex_unlock(&l->mu);
}

void lease_close(struct lease *l)
{
    if (!l)
        return;
    lease_stop(l);
    pthread_cond_destroy(&l->moved);
    pthread_mutex_destroy(&l->mu);
    free(l);
}

bool lease_held(struct lease *l)
{
    pthread_mutex_lock(&l->mu);
    bool held = held_locked(l, clock_mono_ns());
    pthread_mutex_unlock(&l->mu);
    return held;
}

void lease_look(struct lease *l, struct lease_view *out)
{
    pthread_mutex_lock(&l->mu);
    describe_locked(l, out);
    pthread_mutex_unlock(&l->mu);
}

bool lease_wait(struct lease *l, uint64_t not_since, int64_t deadline_ns, struct lease_view *out)
{
    pthread_mutex_lock(&l->mu);
    describe_locked(l, out);
    while ((!out->held || out->since == not_since) && !l->closing &&
           clock_cond_wait(&l->moved, &l->mu, deadline_ns))
        describe_locked(l, out);
    bool found = out->held && out->since != not_since;
    pthread_mutex_unlock(&l->mu);
    return found;
}
