/*
 * Do all nodes have the same messages? Each tells the others, about once a second, the sums of what
 * it has applied (repl/digest.h), in the method "sums" of nats/rpc.h, which nobody answers:
 *
 *     <process> <node> <interceptor>\n
 *     <subject> <name> <base> <seq> <sum> <mark's seq> <its sum> <accused> <from> <to>\n
 *
 * with a second line for each database. The first one holds rpc_self(), a name token and
 * scripts_own(), which is left out where there is none. The subject is that of the database's log,
 * the rest is struct digest_state; numbers are decimal, "-" accuses nobody. What gets lost does not
 * matter: the next sums hold the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/name.h"
#include "core/impl.h"
#include "nats/rpc.h"
#include "repl/digest.h"
#include "repl/peer.h"

#define BODY_BYTES     ((size_t)16 * 1024) /* of one message */
#define LINE_MAX_BYTES ((size_t)512)       /* of a database: its subject, names and numbers */

/* ---- telling ---- */

static void begin(struct node *n, struct buf *body)
{
    char name[NAME_TOKEN_SIZE];
    name_encode(n->opt.name, name);
    buf_reset(body);
    buf_printf(body, "%s %s", rpc_self(n->client), name);
    if (n->opt.interceptor)
        buf_printf(body, " %s", scripts_own(n));
    buf_putc(body, '\n');
}

static void put_number(struct buf *body, uint64_t n)
{
    buf_putc(body, ' ');
    buf_u64(body, n);
}

static void put(struct buf *body, const char *subject, const struct digest_state *s)
{
    buf_printf(body, "%s %s", subject, s->name);
    put_number(body, s->base);
    put_number(body, s->end.seq);
    put_number(body, s->end.sum);
    put_number(body, s->mark.seq);
    put_number(body, s->mark.sum);
    buf_printf(body, " %s", s->accused[0] ? s->accused : "-");
    put_number(body, s->from);
    put_number(body, s->to);
    buf_putc(body, '\n');
}

static void send(struct node *n, const struct buf *body)
{
    char prefix[PEER_PREFIX_SIZE];
    struct err ignored = ERR_INIT; /* told again in a second */
    peer_prefix(n->opt.stream, prefix);
    const struct rpc_question q = {
        .prefix = prefix, .method = AGREEMENT_SUMS, .body = body->data, .len = body->len};
    if (buf_ok(body))
        (void)rpc_tell(n->client, &q, &ignored);
}

void agreement_tell(struct node *n)
{
    struct buf body = BUF_INIT;
    bool any = false;
    begin(n, &body);
    for (size_t i = 0;; i++) {
        struct digest_state s;
        pthread_mutex_lock(&n->mu);
        struct database *d = i < n->n_dbs ? database_ref(n->dbs[i]) : NULL;
        pthread_mutex_unlock(&n->mu);
        if (!d)
            break;
        struct replica *r = database_replica(d);
        if (r && replica_tell(r, clock_mono_ns(), &s)) {
            put(&body, replica_subject(r), &s);
            any = true;
        }
        database_unref(d);
        if (any && body.len + LINE_MAX_BYTES > BODY_BYTES) {
            send(n, &body);
            begin(n, &body);
            any = false;
        }
    }
    if (any)
        send(n, &body);
    buf_free(&body);
}

/* ---- hearing ---- */

/* The next word of the line, or NULL. */
static const char *word(char **rest)
{
    const char *w = strsep(rest, " ");
    return w && *w ? w : NULL;
}

static bool number(char **rest, uint64_t *out)
{
    char *end = NULL;
    const char *w = word(rest);
    if (!w || *w < '0' || *w > '9')
        return false;
    errno = 0;
    *out = strtoull(w, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool name(char **rest, char out[ID_SIZE])
{
    const char *w = word(rest);
    bool is_id = w && strlen(w) == ID_LEN;
    if (is_id)
        memcpy(out, w, ID_SIZE);
    else
        out[0] = '\0';
    return is_id || (w && strcmp(w, "-") == 0);
}

/* False where it is no line of ours. */
static bool parse(char *line, const char **subject, struct digest_state *s)
{
    *subject = word(&line);
    return *subject && name(&line, s->name) && s->name[0] && number(&line, &s->base) &&
           number(&line, &s->end.seq) && number(&line, &s->end.sum) &&
           number(&line, &s->mark.seq) && number(&line, &s->mark.sum) && name(&line, s->accused) &&
           number(&line, &s->from) && number(&line, &s->to) && !line;
}

enum err_code agreement_hear(struct node *n, struct rpc_call *call, struct err *e)
{
    size_t len;
    char *text = strdup(rpc_call_body(call, &len)), *rest = text;
    if (!text)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    char *head = strsep(&rest, "\n");
    const char *process = word(&head), *node = head ? word(&head) : NULL;
    if (process && node && strcmp(process, rpc_self(n->client)) != 0) {
        scripts_hear(n, node, head && *head ? head : SCRIPTS_NONE);
        for (char *line; (line = strsep(&rest, "\n"));) {
            const char *subject;
            struct digest_state s;
            struct database *d = parse(line, &subject, &s) ? node_find_log(n, subject) : NULL;
            if (d)
                replica_hear(database_replica(d), node, process, &s);
            database_unref(d);
        }
    }
    free(text);
    return ERR_OK;
}
