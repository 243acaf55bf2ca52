#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/node.h"
#include "nats/server.h"
#include "os/file.h"
#include "os/port.h"
#include "os/signal.h"
#include "script/script.h"
#include "server/files.h"
#include "server/sources.h"
#include "sql/conn.h"
#include "wire/grpc/grpc.h"
#include "wire/grpc/upstream.h"
#include "wire/http/http.h"
#include "wire/mysql/mysql.h"
#include "wire/pg/pg.h"

#define NATS_START_WAIT  (10 * CLOCK_S)
#define HTTP_STOP_WAIT   (7 * CLOCK_S) /* of SERVER_STOP_S: what is left belongs to the node */
#define NODE_STOP_WAIT   (9 * CLOCK_S)
#define NATS_STOP_LEAST  (2 * CLOCK_S) /* even when the others used up the time */
#define NATS_QUIET_LIMIT (15 * CLOCK_S)
#define NATS_HANG_LIMIT  (45 * CLOCK_S)
#define NATS_RESTART_GAP (300 * CLOCK_S) /* between restarts of a server that is of no use */
#define DEFAULT_FILE     "ha.db"
#define SHM_DIR          "/dev/shm"
#define SHM_LITTLE       (UINT64_C(256) << 20) /* bytes: containers have 64 MiB by default */

struct server {
    const struct config *config; /* borrowed */
    struct server_host host;
    struct file_list files;
    char *data_dir;               /* of the first database */
    char *nats_dir;               /* the embedded NATS' store */
    struct nats_server *nats;     /* NULL = none */
    int64_t restarted_quiet_ns;   /* the node's ticker only: how long it had been quiet then */
    int64_t restarted_useless_ns; /* the node's watch thread only; 0 = never */
    uint64_t restarted_restarts;  /* … and how often the one that was told had died before */
    int64_t hangs_since_ns;       /* the same thread; 0 = it does not */
    struct node_options options;
    struct script *script; /* NULL = there is no interceptor */
    struct node *node;
    struct grpc_upstream *upstream; /* NULL = no leader */
    struct sources *sources;        /* NULL = none */
    struct http_server *http;       /* NULL = none */
    struct grpc_server *grpc;       /* NULL = none; on HTTP's port */
    struct pg_server *pg;           /* NULL = none */
    struct mysql_server *mysql;     /* NULL = none */
    bool up;
};

/* ---- where things live ---------------------------------------------------------------------- */

static char *join(const char *dir, const char *name)
{
    char *path = NULL;

    if (!*dir || strcmp(dir, ".") == 0)
        return strdup(name);
    return asprintf(&path, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name) < 0 ? NULL
                                                                                            : path;
}

static enum err_code list_files(struct file_list *files, const struct config *c,
                                const char *fallback, struct err *e)
{
    enum err_code code =
        file_list_expand(files, c->files, c->n_files, sources_wanted(c) ? c->proxy_local : fallback,
                         *c->create_db_dir != '\0', e);
    if (code == ERR_OK && sources_wanted(c) && file_list_include(files, c->proxy_local, e)) {
        file_list_free(files);
        return e->code;
    }
    return code;
}

static const char *db_params(const struct config *c)
{
    return strcmp(c->db_params, "default") == 0 ? "" : c->db_params;
}

static enum err_code choose_places(struct server *s, struct err *e)
{
    const struct config *c = s->config;
    char *fallback;
    enum err_code code = ERR_OK;

    if (*c->create_db_dir)
        code = file_make_dirs(c->create_db_dir, 0755, e);
    if (code)
        return code;
    fallback = join(c->create_db_dir, DEFAULT_FILE);
    if (!fallback)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    code = list_files(&s->files, c, fallback, e);
    free(fallback);
    if (code)
        return code;
    if (s->files.unmatched)
        LOG_WARN("no file matches the pattern", LOG_STR("pattern", s->files.unmatched));
    s->data_dir = file_list_directory(s->files.names[0]);
    if (s->data_dir)
        s->nats_dir = *c->nats_store_dir ? strdup(c->nats_store_dir) : join(s->data_dir, "ha_nats");
    if (!s->data_dir || !s->nats_dir)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    return ERR_OK;
}

/* ---- NATS ----------------------------------------------------------------------------------- */

