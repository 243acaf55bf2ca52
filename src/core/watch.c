/*
 * The watch: a node whose server is connected to it, and of no use, helps itself.
 *
 * Each connection is asked now and then whether JetStream answers over it. Where it has not for
 * WATCH_LIMIT_NS, the other servers that the connection knows are asked, over connections of their
 * own. Only if one of them answers is anything done: the connection is dropped, so that the library
 * takes the next server. The server that was left remains a suspect: where it is of no use for
 * longer than a partition's end and an election or two take, the owner of the embedded nats-server
 * is told, for it may be that one. So a cluster without a majority, and a server that is alone, are
 * left alone; the pauses between such questions grow, and no two nodes have the same.
 *
 *     GOOD ──no answer──► BAD ──for 20 s──► others asked ──one answers──► LEAVING ──► GOOD
 *      ▲                   │ ▲                  │                            │ the same server
 *      └─────an answer─────┘ └──later each time─┘ none does                  └─ under another URL:
 *                                                                               left again
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/impl.h"
#include "nats/look.h"

#define WATCH_TICK_NS   CLOCK_S
#define WATCH_GOOD_NS   (8 * CLOCK_S)  /* between looks while all is well, … */
#define WATCH_BAD_NS    (2 * CLOCK_S)  /* … and while it is not */
#define WATCH_LIMIT_NS  (18 * CLOCK_S) /* without an answer before others are asked … */
#define WATCH_JITTER_NS (4 * CLOCK_S)  /* … and up to so much more */
#define WATCH_PAUSE_NS  (10 * CLOCK_S) /* after they were asked in vain, then twice as long, … */
#define WATCH_DOUBLINGS 4              /* … so often */
#define WATCH_LEAVE_NS  (60 * CLOCK_S) /* a server that was left is left again, so long … */
#define WATCH_LEAVES    8              /* … and so often */
#define WATCH_STUCK_NS  (45 * CLOCK_S) /* without an answer, before its owner is told */
#define WATCH_CHECK_NS  (5 * CLOCK_S)  /* between looks at the suspect, or the embedded one, … */
#define WATCH_TOLD_NS   (30 * CLOCK_S) /* … and behind telling its owner */
#define WATCH_URL_SIZE  512

/* Of one link; the watch's thread only. */
struct view {
    int64_t look_ns;   /* not before */
    int64_t since_ns;  /* it is bad; 0 = it is not */
    int64_t others_ns; /* the others are not asked before */
    unsigned in_vain;  /* how often they were */
    char left[NATS_SERVER_ID_SIZE];
    int64_t left_ns;
    unsigned leaves;
};

/* The last server that was left; the watch's thread only. */
struct suspect {
    char id[NATS_SERVER_ID_SIZE]; /* "" = there is none */
    char url[WATCH_URL_SIZE];
    int64_t since_ns; /* it is bad */
    int64_t look_ns;  /* not before */
};

static void is_good(struct view *v, int64_t now)
{
    v->since_ns = 0;
    v->in_vain = 0;
    v->look_ns = now + WATCH_GOOD_NS + clock_jitter(WATCH_GOOD_NS / 2);
}

static void leave(struct node *n, struct nats_client *c, struct view *v, int64_t now)
{
    v->leaves++;
    v->since_ns = 0;
    v->look_ns = now + WATCH_TICK_NS;
    atomic_fetch_add(&n->nats_moves, 1);
    nats_leave(c);
}

/* It has been bad for long enough. */
static void look_around(struct node *n, struct nats_client *c, struct view *v, struct suspect *s,
                        const char *id)
{
    char url[WATCH_URL_SIZE], blank[WATCH_URL_SIZE];
    unsigned asked = 0;
    bool found = nats_look_elsewhere(c, id, &n->leave, url, sizeof url, &asked);
    int64_t now = clock_mono_ns();
    if (!found) {
        if (asked > 0 && v->in_vain == 0)
            LOG_WARN("JetStream does not answer through this nats-server, nor through others",
                     LOG_STR("server_id", id), LOG_UINT("others", asked));
        int64_t pause = WATCH_PAUSE_NS << v->in_vain;
        v->in_vain += v->in_vain < WATCH_DOUBLINGS ? 1 : 0;
        v->others_ns = now + pause / 2 + clock_jitter(pause);
        return;
    }
    LOG_WARN("JetStream does not answer through this nats-server but does through another: the "
             "connection to it is dropped",
             LOG_STR("server_id", id), LOG_INT("for_ms", (now - v->since_ns) / CLOCK_MS),
             LOG_STR("other", log_url(url, blank, sizeof blank)));
    snprintf(v->left, sizeof v->left, "%s", id);
    v->left_ns = now;
    v->leaves = 0;
    snprintf(s->id, sizeof s->id, "%s", id);
    nats_look_url(c, s->url, sizeof s->url);
    s->since_ns = v->since_ns;
    s->look_ns = now + WATCH_CHECK_NS;
    leave(n, c, v, now);
}

