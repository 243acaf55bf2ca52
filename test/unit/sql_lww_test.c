/*
 * I5: three nodes write the same tables at the same time, and each applies the log in its order,
 * its own messages again where others lie between its position at commit and their seq. In the end
 * all hold the same rows.
 */
#include "sql_pair.h"

#include "base/log.h"

#define NODES  3
#define ROUNDS 400

static const char schema[] =
    "CREATE TABLE a(id INTEGER PRIMARY KEY, v, r REAL);"
    "CREATE TABLE b(k TEXT PRIMARY KEY, v, w);"
    "CREATE TABLE c(k INT, l TEXT, v, PRIMARY KEY(k, l)) WITHOUT ROWID;"
    "CREATE TABLE d(id INTEGER PRIMARY KEY, u UNIQUE, w INT UNIQUE);"
    "CREATE TABLE e(v, w);"
    "CREATE TABLE f(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
    "CREATE TABLE g(k TEXT PRIMARY KEY, u INT, g AS (u + 1)); CREATE UNIQUE INDEX gu ON g(u);";

struct node {
    struct pair p; /* writer and applier on one file */
    unsigned position;
};

struct message {
    struct buf bytes;
    unsigned origin, base; /* position of its node when it was made */
};

static uint64_t random_state = 88172645463325252u;

static unsigned pick(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 33) % n);
}

static void put_statement(struct buf *b)
{
    static const struct {
        const char *table, *key, *others[2];
    } tables[] = {{"a", "id", {"v", "r"}}, {"b", "k", {"v", "w"}}, {"c", "k", {"l", "v"}},
                  {"d", "id", {"u", "w"}}, {"e", "v", {"w", "v"}}, {"f", "id", {"v", "v"}},
                  {"g", "k", {"u", "k"}}};
    unsigned t = pick(sizeof tables / sizeof *tables), x = pick(12), y = pick(12), z = pick(12);
    const char *table = tables[t].table, *key = tables[t].key, *o = tables[t].others[pick(2)];

    switch (pick(6)) {
    case 0:
        buf_printf(b, "UPDATE OR REPLACE %s SET %s = %u WHERE %s = %u", table, o, y, key, x);
        break;
    case 1:
        buf_printf(b, "UPDATE OR REPLACE %s SET %s = %u, %s = %u WHERE %s = %u", table, key, z, o,
                   y, key, x);
        break;
    case 2:
        buf_printf(b, "DELETE FROM %s WHERE %s = %u", table, key, x);
        break;
    case 3:
        buf_printf(b, "INSERT OR IGNORE INTO %s(%s, %s) VALUES (%u, %u)", table, key,
                   tables[t].others[0], x, y);
        break;
    default:
        buf_printf(b, "INSERT OR REPLACE INTO %s(%s, %s) VALUES (%u, %u)", table, key,
                   tables[t].others[0], x, y);
    }
}

/* A transaction of a node on what it holds now. */
static void write_some(struct node *n, unsigned self, struct message *m)
{
    struct buf sql = BUF_INIT;

    m->origin = self;
    m->base = n->position;
    pair_begin(&n->p);
    for (unsigned i = 1 + pick(4); i > 0; i--) {
        buf_reset(&sql);
        put_statement(&sql);
        (void)pair_step(&n->p, buf_cstr(&sql), true);
    }
    pair_end(&n->p);
    buf_reset(&m->bytes);
    buf_put(&m->bytes, n->p.message.data, n->p.message.len);
    buf_free(&sql);
}

/* Messages of a round stand in the log behind `first`. */
static void apply_round(struct node *n, unsigned self, const struct message *log, unsigned count,
                        unsigned first)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned seq = first + i + 1;
        bool in_file = log[i].origin == self && log[i].base + 1 == seq;

        if (!in_file && pair_apply_bytes(&n->p, log[i].bytes.data, log[i].bytes.len))
            fail_msg("%s", n->p.e.msg);
        n->position = seq;
    }
}

static void three_nodes_converge(void **state)
{
    struct node nodes[NODES];
    struct message log[NODES] = {0};
    unsigned position = 0;

    (void)state;
    for (unsigned i = 0; i < NODES; i++) {
        struct pair *p = &nodes[i].p;

        pair_files(p);
        (void)memcpy(p->copy, p->origin, sizeof p->copy); /* both connections on one file */
        p->copy_cfg.path = p->copy;
        pair_connect(p, APPLY_LWW, ROW_BY_PK);
        nodes[i].position = 0;
        assert_int_equal(sqlite3_exec(conn_handle(apply_conn(p->a)), schema, NULL, NULL, NULL),
                         SQLITE_OK);
        writer_schema_changed(p->w);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned count = 0, start = pick(NODES);

        /* In the log they stand in the order in which they are made here. */
        for (unsigned i = 0; i < NODES; i++)
            if (pick(4) > 0)
                write_some(&nodes[(start + i) % NODES], (start + i) % NODES, &log[count++]);
        for (unsigned i = 0; i < NODES; i++)
            apply_round(&nodes[i], i, log, count, position);
        position += count;
        if (round % 20 == 19)
            for (unsigned i = 1; i < NODES; i++)
                compare_files(nodes[0].p.origin, nodes[i].p.origin, false);
    }
    for (unsigned i = 0; i < NODES; i++) {
        buf_free(&log[i].bytes);
        pair_close(&nodes[i].p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_nodes_converge),
    };

    if (argc > 1)
        random_state ^= strtoull(argv[1], NULL, 10) * 2654435761u;
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
