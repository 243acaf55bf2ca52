/*
 * The table of all flags. Everything about a flag comes from its row: the command line, the HA_*
 * environment variable, the configuration file, --help, --print-config, docs/configuration.md.
 *
 * Columns of X:
 *   ID       CONFIG_ID, for config_is_set()
 *   field    of struct config
 *   TYPE     STRING char *, BOOL bool, INT int, DURATION int64_t ns, SIZE uint64_t bytes, ENUM int
 *   name     --name; the variable is HA_NAME with underscores
 *   short    its letter, 0 = none
 *   default  as text
 *   limits   INT "least..most", ENUM "first|second|…" (value = place), DURATION "positive" or "",
 *            else ""
 *   GROUP    heading in --help
 *   show     PLAIN, SECRET (never printed), URL (printed without credentials), ACTION (does
 *            something and ends), HIDDEN
 *   missing  NULL, or what this version lacks for it: any value but the default is refused
 *   help     one sentence, no full stop
 */
#ifndef HA_SERVER_FLAGS_H
#define HA_SERVER_FLAGS_H

#define CONFIG_GROUPS(X)                                                                           \
    X(NODE, "Node")                                                                                \
    X(DATABASE, "Databases")                                                                       \
    X(REPLICATION, "Replication")                                                                  \
    X(NATS, "Embedded NATS")                                                                       \
    X(LOG, "Log")                                                                                  \
    X(LEADER, "Leader")                                                                            \
    X(PG, "PostgreSQL")                                                                            \
    X(MYSQL, "MySQL")                                                                              \
    X(PROXY, "Proxy")                                                                              \
    X(DEBEZIUM, "Debezium")                                                                        \
    X(CLIENT, "Client")                                                                            \
    X(OTHER, "Configuration")

#define NO_OUTBOX_DIR                                                                              \
    "the outbox lives in the database file, in the same transaction as the data, so that neither " \
    "is ever without the other"