static void look(struct node *n, struct nats_client *c, struct view *v, struct suspect *s)
{
    char id[NATS_SERVER_ID_SIZE];
    enum look seen = nats_look(c, id);
    int64_t now = clock_mono_ns();
    if (seen == LOOK_OK) {
        is_good(v, now);
        return;
    }
    v->look_ns = now + WATCH_BAD_NS;
    if (seen == LOOK_NOBODY) { /* the library looks for another one by itself */
        v->since_ns = 0;
        return;
    }
    if (strcmp(id, v->left) == 0 && now - v->left_ns < WATCH_LEAVE_NS && v->leaves < WATCH_LEAVES) {
        leave(n, c, v, now); /* it goes by several addresses, or was the next one again */
        return;
    }
    if (v->since_ns == 0) {
        v->since_ns = now;
        v->others_ns = now + WATCH_LIMIT_NS + clock_jitter(WATCH_JITTER_NS);
    }
    if (now >= v->others_ns)
        look_around(n, c, v, s, id);
}

/* Over a connection that is of use: the one that the node has. */
static void check_suspect(struct node *n, struct nats_client *c, struct suspect *s)
{
    char id[NATS_SERVER_ID_SIZE];
    enum look seen = nats_look_at(c, s->url, s->id);
    int64_t now = clock_mono_ns();
    s->look_ns = now + WATCH_CHECK_NS;
    if (seen == LOOK_OK)
        s->id[0] = '\0';
    if (seen != LOOK_USELESS || now - s->since_ns < WATCH_STUCK_NS)
        return;
    if (nats_look(c, id) == LOOK_OK && strcmp(id, s->id) != 0) {
        n->opt.server_useless(n->opt.server_useless_arg, s->id);
        s->look_ns = now + WATCH_TOLD_NS;
    }
}

/* The library takes the next server by itself where one hangs, and does not come back to it. */
static void look_at_own(struct node *n)
{
    char url[WATCH_URL_SIZE];
    nats_look_url(n->client, url, sizeof url);
    if (strcmp(url, n->opt.nats_url) != 0)
        n->opt.server_left(n->opt.server_useless_arg);
}

void *watch_main(void *node)
{
    struct node *n = node;
    struct view views[NODE_LINKS] = {0};
    struct suspect suspect = {.id = ""};
    int64_t own_ns = 0;
    pthread_mutex_lock(&n->mu);
    while (!n->stopping) {
        clock_cond_wait(&n->changed, &n->mu, clock_deadline(WATCH_TICK_NS));
        for (size_t i = 0; i < NODE_LINKS && !n->stopping; i++) {
            struct nats_client *c = n->links[i].client; /* stays until node_free() */
            if (!c || clock_mono_ns() < views[i].look_ns)
                continue;
            pthread_mutex_unlock(&n->mu);
            look(n, c, &views[i], &suspect);
            pthread_mutex_lock(&n->mu);
        }
        if (!n->stopping && n->opt.server_useless && suspect.id[0] &&
            clock_mono_ns() >= suspect.look_ns) {
            pthread_mutex_unlock(&n->mu);
            check_suspect(n, n->client, &suspect);
            pthread_mutex_lock(&n->mu);
        }
        if (!n->stopping && n->opt.server_left && clock_mono_ns() >= own_ns) {
            pthread_mutex_unlock(&n->mu);
            look_at_own(n);
            own_ns = clock_deadline(WATCH_CHECK_NS);
            pthread_mutex_lock(&n->mu);
        }
    }
    pthread_mutex_unlock(&n->mu);
    return NULL;
}
