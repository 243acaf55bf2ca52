/* A node without NATS, with one database in a directory of its own, for tests of what is built on
 * the core. */
#ifndef HA_TEST_NODE_FIXTURE_H
#define HA_TEST_NODE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "core/node.h"
#include "os/file.h"
#include "sql/conn.h"

#define NODE_DIR_SIZE 64

/* `dir` must stay where it is until node_fixture_close(). */
static struct node *node_fixture_open(char dir[NODE_DIR_SIZE], const char *db_params)
{
    struct err e = ERR_INIT;
    struct node *n = NULL;
    char path[NODE_DIR_SIZE + 8];

    (void)snprintf(dir, NODE_DIR_SIZE, "/tmp/ha-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/t.db", dir);
    struct node_options o = {.name = "n1",
                             .version = "test",
                             .token = "",
                             .nats_url = "",
                             .nats_user = "",
                             .nats_pass = "",
                             .stream = "s",
                             .replicas = 1,
                             .replication_timeout_ns = 5 * CLOCK_S,
                             .create_db_dir = "",
                             .data_dir = dir,
                             .db_params = db_params,
                             .concurrent_queries = 4,
                             .tx_idle_timeout_ns = CLOCK_S,
                             .max_result_bytes = 1 << 20};
    if (conn_library_init(&e) != ERR_OK || node_new(&n, &o, &e) != ERR_OK ||
        node_add_file(n, path, &e) != ERR_OK || node_start(n, &e) != ERR_OK)
        fail_msg("%s", e.msg);
    return n;
}

/* After node_stop(), and after whatever uses the node is gone. */
static void node_fixture_close(struct node *n, const char *dir)
{
    node_free(n);
    file_remove_tree(dir);
}

#endif
