#include "repl/chain.h"

#include <string.h>

enum err_code chain_init(struct chain *c, const char *spool_dir, size_t memory, struct err *e)
{
    *c = (struct chain){.spool = spool_new(spool_dir, memory)};
    return c->spool ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

void chain_fini(struct chain *c)
{
    spool_free(c->spool);
    c->spool = NULL;
}

void chain_drop(struct chain *c)
{
    spool_reset(c->spool);
    c->part = c->parts = 0;
    c->id[0] = '\0';
}

/* The part ids of one chain are "<id>.<attempt>.<n>", the last one's is "<id>". */
static size_t id_len(const char *id)
{
    return strcspn(id, ".");
}

enum err_code chain_add(struct chain *c, const struct stream_message *m, bool *complete,
                        struct err *e)
{
    size_t n = id_len(m->id);
    bool continues = c->part > 0 && m->part == c->part + 1 && m->parts == c->parts &&
                     strlen(c->id) == n && memcmp(c->id, m->id, n) == 0;
    *complete = false;
    if (!continues) {
        chain_drop(c);
        if (m->part != 1 || n >= sizeof c->id)
            return ERR_OK;
        memcpy(c->id, m->id, n);
        c->id[n] = '\0';
        c->parts = m->parts;
    }
    c->part = m->part;
    buf_put(spool_tail(c->spool), m->data, m->len);
    spool_flush(c->spool);
    *complete = m->part == m->parts;
    return spool_error(c->spool, e);
}
