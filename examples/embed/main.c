/* A counter that several processes share: every node of it runs inside the program itself. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <ha/ha.h>

static void check(bool ok, const struct ha_error *e)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", e->code, e->message);
    exit(1);
}

static bool print_row(void *arg, const struct ha_row *row)
{
    (void)arg;
    for (unsigned i = 0; i < row->columns; i++) {
        const struct ha_value *v = &row->values[i];

        printf("%s%s=", i ? " " : "", row->names[i]);
        if (v->type == HA_INTEGER)
            printf("%" PRId64, v->u.i);
        else if (v->type == HA_TEXT)
            printf("%.*s", (int)v->u.s.len, v->u.s.data);
        else
            printf("?");
    }
    printf("\n");
    return true;
}

/* Arguments are those of ha itself: ha-embed --name n1 --nats-port 4300 a.db */
int main(int argc, char **argv)
{
    struct ha_error e;
    struct ha_node *node;
    struct ha_session *s;
    struct ha_result result;

    (void)argc;
    check(ha_open(&node, (const char *const *)argv + 1, &e), &e);
    check(ha_wait_ready(node, 10000, &e), &e);
    printf("other nodes join with --replication-url %s\n", ha_nats_url(node));
    check(ha_session_open(&s, node, NULL, &e), &e);

    struct ha_param by[] = {{"who", ha_text("world")}, {"step", ha_int(1)}};
    struct ha_statement count[] = {
        {"CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, n INTEGER)", NULL, 0},
        {"INSERT INTO counter VALUES (:who, :step) ON CONFLICT DO UPDATE SET n = n + :step", by, 2},
        {"SELECT name, n FROM counter WHERE name = :who", by, 1},
    };
    check(ha_batch(s, count, sizeof count / sizeof *count, print_row, NULL, &result, &e), &e);
    printf("it stands in the log at %" PRIu64 "\n", result.seq);

    ha_session_close(s);
    check(ha_close(node, &e), &e);
    return 0;
}
