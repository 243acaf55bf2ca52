#include "core/leader.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "core/impl.h"

#define LEADER_LEASE "leader"

static bool is_static(const struct node *n)
{
    return n->opt.leader_static && *n->opt.leader_static;
}

/* ---- its life ---- */

/* One whose databases are stopped, or behind the log, leaves the lead to another one. */
static bool is_fit(void *arg)
{
    struct buf why = BUF_INIT;
    bool ready = node_ready(arg, false, 0, &why);
    buf_free(&why);
    return ready;
}

enum err_code leader_start(struct node *n, struct err *e)
{
    const struct lease_options o = {.stream = n->opt.stream,
                                    .name = LEADER_LEASE,
                                    .holder = n->opt.name,
                                    .note = n->opt.leader_addr,
                                    .replicas = n->opt.replicas,
                                    .candidate = true,
                                    .fit = is_fit,
                                    .arg = n};
    if (!n->client || !n->opt.leader_addr || !*n->opt.leader_addr)
        return ERR_OK;
    return lease_open(&n->leader_lease, n->client, &o, e);
}

void node_abdicate(struct node *n)
{
    if (n->leader_lease)
        lease_resign(n->leader_lease);
}

/* ---- who it is ---- */

static void look_static(struct node *n, struct leader_view *out)
{
    out->is_static = out->known = true;
    out->mine = atomic_load(&n->leader_is_self);
    snprintf(out->address, sizeof out->address, "%s", n->opt.leader_static);
    pthread_mutex_lock(&n->mu);
    snprintf(out->name, sizeof out->name, "%s", n->leader_name);
    pthread_mutex_unlock(&n->mu);
}

static void take_over(const struct lease_view *v, struct leader_view *out)
{
    out->known = v->held;
    out->mine = v->mine;
    out->since = v->since;
    snprintf(out->name, sizeof out->name, "%s", v->holder);
    snprintf(out->address, sizeof out->address, "%s", v->note);
}

void leader_look(struct node *n, struct leader_view *out)
{
    *out = (struct leader_view){.wanted = is_static(n) || n->leader_lease};
    if (is_static(n)) {
        look_static(n, out);
    } else if (n->leader_lease) {
        struct lease_view v;
        lease_look(n->leader_lease, &v);
        take_over(&v, out);
    }
}

bool leader_is_away(struct node *n)
{
    if (is_static(n))
        return !atomic_load(&n->leader_is_self);
    return n->leader_lease && !lease_held(n->leader_lease);
}

bool leader_wait(struct node *n, uint64_t not_since, int64_t deadline_ns, struct leader_view *out)
{
    struct lease_view v;
    leader_look(n, out);
    if (is_static(n) || !n->leader_lease)
        return out->known;
    bool found = lease_wait(n->leader_lease, not_since, deadline_ns, &v);
    take_over(&v, out);
    return found;
}

void leader_recognize(struct node *n, const char *name)
{
    if (!is_static(n))
        return;
    pthread_mutex_lock(&n->mu);
    bool news = strcmp(n->leader_name, name) != 0;
    if (news)
        snprintf(n->leader_name, sizeof n->leader_name, "%s", name);
    pthread_mutex_unlock(&n->mu);
    if (!news)
        return;
    bool self = strcmp(name, n->opt.name) == 0;
    atomic_store(&n->leader_is_self, self);
    LOG_INFO("the leader answers", LOG_STR("leader", name),
             LOG_STR("address", n->opt.leader_static), LOG_STR("self", self ? "true" : "false"));
}

/* ---- what is told about it ---- */

void leader_put_status(struct node *n, struct buf *json)
{
    struct leader_view v;
    leader_look(n, &v);
    if (!v.wanted)
        return;
    buf_puts(json, ",\"leader\":{\"mode\":");
    json_put_cstr(json, v.is_static ? "static" : "elected");
    buf_puts(json, ",\"node\":");
    json_put_cstr(json, v.known && v.name[0] ? v.name : NULL);
    buf_puts(json, ",\"address\":");
    json_put_cstr(json, v.known ? v.address : NULL);
    buf_puts(json, v.mine ? ",\"is_self\":true" : ",\"is_self\":false");
    if (!v.is_static) {
        buf_puts(json, ",\"since\":");
        buf_u64(json, v.known ? v.since : 0);
    }
    buf_putc(json, '}');
}

void leader_put_metrics(struct node *n, struct buf *text)
{
    struct leader_view v;
    leader_look(n, &v);
    if (!v.wanted)
        return;
    buf_puts(text, "# HELP ha_leader 1 while this node leads\n# TYPE ha_leader gauge\n");
    buf_printf(text, "ha_leader %d\n", v.mine ? 1 : 0);
    buf_puts(text, "# HELP ha_leader_known 1 while this node knows who leads\n"
                   "# TYPE ha_leader_known gauge\n");
    buf_printf(text, "ha_leader_known %d\n", v.known ? 1 : 0);
    buf_puts(text, "# HELP ha_upstream_calls_total writes and transactions of clients that went to "
                   "the leader\n# TYPE ha_upstream_calls_total counter\n");
    buf_printf(text, "ha_upstream_calls_total %lld\n", atomic_load(&n->upstream_calls));
}

/* It goes into headers, and somebody else has written it. */
static bool is_printable(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7F)
            return false;
    return true;
}

bool node_leader(struct node *n, char *address, size_t size)
{
    struct leader_view v = {.known = false};
    if (is_static(n) || n->leader_lease)
        leader_look(n, &v);
    bool known = v.known && v.address[0] && is_printable(v.address);
    if (size > 0)
        snprintf(address, size, "%s", known ? v.address : "");
    return known;
}
