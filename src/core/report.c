/* What the node tells about itself: readiness, /status, /metrics, the list of databases. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "core/impl.h"

/* The databases as they are now, each with a reference; NULL-terminated. NULL: out of memory. */
static struct database **list(struct node *n)
{
    pthread_mutex_lock(&n->mu);
    struct database **dbs = calloc(n->n_dbs + 1, sizeof(struct database *));
    for (size_t i = 0; dbs && i < n->n_dbs; i++)
        dbs[i] = database_ref(n->dbs[i]);
    pthread_mutex_unlock(&n->mu);
    return dbs;
}

static void list_free(struct database **dbs)
{
    for (size_t i = 0; dbs && dbs[i]; i++)
        database_unref(dbs[i]);
    free(dbs);
}

void node_list_databases(struct node *n, struct buf *json)
{
    struct database **dbs = list(n);
    buf_puts(json, "{\"databases\":[");
    for (size_t i = 0; dbs && dbs[i]; i++) {
        if (i > 0)
            buf_putc(json, ',');
        json_put_cstr(json, database_id(dbs[i]));
    }
    buf_puts(json, "]}");
    list_free(dbs);
}

void node_set_source(struct node *n, const struct node_source *s)
{
    atomic_store(&n->source, s);
}

/* The source that the database mirrors; false = none. */
static bool look_at_source(struct node *n, const struct database *d, struct node_source_status *out)
{
    const struct node_source *s = atomic_load(&n->source);

    if (!s || strcmp(s->database, database_id(d)) != 0)
        return false;
    memset(out, 0, sizeof *out);
    s->look(s->arg, out);
    return true;
}

static bool source_ready(struct node *n, const struct database *d, struct buf *why)
{
    struct node_source_status ss;

    if (!look_at_source(n, d, &ss) || ss.copied)
        return true;
    buf_printf(why, "database \"%s\" does not hold its source's content yet: %s%s%s",
               database_id(d), ss.state, ss.reason[0] ? ", " : "", ss.reason);
    return false;
}

static bool database_ready(struct database *d, bool sync, int64_t deadline_ns, struct buf *why)
{
    struct replica *r = database_replica(d);
    struct replica_status rs;
    struct err e = ERR_INIT;
    if (!r) {
        buf_printf(why, "database \"%s\" is not open yet", database_id(d));
        return false;
    }
    replica_status(r, &rs);
    if (rs.state != REPLICA_FOLLOWING) {
        buf_printf(why, "database \"%s\": %s", database_id(d), rs.reason);
        return false;
    }
    if (!rs.caught_up) {
        buf_printf(why, "database \"%s\" is at %llu of %llu", database_id(d),
                   (unsigned long long)rs.seq, (unsigned long long)rs.last_seq);
        return false;
    }
    if (sync && replica_sync(r, deadline_ns, &e) != ERR_OK) {
        buf_puts(why, e.msg);
        return false;
    }
    return true;
}

bool node_ready(struct node *n, bool sync, int64_t deadline_ns, struct buf *why)
{
    pthread_mutex_lock(&n->mu);
    const char *reason = n->stopping  ? "the node is shutting down"
                         : n->started ? NULL
                                      : "the node is starting";
    pthread_mutex_unlock(&n->mu);
    if (reason) {
        buf_puts(why, reason);
        return false;
    }
    struct database **dbs = list(n);
    bool ready = dbs != NULL;
    for (size_t i = 0; ready && dbs[i]; i++)
        ready = database_ready(dbs[i], sync, deadline_ns, why) && source_ready(n, dbs[i], why);
    list_free(dbs);
    return ready;
}

void node_summary(struct node *n, struct buf *text)
{
    struct database **dbs = list(n);
    struct replica_status rs;
    const char *id = "";
    uint64_t seq = 0, lag = 0;
    size_t count = 0;
    for (; dbs && dbs[count]; count++) {
        if (!database_replica(dbs[count]))
            continue;
        replica_status(database_replica(dbs[count]), &rs);
        uint64_t behind = rs.last_seq > rs.seq ? rs.last_seq - rs.seq : 0;
        if (*id && behind <= lag)
            continue;
        id = database_id(dbs[count]);
        seq = rs.seq;
        lag = behind;
    }
    buf_printf(text, "%zu database%s", count, count == 1 ? "" : "s");
    if (*id)
        buf_printf(text, ", \"%s\" is at %llu, %llu behind its log", id, (unsigned long long)seq,
                   (unsigned long long)lag);
    list_free(dbs);
}

