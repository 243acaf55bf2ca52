/* Do the values make sense together, and does this version have what they ask for? */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "nats/url.h"
#include "server/config.h"
#include "server/config_flags.h"

#define NAME_MAX_BYTES           255 /* what a message of the log has room for */
#define STREAM_MAX_BYTES         128
#define ADDRESS_MAX_BYTES        255 /* what a lease has room for */
#define INTERCEPTOR_MEMORY_LEAST ((uint64_t)1 << 20)

/* A flag whose capability does not exist is refused, never ignored. */
static enum err_code check_missing(const struct config *c, struct err *e)
{
    for (int id = 0; id < CONFIG_COUNT; id++) {
        const struct flag *f = &config_flags[id];
        char env[FLAG_ENV_SIZE];
        bool by_env = c->sources[id] == SOURCE_ENV;

        if (!f->missing || c->sources[id] == SOURCE_DEFAULT || strcmp(c->texts[id], f->text) == 0)
            continue;
        /* The same value spelled differently: "0" and "0s". */
        if ((f->type == FLAG_INT && *(const int *)((const char *)c + f->offset) == 0) ||
            (f->type == FLAG_DURATION && *(const int64_t *)((const char *)c + f->offset) == 0) ||
            (f->type == FLAG_BOOL && !*(const bool *)((const char *)c + f->offset)))
            continue;
        config_env_name(f, env);
        return err_set(e, ERR_CONFIG, "%s%s is refused: %s", by_env ? "" : "--",
                       by_env ? env : f->name, f->missing);
    }
    return ERR_OK;
}

/* What only a client has a use for. In a file or the environment it may stand for both. */
static enum err_code check_client(const struct config *c, struct err *e)
{
    static const enum config_id ids[] = {CONFIG_COMMAND, CONFIG_DATABASE, CONFIG_MODE,
                                         CONFIG_CACERT};

    for (size_t i = 0; i < sizeof ids / sizeof *ids && !*c->remote; i++)
        if (c->sources[ids[i]] == SOURCE_FLAG)
            return err_set(e, ERR_CONFIG, "--%s is for a client: it needs --remote URL",
                           config_flags[ids[i]].name);
    return ERR_OK;
}

static enum err_code check_names(const struct config *c, struct err *e)
{
    if (!*c->name)
        return err_set(e, ERR_CONFIG, "--name is empty");
    if (strlen(c->name) > NAME_MAX_BYTES)
        return err_set(e, ERR_CONFIG, "--name is longer than %d bytes", NAME_MAX_BYTES);
    for (const char *p = c->name; *p; p++)
        if (iscntrl((unsigned char)*p))
            return err_set(e, ERR_CONFIG, "--name has a control character");
    if (!*c->replication_stream || strlen(c->replication_stream) > STREAM_MAX_BYTES ||
        strpbrk(c->replication_stream, " \t\r\n.*>/\\"))
        return err_set(e, ERR_CONFIG,
                       "--replication-stream: '%s' is not a NATS stream name (1 to %d bytes, no "
                       "blanks, none of . * > / \\)",
                       c->replication_stream, STREAM_MAX_BYTES);
    return ERR_OK;
}

static enum err_code check_policy(struct config *c, struct err *e)
{
    return start_parse(c->replication_policy, &c->policy, &c->policy_seq, &c->policy_time_ns, e)
               ? err_wrap(e, "--replication-policy")
               : ERR_OK;
}

static enum err_code check_extensions(struct config *c, struct err *e)
{
    list_free(c->extension_list);
    c->extension_list = list_split(c->extensions);
    return c->extension_list ? ERR_OK : err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* The server takes a password that looks like a bcrypt hash for one. */
static enum err_code check_credentials(const struct config *c, struct err *e)
{
    const char *texts[] = {c->nats_user, c->nats_pass};

    for (int i = 0; i < 2; i++)
        if (nats_credential_check(texts[i], e) != ERR_OK)
            return err_wrap(e, i == 0 ? "--nats-user" : "--nats-pass");
    if (strncmp(c->nats_pass, "$2", 2) == 0 && c->nats_pass[2] && c->nats_pass[3] == '$')
        return err_set(e, ERR_CONFIG, "--nats-pass looks like a bcrypt hash: give the password");
    if (*c->nats_pass && !*c->nats_user)
        return err_set(e, ERR_CONFIG, "--nats-pass needs --nats-user");
    return ERR_OK;
}

static enum err_code check_url(const struct config *c, struct err *e)
{
    if (*c->replication_url && nats_urls_check(c->replication_url, e))
        return err_wrap(e, "--replication-url");
    return ERR_OK;
}

/* host:port, as whoever connects to it has to have it. */
static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end = NULL;

    if (!colon || colon == text || strlen(text) > ADDRESS_MAX_BYTES)
        return false;
    for (const char *p = text; *p; p++)
        if (isspace((unsigned char)*p) || iscntrl((unsigned char)*p) || *p == '/')
            return false;
    long port = isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : 0;
    return port > 0 && port <= 65535 && *end == '\0';
}

static enum err_code check_leader(const struct config *c, struct err *e)
{
    const char *flag = *c->leader_addr ? "--leader-addr" : "--leader-static";
    const char *address = *c->leader_addr ? c->leader_addr : c->leader_static;

