#include "server/sources.h"

#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "proxy/debezium_source.h"
#include "proxy/my_dsn.h"
#include "proxy/my_source.h"
#include "proxy/my_upstream.h"
#include "proxy/pg_source.h"
#include "proxy/pg_upstream.h"
#include "proxy/source.h"
#include "server/files.h"

enum kind { KIND_NONE, KIND_POSTGRESQL, KIND_MYSQL, KIND_DEBEZIUM };

struct sources {
    const struct config *config;
    struct node *node;
    char *database; /* id of the one that mirrors */
    struct source *source;
    /* one of these follows */
    struct pg_source *pg;
    struct my_source *my;
    struct debezium_source *debezium;
    /* one of these takes the writes of clients; NULL: they stay here */
    struct pg_upstream *pg_upstream;
    struct my_upstream *my_upstream;
};

/* ---- what the flags say ---- */

static enum kind kind_of(const struct config *c)
{
    if (*c->debezium_brokers)
        return KIND_DEBEZIUM;
    if (*c->mysql_proxied)
        return KIND_MYSQL;
    return *c->pg_proxied ? KIND_POSTGRESQL : KIND_NONE;
}

bool sources_wanted(const struct config *c)
{
    return kind_of(c) != KIND_NONE;
}

static bool begins_with(const char *text, const char *scheme)
{
    return strncmp(text, scheme, strlen(scheme)) == 0;
}

/* Where the writes of clients go, and what is there: KIND_NONE, and "", where they stay here. */
static enum kind redirection(const struct config *c, const char **dsn)
{
    enum kind kind = kind_of(c);

    *dsn = "";
    if (c->proxy_disable_redirect)
        return KIND_NONE;
    if (kind == KIND_POSTGRESQL)
        *dsn = c->pg_proxied;
    else if (kind == KIND_MYSQL)
        *dsn = c->mysql_proxied;
    else if (kind == KIND_DEBEZIUM)
        *dsn = c->debezium_source_dsn;
    if (kind != KIND_DEBEZIUM)
        return kind;
    if (begins_with(*dsn, "postgres://") || begins_with(*dsn, "postgresql://"))
        return KIND_POSTGRESQL;
    return begins_with(*dsn, "mysql://") ? KIND_MYSQL : KIND_NONE;
}

static struct pg_source_options pg_options(const struct config *c, const char *dsn)
{
    return (struct pg_source_options){
        .dsn = dsn, .publication = c->pg_publication, .slot = c->pg_slot};
}

static struct my_source_options my_options(const struct config *c, const char *database)
{
    return (struct my_source_options){.dsn = c->mysql_proxied,
                                      .include = c->mysql_include,
                                      .exclude = c->mysql_exclude,
                                      .dump_db = c->mysql_dump_db,
                                      .dump_include = c->mysql_dump_include,
                                      .id = c->mysql_proxy_id,
                                      .stream = c->replication_stream,
                                      .database = database,
                                      .prompt = c->proxy_read_your_writes};
}

static struct kafka_options kafka_options(const struct config *c)
{
    return (struct kafka_options){
        .brokers = c->debezium_brokers, .group = c->debezium_group, .topics = c->debezium_topics};
}

static enum err_code check_debezium_dsn(const struct config *c, struct err *e)
{
    const char *dsn;
    enum kind kind = redirection(c, &dsn);
    const struct pg_source_options pg = pg_options(c, dsn);
    struct my_dsn my = {.user = NULL};
    enum err_code code = ERR_OK;

    if (!*dsn)
        return ERR_OK;
    if (kind == KIND_NONE)
        return err_set(e, ERR_CONFIG,
                       "--debezium-source-dsn: writes are redirected to postgres://… and mysql://… "
                       "only; without it they stay in the local database");
    if (c->proxy_read_your_writes)
        return err_set(e, ERR_CONFIG,
                       "--proxy-read-your-writes: Debezium's events do not tell which write they "
                       "come from, so that it cannot be waited for with --debezium-brokers");
    if (kind == KIND_POSTGRESQL)
        code = pg_source_check(&pg, e);
    else
        code = my_dsn_read(&my, dsn, e);
    my_dsn_free(&my);
    return code ? err_wrap(e, "--debezium-source-dsn") : ERR_OK;
}