static const char *state_name(enum replica_state state)
{
    switch (state) {
    case REPLICA_OFFLINE:
        return "offline";
    case REPLICA_FOLLOWING:
        return "following";
    case REPLICA_STOPPED:
        return "stopped";
    }
    return "unknown";
}

static const char *mode_name(const struct node_options *opt)
{
    return opt->consistency == CONSISTENCY_LWW ? "lww" : "serializable";
}

static void put_pair(struct buf *json, const char *key, uint64_t value)
{
    buf_putc(json, ',');
    json_put_cstr(json, key);
    buf_putc(json, ':');
    buf_u64(json, value);
}

static void put_time(struct buf *json, const char *key, int64_t wall_ns)
{
    char when[CLOCK_TEXT_SIZE];

    buf_putc(json, ',');
    json_put_cstr(json, key);
    buf_putc(json, ':');
    clock_format(wall_ns, when);
    json_put_cstr(json, wall_ns ? when : NULL);
}

static void put_source(const struct node_source_status *ss, struct buf *json)
{
    buf_puts(json, ",\"source\":{\"kind\":");
    json_put_cstr(json, ss->kind);
    buf_puts(json, ",\"state\":");
    json_put_cstr(json, ss->state);
    buf_puts(json, ",\"reason\":");
    json_put_cstr(json, ss->reason);
    buf_puts(json, ",\"last_error\":");
    json_put_cstr(json, ss->last_error);
    buf_puts(json, ss->copied ? ",\"copied\":true" : ",\"copied\":false");
    buf_puts(json, ",\"position\":");
    json_put_cstr(json, ss->position[0] ? ss->position : NULL);
    put_time(json, "source_time", ss->source_time_ns);
    put_pair(json, "lag", ss->lag);
    buf_puts(json, ",\"lag_unit\":");
    json_put_cstr(json, ss->unit);
    put_pair(json, "transactions", ss->transactions);
    put_pair(json, "changes", ss->changes);
    put_pair(json, "copied_rows", ss->copied_rows);
    put_pair(json, "failures", ss->failures);
    buf_putc(json, '}');
}

static void put_database(struct node *n, struct database *d, struct buf *json)
{
    struct node_source_status ss;
    struct replica_status rs;
    replica_status(database_replica(d), &rs);
    buf_puts(json, "{\"id\":");
    json_put_cstr(json, database_id(d));
    buf_puts(json, ",\"state\":");
    json_put_cstr(json, state_name(rs.state));
    buf_puts(json, ",\"reason\":");
    json_put_cstr(json, rs.reason);
    buf_puts(json, ",\"stream\":");
    json_put_cstr(json, replica_stream(database_replica(d)));
    buf_puts(json, ",\"subject\":");
    json_put_cstr(json, replica_subject(database_replica(d)));
    put_pair(json, "seq", rs.seq);
    put_pair(json, "log_seq", rs.last_seq);
    put_pair(json, "lag", rs.last_seq > rs.seq ? rs.last_seq - rs.seq : 0);
    put_pair(json, "commits", rs.commits);
    put_pair(json, "groups", rs.groups);
    put_pair(json, "conflicts", rs.conflicts);
    put_pair(json, "retries", rs.retries);
    put_pair(json, "handed_over", rs.handed_over);
    put_pair(json, "run_for_others", rs.run_for_others);
    put_pair(json, "applied", rs.applied);
    put_pair(json, "apply_errors", rs.apply_errors);
    put_pair(json, "outbox", rs.outbox);
    buf_puts(json, rs.caught_up ? ",\"caught_up\":true" : ",\"caught_up\":false");
    put_time(json, "last_change", rs.last_apply_wall_ns);
    put_pair(json, "gaps", rs.gaps);
    put_pair(json, "divergences", rs.divergences);
    put_pair(json, "restores", rs.restores);
    put_pair(json, "restore_done_bytes", rs.restore_done_bytes);
    put_pair(json, "restore_total_bytes", rs.restore_total_bytes);
    buf_puts(json, ",\"aside\":");
    json_put_cstr(json, rs.aside[0] ? rs.aside : NULL);
    buf_puts(json, rs.readable ? ",\"readable\":true" : ",\"readable\":false");
    check_put_status(d, json);
    snapshots_put_status(d, json);
    if (look_at_source(n, d, &ss))
        put_source(&ss, json);
    buf_putc(json, '}');
}

