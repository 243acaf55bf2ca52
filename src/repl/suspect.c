/*
 * Does the file contain the log's messages, and not only its last one? A feed reads the copy of the
 * log that one server has, and servers before 2.10.23 may have different messages at one place
 * after a partition. In serializable mode each message names the one before it; in the other modes
 * a wrong message in the middle shows nowhere. So the nodes tell each other the sums of what they
 * have applied (digest.h), and where two differ both ask the log's leader, who decides (I5, I8).
 *
 *   another node's sum differs, or the feed brings another message than the one this node published
 *     └─> suspicion ──(the leader has the same as the file)──> none; the other node is wrong
 *               └──(the leader has others)──> verified again, as long as an election takes; then
 *                                             the file is kept aside and restored (restore.c)
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "repl/impl.h"

#define PEERS_MAX        16
#define ACCUSATIONS      3 /* times that it is told: one may get lost */
#define SUSPECT_AGAIN_NS CLOCK_S
#define TELL_AGAIN_NS    (30 * CLOCK_S) /* though nothing is new: it may have been lost */

/* Another node's sum, and what it is to be told of it. Guarded by peers_mu. */
struct heard {
    struct digest_peer sum;
    unsigned accusations; /* how often it is still to be told that in (from, to] it has others */
    uint64_t from, to;
};

/* ---- telling and hearing ---- */

/* r->peers_mu is held. Both are suspected: the log decides. */
static bool accuse_locked(struct replica *r, struct heard *h, uint64_t from, uint64_t to)
{
    h->from = from;
    h->to = to;
    h->accusations = ACCUSATIONS;
    return suspect(r, from, to);
}

/* r->peers_mu is held. The one that has been told least of what it is accused of; NULL = nobody. */
static struct heard *accused_locked(struct replica *r)
{
    struct heard *most = NULL;
    for (unsigned i = 0; r->peers && i < PEERS_MAX; i++)
        if (r->peers[i].accusations > (most ? most->accusations : 0))
            most = &r->peers[i];
    return most;
}

bool replica_tell(struct replica *r, int64_t now_ns, struct digest_state *out)
{
    uint64_t from, to;
    if (!r->digest)
        return false;
    pthread_mutex_lock(&r->peers_mu);
    for (unsigned i = 0; r->peers && i < PEERS_MAX; i++) {
        struct heard *h = &r->peers[i];
        if (h->sum.later.seq > 0 && digest_compare(r->digest, &h->sum, NULL, &from, &to))
            (void)accuse_locked(r, h, from, to);
    }
    struct heard *accused = accused_locked(r);
    digest_read(r->digest, out);
    bool tell = out->end.seq != r->told.end.seq || accused || now_ns - r->told_ns >= TELL_AGAIN_NS;
    if (accused) {
        memcpy(out->accused, accused->sum.name, sizeof out->accused);
        out->from = accused->from;
        out->to = accused->to;
        accused->accusations--;
    }
    if (tell) {
        r->told = *out;
        r->told_ns = now_ns;
    }
    pthread_mutex_unlock(&r->peers_mu);
    return tell && out->end.seq > 0;
}

/* r->peers_mu is held. The record of that sum, moved to the front; a new one takes the place of the
 * one that was heard of longest ago. */
static struct heard *peer_of_locked(struct replica *r, const char *name)
{
    unsigned at = 0;
    if (!r->peers)
        r->peers = calloc(PEERS_MAX, sizeof *r->peers);
    if (!r->peers)
        return NULL;
    while (at + 1 < PEERS_MAX && strcmp(r->peers[at].sum.name, name) != 0)
        at++;
    struct heard h = r->peers[at];
    if (strcmp(h.sum.name, name) != 0)
        h = (struct heard){.accusations = 0};
    memmove(r->peers + 1, r->peers, at * sizeof *r->peers);
    r->peers[0] = h;
    return r->peers;
}

static void note_end(struct replica *r, uint64_t seq)
{
    pthread_mutex_lock(&r->mu);
    if (atomic_load(&r->last_seq) < seq) {
        atomic_store(&r->last_seq, seq);
        replica_wake_applier_locked(r);
    }
    pthread_mutex_unlock(&r->mu);
}