static enum err_code start_nats(struct server *s, struct err *e)
{
    const struct config *c = s->config;
    struct nats_server_options o = {.server_name = c->name,
                                    .port = c->nats_port,
                                    .store_dir = s->nats_dir,
                                    .config = c->nats_config,
                                    .user = c->nats_user,
                                    .pass = c->nats_pass,
                                    .sync_always = c->nats_sync == 0,
                                    .replicas = c->replicas,
                                    .logs = c->nats_logs,
                                    .gave_up = s->host.gave_up};

    if (c->nats_port == 0)
        return ERR_OK;
    return nats_server_start(&s->nats, &o, clock_deadline(NATS_START_WAIT), e);
}

/* A nats-server whose disk was full may keep its connections and never answer for JetStream again
 * (seen with 2.9.10). Ours can be started anew; one with a configuration of its user's may only be
 * waiting for the rest of its cluster. Where the connection is gone it may be on its way back,
 * which takes a big store a while; but not if it listens and does nothing. */
static void restart_quiet_nats(void *arg, int64_t quiet_ns, bool connected)
{
    struct server *s = arg;
    uint64_t restarts = nats_server_restarts(s->nats);

    if (quiet_ns < s->restarted_quiet_ns)
        s->restarted_quiet_ns = 0; /* it has answered in between */
    if (quiet_ns < NATS_QUIET_LIMIT || quiet_ns - s->restarted_quiet_ns < NATS_QUIET_LIMIT)
        return;
    if (!connected && !nats_server_hangs(s->nats))
        return;
    long pid = nats_server_signal(s->nats, restarts, SIGKILL);
    if (pid == 0)
        return;
    s->restarted_quiet_ns = quiet_ns;
    LOG_WARN("nats-server does not answer for JetStream and is started anew", LOG_INT("pid", pid));
}

/* It has its cluster around it, JetStream works there, and through this server it does not: what a
 * person would do is to start it anew (seen with 2.10.27 after a partition: it knew no leader of
 * the metadata, and never learned of one). It hands over what it may still lead. Where it is cut
 * off from the others by the network this does not help; so not too often. */
static void restart_useless_nats(void *arg, const char *server_id)
{
    struct server *s = arg;
    int64_t now = clock_mono_ns();
    uint64_t restarts = nats_server_restarts(s->nats);

    if (s->restarted_useless_ns != 0 && now - s->restarted_useless_ns < NATS_RESTART_GAP)
        return;
    if (!nats_server_is(s->nats, server_id))
        return;
    bool told = s->restarted_useless_ns != 0 && restarts == s->restarted_restarts;
    long pid = nats_server_signal(s->nats, restarts, told ? SIGKILL : SIGTERM);
    if (pid == 0)
        return;
    LOG_WARN("nats-server answers nothing about JetStream while others of its cluster do, and is "
             "started anew",
             LOG_INT("pid", pid), LOG_STR("server_id", server_id));
    s->restarted_useless_ns = now;
    s->restarted_restarts = restarts;
}

/* One with a configuration of its user's that takes connections and greets nobody: to its cluster,
 * too, it is as good as dead. A process that is stopped takes no signal but this one. */
static void restart_hanging_nats(void *arg)
{
    struct server *s = arg;
    int64_t now = clock_mono_ns();
    uint64_t restarts = nats_server_restarts(s->nats);

    if (!nats_server_hangs(s->nats)) {
        s->hangs_since_ns = 0;
        return;
    }
    if (s->hangs_since_ns == 0)
        s->hangs_since_ns = now;
    if (now - s->hangs_since_ns < NATS_HANG_LIMIT)
        return;
    s->hangs_since_ns = 0;
    long pid = nats_server_signal(s->nats, restarts, SIGKILL);
    if (pid > 0)
        LOG_WARN("nats-server takes connections, does nothing with them, and is started anew",
                 LOG_INT("pid", pid));
}

/* ---- the node ------------------------------------------------------------------------------- */

/* The choices in flags.h stand in the order of these. */
_Static_assert(CONSISTENCY_SERIALIZABLE == 0 && CONSISTENCY_LWW == 1, "--consistency");
_Static_assert(PG_AUTH_SCRAM == 0 && PG_AUTH_MD5 == 1 && PG_AUTH_PASSWORD == 2, "--pg-auth");
_Static_assert(ROW_BY_PK == 0 && ROW_BY_ROWID == 1 && ROW_BY_FULL == 2, "--row-identify");