    if (!*address)
        return ERR_OK;
    if (*c->leader_addr && *c->leader_static)
        return err_set(e, ERR_CONFIG,
                       "--leader-addr lets the nodes elect a leader, and --leader-static names it: "
                       "they cannot be combined");
    if (!is_address(address))
        return err_set(e, ERR_CONFIG, "%s: \"%.100s\" is no address: host:port is wanted", flag,
                       address);
    if (*c->leader_addr && !c->grpc_insecure && !*c->cert)
        return err_set(e, ERR_CONFIG,
                       "--leader-addr: the others speak TLS to a leader, and this node has no "
                       "--cert; on a network where that may be, --grpc-insecure does without");
    if (*c->leader_addr && c->grpc_insecure && *c->cert)
        return err_set(e, ERR_CONFIG,
                       "--leader-addr: with --cert this node speaks nothing but TLS, and with "
                       "--grpc-insecure the others do without");
    if (c->nats_port == 0 && !*c->replication_url)
        return err_set(e, ERR_CONFIG,
                       "%s: what the leader writes comes back through the log, and there is "
                       "neither an embedded NATS nor a --replication-url",
                       flag);
    if ((*c->pg_proxied || *c->mysql_proxied || *c->debezium_source_dsn) &&
        !c->proxy_disable_redirect)
        return err_set(e, ERR_CONFIG,
                       "%s: writes go to the source already; with --proxy-disable-redirect they go "
                       "to the leader",
                       flag);
    if (*c->leader_addr && c->port == 0)
        return err_set(e, ERR_CONFIG,
                       "--leader-addr: the others reach a leader by its --port, and that is 0");
    return ERR_OK;
}

/* What a script makes of a transaction it makes of it everywhere, in the order of the log; that is
 * last writer wins. */
static enum err_code check_interceptor(struct config *c, struct err *e)
{
    if (c->interceptor_memory < INTERCEPTOR_MEMORY_LEAST)
        return err_set(e, ERR_CONFIG, "--interceptor-memory is less than 1MiB");
    if (!*c->interceptor)
        return ERR_OK;
    if (config_is_set(c, CONFIG_CONSISTENCY) && c->consistency == CONSISTENCY_SERIALIZABLE)
        return err_set(e, ERR_CONFIG,
                       "--interceptor changes what transactions have done when their clients have "
                       "been answered: it cannot be combined with --consistency serializable, "
                       "which has no conflicts to decide");
    if (c->async_replication)
        return err_set(e, ERR_CONFIG,
                       "--interceptor decides in the order of the log, and --async-replication "
                       "writes ahead of it: the two cannot be combined");
    if (c->disable_ddl_sync)
        return err_set(e, ERR_CONFIG,
                       "--interceptor makes this node take its own transactions from the log, too, "
                       "and --disable-ddl-sync leaves their schema changes out there: the two "
                       "cannot be combined");
    if (c->nats_port == 0 && !*c->replication_url && !*c->remote)
        return err_set(e, ERR_CONFIG,
                       "--interceptor needs replication: --nats-port is 0, and "
                       "there is no --replication-url");
    if (*c->pg_proxied || *c->mysql_proxied || *c->debezium_brokers)
        return err_set(e, ERR_CONFIG,
                       "--interceptor could skip what says how far a source has been followed: it "
                       "cannot be combined with --pg-proxied, --mysql-proxied, --debezium-brokers");
    c->consistency = CONSISTENCY_LWW;
    return ERR_OK;
}

static enum err_code check_together(struct config *c, struct err *e)
{
    if (c->async_replication && config_is_set(c, CONFIG_CONSISTENCY) &&
        c->consistency == CONSISTENCY_SERIALIZABLE)
        return err_set(e, ERR_CONFIG,
                       "--async-replication commits before others can object: it cannot be "
                       "combined with --consistency serializable");
    if (c->async_replication)
        c->consistency = CONSISTENCY_LWW;
    if (c->async_replication && c->row_identify == ROW_BY_ROWID)
        return err_set(e, ERR_CONFIG,
                       "--async-replication writes ahead of the log, so rowids differ from node to "
                       "node: it cannot be combined with --row-identify rowid");
    if (check_leader(c, e) != ERR_OK)
        return e->code;
    if (c->nats_port == 0 && *c->nats_config)
        return err_set(e, ERR_CONFIG,
                       "--nats-config configures the embedded NATS, which "
                       "--nats-port 0 switches off");
    if (c->nats_port > 0 && c->nats_port == c->port && !*c->nats_config)
        return err_set(e, ERR_CONFIG, "--port and --nats-port are both %d", c->port);
    return ERR_OK;
}

enum err_code config_check(struct config *c, struct err *e)
{
    enum err_code code = check_missing(c, e);

    if (!code)
        code = check_client(c, e);
    if (!code)
        code = check_names(c, e);
    if (!code)
        code = check_policy(c, e);
    if (!code)
        code = check_extensions(c, e);
    if (!code)
        code = check_credentials(c, e);
    if (!code)
        code = check_url(c, e);
    if (!code)
        code = check_together(c, e);
    if (!code)
        code = check_interceptor(c, e);
    return code;
}
