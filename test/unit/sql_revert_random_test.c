/*
 * Random statements taken back: whatever a few groups of transactions have done to the rows, the
 * inverse of their changes, newest first, makes of the origin what it was before them, value by
 * value and rowid by rowid; both copies follow; and what was taken back can be taken back.
 *
 *   sql_revert_random_test [seed [rounds]]
 */
#include "sql_world.h"

#include "base/log.h"
#include "sql/revert.h"

#define ROUNDS 120

static uint64_t the_seed = 1;
static unsigned the_rounds = ROUNDS;

struct book {
    struct inverse_list *list;
    struct changeset_reader *reader;
    uint64_t seq;
};

static enum err_code on_change(void *arg, const struct change *c, struct err *e)
{
    struct book *b = arg;

    (void)e;
    assert_int_not_equal(c->op, CHANGE_SQL);
    inverse_list_add(b->list, c, b->seq, 1);
    return ERR_OK;
}

/* The changes of the pair's message go to the end of the list. */
static void note(struct book *b, struct pair *p)
{
    const struct changeset_info *info = NULL;

    b->seq = p->seq;
    changeset_reader_reset(b->reader);
    PAIR_OK(p, changeset_feed(b->reader, p->message.data, p->message.len, &p->e));
    PAIR_OK(p, changeset_finish(b->reader, &info, &p->e));
    PAIR_OK(p, inverse_list_error(b->list, &p->e));
}

static void copy_file(const char *from, const char *to)
{
    sqlite3 *x = pair_look(from), *y = NULL;
    sqlite3_backup *b;

    (void)unlink(to);
    assert_int_equal(sqlite3_open_v2(to, &y, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL),
                     SQLITE_OK);
    b = sqlite3_backup_init(y, "main", x, "main");
    assert_non_null(b);
    assert_int_equal(sqlite3_backup_step(b, -1), SQLITE_DONE);
    sqlite3_backup_finish(b);
    sqlite3_close(x);
    sqlite3_close(y);
}

/* All rows of users' tables, and of those behind virtual tables. */
static void same_rows(const char *now, const char *then)
{
    sqlite3 *x = pair_look(now), *y = pair_look(then);
    sqlite3_stmt *st = NULL;

    assert_int_equal(sqlite3_prepare_v2(x,
                                        "SELECT name FROM sqlite_schema WHERE type='table' AND"
                                        " rootpage>0 AND name NOT LIKE 'ha\\_%' ESCAPE '\\'"
                                        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                                        -1, &st, NULL),
                     SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW)
        compare_table(x, y, (const char *)sqlite3_column_text(st, 0), true);
    sqlite3_finalize(st);
    compare_query(x, x, "integrity", "PRAGMA integrity_check");
    sqlite3_close(x);
    sqlite3_close(y);
}

/* Takes back what is in the book, as one transaction; its changes are in the book afterwards. */
static void take_back(struct world *w, struct book *b)
{
    struct changeset_tx tx = {0, 1};
    struct pair *p = &w->p;
    const struct inverse *x = NULL;
    struct revert *r = NULL;

    spool_reset(p->spool);
    PAIR_OK(p, writer_begin(p->w, &p->e));
    PAIR_OK(p, writer_tx_begin(p->w, &p->e));
    PAIR_OK(p, revert_begin(&r, p->w, &p->e));
    inverse_list_rewind(b->list);
    for (;;) {
        PAIR_OK(p, inverse_list_back(b->list, &x, &p->e));
        if (!x)
            break;
        if (revert_row(r, x, &p->e) != ERR_OK)
            fail_msg("%s: %s\n%s", err_name(p->e.code), p->e.msg, buf_cstr(&w->log));
    }
    PAIR_OK(p, revert_end(r, true, &p->e));
    PAIR_OK(p, writer_tx_end(p->w, &tx.changes, &p->e));
    pair_publish(p, &tx, tx.changes > 0);
    apply_all(w);
    inverse_list_cut(b->list, 0);
    note(b, p);
}

/* The write connection has not kept anything of how the indexes were. */
static void check_indexes(struct world *w)
{
    char sql[200];
    sqlite3 *x = pair_look(w->p.origin);
    sqlite3_stmt *st = NULL;

    pair_begin(&w->p);
    assert_int_equal(sqlite3_prepare_v2(x,
                                        "SELECT name FROM sqlite_schema WHERE sql LIKE"
                                        " '%USING fts5%' AND sql NOT LIKE '%content=%'",
                                        -1, &st, NULL),
                     SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);
        (void)snprintf(sql, sizeof sql, "INSERT INTO \"%s\"(\"%s\") VALUES('integrity-check')",
                       name, name);
        PAIR_OK(&w->p, pair_step(&w->p, sql, false));
        (void)snprintf(sql, sizeof sql,
                       "SELECT count(*) FROM \"%s\" WHERE \"%s\" MATCH 'more OR a*'", name, name);
        PAIR_OK(&w->p, pair_step(&w->p, sql, false));
    }
    sqlite3_finalize(st);
    sqlite3_close(x);
    pair_end(&w->p);
    apply_all(w);
}

static void round_of(struct world *w, struct book *b)
{
    unsigned n = 1 + pick(&w->r, 6);
    char then[96], before[96];

    (void)snprintf(then, sizeof then, "%s/then.db", w->p.dir);
    (void)snprintf(before, sizeof before, "%s/before.db", w->p.dir);
    copy_file(w->p.origin, then);
    inverse_list_cut(b->list, 0);
    w->rows_only = true;
    for (unsigned i = 0; i < n; i++) {
        uint64_t seq = w->p.seq;
        random_group(w);
        if (w->p.seq > seq)
            note(b, &w->p);
    }
    copy_file(w->p.origin, before);
    take_back(w, b);
    same_rows(w->p.origin, then);
    check_indexes(w);
    if (chance(&w->r, 50)) {
        take_back(w, b);
        same_rows(w->p.origin, before);
        check_indexes(w);
    }
    w->rows_only = false;
    for (unsigned i = pick(&w->r, 4); i > 0; i--)
        random_group(w);
    (void)unlink(then);
    (void)unlink(before);
}

static void random_changes_are_taken_back(void **state)
{
    struct world w;
    struct book b;

    (void)state;
    world_open(&w, the_seed, ROW_BY_PK);
    b.list = inverse_list_new(w.p.dir, 1 << 14); /* most of it in a file */
    b.reader = changeset_reader_new(on_change, &b);
    assert_non_null(b.list);
    assert_non_null(b.reader);
    for (unsigned i = 0; i < 25; i++)
        random_group(&w);
    for (unsigned i = 0; i < the_rounds; i++) {
        round_of(&w, &b);
        if (i % 20 == 19)
            compare_all(&w);
    }
    compare_all(&w);
    print_message("seed %llu: %u statements (%u failed), %u groups\n", (unsigned long long)the_seed,
                  w.statements, w.failed, w.groups);
    inverse_list_free(b.list);
    changeset_reader_free(b.reader);
    world_close(&w);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_changes_are_taken_back)};

    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (argc > 1)
        the_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        the_rounds = (unsigned)strtoul(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
