#include "repl/turn.h"

#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

#define TURN_RECENT_NS   (250 * CLOCK_MS) /* who has written since then may want to again */
#define TURN_SLOT_MIN_NS CLOCK_MS
#define TURN_SLOT_MAX_NS (50 * CLOCK_MS)
/* A turn is a publish, its way to the next node, applying it, and that node's group and publish. */
#define TURN_PUBLISHES   4

static uint64_t hash(const char *name)
{
    uint64_t h = hash_bytes(HASH_BEGIN, name, strlen(name));
    return h ? h : 1;
}

static void count(struct turns *t, int64_t now_ns)
{
    t->messages++;
    t->newest_ns = now_ns;
}

void turn_of_other(struct turns *t, const char *node, int64_t now_ns)
{
    uint64_t h = hash(node);
    unsigned at = 0;
    for (unsigned i = 0; i < TURN_OTHERS; i++) {
        if (t->others[i].node == h) {
            at = i;
            break;
        }
        if (t->others[i].ns < t->others[at].ns) /* the one that has been quiet for longest */
            at = i;
    }
    count(t, now_ns);
    t->others[at].node = h;
    t->others[at].newest = t->messages;
    t->others[at].ns = now_ns;
}

void turn_of_own(struct turns *t, int64_t now_ns, int64_t publish_ns)
{
    int64_t slot = TURN_PUBLISHES * publish_ns;
    if (slot < TURN_SLOT_MIN_NS)
        slot = TURN_SLOT_MIN_NS;
    if (slot > TURN_SLOT_MAX_NS)
        slot = TURN_SLOT_MAX_NS;
    t->slot_ns = t->slot_ns == 0 ? slot : (7 * t->slot_ns + slot) / 8;
    count(t, now_ns);
    t->own = t->messages;
}

int64_t turn_begins(const struct turns *t, int64_t now_ns)
{
    unsigned recent = 0, before = 0;
    if (t->own == 0)
        return 0;
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        recent += t->others[i].node && now_ns - t->others[i].ns < TURN_RECENT_NS;
    /* Whoever goes on in turns has written among as many messages as there are nodes; twice that
     * many without one of it, and it does not want to, just now. */
    uint64_t window = 2 * (uint64_t)(recent + 1);
    for (unsigned i = 0; i < TURN_OTHERS; i++)
        before += t->others[i].node && now_ns - t->others[i].ns < TURN_RECENT_NS &&
                  t->messages - t->others[i].newest < window && t->others[i].newest < t->own;
    return before == 0 ? 0 : t->newest_ns + before * t->slot_ns;
}