void node_status(struct node *n, struct buf *json)
{
    char when[CLOCK_TEXT_SIZE];
    struct buf why = BUF_INIT;
    bool ready = node_ready(n, false, 0, &why);
    struct database **dbs = list(n);
    buf_puts(json, "{\"node\":");
    json_put_cstr(json, n->opt.name);
    buf_puts(json, ",\"version\":");
    json_put_cstr(json, n->opt.version);
    buf_puts(json, ",\"consistency\":");
    json_put_cstr(json, mode_name(&n->opt));
    buf_puts(json, n->opt.async_replication ? ",\"async\":true" : ",\"async\":false");
    buf_puts(json, ",\"started\":");
    clock_format(n->started_wall_ns, when);
    json_put_cstr(json, when);
    buf_puts(json, ready ? ",\"ready\":true" : ",\"ready\":false");
    buf_puts(json, ",\"reason\":");
    json_put_string(json, why.data ? why.data : "", why.len);
    buf_puts(json, ",\"nats\":");
    json_put_cstr(json, !n->client ? "none" : node_connected(n) ? "connected" : "disconnected");
    leader_put_status(n, json);
    scripts_put_status(n, json);
    buf_puts(json, ",\"databases\":[");
    for (size_t i = 0; dbs && dbs[i]; i++) {
        if (!database_replica(dbs[i]))
            continue;
        if (i > 0)
            buf_putc(json, ',');
        put_database(n, dbs[i], json);
    }
    buf_puts(json, "]}");
    list_free(dbs);
    buf_free(&why);
}

/* ---- Prometheus text format ---- */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

static void head(struct buf *b, const char *name, enum metric_kind kind, const char *help)
{
    buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
               kind == METRIC_COUNTER ? "counter" : "gauge");
}

/* A label's value escaped as the format wants it. */
static void put_label(struct buf *b, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            buf_putc(b, '\\');
        if (*value == '\n')
            buf_puts(b, "\\n");
        else
            buf_putc(b, *value);
    }
}

struct db_metric {
    const char *name, *help;
    enum metric_kind kind;
    double (*read)(const struct replica_status *rs);
};

#define READER(field)                                                                              \
    static double read_##field(const struct replica_status *rs)                                    \
    {                                                                                              \
        return (double)rs->field;                                                                  \
    }
READER(seq)
READER(last_seq)
READER(commits)
READER(groups)
READER(conflicts)
READER(retries)
READER(handed_over)
READER(run_for_others)
READER(applied)
READER(apply_errors)
READER(outbox)
READER(gaps)
READER(divergences)
READER(restores)
READER(published_bytes)
READER(publish_seconds)
READER(commit_seconds)

static double read_lag(const struct replica_status *rs)
{
    return rs->last_seq > rs->seq ? (double)(rs->last_seq - rs->seq) : 0;
}

static double read_up(const struct replica_status *rs)
{
    return rs->state == REPLICA_FOLLOWING ? 1 : 0;
}

static const struct db_metric db_metrics[] = {
    {"ha_db_up", "1 while the database follows its log", METRIC_GAUGE, read_up},
    {"ha_db_seq", "position of the file", METRIC_GAUGE, read_seq},
    {"ha_db_log_seq", "newest sequence of the log heard of", METRIC_GAUGE, read_last_seq},
    {"ha_db_replication_lag_messages", "messages not yet applied", METRIC_GAUGE, read_lag},
    {"ha_tx_commits_total", "transactions committed by this node", METRIC_COUNTER, read_commits},
    {"ha_tx_groups_total", "groups they were committed in", METRIC_COUNTER, read_groups},
    {"ha_tx_commit_seconds_total", "time spent leading groups", METRIC_COUNTER,
     read_commit_seconds},
    {"ha_publish_seconds_total", "time spent publishing", METRIC_COUNTER, read_publish_seconds},
    {"ha_publish_bytes_total", "bytes of messages published", METRIC_COUNTER, read_published_bytes},
    {"ha_conflicts_total", "groups that another node was faster than", METRIC_COUNTER,
     read_conflicts},
    {"ha_tx_retries_total", "transactions run again after a conflict", METRIC_COUNTER,
     read_retries},
    {"ha_tx_handed_over_total", "transactions that another node ran for this one", METRIC_COUNTER,
     read_handed_over},
    {"ha_tx_run_for_others_total", "transactions run for another node", METRIC_COUNTER,
     read_run_for_others},
    {"ha_applied_messages_total", "messages applied from the log", METRIC_COUNTER, read_applied},
    {"ha_apply_errors_total", "times the database was stopped", METRIC_COUNTER, read_apply_errors},
    {"ha_gaps_total", "times the log no longer reached back to the file", METRIC_COUNTER,
     read_gaps},
    {"ha_divergences_total", "files kept aside because they were no prefix of the log",
     METRIC_COUNTER, read_divergences},
    {"ha_restores_total", "times the file was replaced by a copy", METRIC_COUNTER, read_restores},
    {"ha_outbox_messages", "messages waiting to be published", METRIC_GAUGE, read_outbox},
};