void replica_hear(struct replica *r, const char *node, const char *process,
                  const struct digest_state *state)
{
    struct digest_state own;
    uint64_t from = state->from, to = state->to;
    if (!r->digest)
        return;
    note_end(r, state->end.seq);
    pthread_mutex_lock(&r->mu);
    turn_process(&r->turns, node, process);
    pthread_mutex_unlock(&r->mu);
    digest_read(r->digest, &own);
    to = to < own.end.seq ? to : own.end.seq; /* behind that this node has nothing to be wrong */
    bool accused = strcmp(state->accused, own.name) == 0 && from < to;
    bool news = accused && suspect(r, from, to);
    pthread_mutex_lock(&r->peers_mu);
    struct heard *h = peer_of_locked(r, state->name);
    if (h && digest_compare(r->digest, &h->sum, state, &from, &to))
        news = accuse_locked(r, h, from, to) || news;
    pthread_mutex_unlock(&r->peers_mu);
    if (news)
        LOG_WARN("another node has other messages than this one; the log's leader is asked",
                 LOG_STR("db", r->opt.id), LOG_STR("node", node));
}

/* ---- the suspicion ---- */

bool suspect(struct replica *r, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&r->mu);
    struct suspicion *s = &r->suspicion;
    bool news = s->to == 0 || from < s->from || to > s->to;
    if (s->to == 0)
        *s = (struct suspicion){from, to, 0};
    s->from = from < s->from ? from : s->from;
    s->to = to > s->to ? to : s->to;
    replica_wake_applier_locked(r);
    pthread_mutex_unlock(&r->mu);
    return news;
}

void suspect_forget(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    r->suspicion = (struct suspicion){0};
    pthread_mutex_unlock(&r->mu);
}

bool suspect_due(struct replica *r)
{
    pthread_mutex_lock(&r->mu);
    bool due = r->suspicion.to > 0 && clock_mono_ns() >= r->suspicion.look_ns;
    pthread_mutex_unlock(&r->mu);
    return due;
}

/* ---- what the log's leader has ---- */

enum answer {
    ANSWER_SAME,
    ANSWER_DIFFERS, /* at or before the point `at`, behind the one before it */
    ANSWER_UNKNOWN, /* the log does not reach back that far, or the file's sums do not */
    ANSWER_LATER    /* no answer, or one that may change soon */
};

/* Reads the log's messages one after the other and adds up what a file that applies them would. */
struct walk {
    struct replica *r;
    uint64_t sum;
    char chain[CHANGESET_ID_SIZE]; /* the message whose parts are being read */
    uint32_t part;                 /* the newest of them, 0 = none */
};

static void walk_add(struct walk *w, const struct stream_message *m)
{
    size_t n = strcspn(m->id, "."); /* ids of parts: message.c */
    bool whole = m->parts == 0;
    if (!whole) {
        bool continues = w->part > 0 && m->part == w->part + 1 && strlen(w->chain) == n &&
                         memcmp(w->chain, m->id, n) == 0;
        bool begins = m->part == 1 && n < sizeof w->chain;
        w->part = continues || begins ? m->part : 0;
        if (begins) {
            memcpy(w->chain, m->id, n);
            w->chain[n] = '\0';
        }
        whole = w->part > 0 && m->part == m->parts;
    }
    if (whole) {
        w->sum += digest_of(m->seq, m->id);
        w->part = 0;
    } else if (m->parts == 0) {
        w->part = 0;
    }
}

static enum err_code walk_to(struct walk *w, uint64_t from, uint64_t to, struct err *e)
{
    for (uint64_t seq = from + 1; seq <= to; seq++) {
        struct stream_message m;
        bool found = false;
        if (atomic_load(&w->r->cancel))
            return err_set(e, ERR_SHUTDOWN, "the node is shutting down");
        enum err_code code = stream_get(w->r->opt.client, w->r->stream, seq, &m, &found, e);
        if (code != ERR_OK)
            return code;
        if (!found)
            continue;
        walk_add(w, &m);
        stream_message_free(&m);
    }
    return ERR_OK;
}