static enum err_code check_debezium(const struct config *c, struct err *e)
{
    const struct kafka_options kafka = kafka_options(c);

    if (!*c->debezium_group || !*c->debezium_topics)
        return err_set(e, ERR_CONFIG,
                       "--debezium-brokers needs --debezium-group and --debezium-topics");
    if (debezium_source_check(&kafka, e) != ERR_OK)
        return err_wrap(e, "--debezium-brokers, -group, -topics");
    return check_debezium_dsn(c, e);
}

/* At most one of the flags that name a source. */
static enum err_code check_one(const struct config *c, struct err *e)
{
    const struct {
        const char *flag, *value;
    } flags[] = {{"--pg-proxied", c->pg_proxied},
                 {"--mysql-proxied", c->mysql_proxied},
                 {"--debezium-brokers", c->debezium_brokers}};
    const char *found = NULL;

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        if (!*flags[i].value)
            continue;
        if (found)
            return err_set(e, ERR_CONFIG, "%s and %s: a node mirrors one source", found,
                           flags[i].flag);
        found = flags[i].flag;
    }
    return ERR_OK;
}

enum err_code sources_check(const struct config *c, struct err *e)
{
    const struct pg_source_options pg = pg_options(c, c->pg_proxied);
    const struct my_source_options my = my_options(c, "");
    enum kind kind = kind_of(c);

    if (kind != KIND_DEBEZIUM &&
        (*c->debezium_group || *c->debezium_topics || *c->debezium_source_dsn))
        return err_set(e, ERR_CONFIG, "the flags --debezium-… need --debezium-brokers");
    if (kind == KIND_NONE)
        return ERR_OK;
    if (!*c->proxy_local)
        return err_set(e, ERR_CONFIG, "--proxy-local is to name the database that mirrors");
    if (check_one(c, e) != ERR_OK)
        return e->code;
    switch (kind) {
    case KIND_DEBEZIUM:
        return check_debezium(c, e);
    case KIND_MYSQL:
        return my_source_check(&my, e);
    default:
        return pg_source_check(&pg, e);
    }
}

/* ---- life ---- */

static enum err_code redirect(struct sources *s, struct err *e)
{
    const char *dsn;
    enum kind kind = redirection(s->config, &dsn);
    const struct pg_upstream_options pg = {.node = s->node,
                                           .dsn = dsn,
                                           .database = s->database,
                                           .read_your_writes = s->config->proxy_read_your_writes};
    const struct my_upstream_options my = {.node = s->node,
                                           .dsn = dsn,
                                           .database = s->database,
                                           .read_your_writes = s->config->proxy_read_your_writes};

    if (kind == KIND_POSTGRESQL && pg_upstream_new(&s->pg_upstream, &pg, e) == ERR_OK)
        node_set_upstream(s->node, &pg_upstream_ops, s->pg_upstream);
    else if (kind == KIND_MYSQL && my_upstream_new(&s->my_upstream, &my, e) == ERR_OK)
        node_set_upstream(s->node, &my_upstream_ops, s->my_upstream);
    return e->code;
}

static enum err_code new_source(struct sources *s, struct err *e)
{
    const struct pg_source_options pg = pg_options(s->config, s->config->pg_proxied);
    const struct my_source_options my = my_options(s->config, s->database);
    const struct kafka_options kafka = kafka_options(s->config);

    switch (kind_of(s->config)) {
    case KIND_DEBEZIUM:
        return debezium_source_new(&s->debezium, &kafka, e);
    case KIND_MYSQL:
        return my_source_new(&s->my, &my, e);
    default:
        return pg_source_new(&s->pg, &pg, e);
    }
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
    if (code == ERR_OK)
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
    struct source_options o = {
        .node = s->node, .database = s->database, .use_schema = s->config->proxy_use_schema};
    if (s->debezium) {
        o.driver = &debezium_source_driver;
        o.arg = s->debezium;
    } else if (s->my) {
        o.driver = &my_source_driver;
        o.arg = s->my;
    } else {
        o.driver = &pg_source_driver;
        o.arg = s->pg;
    }
    return source_start(&s->source, &o, e);
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
    debezium_source_free(s->debezium);
    pg_upstream_free(s->pg_upstream);
    my_upstream_free(s->my_upstream);
    free(s->database);
    free(s);
}