static void fill_options(struct server *s)
{
    const struct config *c = s->config;
    struct node_options *o = &s->options;
    bool embedded = s->nats && !*c->replication_url;

    o->name = c->name;
    o->version = HA_VERSION;
    o->token = c->token;
    o->consistency = (enum consistency)c->consistency;
    o->async_replication = c->async_replication;
    o->disable_ddl_sync = c->disable_ddl_sync;
    o->row_identify = (enum row_identify)c->row_identify;
    o->leader_addr = c->leader_addr;
    o->leader_static = c->leader_static;
    o->nats_url = embedded ? nats_server_url(s->nats) : c->replication_url;
    /* A URL says its own credentials; those of the flags are the embedded server's. */
    o->nats_user = embedded ? c->nats_user : "";
    o->nats_pass = embedded ? c->nats_pass : "";
    o->stream = c->replication_stream;
    o->replicas = c->replicas;
    o->replicas_explicit = config_is_set(c, CONFIG_REPLICAS);
    o->max_age_ns = c->replication_max_age_ns;
    o->max_age_explicit = config_is_set(c, CONFIG_REPLICATION_MAX_AGE);
    o->replication_timeout_ns = c->replication_timeout_ns;
    o->policy = c->policy;
    o->policy_seq = c->policy_seq;
    o->policy_time_ns = c->policy_time_ns;
    o->memory = c->memory;
    o->create_db_dir = c->create_db_dir;
    o->data_dir = s->data_dir;
    o->db_params = db_params(c);
    o->extensions = (const char *const *)c->extension_list;
    o->concurrent_queries = c->concurrent_queries;
    o->query_timeout_ns = c->query_timeout_ns;
    o->tx_idle_timeout_ns = c->tx_idle_timeout_ns;
    o->snapshot_interval_ns = c->snapshot_interval_ns;
    o->from_latest_snapshot = c->from_latest_snapshot;
    o->adopt = c->adopt;
    o->max_result_bytes = (size_t)c->max_result_bytes;
    o->interceptor = s->script;
    if (embedded && !*c->nats_config) {
        o->log_quiet = restart_quiet_nats;
        o->log_quiet_arg = s;
    }
    if (s->nats && *c->nats_config) { /* a generated one has no cluster */
        o->server_useless = restart_useless_nats;
        o->server_useless_arg = s;
        o->server_left = restart_hanging_nats;
    }
}

static enum err_code load_script(const struct config *c, struct script **out, struct err *e)
{
    *out = NULL;
    if (!*c->interceptor)
        return ERR_OK;
    enum err_code code = script_load(out, c->interceptor, (size_t)c->interceptor_memory, e);
    return code ? err_wrap(e, "--interceptor") : ERR_OK;
}

static void warn_about_memory(void)
{
    uint64_t left = file_free_bytes(SHM_DIR);

    if (left < SHM_LITTLE)
        LOG_WARN("little room for databases in memory (Docker: --shm-size)",
                 LOG_STR("dir", SHM_DIR), LOG_UINT("free_bytes", left));
}

/* Where a leader is wanted clients' writes go to it. */
static enum err_code set_upstream(struct server *s, struct err *e)
{
    const struct config *c = s->config;

    if (!*c->leader_addr && !*c->leader_static)
        return ERR_OK;
    if (grpc_upstream_new(&s->upstream, s->node, *c->grpc_token ? c->grpc_token : c->token,
                          c->grpc_insecure, e) != ERR_OK)
        return e->code;
    node_set_upstream(s->node, &grpc_upstream_ops, s->upstream);
    return ERR_OK;
}

static enum err_code start_node(struct server *s, struct err *e)
{
    enum err_code code = load_script(s->config, &s->script, e);

    if (code)
        return code;
    fill_options(s);
    if (!*s->options.nats_url)
        LOG_WARN("no replication: there is neither an embedded NATS nor a --replication-url");
    if (s->config->memory)
        warn_about_memory();
    code = node_new(&s->node, &s->options, e);
    if (!code)
        code = set_upstream(s, e);
    for (size_t i = 0; i < s->files.n && !code; i++)
        code = node_add_file(s->node, s->files.names[i], e);
    if (!code)
        code = sources_new(&s->sources, s->config, s->node, e);
    if (!code)
        code = node_start(s->node, e);
    return code ? code : sources_start(s->sources, e);
}

/* ---- for people ----------------------------------------------------------------------------- */