struct snapshot_metric {
    const char *name, *help;
    enum metric_kind kind;
    double (*read)(const struct snapshot_record *rec);
};

#define SNAPSHOT_READER(field)                                                                     \
    static double snapshot_##field(const struct snapshot_record *rec)                              \
    {                                                                                              \
        return (double)atomic_load(&rec->field);                                                   \
    }
SNAPSHOT_READER(seq)
SNAPSHOT_READER(file_bytes)
SNAPSHOT_READER(stored_bytes)
SNAPSHOT_READER(taken)
SNAPSHOT_READER(failed)

static double snapshot_success(const struct snapshot_record *rec)
{
    return (double)atomic_load(&rec->success_ns) / (double)CLOCK_S;
}

static const struct snapshot_metric snapshot_metrics[] = {
    {"ha_snapshot_last_success_timestamp_seconds",
     "when this node last knew the newest state to be in the store, 0 = never", METRIC_GAUGE,
     snapshot_success},
    {"ha_snapshot_seq", "position of the newest snapshot known", METRIC_GAUGE, snapshot_seq},
    {"ha_snapshot_bytes", "size of the file in it", METRIC_GAUGE, snapshot_file_bytes},
    {"ha_snapshot_stored_bytes", "its size in the store", METRIC_GAUGE, snapshot_stored_bytes},
    {"ha_snapshots_total", "snapshots taken by this node", METRIC_COUNTER, snapshot_taken},
    {"ha_snapshot_failures_total", "snapshots that failed", METRIC_COUNTER, snapshot_failed},
};

static void put_snapshot_metrics(struct database **dbs, struct buf *b)
{
    for (size_t m = 0; m < sizeof snapshot_metrics / sizeof *snapshot_metrics; m++) {
        head(b, snapshot_metrics[m].name, snapshot_metrics[m].kind, snapshot_metrics[m].help);
        for (size_t i = 0; dbs && dbs[i]; i++) {
            buf_printf(b, "%s{db=\"", snapshot_metrics[m].name);
            put_label(b, database_id(dbs[i]));
            buf_printf(b, "\"} %.17g\n", snapshot_metrics[m].read(database_snapshots(dbs[i])));
        }
    }
}

static void put_db_metrics(struct database **dbs, struct buf *b)
{
    for (size_t m = 0; m < sizeof db_metrics / sizeof *db_metrics; m++) {
        head(b, db_metrics[m].name, db_metrics[m].kind, db_metrics[m].help);
        for (size_t i = 0; dbs && dbs[i]; i++) {
            struct replica_status rs;
            if (!database_replica(dbs[i]))
                continue;
            replica_status(database_replica(dbs[i]), &rs);
            buf_printf(b, "%s{db=\"", db_metrics[m].name);
            put_label(b, database_id(dbs[i]));
            buf_printf(b, "\"} %.17g\n", db_metrics[m].read(&rs));
        }
    }
}

static void put_source_metric(struct buf *b, const char *name, enum metric_kind kind,
                              const char *help, const char *database, double value)
{
    head(b, name, kind, help);
    buf_printf(b, "%s{db=\"", name);
    put_label(b, database);
    buf_printf(b, "\"} %.17g\n", value);
}

static void put_source_metrics(struct node *n, struct buf *b)
{
    const struct node_source *s = atomic_load(&n->source);
    struct node_source_status ss = {0};

    if (!s)
        return;
    s->look(s->arg, &ss);
    put_source_metric(b, "ha_source_following", METRIC_GAUGE,
                      "1 while this node follows the source", s->database,
                      strcmp(ss.state, "following") == 0);
    put_source_metric(b, "ha_source_copied", METRIC_GAUGE,
                      "1 as soon as the database holds a whole state of the source", s->database,
                      ss.copied);
    put_source_metric(b, "ha_source_lag", METRIC_GAUGE,
                      "what the source has and the database not, in the source's unit", s->database,
                      (double)ss.lag);
    put_source_metric(b, "ha_source_last_commit_timestamp_seconds", METRIC_GAUGE,
                      "when the source committed what came last, 0 = unknown", s->database,
                      (double)ss.source_time_ns / (double)CLOCK_S);
    put_source_metric(b, "ha_source_transactions_total", METRIC_COUNTER,
                      "transactions of the source taken over by this node", s->database,
                      (double)ss.transactions);
    put_source_metric(b, "ha_source_changes_total", METRIC_COUNTER, "changes of rows in them",
                      s->database, (double)ss.changes);
    put_source_metric(b, "ha_source_copied_rows_total", METRIC_COUNTER,
                      "rows that copies of the source have read", s->database,
                      (double)ss.copied_rows);
    put_source_metric(b, "ha_source_failures_total", METRIC_COUNTER,
                      "times that following the source has failed", s->database,
                      (double)ss.failures);
}

