/* MySQL's protocol through libmariadb: prepared statements; a batch is one bulk execution. */
#include <mysql.h>

#include "../support/measure.h"
#include "client.h"

#define STATEMENTS_MAX 4
#define PARAMETERS_MAX 16

struct connection {
    MYSQL *my;
    const char *text[STATEMENTS_MAX]; /* of the prepared statements */
    MYSQL_STMT *prepared[STATEMENTS_MAX];
    int count;
    struct text parameters, value;
};

static void mysql_client_close(struct connection *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->count; i++)
        mysql_stmt_close(c->prepared[i]);
    mysql_close(c->my);
    text_free(&c->parameters);
    text_free(&c->value);
    free(c);
}

static struct connection *mysql_client_open(const struct target *target, struct text *why)
{
    struct connection *c = measure_alloc(1, sizeof *c);
    const unsigned timeout = CLIENT_TIMEOUT_S;
    c->my = mysql_init(NULL);
    if (!c->my)
        measure_fail("out of memory");
    mysql_optionsv(c->my, MYSQL_OPT_READ_TIMEOUT, &timeout);
    if (mysql_real_connect(c->my, "127.0.0.1", target->user, target->password, target->database,
                           target->port, NULL, 0))
        return c;
    text_append(why, mysql_error(c->my), strlen(mysql_error(c->my)));
    mysql_client_close(c);
    return NULL;
}

static bool failed(struct connection *c, const char *message, unsigned number, struct answer *a)
{
    c->value.len = 0;
    text_append(&c->value, message, strlen(message));
    a->text = c->value.bytes;
    a->lost = number >= 2000 && number < 3000; /* the client library's own errors */
    return false;
}

static bool statement_failed(struct connection *c, MYSQL_STMT *stmt, struct answer *a)
{
    return failed(c, mysql_stmt_error(stmt), mysql_stmt_errno(stmt), a);
}

/* NULL: it cannot be prepared, `a` says why. */
static MYSQL_STMT *prepare(struct connection *c, const char *sql, struct answer *a)
{
    for (int i = 0; i < c->count; i++)
        if (c->text[i] == sql)
            return c->prepared[i];
    if (c->count == STATEMENTS_MAX)
        measure_fail("too many statements");
    MYSQL_STMT *stmt = mysql_stmt_init(c->my);
    if (!stmt)
        measure_fail("out of memory");
    if (mysql_stmt_prepare(stmt, sql, strlen(sql)) != 0) {
        statement_failed(c, stmt, a);
        mysql_stmt_close(stmt);
        return NULL;
    }
    c->text[c->count] = sql;
    c->prepared[c->count] = stmt;
    return c->prepared[c->count++];
}

/* One row of parameters with tabs between becomes pointers and lengths; ends at a newline. */
static char *split(char *p, char *values[], unsigned long lengths[], int *count)
{
    *count = 0;
    while (p) {
        size_t len = strcspn(p, "\t\n");
        char end = p[len];
        if (*count == PARAMETERS_MAX)
            measure_fail("too many parameters");
        values[*count] = p;
        lengths[(*count)++] = len;
        p[len] = '\0';
        if (end != '\t')
            return end ? p + len + 1 : NULL;
        p += len + 1;
    }
    return NULL;
}

static bool execute_one(struct connection *c, const struct work *w, struct numbers *n,
                        MYSQL_STMT *stmt)
{
    MYSQL_BIND binds[PARAMETERS_MAX] = {{0}};
    char *values[PARAMETERS_MAX];
    unsigned long lengths[PARAMETERS_MAX];
    unsigned rows = 0;
    int count = 0;
    if (w->body) {
        text_fill(&c->parameters, w->body, n, 1);
        split(c->parameters.bytes, values, lengths, &count);
    }
    for (int i = 0; i < count; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = values[i];
        binds[i].length = &lengths[i];
    }
    mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows);
    return (count == 0 || mysql_stmt_bind_param(stmt, binds) == 0) && mysql_stmt_execute(stmt) == 0;
}

