#include "server/sources.h"

#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "proxy/debezium_source.h"
#include "proxy/pg_source.h"
#include "proxy/pg_upstream.h"
#include "proxy/source.h"
#include "server/files.h"

struct sources {
    const struct config *config;
    struct node *node;
    char *database;       /* id of the one that mirrors */
    struct pg_source *pg; /* one of the two */
    struct debezium_source *debezium;
    struct pg_upstream *pg_upstream; /* NULL: writes stay here */
    struct source *source;
};

static bool is_debezium(const struct config *c)
{
    return *c->debezium_brokers != '\0';
}

bool sources_wanted(const struct config *c)
{
    return *c->pg_proxied != '\0' || is_debezium(c);
}

/* Where the writes of clients go; "" = nowhere else. */
static const char *upstream_dsn(const struct config *c)
{
    return is_debezium(c) ? c->debezium_source_dsn : c->pg_proxied;
}

static struct pg_source_options pg_options(const struct config *c)
{
    return (struct pg_source_options){
        .dsn = upstream_dsn(c), .publication = c->pg_publication, .slot = c->pg_slot};
}

static struct kafka_options kafka_options(const struct config *c)
{
    return (struct kafka_options){
        .brokers = c->debezium_brokers, .group = c->debezium_group, .topics = c->debezium_topics};
}

static bool begins_with(const char *text, const char *scheme)
{
    return strncmp(text, scheme, strlen(scheme)) == 0;
}

static enum err_code check_debezium_dsn(const struct config *c, struct err *e)
{
    const struct pg_source_options pg = pg_options(c);

    if (!*c->debezium_source_dsn || c->proxy_disable_redirect)
        return ERR_OK;
    if (!begins_with(c->debezium_source_dsn, "postgres://") &&
        !begins_with(c->debezium_source_dsn, "postgresql://"))
        return err_set(e, ERR_CONFIG,
                       "--debezium-source-dsn: writes are redirected to postgres://… only; without "
                       "it they stay in the local database");
    if (c->proxy_read_your_writes)
        return err_set(e, ERR_CONFIG,
                       "--proxy-read-your-writes: Debezium's events do not tell which write they "
                       "come from, so that it cannot be waited for with --debezium-brokers");
    return pg_source_check(&pg, e) ? err_wrap(e, "--debezium-source-dsn") : ERR_OK;
}

static enum err_code check_debezium(const struct config *c, struct err *e)
{
    const struct kafka_options kafka = kafka_options(c);

    if (*c->pg_proxied)
        return err_set(e, ERR_CONFIG, "--debezium-brokers and --pg-proxied name two sources");
    if (!*c->debezium_group || !*c->debezium_topics)
        return err_set(e, ERR_CONFIG,
                       "--debezium-brokers needs --debezium-group and --debezium-topics");
    if (debezium_source_check(&kafka, e) != ERR_OK)
        return err_wrap(e, "--debezium-brokers, -group, -topics");
    return check_debezium_dsn(c, e);
}

enum err_code sources_check(const struct config *c, struct err *e)
{
    const struct pg_source_options pg = pg_options(c);

    if (!is_debezium(c) && (*c->debezium_group || *c->debezium_topics || *c->debezium_source_dsn))
        return err_set(e, ERR_CONFIG, "the flags --debezium-… need --debezium-brokers");
    if (!sources_wanted(c))
        return ERR_OK;
    if (!*c->proxy_local)
        return err_set(e, ERR_CONFIG, "--proxy-local is to name the database that mirrors");
    return is_debezium(c) ? check_debezium(c, e) : pg_source_check(&pg, e);
}

static enum err_code redirect(struct sources *s, struct err *e)
{
    const struct pg_upstream_options o = {.node = s->node,
                                          .dsn = upstream_dsn(s->config),
                                          .database = s->database,
                                          .read_your_writes = s->config->proxy_read_your_writes};
    enum err_code code = pg_upstream_new(&s->pg_upstream, &o, e);

    if (code == ERR_OK)
        node_set_upstream(s->node, &pg_upstream_ops, s->pg_upstream);
    return code;
}

static enum err_code new_source(struct sources *s, struct err *e)
{
    const struct kafka_options kafka = kafka_options(s->config);
    const struct pg_source_options pg = pg_options(s->config);

    return is_debezium(s->config) ? debezium_source_new(&s->debezium, &kafka, e)
                                  : pg_source_new(&s->pg, &pg, e);
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
    if (code == ERR_OK && !c->proxy_disable_redirect && *upstream_dsn(c))
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
    struct source_options o = {.node = s->node,
                               .database = s->database,
                               .driver = &pg_source_driver,
                               .arg = s->pg,
                               .use_schema = s->config->proxy_use_schema};
    if (s->debezium) {
        o.driver = &debezium_source_driver;
        o.arg = s->debezium;
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
    debezium_source_free(s->debezium);
    pg_upstream_free(s->pg_upstream);
    free(s->database);
    free(s);
}