/* Compares (from, to]. ANSWER_DIFFERS: `bad` is the first part of it that is not the log's. */
static enum answer ask(struct replica *r, uint64_t from, uint64_t to, struct suspicion *bad,
                       struct err *e)
{
    struct stream_state st;
    bool found = false;
    const size_t max = DIGEST_NEWEST + DIGEST_MARKS;
    struct digest_point *points = malloc(max * sizeof *points);
    size_t n = points ? digest_points(r->digest, from, to, points, max) : 0;
    enum answer answer = ANSWER_SAME;
    if (stream_info(r->opt.client, r->stream, &st, &found, e) != ERR_OK ||
        (found && st.last_seq < to))
        answer = ANSWER_LATER;
    else if (n < 2 || !found || st.first_seq > from + 1)
        answer = ANSWER_UNKNOWN;
    struct walk w = {.r = r};
    for (size_t i = 1; i < n && answer == ANSWER_SAME; i++) {
        if (walk_to(&w, points[i - 1].seq, points[i].seq, e) != ERR_OK)
            answer = ANSWER_LATER;
        else if (w.sum != points[i].sum - points[0].sum)
            answer = ANSWER_DIFFERS;
        *bad = (struct suspicion){.from = points[i - 1].seq, .to = points[i].seq};
    }
    /* Messages that aged out while they were read are missing in the sum, and prove nothing. */
    if (answer == ANSWER_DIFFERS &&
        (stream_info(r->opt.client, r->stream, &st, &found, e) != ERR_OK || !found))
        answer = ANSWER_LATER;
    else if (answer == ANSWER_DIFFERS && st.first_seq > from + 1)
        answer = ANSWER_UNKNOWN;
    free(points);
    return answer;
}

static void unknown(const struct replica *r, const struct suspicion *s)
{
    LOG_WARN("this node and another have different messages, and the log cannot tell any more "
             "which are right: ha verify says whether the data differ",
             LOG_STR("db", r->opt.id), LOG_UINT("behind", s->from), LOG_UINT("to", s->to));
}

void suspect_look(struct replica *r)
{
    struct suspicion bad = {0};
    struct err e = ERR_INIT;
    pthread_mutex_lock(&r->mu);
    const struct suspicion s = r->suspicion;
    r->suspicion.to = 0;
    pthread_mutex_unlock(&r->mu);
    switch (ask(r, s.from, s.to, &bad, &e)) {
    case ANSWER_SAME:
        LOG_INFO("the messages of this node are those of the log", LOG_STR("db", r->opt.id),
                 LOG_UINT("behind", s.from), LOG_UINT("to", s.to));
        break;
    case ANSWER_UNKNOWN:
        unknown(r, &s);
        break;
    case ANSWER_LATER:
        (void)suspect(r, s.from, s.to);
        pthread_mutex_lock(&r->mu);
        r->suspicion.look_ns = clock_deadline(SUSPECT_AGAIN_NS);
        pthread_mutex_unlock(&r->mu);
        break;
    case ANSWER_DIFFERS:
        r->proved = bad;
        replica_doubt(r);
        break;
    }
}

enum err_code suspect_judge(struct replica *r, struct err *e)
{
    const struct suspicion s = r->proved;
    struct suspicion bad = s;
    switch (ask(r, s.from, s.to, &bad, e)) {
    case ANSWER_LATER:
        return e->code != ERR_OK
                   ? e->code
                   : err_set(e, ERR_LOG_UNAVAILABLE, "the log does not know its end yet");
    case ANSWER_DIFFERS:
        r->proved = bad;
        r->verdict = VERDICT_DIFFERS;
        return err_set(e, ERR_DIVERGED,
                       "messages %" PRIu64 " to %" PRIu64
                       " of the log are not those that the file contains",
                       r->proved.from + 1, r->proved.to);
    case ANSWER_UNKNOWN:
        unknown(r, &s);
        break;
    case ANSWER_SAME:
        break;
    }
    r->proved = (struct suspicion){0};
    return ERR_OK;
}
