#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/file.h"

static struct config c;
static struct err e;

/* Loads from words of a command line and variables, both separated by "|"; answers the code. */
static enum err_code load(const char *args, const char *env)
{
    static char arg_text[2048], env_text[2048];
    static char *argv[64], *envp[64];
    int argc = 1, n_env = 0;
    enum err_code code;

    config_free(&c);
    assert_int_equal(config_init(&c, &e), ERR_OK);
    argv[0] = (char *)"ha";
    (void)snprintf(arg_text, sizeof arg_text, "%s", args);
    (void)snprintf(env_text, sizeof env_text, "%s", env);
    for (char *save, *p = strtok_r(arg_text, "|", &save); p; p = strtok_r(NULL, "|", &save))
        argv[argc++] = p;
    for (char *save, *p = strtok_r(env_text, "|", &save); p; p = strtok_r(NULL, "|", &save))
        envp[n_env++] = p;
    argv[argc] = NULL;
    envp[n_env] = NULL;
    code = config_load(&c, argc, argv, envp, &e);
    return code ? code : config_check(&c, &e);
}

static void assert_refused(const char *args, const char *env, const char *in_message)
{
    assert_int_equal(load(args, env), ERR_CONFIG);
    if (!strstr(e.msg, in_message))
        fail_msg("'%s' is not in '%s'", in_message, e.msg);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(load("", ""), ERR_OK);
    assert_true(strlen(c.name) > 0);
    assert_int_equal(c.port, 8080);
    assert_int_equal(c.nats_port, 4222);
    assert_int_equal(c.concurrent_queries, 50);
    assert_int_equal(c.consistency, CONSISTENCY_SERIALIZABLE);
    assert_int_equal(c.row_identify, 0);
    assert_true(c.replication_timeout_ns == INT64_C(15000000000));
    assert_true(c.replication_max_age_ns == INT64_C(86400000000000));
    assert_true(c.tx_idle_timeout_ns == INT64_C(30000000000));
    assert_true(c.query_timeout_ns == 0);
    assert_int_equal(c.max_result_bytes, 64 << 20);
    assert_string_equal(c.replication_stream, "ha_replication");
    assert_int_equal(c.n_files, 0);
    assert_null(c.extension_list[0]);
    assert_false(config_is_set(&c, CONFIG_REPLICAS));
}

static void test_command_line(void **state)
{
    (void)state;
    assert_int_equal(
        load("-n|node1|-m|--port=8081|--nats-port|0|a.db|--token|-x|b.db|--|-c.db", ""), ERR_OK);
    assert_string_equal(c.name, "node1");
    assert_true(c.memory);
    assert_int_equal(c.port, 8081);
    assert_int_equal(c.nats_port, 0);
    assert_string_equal(c.token, "-x");
    assert_int_equal(c.n_files, 3);
    assert_string_equal(c.files[0], "a.db");
    assert_string_equal(c.files[2], "-c.db");
    assert_int_equal(load("--memory=false|-p9000|-n=x|--replicas|3|--nats-port|-1", ""), ERR_OK);
    assert_false(c.memory);
    assert_int_equal(c.port, 9000);
    assert_string_equal(c.name, "x");
    assert_true(config_is_set(&c, CONFIG_REPLICAS));
    assert_int_equal(c.nats_port, -1);
    assert_int_equal(load("--consistency|lww|--row-identify|full|--nats-sync|interval", ""),
                     ERR_OK);
    assert_int_equal(c.consistency, CONSISTENCY_LWW);
    assert_int_equal(c.row_identify, ROW_BY_FULL);
    assert_int_equal(c.nats_sync, 1);
    assert_int_equal(load("--row-identify|rowid|--extensions|a.so, b.so,,/c d.so", ""), ERR_OK);
    assert_int_equal(c.row_identify, ROW_BY_ROWID);
    assert_int_equal(load("--row-identify|rowid|--async-replication", ""), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "--row-identify rowid"));
    assert_int_equal(load("--row-identify|rowid|--extensions|a.so, b.so,,/c d.so", ""), ERR_OK);
    assert_string_equal(c.extension_list[0], "a.so");
    assert_string_equal(c.extension_list[1], "b.so");
    assert_string_equal(c.extension_list[2], "/c d.so");
    assert_null(c.extension_list[3]);
    assert_int_equal(load("--help|--nonsense", ""), ERR_OK);
    assert_true(c.help);
    assert_int_equal(load("-h", "HA_PORT=x"), ERR_OK);
    assert_int_equal(load("--version", ""), ERR_OK);
    assert_true(c.version);
}

