/* PostgreSQL's protocol through libpq: prepared statements; a batch is one pipeline. */
#include <libpq-fe.h>

#include "../support/measure.h"
#include "client.h"

#define STATEMENTS_MAX 4
#define PARAMETERS_MAX 16

struct connection {
    PGconn *pg;
    PGresult *result;                     /* of the last answer */
    const char *prepared[STATEMENTS_MAX]; /* their texts; a statement's name is its place */
    int count;
    struct text parameters, failure;
};

static struct connection *pg_open(const struct target *target, struct text *why)
{
    char port[8];
    snprintf(port, sizeof port, "%u", target->port);
    const char *const names[] = {"host", "port", "dbname", "user", "password", "sslmode", NULL};
    const char *const values[] = {
        "127.0.0.1", port, target->database, target->user, target->password, "disable", NULL};
    PGconn *pg = PQconnectdbParams(names, values, 0);
    if (PQstatus(pg) != CONNECTION_OK) {
        text_append(why, PQerrorMessage(pg), strlen(PQerrorMessage(pg)));
        PQfinish(pg);
        return NULL;
    }
    struct connection *c = measure_alloc(1, sizeof *c);
    c->pg = pg;
    return c;
}

static void pg_close(struct connection *c)
{
    if (!c)
        return;
    PQclear(c->result);
    PQfinish(c->pg);
    text_free(&c->parameters);
    text_free(&c->failure);
    free(c);
}

static bool succeeded(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_PIPELINE_SYNC;
}

static bool failed(struct connection *c, struct answer *a)
{
    c->failure.len = 0;
    text_append(&c->failure, PQerrorMessage(c->pg), strlen(PQerrorMessage(c->pg)));
    a->text = c->failure.bytes;
    a->lost = PQstatus(c->pg) != CONNECTION_OK;
    return false;
}

/* The statement's place, prepared if it was not yet. -1: it cannot be. */
static int prepare(struct connection *c, const char *sql)
{
    char name[4];
    for (int i = 0; i < c->count; i++)
        if (c->prepared[i] == sql)
            return i;
    if (c->count == STATEMENTS_MAX)
        measure_fail("too many statements");
    snprintf(name, sizeof name, "%d", c->count);
    PGresult *r = PQprepare(c->pg, name, sql, 0, NULL);
    bool ok = succeeded(r);
    PQclear(r);
    if (!ok)
        return -1;
    c->prepared[c->count] = sql;
    return c->count++;
}

/* The parameters of one execution: how many. */
static int fill(struct connection *c, const struct work *w, struct numbers *n,
                const char *values[PARAMETERS_MAX])
{
    int count = 0;
    if (!w->body)
        return 0;
    text_fill(&c->parameters, w->body, n, 1);
    for (char *p = c->parameters.bytes; p; count++) {
        if (count == PARAMETERS_MAX)
            measure_fail("too many parameters");
        values[count] = p;
        p = strchr(p, '\t');
        if (p)
            *p++ = '\0';
    }
    return count;
}

static bool send_batch(struct connection *c, const struct work *w, struct numbers *n,
                       const char *name)
{
    const char *values[PARAMETERS_MAX];
    bool ok = PQsendQueryParams(c->pg, "BEGIN", 0, NULL, NULL, NULL, NULL, 0) == 1;
    for (long i = 0; i < w->batch && ok; i++)
        ok = PQsendQueryPrepared(c->pg, name, fill(c, w, n, values), values, NULL, NULL, 0) == 1;
    return ok && PQsendQueryParams(c->pg, "COMMIT", 0, NULL, NULL, NULL, NULL, 0) == 1 &&
           PQpipelineSync(c->pg) == 1;
}

static bool run_batch(struct connection *c, const struct work *w, struct numbers *n,
                      const char *name)
{
    bool ok = PQenterPipelineMode(c->pg) == 1 && send_batch(c, w, n, name);
    for (bool synced = false; ok && !synced;) {
        PGresult *r = PQgetResult(c->pg);
        if (!r)
            continue; /* between two statements */
        synced = PQresultStatus(r) == PGRES_PIPELINE_SYNC;
        ok = succeeded(r);
        PQclear(r);
    }
    return ok && PQexitPipelineMode(c->pg) == 1;
}

static bool pg_run(struct connection *c, const struct work *w, struct numbers *n, struct answer *a)
{
    char name[12];
    const char *values[PARAMETERS_MAX];
    *a = (struct answer){.text = ""};
    int place = prepare(c, w->sql);
    if (place < 0)
        return failed(c, a);
    snprintf(name, sizeof name, "%d", place);
    if (w->batch > 1)
        return run_batch(c, w, n, name) || failed(c, a);
    PQclear(c->result);
    c->result = PQexecPrepared(c->pg, name, fill(c, w, n, values), values, NULL, NULL, 0);
    if (!succeeded(c->result))
        return failed(c, a);
    if (PQntuples(c->result) > 0)
        a->text = PQgetvalue(c->result, 0, 0);
    a->bytes = PQntuples(c->result) > 0 ? PQresultMemorySize(c->result) : 0;
    return true;
}

const struct protocol protocol_pg = {"pg", pg_open, pg_run, pg_close};
