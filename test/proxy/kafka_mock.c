/*
 * A Kafka of librdkafka's making (its mock cluster) for tests: prints its bootstrap servers, does
 * what the lines of its standard input say, answers each with "ok" or "failed …", and lives until
 * that ends.
 *
 *   topic NAME PARTITIONS
 *   put TOPIC PARTITION KEY_BYTES VALUE_BYTES     and behind the line these bytes; -1: null; no
 * answer flush                                         all that was put is there down | up the
 * broker refuses connections, and takes them again fail API_KEY ERROR COUNT the next requests of
 * that kind get that error topic_fail NAME ERROR committed GROUP TOPIC PARTITION answers "ok
 * OFFSET"
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKER      1
#define ANSWER_MS   20000
#define NAME_FORMAT "%249s" /* Kafka's longest topic name */

static unsigned long undelivered;

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *arg)
{
    (void)rk;
    (void)arg;
    if (m->err) {
        fprintf(stderr, "not delivered: %s\n", rd_kafka_err2str(m->err));
        undelivered++;
    }
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char why[256];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
}

static rd_kafka_t *make(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
    char why[256];
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

    if (!rk) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
    return rk;
}

static void *read_bytes(int n)
{
    char *bytes = n < 0 ? NULL : malloc((size_t)n + 1);

    if (n > 0 && fread(bytes, 1, (size_t)n, stdin) != (size_t)n)
        exit(2);
    return bytes;
}

static void put(rd_kafka_t *producer, const char *line)
{
    char topic[250];
    int partition, key_len, value_len;

    if (sscanf(line, "put " NAME_FORMAT " %d %d %d", topic, &partition, &key_len, &value_len) != 4)
        exit(2);
    char *key = read_bytes(key_len), *value = read_bytes(value_len);
    for (;;) {
        rd_kafka_resp_err_t error =
            rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                              RD_KAFKA_V_KEY(key, key_len < 0 ? 0 : (size_t)key_len),
                              RD_KAFKA_V_VALUE(value, value_len < 0 ? 0 : (size_t)value_len),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            undelivered += error != RD_KAFKA_RESP_ERR_NO_ERROR;
            break;
        }
        rd_kafka_poll(producer, 10);
    }
    rd_kafka_poll(producer, 0);
    free(key);
    free(value);
}

static void answer(const char *bad)
{
    if (bad)
        printf("failed %s\n", bad);
    else
        printf("ok\n");
    fflush(stdout);
}

static void flush(rd_kafka_t *producer)
{
    rd_kafka_resp_err_t error = rd_kafka_flush(producer, ANSWER_MS);

    answer(error ? rd_kafka_err2str(error) : undelivered ? "not delivered" : NULL);
    undelivered = 0;
}

static void committed(const char *bootstrap, const char *group, const char *topic, int partition)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", group);
    rd_kafka_t *rk = make(RD_KAFKA_CONSUMER, conf);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t error = rd_kafka_committed(rk, list, ANSWER_MS);
    if (error) {
        answer(rd_kafka_err2str(error));
    } else {
        printf("ok %lld\n", (long long)list->elems[0].offset);
        fflush(stdout);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
}

int main(void)
{
    char line[1024], name[250], other[250];
    int n, error, count;
    rd_kafka_t *owner = make(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(owner, BROKER);
    const char *bootstrap = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "linger.ms", "5");
    set(conf, "enable.idempotence", "true"); /* in order, and once */
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *producer = make(RD_KAFKA_PRODUCER, conf);
    printf("%s\n", bootstrap);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (strncmp(line, "put ", 4) == 0)
            put(producer, line);
        else if (strcmp(line, "flush\n") == 0)
            flush(producer);
        else if (sscanf(line, "topic " NAME_FORMAT " %d", name, &n) == 2)
            answer(rd_kafka_mock_topic_create(cluster, name, n, 1) ? "exists" : NULL);
        else if (strcmp(line, "down\n") == 0)
            answer(rd_kafka_mock_broker_set_down(cluster, BROKER) ? "down" : NULL);
        else if (strcmp(line, "up\n") == 0)
            answer(rd_kafka_mock_broker_set_up(cluster, BROKER) ? "up" : NULL);
        else if (sscanf(line, "fail %d %d %d", &n, &error, &count) == 3) {
            for (int i = 0; i < count; i++)
                rd_kafka_mock_push_request_errors(cluster, (int16_t)n, 1, error);
            answer(NULL);
        } else if (sscanf(line, "topic_fail " NAME_FORMAT " %d", name, &error) == 2) {
            rd_kafka_mock_topic_set_error(cluster, name, (rd_kafka_resp_err_t)error);
            answer(NULL);
        } else if (sscanf(line, "committed " NAME_FORMAT " " NAME_FORMAT " %d", other, name, &n) ==
                   3)
            committed(bootstrap, other, name, n);
        else
            answer("unknown");
    }
    rd_kafka_destroy(producer);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
    return 0;
}