static void test_mistakes(void **state)
{
    (void)state;
    assert_refused("--nonsense", "", "--nonsense");
    assert_refused("-x", "", "-x");
    assert_refused("-mx", "", "-mx");
    assert_refused("--port", "", "--port needs a value");
    assert_refused("--port|-1", "", "--port: '-1' is not a number in the range 0..65535");
    assert_refused("--port|65536", "", "0..65535");
    assert_refused("--port|99999999999999999999", "", "0..65535");
    assert_refused("--port|80a", "", "'80a'");
    assert_refused("--port=", "", "--port");
    assert_refused("--memory=maybe", "", "true or false");
    assert_refused("--consistency|strong", "", "serializable|lww");
    assert_refused("--replication-timeout|15", "", "duration");
    assert_refused("--replication-timeout|0s", "", "positive");
    assert_refused("--replication-timeout|-5s", "", "duration");
    assert_refused("--name=", "", "--name is empty");
    assert_refused("--replication-stream|a.b", "", "stream name");
    assert_refused("--replicas|6", "", "1..5");
    assert_refused("", "HA_PORT=seven", "HA_PORT: 'seven'");
    assert_refused("--nats-pass|x", "", "--nats-user");
    assert_refused("--nats-user|u|--nats-pass|a\"b", "", "--nats-pass: must not");
    assert_refused("--nats-user|u\\|--nats-pass|a", "", "--nats-user: must not");
    assert_refused("--nats-user|u|--nats-pass|$2a$11$abc", "", "bcrypt");
    assert_refused("--nats-port|0|--nats-config|n.conf", "", "--nats-config");
    assert_refused("--port|4222", "", "both 4222");
    assert_refused("--config|/no/such/file", "", "/no/such/file");
}

static void test_leader(void **state)
{
    static const char *const no_address[] = {"x",       "x:",   ":1",    "x:0",
                                             "x:65536", "x:1x", "x/y:1", "x y:1"};

    (void)state;
    for (size_t i = 0; i < sizeof no_address / sizeof *no_address; i++) {
        char args[64];
        (void)snprintf(args, sizeof args, "--grpc-insecure|--leader-static|%s", no_address[i]);
        assert_refused(args, "", "host:port");
    }
    assert_refused("--leader-addr|x:1|--leader-static|y:1|--grpc-insecure", "", "combined");
    assert_refused("--leader-addr|x:1", "", "--cert");
    assert_refused("--leader-addr|x:1|--grpc-insecure|--cert|c|--key|k", "", "nothing but TLS");
    assert_refused("--leader-addr|x:1|--grpc-insecure|--port|0", "", "--port");
    assert_refused("--leader-static|x:1|--nats-port|0", "", "neither");
    assert_refused("--leader-static|x:1|--pg-proxied|host=h", "", "source");
    assert_int_equal(load("--leader-static|[::1]:8080", ""), ERR_OK);
    assert_int_equal(load("--leader-addr|x:8080|--cert|c|--key|k", ""), ERR_OK);
    assert_int_equal(load("--leader-static|x:1|--nats-port|0|--replication-url|nats://h:4222", ""),
                     ERR_OK);
    assert_int_equal(load("", "HA_LEADER_ADDR=node1:8080|HA_GRPC_INSECURE=true"), ERR_OK);
}

static void test_refused(void **state)
{
    (void)state;
    assert_refused("--async-replication-store-dir|x", "", "is refused");
    assert_refused("", "HA_ASYNC_REPLICATION_STORE_DIR=x",
                   "HA_ASYNC_REPLICATION_STORE_DIR is refused");
    assert_refused("--async-replication-store-dir|x", "", "database file");
    /* The default, however it is spelled, asks for nothing. */
    assert_int_equal(load("--snapshot-interval|0|--mysql-port|00|--proxy-local|ha.db|"
                          "--grpc-insecure=no|--mysql-user|ha|--leader-addr=",
                          ""),
                     ERR_OK);
}

static void test_client(void **state)
{
    (void)state;
    assert_refused("-c|SELECT 1", "", "--command is for a client");
    assert_refused("--mode|csv", "", "--mode is for a client");
    assert_refused("-r|http://x|--mode|xml", "", "--mode");
    assert_int_equal(load("-r|http://x|--mode|csv|-c|SELECT 1|--database|a.db", ""), ERR_OK);
    /* In the environment it may be meant for another command. */
    assert_int_equal(load("", "HA_MODE=csv|HA_DATABASE=a.db"), ERR_OK);
}