/* The second number of proc(5) statm, in pages; 0 where it cannot be read. */
static long resident_bytes(void)
{
    char line[128] = "";
    char *end = NULL;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    fclose(f);
    strtol(line, &end, 10);
    return strtol(end, NULL, 10) * sysconf(_SC_PAGESIZE);
}

static void put_process_metrics(struct node *n, struct buf *b)
{
    struct rusage ru;
    head(b, "process_resident_memory_bytes", METRIC_GAUGE, "resident memory");
    buf_printf(b, "process_resident_memory_bytes %ld\n", resident_bytes());
    if (getrusage(RUSAGE_SELF, &ru) == 0) {
        head(b, "process_cpu_seconds_total", METRIC_COUNTER, "user and system time");
        buf_printf(b, "process_cpu_seconds_total %.6f\n",
                   (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
    }
    head(b, "process_start_time_seconds", METRIC_GAUGE, "start of the process since 1970");
    buf_printf(b, "process_start_time_seconds %.3f\n",
               (double)n->started_wall_ns / (double)CLOCK_S);
}

void node_metrics(struct node *n, struct buf *b)
{
    struct database **dbs = list(n);
    head(b, "ha_nats_connected", METRIC_GAUGE, "1 while connected to NATS");
    buf_printf(b, "ha_nats_connected %d\n", node_connected(n) ? 1 : 0);
    head(b, "ha_nats_moves_total", METRIC_COUNTER,
         "times a connection left a server that answered nothing about JetStream");
    buf_printf(b, "ha_nats_moves_total %lld\n", atomic_load(&n->nats_moves));
    head(b, "ha_log_stepdowns_total", METRIC_COUNTER,
         "times the leader of a log that answered no publish was made to step down");
    buf_printf(b, "ha_log_stepdowns_total %llu\n", (unsigned long long)link_stepdowns(n));
    leader_put_metrics(n, b);
    head(b, "ha_requests_total", METRIC_COUNTER, "requests of all protocols");
    buf_printf(b, "ha_requests_total %lld\n", atomic_load(&n->requests));
    head(b, "ha_request_errors_total", METRIC_COUNTER, "requests that failed");
    buf_printf(b, "ha_request_errors_total %lld\n", atomic_load(&n->request_errors));
    head(b, "ha_connections", METRIC_GAUGE, "open client connections");
    for (int i = 0; i < NODE_MAX_PROTOCOLS && atomic_load(&n->protocols[i].name); i++)
        buf_printf(b, "ha_connections{protocol=\"%s\"} %lld\n", atomic_load(&n->protocols[i].name),
                   atomic_load(&n->protocols[i].open));
    head(b, "ha_connections_total", METRIC_COUNTER, "client connections accepted");
    for (int i = 0; i < NODE_MAX_PROTOCOLS && atomic_load(&n->protocols[i].name); i++)
        buf_printf(b, "ha_connections_total{protocol=\"%s\"} %lld\n",
                   atomic_load(&n->protocols[i].name), atomic_load(&n->protocols[i].total));
    head(b, "ha_interceptors_unlike", METRIC_GAUGE,
         "other nodes whose interceptor is not the one of this node");
    buf_printf(b, "ha_interceptors_unlike %zu\n", scripts_unlike(n));
    put_db_metrics(dbs, b);
    put_snapshot_metrics(dbs, b);
    put_source_metrics(n, b);
    put_process_metrics(n, b);
    list_free(dbs);
}

/* The slot of a protocol; the first one to ask for it takes it. */
static int slot(struct node *n, const char *protocol)
{
    for (int i = 0; i < NODE_MAX_PROTOCOLS; i++) {
        const char *none = NULL;
        if (atomic_compare_exchange_strong(&n->protocols[i].name, &none, protocol) ||
            strcmp(none, protocol) == 0)
            return i;
    }
    return -1;
}

void node_connection_opened(struct node *n, const char *protocol)
{
    int i = slot(n, protocol);
    if (i < 0)
        return;
    atomic_fetch_add(&n->protocols[i].open, 1);
    atomic_fetch_add(&n->protocols[i].total, 1);
}

void node_connection_closed(struct node *n, const char *protocol)
{
    int i = slot(n, protocol);
    if (i >= 0)
        atomic_fetch_sub(&n->protocols[i].open, 1);
}
