#include "server/sources.h"

#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "proxy/my_source.h"
#include "proxy/my_upstream.h"
#include "proxy/pg_source.h"
#include "proxy/pg_upstream.h"
#include "proxy/source.h"
#include "server/files.h"

struct sources {
    const struct config *config;
    struct node *node;
    char *database; /* id of the one that mirrors */
    struct pg_source *pg;
    struct my_source *my;
    struct pg_upstream *pg_upstream; /* NULL: writes stay here … */
    struct my_upstream *my_upstream; /* … where this is, too */
    struct source *source;
};

bool sources_wanted(const struct config *c)
{
    return *c->pg_proxied || *c->mysql_proxied;
}

static struct pg_source_options pg_options(const struct config *c)
{
    return (struct pg_source_options){
        .dsn = c->pg_proxied, .publication = c->pg_publication, .slot = c->pg_slot};
}

static struct my_source_options my_options(const struct config *c, const char *database)
{
    return (struct my_source_options){.dsn = c->mysql_proxied,
                                      .include = c->mysql_include,
                                      .exclude = c->mysql_exclude,
                                      .dump_bin = c->mysql_dump_bin,
                                      .dump_db = c->mysql_dump_db,
                                      .dump_include = c->mysql_dump_include,
                                      .id = c->mysql_proxy_id,
                                      .stream = c->replication_stream,
                                      .database = database,
                                      .prompt = c->proxy_read_your_writes};
}

enum err_code sources_check(const struct config *c, struct err *e)
{
    const struct pg_source_options pg = pg_options(c);
    const struct my_source_options mysql = my_options(c, "");

    if (!sources_wanted(c))
        return ERR_OK;
    if (!*c->proxy_local)
        return err_set(e, ERR_CONFIG, "--proxy-local is to name the database that mirrors");
    if (!c->proxy_disable_redirect && (*c->leader_addr || *c->leader_static))
        return err_set(e, ERR_CONFIG,
                       "writes go to a leader or to a source, not to both: with --leader-addr or "
                       "--leader-static a source needs --proxy-disable-redirect");
    if (*c->pg_proxied && *c->mysql_proxied)
        return err_set(e, ERR_CONFIG,
                       "--pg-proxied and --mysql-proxied: a node mirrors one source");
    return *c->pg_proxied ? pg_source_check(&pg, e) : my_source_check(&mysql, e);
}

static enum err_code redirect_to_mysql(struct sources *s, struct err *e)
{
    const struct my_upstream_options o = {.node = s->node,
                                          .dsn = s->config->mysql_proxied,
                                          .database = s->database,
                                          .read_your_writes = s->config->proxy_read_your_writes};
    enum err_code code = my_upstream_new(&s->my_upstream, &o, e);

    if (code == ERR_OK)
        node_set_upstream(s->node, &my_upstream_ops, s->my_upstream);
    return code;
}

static enum err_code redirect(struct sources *s, struct err *e)
{
    if (s->my)
        return redirect_to_mysql(s, e);
    const struct pg_upstream_options o = {.node = s->node,
                                          .dsn = s->config->pg_proxied,
                                          .database = s->database,
                                          .read_your_writes = s->config->proxy_read_your_writes};
    enum err_code code = pg_upstream_new(&s->pg_upstream, &o, e);

    if (code == ERR_OK)
        node_set_upstream(s->node, &pg_upstream_ops, s->pg_upstream);
    return code;
}

static enum err_code new_source(struct sources *s, struct err *e)
{
    const struct pg_source_options pg = pg_options(s->config);
    const struct my_source_options mysql = my_options(s->config, s->database);

    return *s->config->pg_proxied ? pg_source_new(&s->pg, &pg, e)
                                  : my_source_new(&s->my, &mysql, e);
}

enum err_code sources_new(struct sources **out, const struct config *c, struct node *n,
                          struct err *e)
{
    *out = NULL;
    if (!sources_wanted(c))
        return ERR_OK;
    struct sources *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->config = c;
    s->node = n;
    s->database = file_list_id(c->proxy_local);
    enum err_code code =
        s->database ? new_source(s, e) : err_set(e, ERR_NO_MEMORY, "out of memory");
    if (code == ERR_OK && !c->proxy_disable_redirect)
        code = redirect(s, e);
    if (code != ERR_OK) {
        sources_free(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

enum err_code sources_start(struct sources *s, struct err *e)
{
    if (!s)
        return ERR_OK;
    return source_start(
        &s->source,
        &(struct source_options){.node = s->node,
                                 .database = s->database,
                                 .driver = s->pg ? &pg_source_driver : &my_source_driver,
                                 .arg = s->pg ? (void *)s->pg : (void *)s->my,
                                 .use_schema = s->config->proxy_use_schema},
        e);
}

void sources_stop(struct sources *s)
{
    if (s)
        source_stop(s->source);
}

void sources_free(struct sources *s)
{
    if (!s)
        return;
    source_free(s->source);
    pg_source_free(s->pg);
    my_source_free(s->my);
    pg_upstream_free(s->pg_upstream);
    my_upstream_free(s->my_upstream);
    free(s->database);
    free(s);
}
