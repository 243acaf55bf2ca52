#include "nats/stall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "nats/internal.h"

#define STALL_FIRST_NS  (5 * CLOCK_S)  /* who leads? */
#define STALL_NS        (10 * CLOCK_S) /* of silence before it is asked to step down, … */
#define STALL_JITTER_NS (5 * CLOCK_S)  /* … and up to so much more */
#define STALL_GAP_NS    (30 * CLOCK_S) /* without a publish: what was before does not count */
#define STALL_AGAIN_NS  (60 * CLOCK_S) /* between two requests for one stream */
#define STALL_ASK_MS    1000
#define STALL_REPLICAS  3 /* with fewer there is nobody to follow */
#define NAME_SIZE       256

struct stall {
    char stream[NAME_SIZE];
    char leader[NAME_SIZE]; /* that has kept silent; "" = not asked for yet */
    int64_t silent_ns;      /* waited for in vain */
    int64_t limit_ns;       /* of that */
    int64_t last_ns;        /* when such a wait ended last */
    int64_t asked_ns;       /* when it was asked to step down; 0 = never */
    bool asking;            /* some thread does, outside mu */
    struct stall *next;
};

void stall_list_init(struct stall_list *l)
{
    *l = (struct stall_list){.first = NULL};
    pthread_mutex_init(&l->mu, NULL);
}

void stall_list_fini(struct stall_list *l)
{
    while (l->first) {
        struct stall *s = l->first;
        l->first = s->next;
        free(s);
    }
    pthread_mutex_destroy(&l->mu);
}

static void begin_anew(struct stall *s)
{
    s->leader[0] = '\0';
    s->silent_ns = 0;
    s->limit_ns = STALL_NS + clock_jitter(STALL_JITTER_NS);
}

/* l->mu is held. Where its pointer lies, or NULL lies. */
static struct stall **find_locked(struct stall_list *l, const char *stream)
{
    struct stall **at = &l->first;
    while (*at && strcmp((*at)->stream, stream) != 0)
        at = &(*at)->next;
    return at;
}

void stall_over(struct nats_client *c, const char *stream)
{
    struct stall_list *l = nats_client_stalls(c);
    if (atomic_load(&l->n) == 0)
        return;
    pthread_mutex_lock(&l->mu);
    struct stall **at = find_locked(l, stream), *s = *at;
    if (s)
        begin_anew(s);
    if (s && !s->asking && (s->asked_ns == 0 || clock_mono_ns() - s->asked_ns >= STALL_AGAIN_NS)) {
        *at = s->next;
        atomic_fetch_sub(&l->n, 1);
        free(s);
    }
    pthread_mutex_unlock(&l->mu);
}

bool stall_has_followers(const jsClusterInfo *ci, int64_t replicas)
{
    int64_t current = 0;
    for (int i = 0; ci && i < ci->ReplicasLen; i++)
        if (ci->Replicas[i] && ci->Replicas[i]->Current && !ci->Replicas[i]->Offline)
            current++;
    return replicas >= STALL_REPLICAS && current >= replicas / 2;
}

/* Who leads; "" where nobody says so, or there is nobody to follow it. */
static void ask_leader(struct nats_client *c, const char *stream, char leader[NAME_SIZE])
{
    jsStreamInfo *si = NULL;
    jsErrCode jerr = 0;
    jsOptions o;
    leader[0] = '\0';
    jsOptions_Init(&o);
    o.Wait = STALL_ASK_MS;
    if (js_GetStreamInfo(&si, nats_client_js(c), stream, &o, &jerr) == NATS_OK && si->Cluster &&
        si->Cluster->Leader && stall_has_followers(si->Cluster, si->Config->Replicas))
        (void)snprintf(leader, NAME_SIZE, "%s", si->Cluster->Leader);
    jsStreamInfo_Destroy(si);
}

static void step_down(struct nats_client *c, const char *stream, const char *leader,
                      int64_t silent_ns)
{
    char subject[NAME_SIZE + 64];
    natsMsg *answer = NULL;
    (void)snprintf(subject, sizeof subject, "$JS.API.STREAM.LEADER.STEPDOWN.%s", stream);
    natsStatus s =
        natsConnection_RequestString(&answer, nats_client_connection(c), subject, "", STALL_ASK_MS);
    const char *text = s == NATS_OK ? natsMsg_GetData(answer) : NULL;
    bool granted = text && strstr(text, "\"success\":true");
    if (granted)
        atomic_fetch_add(&nats_client_stalls(c)->stepdowns, 1);
    LOG_WARN("the log's leader answers questions but no publish: it was asked to step down",
             LOG_STR("stream", stream), LOG_STR("leader", leader),
             LOG_INT("silent_ms", silent_ns / CLOCK_MS),
             LOG_STR("answer", granted ? "granted"
                               : text  ? text
                                       : natsStatus_GetText(s)));
    natsMsg_Destroy(answer);
}

/* l->mu is held. The stream's entry, made where there was none; NULL: out of memory. */
static struct stall *count_locked(struct stall_list *l, const char *stream, int64_t waited_ns)
{
    int64_t now = clock_mono_ns();
    struct stall *s = *find_locked(l, stream);
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return NULL;
        (void)snprintf(s->stream, sizeof s->stream, "%s", stream);
        begin_anew(s);
        s->last_ns = now;
        s->next = l->first;
        l->first = s;
        atomic_fetch_add(&l->n, 1);
    }
    if (now - s->last_ns >= STALL_GAP_NS)
        begin_anew(s);
    s->silent_ns += waited_ns;
    s->last_ns = now;
    return s;
}

/* Time to ask something? *ripe: the leader, known from before, has been silent for long enough. */
static bool is_due(const struct stall *s, bool *ripe)
{
    int64_t now = clock_mono_ns();
    *ripe = s->leader[0] && s->silent_ns >= s->limit_ns &&
            (s->asked_ns == 0 || now - s->asked_ns >= STALL_AGAIN_NS);
    return !s->asking && (*ripe || (!s->leader[0] && s->silent_ns >= STALL_FIRST_NS));
}

void stall_silent(struct nats_client *c, const char *stream, int64_t waited_ns)
{
    struct stall_list *l = nats_client_stalls(c);
    char known[NAME_SIZE] = "", leader[NAME_SIZE];
    int64_t silent_ns = 0;
    bool ripe = false;
    pthread_mutex_lock(&l->mu);
    struct stall *s = count_locked(l, stream, waited_ns);
    bool due = s && is_due(s, &ripe);
    if (due) {
        s->asking = true; /* until that is over nobody frees it */
        memcpy(known, s->leader, sizeof known);
        silent_ns = s->silent_ns;
    }
    pthread_mutex_unlock(&l->mu);
    if (!due)
        return;
    ask_leader(c, stream, leader);
    pthread_mutex_lock(&l->mu);
    bool still = s->silent_ns >= silent_ns; /* no answer has come meanwhile */
    bool asks = still && ripe && leader[0] && strcmp(leader, known) == 0;
    if (still && !ripe && leader[0])
        memcpy(s->leader, leader, sizeof s->leader); /* and the count goes on */
    else if (still) /* it is asked, or there is another one, or nobody to follow it */
        begin_anew(s);
    if (asks)
        s->asked_ns = clock_mono_ns();
    s->asking = false;
    pthread_mutex_unlock(&l->mu);
    if (asks)
        step_down(c, stream, known, silent_ns);
}
