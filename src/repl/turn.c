#include "repl/turn.h"

#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

#define TURN_SLOT_MIN_NS CLOCK_MS
#define TURN_SLOT_MAX_NS (50 * CLOCK_MS)
/* A turn is a publish, its way to the next node, applying it, and that node's group and publish. */
#define TURN_PUBLISHES   4
#define PUBLISH_MAX_NS   CLOCK_S /* one that took longer has met something else */

static uint64_t hash(const char *node)
{
    uint64_t h = hash_bytes(HASH_BEGIN, node, strlen(node));
    return h ? h : 1;
}

static void count(struct turns *t, int64_t now_ns)
{
    t->messages++;
    t->newest_ns = now_ns;
}

/* The record of that node; a new one takes a free place, or that of the one that has been quiet for
 * longest. */
static struct turn_other *other_of(struct turns *t, const char *node)
{
    uint64_t h = hash(node);
    struct turn_other *quiet = &t->others[0];
    for (unsigned i = 0; i < TURN_OTHERS; i++) {
        if (t->others[i].node == h)
            return &t->others[i];
        if (quiet->node && (!t->others[i].node || t->others[i].ns < quiet->ns))
            quiet = &t->others[i];
    }
    if (quiet->seq > t->forgotten_seq)
        t->forgotten_seq = quiet->seq;
    *quiet = (struct turn_other){.node = h};
    return quiet;
}

void turn_of_other(struct turns *t, const char *node, uint64_t seq, int64_t now_ns)
{
    struct turn_other *o = other_of(t, node);
    count(t, now_ns);
    o->newest = t->messages;
    o->seq = seq;
    o->ns = now_ns;
}

void turn_of_own(struct turns *t, int64_t now_ns, int64_t publish_ns)
{
    if (publish_ns > PUBLISH_MAX_NS)
        publish_ns = PUBLISH_MAX_NS;
    t->publish_ns = t->publish_ns == 0 ? publish_ns : (7 * t->publish_ns + publish_ns) / 8;
    count(t, now_ns);
    t->own = t->messages;
}

int64_t turn_recent_ns(const struct turns *t)
{
    int64_t turn = TURN_PUBLISHES * t->publish_ns;
    return turn > TURN_RECENT_MIN_NS ? turn : TURN_RECENT_MIN_NS;
}

static int64_t slot_ns(const struct turns *t)
{
    int64_t turn = TURN_PUBLISHES * t->publish_ns;
    if (turn < TURN_SLOT_MIN_NS)
        return TURN_SLOT_MIN_NS;
    return turn < TURN_SLOT_MAX_NS ? turn : TURN_SLOT_MAX_NS;
}

static bool is_recent(const struct turns *t, const struct turn_other *o, int64_t now_ns)
{
    return o->newest > 0 && now_ns - o->ns < turn_recent_ns(t);
}

int64_t turn_begins(const struct turns *t, int64_t now_ns)
{
    unsigned recent = 0, before = 0;
    if (t->own == 0)
        return 0;
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        recent += is_recent(t, &t->others[i], now_ns);
    /* Whoever goes on in turns has written among as many messages as there are nodes; twice that
     * many without one of it, and it does not want to, just now. */
    uint64_t window = 2 * (uint64_t)(recent + 1);
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        before += is_recent(t, &t->others[i], now_ns) &&
                  t->messages - t->others[i].newest < window && t->others[i].newest < t->own;
    return before == 0 ? 0 : t->newest_ns + before * slot_ns(t);
}

void turn_process(struct turns *t, const char *node, const char *process)
{
    struct turn_other *o = other_of(t, node);
    if (strcmp(o->process, process) == 0)
        return;
    memcpy(o->process, process, strnlen(process, ID_LEN));
    o->process[ID_LEN] = '\0';
    o->rest_ns = 0;
}

bool turn_runner(const struct turns *t, int64_t now_ns, char process[ID_SIZE])
{
    const struct turn_other *runner = NULL;
    for (unsigned i = 0; i < TURN_OTHERS; i++) {
        const struct turn_other *o = &t->others[i];
        if (is_recent(t, o, now_ns) && o->newest > t->own && o->process[0] &&
            now_ns >= o->rest_ns && (!runner || o->newest > runner->newest))
            runner = o;
    }
    if (runner)
        memcpy(process, runner->process, ID_SIZE);
    return runner != NULL;
}

void turn_rest(struct turns *t, const char *process, int64_t until_ns)
{
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        if (strcmp(t->others[i].process, process) == 0)
            t->others[i].rest_ns = until_ns;
}

uint64_t turn_newest_of(const struct turns *t, const char *node)
{
    uint64_t h = hash(node);
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        if (t->others[i].node == h)
            return t->others[i].seq > t->forgotten_seq ? t->others[i].seq : t->forgotten_seq;
    return t->forgotten_seq;
}