static void test_together(void **state)
{
    (void)state;
    assert_int_equal(load("-i|x.lua", ""), ERR_OK);
    assert_int_equal(load("-i|x.lua|--consistency|lww", "HA_INTERCEPTOR_MEMORY=1MiB"), ERR_OK);
    assert_refused("-i|x.lua|--consistency|serializable", "", "--consistency serializable");
    assert_refused("--interceptor|x.lua|--async-replication", "", "--async-replication");
    assert_refused("-i|x.lua|--disable-ddl-sync", "", "--disable-ddl-sync");
    assert_refused("-i|x.lua|--nats-port|0", "", "needs replication");
    assert_refused("-i|x.lua|--pg-proxied|x", "", "--pg-proxied");
    assert_refused("--interceptor-memory|1MB", "", "--interceptor-memory");
    assert_int_equal(load("--async-replication", ""), ERR_OK);
    assert_int_equal(c.consistency, CONSISTENCY_LWW);
    assert_int_equal(load("--async-replication|--consistency|lww", ""), ERR_OK);
    assert_refused("--async-replication|--consistency|serializable", "", "--async-replication");
    assert_refused("--async-replication", "HA_CONSISTENCY=serializable", "--async-replication");
}

static void test_policy(void **state)
{
    (void)state;
    assert_int_equal(load("--replication-policy|last", ""), ERR_OK);
    assert_int_equal(c.policy, REPLICA_START_LAST);
    assert_int_equal(load("--replication-policy|new", ""), ERR_OK);
    assert_int_equal(c.policy, REPLICA_START_NEW);
    assert_int_equal(load("--replication-policy=by_start_sequence=42", ""), ERR_OK);
    assert_int_equal(c.policy, REPLICA_START_SEQ);
    assert_int_equal(c.policy_seq, 42);
    assert_int_equal(load("--replication-policy=by_start_time=2026-01-31T13:34:56.789+01:00", ""),
                     ERR_OK);
    assert_int_equal(c.policy, REPLICA_START_TIME);
    assert_true(c.policy_time_ns == INT64_C(1769862896789000000));
    assert_int_equal(load("--replication-policy=by_start_time=2026-01-31 12:34:56", ""), ERR_OK);
    assert_true(c.policy_time_ns == INT64_C(1769862896000000000));
    assert_refused("--replication-policy=some", "", "'some'");
    assert_refused("--replication-policy=by_start_sequence=0", "", "sequence");
    assert_refused("--replication-policy=by_start_sequence=-1", "", "sequence");
    assert_refused("--replication-policy=by_start_sequence=1x", "", "sequence");
    assert_refused("--replication-policy=by_start_time=yesterday", "", "time");
    assert_refused("--replication-policy=by_start_time=2026-01-31T12:34:56+1", "", "time");
}

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(load("", "HA_NAME=n1|HA_MEMORY=true|HA_NATS_PORT=0|HA_TOKEN=|HA_UNKNOWN=x"),
                     ERR_OK);
    assert_string_equal(c.name, "n1");
    assert_true(c.memory);
    assert_int_equal(c.nats_port, 0);
    assert_string_equal(c.token, "");
    /* What others set under our names is not ours. */
    assert_int_equal(load("", "HA_PORT=tcp://10.0.0.1:8080|HA_VERSION=1.2.3"), ERR_OK);
    assert_int_equal(c.port, 8080);
    assert_false(c.version);
    assert_int_equal(load("", "HA_ARGS=-m 'my file.db' \"b c\".db --port 81"), ERR_OK);
    assert_true(c.memory);
    assert_int_equal(c.port, 81);
    assert_int_equal(c.n_files, 2);
    assert_string_equal(c.files[0], "my file.db");
    assert_string_equal(c.files[1], "b c.db");
    assert_int_equal(load("x.db|-p|82", "HA_ARGS=a.db b.db -p 81"), ERR_OK);
    assert_int_equal(c.n_files, 1);
    assert_string_equal(c.files[0], "x.db");
    assert_int_equal(c.port, 82);
    assert_refused("", "HA_ARGS='a", "quote");
    assert_refused("", "HA_ARGS=--bogus", "HA_ARGS: unknown flag --bogus");
}

static void test_precedence(void **state)
{
    static const char text[] = "# a comment\n"
                               "  port 1111   # where\r\n"
                               "\n"
                               "name \"from file # \\\"x\\\"\"\n"
                               "memory\n"
                               "token\ta#b\n"
                               "nats-logs false";
    char path[] = "/tmp/ha-config-test-XXXXXX";
    char args[128], env[128];
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(file_write(path, text, sizeof text - 1, 0600, &e), ERR_OK);
    (void)snprintf(args, sizeof args, "--config|%s", path);
    assert_int_equal(load(args, ""), ERR_OK);
    assert_int_equal(c.port, 1111);
    assert_string_equal(c.name, "from file # \"x\"");
    assert_true(c.memory);
    assert_string_equal(c.token, "a#b");
    assert_int_equal(load(args, "HA_PORT=2222"), ERR_OK);
    assert_int_equal(c.port, 2222);
    (void)snprintf(args, sizeof args, "--port|3333|--config|%s", path);
    assert_int_equal(load(args, "HA_PORT=2222"), ERR_OK);
    assert_int_equal(c.port, 3333);
    (void)snprintf(env, sizeof env, "HA_CONFIG=%s|HA_MEMORY=0", path);
    assert_int_equal(load("", env), ERR_OK);
    assert_int_equal(c.port, 1111);
    assert_false(c.memory);
    (void)unlink(path);
}