/* clang-format off */
#define CONFIG_FLAGS(X)                                                                            \
    X(NAME, name, STRING, "name", 'n', "hostname", "", NODE, PLAIN, NULL,                          \
      "Node name, unique in the cluster")                                                          \
    X(PORT, port, INT, "port", 'p', "8080", "0..65535", NODE, PLAIN, NULL,                         \
      "Port of the HTTP server, which speaks gRPC, too; 0 means none")                             \
    X(CERT, cert, STRING, "cert", 0, "", "", NODE, PLAIN, NULL,                                    \
      "TLS certificate file of the HTTP and gRPC server, which speaks nothing but TLS then")       \
    X(KEY, key, STRING, "key", 0, "", "", NODE, PLAIN, NULL,                                       \
      "TLS key file of the HTTP and gRPC server")                                                  \
    X(TOKEN, token, STRING, "token", 0, "", "", NODE, SECRET, NULL,                                \
      "API token that every request must carry; empty means no authentication")                    \
    X(QUERY_TIMEOUT, query_timeout_ns, DURATION, "query-timeout", 0, "0s", "", NODE, PLAIN, NULL,  \
      "Longest time a statement may run; 0s means no limit")                                       \
    X(TX_IDLE_TIMEOUT, tx_idle_timeout_ns, DURATION, "tx-idle-timeout", 0, "30s", "positive",      \
      NODE, PLAIN, NULL,                                                                           \
      "An open transaction that is idle for so long is rolled back")                               \
    X(MAX_RESULT_SIZE, max_result_bytes, SIZE, "max-result-size", 0, "64MiB", "", NODE, PLAIN,     \
      NULL, "Most bytes that the rows of one write request may take")                              \
    X(GRPC_TOKEN, grpc_token, STRING, "grpc-token", 0, "", "", NODE, SECRET, NULL,                 \
      "Token that every gRPC call must carry; empty means that of --token")                        \
    X(GRPC_TIMEOUT, grpc_timeout_ns, DURATION, "grpc-timeout", 0, "0s", "", NODE, PLAIN, NULL,     \
      "Longest time of a gRPC call that brings no deadline of its own; 0s means no limit")         \
    X(GRPC_MAX_MESSAGE_SIZE, grpc_max_message_bytes, SIZE, "grpc-max-message-size", 0, "64MiB",    \
      "", NODE, PLAIN, NULL, "Largest gRPC message that is taken")                                 \
                                                                                                   \
    X(MEMORY, memory, BOOL, "memory", 'm', "false", "", DATABASE, PLAIN, NULL,                     \
      "Keep the databases in memory; existing files are loaded and not changed")                   \
    X(DB_PARAMS, db_params, STRING, "db-params", 0, "default", "", DATABASE, PLAIN, NULL,          \
      "SQLite DSN parameters appended to each database file")                                      \
    X(CREATE_DB_DIR, create_db_dir, STRING, "create-db-dir", 0, "", "", DATABASE, PLAIN, NULL,     \
      "Directory for new database files")                                                          \
    X(CONCURRENT_QUERIES, concurrent_queries, INT, "concurrent-queries", 0, "50", "1..10000",      \
      DATABASE, PLAIN, NULL, "Maximum number of concurrent queries")                               \
    X(EXTENSIONS, extensions, STRING, "extensions", 0, "", "", DATABASE, PLAIN, NULL,              \
      "Comma-separated list of SQLite extensions to load")                                         \
    X(FROM_LATEST_SNAPSHOT, from_latest_snapshot, BOOL, "from-latest-snapshot", 0, "false", "",    \
      DATABASE, PLAIN, NULL,                                                                       \
      "Begin a new database with the latest snapshot in the JetStream object store, if there is one") \
    X(ADOPT, adopt, BOOL, "adopt", 0, "false", "", DATABASE, PLAIN, NULL,                          \
      "A database whose log is gone, or lost its end, begins a new log with its file")             \
    X(SNAPSHOT_INTERVAL, snapshot_interval_ns, DURATION, "snapshot-interval", 0, "0s", "",         \
      DATABASE, PLAIN, NULL,                                                                       \
      "Interval of automatic snapshots to the JetStream object store; 0s means none")              \
                                                                                                   \
    X(CONSISTENCY, consistency, ENUM, "consistency", 0, "serializable", "serializable|lww",        \
      REPLICATION, PLAIN, NULL,                                                                    \
      "serializable: no lost updates, conflicting transactions are retried; lww: last writer wins") \
    X(REPLICATION_URL, replication_url, STRING, "replication-url", 0, "", "", REPLICATION, URL,    \
      NULL,                                                                                        \
      "NATS URLs for replication, with commas between; empty means the embedded NATS. tls:// checks " \
      "the server's certificate against the system's CAs, or those of the file SSL_CERT_FILE")     \
    X(REPLICATION_STREAM, replication_stream, STRING, "replication-stream", 0, "ha_replication",   \
      "", REPLICATION, PLAIN, NULL, "Replication stream name")                                     \
    X(REPLICAS, replicas, INT, "replicas", 0, "1", "1..5", REPLICATION, PLAIN, NULL,               \
      "Number of JetStream replicas of a stream")                                                  \
    X(REPLICATION_MAX_AGE, replication_max_age_ns, DURATION, "replication-max-age", 0, "24h", "",  \
      REPLICATION, PLAIN, NULL,                                                                    \
      "Maximum age of messages in the replication stream; 0s means no limit")                      \
    X(REPLICATION_TIMEOUT, replication_timeout_ns, DURATION, "replication-timeout", 0, "15s",      \
      "positive", REPLICATION, PLAIN, NULL, "Timeout of replication publisher operations")         \
    X(REPLICATION_POLICY, replication_policy, STRING, "replication-policy", 0, "", "",             \
      REPLICATION, PLAIN, NULL,                                                                    \
      "Where a new database starts in the log: all, last, new, by_start_sequence=X or "            \
      "by_start_time=T (RFC 3339); empty means all")                                               \
    X(ROW_IDENTIFY, row_identify, ENUM, "row-identify", 0, "pk", "pk|rowid|full", REPLICATION,     \
      PLAIN, NULL, "How replication identifies rows")                                              \
    X(DISABLE_DDL_SYNC, disable_ddl_sync, BOOL, "disable-ddl-sync", 0, "false", "", REPLICATION,   \
      PLAIN, NULL, "Do not publish DDL commands")                                                  \
    X(ASYNC_REPLICATION, async_replication, BOOL, "async-replication", 0, "false", "",             \
      REPLICATION, PLAIN, NULL,                                                                    \
      "Publish after the commit, from an outbox in the database; implies --consistency lww")       \
    X(ASYNC_REPLICATION_STORE_DIR, async_store_dir, STRING, "async-replication-store-dir", 0, "",  \
      "", REPLICATION, PLAIN, NO_OUTBOX_DIR, "Directory of the outbox")                            \
    X(INTERCEPTOR, interceptor, STRING, "interceptor", 'i', "", "", REPLICATION, PLAIN, NULL,      \
      "Lua script that decides what becomes of replicated changes (docs/interceptors.md); implies " \
      "--consistency lww")                                                                         \
    X(INTERCEPTOR_MEMORY, interceptor_memory, SIZE, "interceptor-memory", 0, "64MiB", "",          \
      REPLICATION, PLAIN, NULL,                                                                    \
      "Most bytes that the interceptor may use in a database, the transaction's changes included") \
                                                                                                   \
    X(NATS_PORT, nats_port, INT, "nats-port", 0, "4222", "-1..65535", NATS, PLAIN, NULL,           \
      "Port of the embedded NATS; 0 means none, -1 any free one")                                  \
    X(NATS_STORE_DIR, nats_store_dir, STRING, "nats-store-dir", 0, "", "", NATS, PLAIN, NULL,      \
      "Its storage directory; empty means ha_nats beside the databases")                           \
    X(NATS_USER, nats_user, STRING, "nats-user", 0, "", "", NATS, PLAIN, NULL, "Its user name")    \
    X(NATS_PASS, nats_pass, STRING, "nats-pass", 0, "", "", NATS, SECRET, NULL, "Its password")    \
    X(NATS_CONFIG, nats_config, STRING, "nats-config", 0, "", "", NATS, PLAIN, NULL,               \
      "A nats-server configuration file to use as it is, ports and directories included")          \
    X(NATS_SYNC, nats_sync, ENUM, "nats-sync", 0, "always", "always|interval", NATS, PLAIN, NULL,  \
      "When an acknowledged message is on disk: always at once (nats-server 2.10 and newer), or "  \
      "every two minutes")                                                                         \
    X(NATS_LOGS, nats_logs, BOOL, "nats-logs", 0, "false", "", NATS, PLAIN, NULL,                  \
      "Put its output into the log")                                                               \
                                                                                                   \
    X(LOG_LEVEL, log_level, ENUM, "log-level", 0, "info", "debug|info|warn|error", LOG, PLAIN,     \
      NULL, "Least severe lines that are written")                                                 \
    X(LOG_FORMAT, log_format, ENUM, "log-format", 0, "logfmt", "logfmt|json", LOG, PLAIN, NULL,    \
      "Format of the log on standard error")                                                       \
                                                                                                   \
    X(LEADER_ADDR, leader_addr, STRING, "leader-addr", 0, "", "", LEADER, PLAIN, NULL,             \
      "host:port that the others reach this node's --port by when it leads; enables leader "       \
      "election")                                                                                  \
    X(LEADER_STATIC, leader_static, STRING, "leader-static", 0, "", "", LEADER, PLAIN, NULL,       \
      "host:port of the node that leads; there is no election")                                    \
    X(GRPC_INSECURE, grpc_insecure, BOOL, "grpc-insecure", 0, "false", "", LEADER, PLAIN, NULL,    \
      "Use plaintext gRPC for leader messages; without it TLS, and the system's CAs or those of "  \
      "the file SSL_CERT_FILE")                                                                    \
                                                                                                   \
    X(PG_PORT, pg_port, INT, "pg-port", 0, "0", "0..65535", PG, PLAIN, NULL,                       \
      "Port of the PostgreSQL wire protocol server; 0 means none")                                 \
    X(PG_USER, pg_user, STRING, "pg-user", 0, "ha", "", PG, PLAIN, NULL,                           \
      "PostgreSQL authentication user")                                                            \
    X(PG_PASS, pg_pass, STRING, "pg-pass", 0, "ha", "", PG, SECRET, NULL,                          \
      "PostgreSQL authentication password")                                                        \
    X(PG_CERT, pg_cert, STRING, "pg-cert", 0, "", "", PG, PLAIN, NULL,                             \
      "TLS certificate file of the PostgreSQL server")                                             \
    X(PG_KEY, pg_key, STRING, "pg-key", 0, "", "", PG, PLAIN, NULL,                                \
      "TLS key file of the PostgreSQL server")                                                     \
    X(PG_USERS, pg_users, STRING, "pg-users", 0, "", "", PG, PLAIN, NULL,                          \
      "File of further PostgreSQL users: a name, a password and perhaps read-only on each line")   \
    X(PG_AUTH, pg_auth, ENUM, "pg-auth", 0, "scram-sha-256", "scram-sha-256|md5|password", PG,     \
      PLAIN, NULL, "How PostgreSQL clients prove their password; password is clear text")          \
                                                                                                   \
    X(MYSQL_PORT, mysql_port, INT, "mysql-port", 0, "0", "0..65535", MYSQL, PLAIN, NULL,           \
      "Port of the MySQL wire protocol server; 0 means none")                                      \
    X(MYSQL_USER, mysql_user, STRING, "mysql-user", 0, "ha", "", MYSQL, PLAIN, NULL,               \
      "MySQL authentication user")                                                                 \
    X(MYSQL_PASS, mysql_pass, STRING, "mysql-pass", 0, "", "", MYSQL, SECRET, NULL,                \
      "MySQL authentication password, or its hash as in mysql.user")                               \
    X(MYSQL_CERT, mysql_cert, STRING, "mysql-cert", 0, "", "", MYSQL, PLAIN, NULL,                 \
      "TLS certificate file of the MySQL server")                                                  \
    X(MYSQL_KEY, mysql_key, STRING, "mysql-key", 0, "", "", MYSQL, PLAIN, NULL,                    \
      "TLS key file of the MySQL server")                                                          \
                                                                                                   \
    X(MYSQL_PROXIED, mysql_proxied, STRING, "mysql-proxied", 0, "", "", PROXY, SECRET, NULL,       \
      "Source MySQL DSN to replicate from and to redirect writes to")                              \
    X(MYSQL_INCLUDE, mysql_include, STRING, "mysql-include", 0, "^db.*", "", PROXY, PLAIN, NULL,   \
      "Regexp of the MySQL source's tables to include, over database.table")                       \
    X(MYSQL_EXCLUDE, mysql_exclude, STRING, "mysql-exclude", 0, "", "", PROXY, PLAIN, NULL,        \
      "Regexp of the MySQL source's tables to exclude, likewise")                                  \
    X(MYSQL_DUMP_BIN, mysql_dump_bin, STRING, "mysql-dump-bin", 0, "", "", PROXY, PLAIN, NULL,     \
      "Known, and without effect: the first copy is made over a connection of its own")            \
    X(MYSQL_DUMP_DB, mysql_dump_db, STRING, "mysql-dump-db", 0, "", "", PROXY, PLAIN, NULL,        \
      "The one database of the MySQL source that is copied at first; empty means all of them")     \
    X(MYSQL_DUMP_INCLUDE, mysql_dump_include, STRING, "mysql-dump-include", 0, "", "", PROXY,      \
      PLAIN, NULL, "Tables that are copied at first, with commas between; empty means all of them") \
    X(MYSQL_PROXY_ID, mysql_proxy_id, STRING, "mysql-proxy-id", 0, "sqlite-ha", "", PROXY, PLAIN,  \
      NULL, "Server id for the MySQL source, or a name from which it is made")                     \
    X(PG_PROXIED, pg_proxied, STRING, "pg-proxied", 0, "", "", PROXY, SECRET, NULL,                \
      "Source PostgreSQL DSN to replicate from and proxy to")                                      \
    X(PG_PUBLICATION, pg_publication, STRING, "pg-publication", 0, "ha_publication", "", PROXY,    \
      PLAIN, NULL, "Publication name in the source PostgreSQL")                                    \
    X(PG_SLOT, pg_slot, STRING, "pg-slot", 0, "ha_slot", "", PROXY, PLAIN, NULL,                   \
      "Replication slot name in the source PostgreSQL")                                            \
    X(PROXY_LOCAL, proxy_local, STRING, "proxy-local", 0, "ha.db", "", PROXY, PLAIN, NULL,         \
      "Local SQLite proxy database file path")                                                     \
    X(PROXY_USE_SCHEMA, proxy_use_schema, BOOL, "proxy-use-schema", 0, "false", "", PROXY, PLAIN,  \
      NULL, "Create local tables based on the source database's schema")                           \
    X(PROXY_DISABLE_REDIRECT, proxy_disable_redirect, BOOL, "proxy-disable-redirect", 0, "false",  \
      "", PROXY, PLAIN, NULL, "Do not redirect queries to the source database")                    \
    X(PROXY_READ_YOUR_WRITES, proxy_read_your_writes, BOOL, "proxy-read-your-writes", 0, "false",  \
      "", PROXY, PLAIN, NULL, "Read-your-writes behaviour of proxied queries")                     \
                                                                                                   \
    X(DEBEZIUM_BROKERS, debezium_brokers, STRING, "debezium-brokers", 0, "", "", DEBEZIUM, SECRET, \
      NULL,                                                                                        \
      "Kafka brokers with commas between, and perhaps librdkafka's settings behind a ?: "          \
      "host:9092,host2:9092?security.protocol=ssl&…")                                              \
    X(DEBEZIUM_GROUP, debezium_group, STRING, "debezium-group", 0, "", "", DEBEZIUM, PLAIN,        \
      NULL, "Kafka consumer group that is told how far the node is")                               \
    X(DEBEZIUM_TOPICS, debezium_topics, STRING, "debezium-topics", 0, "", "", DEBEZIUM, PLAIN,     \
      NULL, "Kafka topics to consume, with commas between; ^… is a regular expression")            \
    X(DEBEZIUM_SOURCE_DSN, debezium_source_dsn, STRING, "debezium-source-dsn", 0, "", "",          \
      DEBEZIUM, SECRET, NULL, "DSN of the source database, where writes of clients go")            \
                                                                                                   \
    X(REMOTE, remote, STRING, "remote", 'r', "", "", CLIENT, URL, NULL,                            \
      "Run as a client of the node at this URL, or of the first of several (with commas between) " \
      "that can be reached; files are scripts of SQL, - is standard input")                        \
    X(CACERT, cacert, STRING, "cacert", 0, "", "", CLIENT, PLAIN, NULL,                            \
      "Client: file of CAs that an https node's certificate is checked with; empty means the "     \
      "system's")                                                                                  \
    X(COMMAND, command, STRING, "command", 'c', "", "", CLIENT, PLAIN, NULL,                       \
      "Client: run these statements and end")                                                      \
    X(DATABASE, database, STRING, "database", 0, "", "", CLIENT, PLAIN, NULL,                      \
      "Client: the database's id; empty means the node's default one")                             \
    X(MODE, mode, ENUM, "mode", 0, "table", "table|line|csv|tabs|json|jsonl", CLIENT, PLAIN, NULL, \
      "Client: how rows are shown")                                                                \
                                                                                                   \
    X(CONFIG, config, STRING, "config", 0, "", "", OTHER, PLAIN, NULL,                             \
      "Configuration file: lines of a flag's name and its value")                                  \
    X(CHECK_CONFIG, check_config, BOOL, "check-config", 0, "false", "", OTHER, ACTION, NULL,       \
      "Check the configuration and exit")                                                          \
    X(PRINT_CONFIG, print_config, BOOL, "print-config", 0, "false", "", OTHER, ACTION, NULL,       \
      "Print the configuration in the file's format, secrets blanked, and exit")                   \
    X(VERSION, version, BOOL, "version", 0, "false", "", OTHER, ACTION, NULL,                      \
      "Print version information and exit")                                                        \
    X(HELP, help, BOOL, "help", 'h', "false", "", OTHER, ACTION, NULL, "Print this and exit")      \
    X(HELP_MARKDOWN, help_markdown, BOOL, "help-markdown", 0, "false", "", OTHER, HIDDEN, NULL,    \
      "Print docs/configuration.md and exit")
/* clang-format on */

#endif