static void greet(const struct server *s, int64_t begin_ns)
{
    const struct config *c = s->config;
    char url[512];
    const char *nats = s->options.nats_url;
    const char *mode = c->consistency == CONSISTENCY_LWW ? "lww" : "serializable";

    const char *scheme = *c->cert ? "https" : "http";
    char pg[512] = "", mysql[512] = "";

    (void)log_url(nats, url, sizeof url);
    if (s->pg)
        (void)snprintf(pg, sizeof pg, "  PostgreSQL   postgresql://%s@localhost:%u\n", c->pg_user,
                       pg_port(s->pg));
    if (s->mysql)
        (void)snprintf(mysql, sizeof mysql, "  MySQL        mysql://%s@localhost:%u\n",
                       c->mysql_user, mysql_port(s->mysql));
    LOG_INFO("node is up", LOG_STR("node", c->name), LOG_STR("version", HA_VERSION),
             LOG_UINT("http_port", s->http ? http_port(s->http) : 0),
             LOG_UINT("pg_port", s->pg ? pg_port(s->pg) : 0),
             LOG_UINT("mysql_port", s->mysql ? mysql_port(s->mysql) : 0), LOG_STR("nats", url),
             LOG_STR("consistency", mode), LOG_UINT("databases", s->files.n),
             LOG_INT("ms", (clock_mono_ns() - begin_ns) / CLOCK_MS));
    if (!s->http || !s->host.greet || !isatty(STDOUT_FILENO))
        return;
    (void)printf("\n  ha %s, node %s\n\n"
                 "  HTTP         %s://localhost:%u\n"
                 "%s%s"
                 "  NATS         %s%s%s\n"
                 "  Databases    %s%s\n"
                 "  Consistency  %s\n\n"
                 "  curl -d '{\"sql\": \"SELECT sqlite_version()\"}' %s://localhost:%u\n"
                 "  Ctrl-C stops it.\n\n",
                 HA_VERSION, c->name, scheme, http_port(s->http), pg, mysql,
                 *nats ? url : "none: no replication", s->nats ? ", nats-server " : "",
                 s->nats ? nats_server_version(s->nats) : "", s->files.names[0],
                 s->files.n > 1 ? " and others" : (c->memory ? " (in memory)" : ""), mode, scheme,
                 http_port(s->http));
    (void)fflush(stdout);
}

static struct pg_options pg_options(const struct config *c)
{
    return (struct pg_options){.port = (uint16_t)c->pg_port,
                               .user = c->pg_user,
                               .pass = c->pg_pass,
                               .users_file = c->pg_users,
                               .cert = c->pg_cert,
                               .key = c->pg_key,
                               .auth = (enum pg_auth)c->pg_auth};
}

static enum err_code start_pg(struct server *s, struct err *e)
{
    const struct config *c = s->config;
    const struct pg_options o = pg_options(c);

    if (c->pg_port == 0)
        return ERR_OK;
    if (!*c->pg_pass)
        LOG_WARN("PostgreSQL clients need no password: --pg-pass is empty",
                 LOG_STR("user", c->pg_user));
    return pg_start(&s->pg, s->node, &o, e);
}

static struct http_options http_options(const struct config *c)
{
    return (struct http_options){.port = (uint16_t)c->port, .cert = c->cert, .key = c->key};
}

static enum err_code start_http(struct server *s, struct err *e)
{
    const struct config *c = s->config;
    const struct grpc_options grpc = {.token = c->grpc_token,
                                      .timeout_ns = c->grpc_timeout_ns,
                                      .max_message_bytes = (size_t)c->grpc_max_message_bytes};
    struct http_options http = http_options(c);

    if (http.port == 0)
        return ERR_OK;
    if (grpc_new(&s->grpc, s->node, &grpc, e) != ERR_OK)
        return e->code;
    http.h2 = grpc_serve;
    http.h2_arg = s->grpc;
    return http_start(&s->http, s->node, &http, e);
}

static struct mysql_options mysql_options(const struct config *c)
{
    return (struct mysql_options){.port = (uint16_t)c->mysql_port,
                                  .user = c->mysql_user,
                                  .pass = c->mysql_pass,
                                  .cert = c->mysql_cert,
                                  .key = c->mysql_key};
}

static enum err_code start_mysql(struct server *s, struct err *e)
{
    const struct config *c = s->config;
    const struct mysql_options o = mysql_options(c);

    if (c->mysql_port == 0)
        return ERR_OK;
    if (!*c->mysql_pass)
        LOG_WARN("MySQL clients need no password: --mysql-pass is empty",
                 LOG_STR("user", c->mysql_user));
    return mysql_start(&s->mysql, s->node, &o, e);
}

/* ---- what the configuration names ----------------------------------------------------------- */