static void assert_bad_file(const char *text, const char *in_message)
{
    config_free(&c);
    assert_int_equal(config_init(&c, &e), ERR_OK);
    assert_int_equal(config_read(&c, text, strlen(text), "f.conf", &e), ERR_CONFIG);
    if (!strstr(e.msg, in_message))
        fail_msg("'%s' is not in '%s'", in_message, e.msg);
}

static void test_bad_files(void **state)
{
    (void)state;
    assert_bad_file("port 1\nbogus 2\n", "f.conf:2: bogus");
    assert_bad_file("\n\nport x", "f.conf:3: port: 'x'");
    assert_bad_file("name \"x", "quote");
    assert_bad_file("name \"x\" y", "quote");
    assert_bad_file("config other.conf", "command line");
    assert_bad_file("help", "command line");
    assert_bad_file("--port 1", "--port");
    assert_int_equal(config_read(&c, "a\0b", 3, "f.conf", &e), ERR_CONFIG);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {
        {"0", 0},
        {"0s", 0},
        {"15s", 15000000000},
        {"1m30s", 90000000000},
        {"24h", 86400000000000},
        {"1.5h", 5400000000000},
        {"300ms", 300000000},
        {".5s", 500000000},
        {"1s1ns", 1000000001},
        {"2h45m0.25s", 9900250000000},
        {"10us", 10000},
        {"10\xC2\xB5s", 10000},
        {"+1s", 1000000000},
        {"1.1s", 1100000000},
        {"2562047h", INT64_C(9223369200000000000)},
    };
    static const char *const bad[] = {"",     "1",    "s",           "-1s",
                                      "1d",   "1 s",  "1s ",         ".s",
                                      "1min", "1e3s", "9223372037s", "99999999999999999999h",
                                      "+",    "1.5"};
    int64_t ns;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(config_parse_duration(good[i].text, &ns));
        assert_true(ns == good[i].ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(config_parse_duration(bad[i], &ns));
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"65536", 65536},
                {"64KiB", 65536},
                {"64K", 65536},
                {"64kB", 64000},
                {"1MB", 1000000},
                {"1MiB", 1048576},
                {"2G", 2147483648},
                {"1TB", 1000000000000},
                {"10B", 10},
                {"16777215TiB", UINT64_C(16777215) << 40}};
    static const char *const bad[] = {"",   "K",     "-1",          "1 K",
                                      "1X", "1KiBs", "16777216TiB", "99999999999999999999"};
    uint64_t bytes;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(config_parse_size(good[i].text, &bytes));
        assert_true(bytes == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(config_parse_size(bad[i], &bytes));
}

/* What --print-config prints is a file that means the same, secrets aside. */
static void test_print_reads_back(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct config again;

    (void)state;
    assert_int_equal(load("--token|secret1|-n|a \"b\" # \\c|--replication-url|"
                          "nats://u:secret2@h:4222|-m|--replication-timeout|1m30s",
                          ""),
                     ERR_OK);
    config_print(&c, f);
    (void)fclose(f);
    assert_null(strstr(text, "secret"));
    assert_non_null(strstr(text, "nats://***@h:4222"));
    assert_int_equal(config_init(&again, &e), ERR_OK);
    if (config_read(&again, text, len, "printed", &e))
        fail_msg("%s", e.msg);
    assert_string_equal(again.name, c.name);
    assert_true(again.memory);
    assert_true(again.replication_timeout_ns == c.replication_timeout_ns);
    assert_int_equal(config_check(&again, &e), ERR_OK);
    config_free(&again);
    free(text);
}

static void test_help(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    (void)state;
    config_print_help(f);
    (void)fclose(f);
    assert_non_null(strstr(text, "\nEmbedded NATS\n"));
    assert_non_null(strstr(text, "-n, --name"));
    assert_null(strstr(text, "help-markdown"));
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_true(end - line <= 100);
    free(text);
    f = open_memstream(&text, &len);
    config_print_markdown(f);
    (void)fclose(f);
    assert_non_null(strstr(text, "| `-n`, `--name` | `HA_NAME` | hostname |"));
    assert_non_null(strstr(text, "`HA_MYSQL_DUMP_INCLUDE`"));
    free(text);
}

static int clean_up(void **state)
{
    (void)state;
    config_free(&c);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_refused),
        cmocka_unit_test(test_together),    cmocka_unit_test(test_policy),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_bad_files),   cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),       cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_help),        cmocka_unit_test(test_client),
        cmocka_unit_test(test_leader),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