/* The rows of a result; the first value is kept. */
static bool fetch(struct connection *c, MYSQL_STMT *stmt, struct answer *a)
{
    static char bytes[1]; /* every value is looked at by its length only, but for the first */
    char first[64];
    unsigned columns = mysql_stmt_field_count(stmt);
    if (columns == 0)
        return true;
    MYSQL_BIND *binds = measure_alloc(columns, sizeof *binds);
    unsigned long *lengths = measure_alloc(columns, sizeof *lengths);
    for (unsigned i = 0; i < columns; i++) {
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = i == 0 ? first : bytes;
        binds[i].buffer_length = i == 0 ? sizeof first : 0;
        binds[i].length = &lengths[i];
    }
    bool ok = mysql_stmt_bind_result(stmt, binds) == 0;
    int rc = MYSQL_NO_DATA;
    for (long rows = 0; ok && (rc = mysql_stmt_fetch(stmt)) != MYSQL_NO_DATA; rows++) {
        ok = rc == 0 || rc == MYSQL_DATA_TRUNCATED;
        for (unsigned i = 0; i < columns; i++)
            a->bytes += lengths[i];
        if (ok && rows == 0) {
            c->value.len = 0;
            text_append(&c->value, first, lengths[0] < sizeof first ? lengths[0] : sizeof first);
            a->text = c->value.bytes;
        }
    }
    free(binds);
    free(lengths);
    return ok;
}

/* All rows of the batch travel in one message (MariaDB's bulk execution), between BEGIN and COMMIT.
 */
static bool run_batch(struct connection *c, const struct work *w, struct numbers *n,
                      MYSQL_STMT *stmt, struct answer *a)
{
    unsigned rows = (unsigned)w->batch;
    int count = (int)mysql_stmt_param_count(stmt);
    size_t cells = (size_t)rows * (size_t)count;
    char **values = measure_alloc(cells + PARAMETERS_MAX, sizeof *values);
    unsigned long *lengths = measure_alloc(cells + PARAMETERS_MAX, sizeof *lengths);
    MYSQL_BIND binds[PARAMETERS_MAX] = {{0}};
    struct text all = {0};
    for (unsigned i = 0; i < rows; i++) {
        text_fill(&c->parameters, w->body, n, 1);
        text_append(&all, c->parameters.bytes, c->parameters.len);
        text_append(&all, "\n", 1);
    }
    char *p = all.bytes;
    for (unsigned i = 0; i < rows; i++) { /* by column, as the library wants them */
        char *row[PARAMETERS_MAX];
        unsigned long row_lengths[PARAMETERS_MAX];
        int got = 0;
        p = split(p, row, row_lengths, &got);
        for (int k = 0; k < count && k < got; k++) {
            values[(size_t)k * rows + i] = row[k];
            lengths[(size_t)k * rows + i] = row_lengths[k];
        }
    }
    for (int k = 0; k < count; k++) {
        binds[k].buffer_type = MYSQL_TYPE_STRING;
        binds[k].buffer = &values[(size_t)k * rows];
        binds[k].length = &lengths[(size_t)k * rows];
    }
    bool ok = mysql_real_query(c->my, "BEGIN", 5) == 0 &&
              mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows) == 0 &&
              mysql_stmt_bind_param(stmt, binds) == 0 && mysql_stmt_execute(stmt) == 0 &&
              mysql_real_query(c->my, "COMMIT", 6) == 0;
    text_free(&all);
    free(values);
    free(lengths);
    if (ok)
        return true;
    return mysql_stmt_errno(stmt) ? statement_failed(c, stmt, a)
                                  : failed(c, mysql_error(c->my), mysql_errno(c->my), a);
}

static bool mysql_run(struct connection *c, const struct work *w, struct numbers *n,
                      struct answer *a)
{
    *a = (struct answer){.text = ""};
    MYSQL_STMT *stmt = prepare(c, w->sql, a);
    if (!stmt)
        return false;
    if (w->batch > 1)
        return run_batch(c, w, n, stmt, a);
    bool ok = execute_one(c, w, n, stmt) && fetch(c, stmt, a);
    if (!ok)
        statement_failed(c, stmt, a);
    mysql_stmt_free_result(stmt);
    return ok;
}

const struct protocol protocol_mysql = {"mysql", mysql_client_open, mysql_run, mysql_client_close};
