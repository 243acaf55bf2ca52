/*
 * Do all nodes have the same interceptor? What it makes of the log's transactions are the rows, so
 * nodes with different scripts come to different rows. Each tells the digest of its own beside its
 * sums (agreement.c), and who hears another one says so: on the log, in /status and in /verify.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "core/impl.h"

const char *scripts_own(const struct node *n)
{
    return n->opt.interceptor ? n->opt.interceptor->digest : SCRIPTS_NONE;
}

/* n->mu is held. */
static struct script_of *find_locked(struct node *n, const char *node)
{
    for (size_t i = 0; i < n->n_scripts; i++)
        if (strcmp(n->scripts[i].node, node) == 0)
            return &n->scripts[i];
    if (n->n_scripts == NODE_SCRIPTS)
        return NULL;
    struct script_of *s = &n->scripts[n->n_scripts++];
    snprintf(s->node, sizeof s->node, "%s", node);
    snprintf(s->digest, sizeof s->digest, "%s", scripts_own(n));
    return s;
}

void scripts_hear(struct node *n, const char *node, const char *digest)
{
    char name[NAME_TOKEN_SIZE];
    if (strlen(node) >= NAME_TOKEN_SIZE || strlen(digest) >= SHA256_TEXT_SIZE)
        return;
    pthread_mutex_lock(&n->mu);
    struct script_of *s = find_locked(n, node);
    bool news = s && strcmp(s->digest, digest) != 0;
    if (news)
        snprintf(s->digest, sizeof s->digest, "%s", digest);
    pthread_mutex_unlock(&n->mu);
    if (!news)
        return;
    if (strcmp(digest, scripts_own(n)) == 0)
        LOG_INFO("another node has the same interceptor again",
                 LOG_STR("node", name_decode(node, name) ? name : node));
    else
        LOG_ERROR("another node has another interceptor: what the two make of the same "
                  "transactions may differ",
                  LOG_STR("node", name_decode(node, name) ? name : node), LOG_STR("its", digest),
                  LOG_STR("own", scripts_own(n)));
}

size_t scripts_unlike(struct node *n)
{
    size_t count = 0;
    pthread_mutex_lock(&n->mu);
    for (size_t i = 0; i < n->n_scripts; i++)
        count += strcmp(n->scripts[i].digest, scripts_own(n)) != 0;
    pthread_mutex_unlock(&n->mu);
    return count;
}

void scripts_put_status(struct node *n, struct buf *json)
{
    const struct script *s = n->opt.interceptor;
    bool any = false;
    buf_puts(json, ",\"interceptor\":{\"script\":");
    json_put_cstr(json, s ? s->path : NULL);
    buf_puts(json, ",\"digest\":");
    json_put_cstr(json, s ? s->digest : NULL);
    buf_puts(json, ",\"unlike\":[");
    pthread_mutex_lock(&n->mu);
    for (size_t i = 0; i < n->n_scripts; i++) {
        char name[NAME_TOKEN_SIZE];
        if (strcmp(n->scripts[i].digest, scripts_own(n)) == 0)
            continue;
        if (any)
            buf_putc(json, ',');
        json_put_cstr(json, name_decode(n->scripts[i].node, name) ? name : n->scripts[i].node);
        any = true;
    }
    pthread_mutex_unlock(&n->mu);
    buf_puts(json, "]}");
}