static enum err_code check_databases(const struct config *c, struct err *e)
{
    struct file_list files;
    struct conn_config conn = {.path = NULL};
    enum err_code code = conn_parse_params(&conn, db_params(c), e);

    if (code)
        return err_wrap(e, "--db-params");
    code = list_files(&files, c, DEFAULT_FILE, e);
    if (code)
        return code;
    for (size_t i = 0; i < files.n && !code; i++)
        if ((code = conn_parse_params(&conn, file_list_params(files.names[i]), e)))
            (void)err_wrap(e, "%s", files.names[i]);
    file_list_free(&files);
    return code;
}

enum err_code server_check(const struct config *c, struct err *e)
{
    const struct pg_options pg = pg_options(c);
    const struct mysql_options mysql = mysql_options(c);
    const struct http_options http = http_options(c);
    struct script *script;
    enum err_code code = check_databases(c, e);

    if (!code)
        code = sources_check(c, e);
    if (!code)
        code = load_script(c, &script, e);
    if (!code)
        script_free(script);
    if (!code && c->port != 0)
        code = http_check(&http, e);
    if (!code && c->pg_port != 0)
        code = pg_check(&pg, e);
    return !code && c->mysql_port != 0 ? mysql_check(&mysql, e) : code;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static bool is_taken(int port, const char *flag, struct err *e)
{
    if (port <= 0 || port_is_free((uint16_t)port))
        return false;
    (void)err_set(e, ERR_BUSY, "port %d is in use by another program; choose another --%s", port,
                  flag);
    return true;
}

static enum err_code start(struct server *s, struct err *e)
{
    enum err_code code;

    /* Known before the databases and their streams are created. */
    if (is_taken(s->config->port, "port", e) || is_taken(s->config->pg_port, "pg-port", e) ||
        is_taken(s->config->mysql_port, "mysql-port", e))
        return e->code;
    code = server_check(s->config, e);
    if (!code)
        code = choose_places(s, e);
    if (!code)
        code = conn_library_init(e);
    if (!code)
        code = start_nats(s, e);
    if (!code)
        code = start_node(s, e);
    /* HTTP last: who sees /readyz answer may use every port. */
    if (!code)
        code = start_pg(s, e);
    if (!code)
        code = start_mysql(s, e);
    if (!code)
        code = start_http(s, e);
    if (!code && s->host.gave_up && s->host.gave_up())
        code = err_set(e, ERR_SHUTDOWN, "stopped while starting");
    return code;
}

enum err_code server_start(struct server **out, const struct config *c,
                           const struct server_host *host, struct err *e)
{
    struct server *s = calloc(1, sizeof *s);
    int64_t begin = clock_mono_ns();

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->config = c;
    s->host = *host;
    if (start(s, e)) {
        server_stop(s);
        return e->code;
    }
    s->up = true;
    greet(s, begin);
    *out = s;
    return ERR_OK;
}

struct node *server_node(const struct server *s)
{
    return s->node;
}

const char *server_nats_url(const struct server *s)
{
    return s->options.nats_url;
}

void server_stop(struct server *s)
{
    int64_t begin = clock_mono_ns();
    int64_t nats_deadline = begin + SERVER_STOP_S * CLOCK_S;
    bool was_up = s && s->up;

    if (!s)
        return;
    if (s->node)
        node_abdicate(s->node); /* another one takes over while this one still answers */
    grpc_quit(s->grpc);
    http_stop(s->http, begin + HTTP_STOP_WAIT);
    pg_stop(s->pg, begin + HTTP_STOP_WAIT);
    mysql_stop(s->mysql, begin + HTTP_STOP_WAIT);
    sources_stop(s->sources);
    if (s->node)
        node_stop(s->node, begin + NODE_STOP_WAIT);
    http_free(s->http);
    grpc_free(s->grpc);
    pg_free(s->pg);
    mysql_free(s->mysql);
    sources_free(s->sources);
    node_free(s->node);
    grpc_upstream_free(s->upstream);
    script_free(s->script);
    if (s->nats) {
        if (nats_deadline < clock_deadline(NATS_STOP_LEAST))
            nats_deadline = clock_deadline(NATS_STOP_LEAST);
        nats_server_stop(s->nats, nats_deadline);
    }
    nats_server_free(s->nats);
    file_list_free(&s->files);
    free(s->data_dir);
    free(s->nats_dir);
    free(s);
    if (was_up)
        LOG_INFO("node is stopped", LOG_INT("ms", (clock_mono_ns() - begin) / CLOCK_MS));
}
