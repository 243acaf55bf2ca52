/*
 * A consumer by librdkafka, whose own threads fetch; everything here runs in the caller's thread,
 * callbacks included (they are served by consumer_poll), but for the log's.
 *
 *   kafka_open, kafka_close, kafka_check
 *   kafka_discover → ask → take_topic; kafka_rewind → assign
 *   kafka_next → on_error
 *   kafka_commit, kafka_commit_rest, kafka_behind
 */
#include "proxy/kafka.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "proxy/kafka_settings.h"
#include "proxy/rdkafka.h"

/* How long the brokers have to say which topics there are. A node that stops waits for it. */
#define ASK_MS 3000

struct pattern {
    const char *text; /* of the list */
    bool is_regex;
    regex_t regex;
};

struct kafka {
    rd_kafka_t *rk;
    char **topics; /* as configured */
    struct pattern *patterns;
    size_t n_patterns;
    struct kafka_position *taken; /* the partitions that are read; offsets have no meaning */
    rd_kafka_message_t *message;  /* the last one handed out */
    bool all_down;                /* librdkafka says so; to be asked */
    char *group;
    rd_kafka_queue_t *answers; /* to what was told to the group */
    bool committing;           /* one is awaited */
    bool rest;                 /* there was more to tell meanwhile */
    bool told_commit;          /* that offsets cannot be committed was logged */
    enum err_code problem;     /* of the last event of the brokers */
    char why[256];             /* in librdkafka's words; "" = there was none */
};

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NO_MEMORY, "out of memory");
}

/* ---- topics as configured ---- */

static void patterns_free(struct kafka *k)
{
    for (size_t i = 0; i < k->n_patterns; i++)
        if (k->patterns[i].is_regex)
            regfree(&k->patterns[i].regex);
    free(k->patterns);
    list_free(k->topics);
}

/* The same function with the same flags as librdkafka's own subscriptions use. */
static enum err_code pattern_read(struct pattern *p, const char *text, struct err *e)
{
    char why[128];

    p->text = text;
    p->is_regex = false;
    if (*text != '^')
        return ERR_OK;
    int code = regcomp(&p->regex, text, REG_EXTENDED | REG_NOSUB);
    p->is_regex = code == 0;
    if (code == 0)
        return ERR_OK;
    (void)regerror(code, &p->regex, why, sizeof why);
    return err_set(e, ERR_CONFIG, "the topics' expression %s: %s", text, why);
}

static enum err_code patterns_read(struct kafka *k, const char *text, struct err *e)
{
    size_t n = 0;

    k->topics = list_split(text);
    while (k->topics && k->topics[n])
        n++;
    k->patterns = calloc(n + 1, sizeof *k->patterns);
    if (!k->topics || !k->patterns)
        return no_memory(e);
    if (n == 0)
        return err_set(e, ERR_CONFIG, "no topic is named");
    for (; k->n_patterns < n; k->n_patterns++)
        if (pattern_read(&k->patterns[k->n_patterns], k->topics[k->n_patterns], e) != ERR_OK)
            return e->code;
    return ERR_OK;
}

static bool is_wanted(const struct kafka *k, const char *topic)
{
    for (size_t i = 0; i < k->n_patterns; i++) {
        const struct pattern *p = &k->patterns[i];
        if (p->is_regex ? regexec(&p->regex, topic, 0, NULL, 0) == 0 : strcmp(p->text, topic) == 0)
            return true;
    }
    return false;
}

/* ---- what librdkafka tells ---- */

static enum err_code code_of(rd_kafka_resp_err_t error)
{
    switch (error) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
        return ERR_AUTH;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return ERR_TOO_OLD;
    default:
        return ERR_IO;
    }
}

static void on_error(rd_kafka_t *rk, int error, const char *reason, void *arg)
{
    struct kafka *k = arg;

    (void)rk;
    if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        k->all_down = true;
        return;
    }
    k->problem = code_of((rd_kafka_resp_err_t)error);
    (void)snprintf(k->why, sizeof k->why, "%s", reason);
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    LOG_DEBUG("librdkafka", LOG_INT("level", level), LOG_STR("facility", facility),
              LOG_STR("text", text));
}

/* The brokers could not be asked: with what they, or the way to them, had to say last. */
static enum err_code unreachable(struct kafka *k, rd_kafka_resp_err_t error, struct err *e)
{
    if (*k->why)
        return err_set(e, k->problem, "Kafka cannot be asked: %s", k->why);
    return err_set(e, code_of(error), "Kafka cannot be asked: %s", rdkafka.err2str(error));
}

/* ---- opening ---- */

static enum err_code set_one(void *arg, const char *name, const char *value, struct err *e)
{
    char why[256];

    if (rdkafka.conf_set(arg, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
        return err_set(e, ERR_CONFIG, "%s", why);
    return ERR_OK;
}

static enum err_code configure(rd_kafka_conf_t *conf, const struct kafka_options *o, struct err *e)
{
    static const char *const fixed[][2] = {
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"}, /* what is no longer there is not skipped */
        {"allow.auto.create.topics", "false"},
        {"reconnect.backoff.max.ms", "2000"},
        /* What is fetched ahead, in KiB: a node has other things in its memory. */
        {"queued.max.messages.kbytes", "16384"},
    };
    enum err_code code = *o->group ? set_one(conf, "group.id", o->group, e)
                                   : err_set(e, ERR_CONFIG, "no consumer group is named");

    for (size_t i = 0; i < sizeof fixed / sizeof *fixed && code == ERR_OK; i++)
        code = set_one(conf, fixed[i][0], fixed[i][1], e);
    return code == ERR_OK ? kafka_settings_read(o->brokers, set_one, conf, e) : code;
}

enum err_code kafka_open(struct kafka **out, const struct kafka_options *o, struct err *e)
{
    char why[256];

    *out = NULL;
    if (rdkafka_load(e) != ERR_OK)
        return e->code;
    struct kafka *k = calloc(1, sizeof *k);
    if (!k)
        return no_memory(e);
    rd_kafka_conf_t *conf = rdkafka.conf_new();
    enum err_code code = conf ? configure(conf, o, e) : no_memory(e);
    if (code == ERR_OK)
        code = patterns_read(k, o->topics, e);
    if (code == ERR_OK && !(k->taken = kafka_position_new()))
        code = no_memory(e);
    if (code == ERR_OK && !(k->group = strdup(o->group)))
        code = no_memory(e);
    if (code == ERR_OK) {
        rdkafka.conf_set_opaque(conf, k);
        rdkafka.conf_set_error_cb(conf, on_error);
        rdkafka.conf_set_log_cb(conf, on_log);
        k->rk = rdkafka.new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
        if (k->rk)
            conf = NULL; /* it is librdkafka's now */
        else
            code = err_set(e, ERR_CONFIG, "%s", why);
    }
    if (code == ERR_OK && !(k->answers = rdkafka.queue_new(k->rk)))
        code = no_memory(e);
    if (conf)
        rdkafka.conf_destroy(conf);
    if (code != ERR_OK) {
        kafka_close(k);
        return code;
    }
    (void)rdkafka.poll_set_consumer(k->rk);
    *out = k;
    return ERR_OK;
}

void kafka_close(struct kafka *k)
{
    if (!k)
        return;
    if (k->message)
        rdkafka.message_destroy(k->message);
    if (k->answers)
        rdkafka.queue_destroy(k->answers);
    /* To close a consumer is to leave the group, which this one never was in; it would wait a
     * minute for the answer of a broker that is gone. */
    if (k->rk)
        rdkafka.destroy_flags(k->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    kafka_position_free(k->taken);
    patterns_free(k);
    free(k->group);
    free(k);
}

enum err_code kafka_check(const struct kafka_options *o, struct err *e)
{
    struct kafka *k;
    enum err_code code = kafka_open(&k, o, e);

    if (code == ERR_OK)
        kafka_close(k);
    return code;
}

/* ---- which partitions ---- */

/* Everything that is taken, anew. */
static enum err_code assign(struct kafka *k, const struct kafka_position *position, struct err *e)
{
    size_t n;
    const struct kafka_place *all = kafka_position_all(k->taken, &n);
    rd_kafka_topic_partition_list_t *list = rdkafka.topic_partition_list_new((int)n);

    if (!list)
        return no_memory(e);
    for (size_t i = 0; i < n; i++) {
        int64_t offset = RD_KAFKA_OFFSET_BEGINNING;
        (void)kafka_position_get(position, all[i].topic, all[i].partition, &offset);
        rdkafka.topic_partition_list_add(list, all[i].topic, all[i].partition)->offset = offset;
    }
    rd_kafka_resp_err_t error = rdkafka.assign(k->rk, list);
    rdkafka.topic_partition_list_destroy(list);
    return error ? err_set(e, ERR_IO, "Kafka's partitions cannot be taken: %s",
                           rdkafka.err2str(error))
                 : ERR_OK;
}

static bool take_topic(struct kafka *k, const rd_kafka_metadata_topic_t *t, bool *news)
{
    int64_t ignored;

    for (int i = 0; i < t->partition_cnt; i++) {
        int32_t id = t->partitions[i].id;
        if (kafka_position_get(k->taken, t->topic, id, &ignored))
            continue;
        if (!kafka_position_set(k->taken, t->topic, id, 0))
            return false;
        *news = true;
    }
    return true;
}

static bool exists(const rd_kafka_metadata_t *m, const char *topic)
{
    for (int i = 0; i < m->topic_cnt; i++)
        if (!m->topics[i].err && strcmp(m->topics[i].topic, topic) == 0)
            return true;
    return false;
}

static bool any_matches(const rd_kafka_metadata_t *m, const struct pattern *p)
{
    for (int i = 0; i < m->topic_cnt; i++)
        if (!m->topics[i].err && regexec(&p->regex, m->topics[i].topic, 0, NULL, 0) == 0)
            return true;
    return false;
}

static void put_missing(const struct kafka *k, const rd_kafka_metadata_t *m, struct buf *missing)
{
    for (size_t i = 0; i < k->n_patterns; i++) {
        const struct pattern *p = &k->patterns[i];
        if (p->is_regex ? any_matches(m, p) : exists(m, p->text))
            continue;
        if (missing->len > 0)
            buf_puts(missing, ", ");
        buf_puts(missing, p->text);
    }
}

enum err_code kafka_discover(struct kafka *k, const struct kafka_position *position,
                             struct buf *missing, struct err *e)
{
    const rd_kafka_metadata_t *m = NULL;
    bool news = false, ok = true;
    rd_kafka_resp_err_t error = rdkafka.metadata(k->rk, 1, NULL, &m, ASK_MS);

    if (error) {
        /* Why it failed is an event that consumer_poll() serves; messages of a consumer that is
         * given up are of no use. */
        rd_kafka_message_t *unused = rdkafka.consumer_poll(k->rk, 0);
        if (unused)
            rdkafka.message_destroy(unused);
        return unreachable(k, error, e);
    }
    k->all_down = false;
    k->why[0] = '\0';
    for (int i = 0; i < m->topic_cnt && ok; i++)
        if (!m->topics[i].err && is_wanted(k, m->topics[i].topic))
            ok = take_topic(k, &m->topics[i], &news);
    put_missing(k, m, missing);
    rdkafka.metadata_destroy(m);
    if (!ok || !buf_ok(missing))
        return no_memory(e);
    return news ? assign(k, position, e) : ERR_OK;
}

enum err_code kafka_rewind(struct kafka *k, const struct kafka_position *position, struct err *e)
{
    rd_kafka_resp_err_t error = rdkafka.assign(k->rk, NULL); /* drops what was fetched */

    if (error)
        return err_set(e, ERR_IO, "Kafka's partitions cannot be taken: %s", rdkafka.err2str(error));
    return assign(k, position, e);
}

/* ---- messages ---- */

static enum err_code failed(const rd_kafka_message_t *m, struct err *e)
{
    const char *topic = m->rkt ? rdkafka.topic_name(m->rkt) : "";
    enum err_code code = code_of(m->err);
    /* The payload of an error is its text. */
    int len = m->payload ? (int)m->len : 0;

    if (code == ERR_TOO_OLD)
        return err_set(e, code,
                       "topic %s, partition %d: what comes next (offset %lld) is not in Kafka: the "
                       "messages were deleted before they were read, or the topic was made anew",
                       topic, (int)m->partition, (long long)m->offset);
    return err_set(e, code, "topic %s, partition %d: %s%s%.*s", topic, (int)m->partition,
                   rdkafka.err2str(m->err), len ? ": " : "", len, (const char *)m->payload);
}

enum err_code kafka_next(struct kafka *k, int timeout_ms, struct kafka_message *out, bool *got,
                         struct err *e)
{
    *got = false;
    if (k->message)
        rdkafka.message_destroy(k->message);
    k->message = rdkafka.consumer_poll(k->rk, timeout_ms);
    const rd_kafka_message_t *m = k->message;
    if (!m)
        return k->all_down ? unreachable(k, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, e) : ERR_OK;
    if (m->err)
        return failed(m, e);
    *out = (struct kafka_message){.topic = rdkafka.topic_name(m->rkt),
                                  .partition = m->partition,
                                  .offset = m->offset,
                                  .key = m->key,
                                  .value = m->payload,
                                  .key_len = m->key_len,
                                  .value_len = m->len};
    *got = true;
    return ERR_OK;
}

/* ---- the group ---- */

static rd_kafka_topic_partition_list_t *offsets_of(const struct kafka *k,
                                                   const struct kafka_position *position)
{
    size_t n;
    const struct kafka_place *all = kafka_position_all(position, &n);
    rd_kafka_topic_partition_list_t *list = rdkafka.topic_partition_list_new((int)n);
    int64_t ignored;

    for (size_t i = 0; list && i < n; i++)
        if (kafka_position_get(k->taken, all[i].topic, all[i].partition, &ignored))
            rdkafka.topic_partition_list_add(list, all[i].topic, all[i].partition)->offset =
                all[i].offset;
    return list;
}

/* Takes the answer to what was told last, where it has come. */
static void take_answer(struct kafka *k)
{
    rd_kafka_event_t *answer = k->committing ? rdkafka.queue_poll(k->answers, 0) : NULL;

    if (!answer)
        return;
    if (rdkafka.event_error(answer) && !k->told_commit) {
        LOG_WARN("the Kafka group's offsets are not committed, which only its lag is shown by",
                 LOG_STR("reason", rdkafka.event_error_string(answer)));
        k->told_commit = true;
    }
    rdkafka.event_destroy(answer);
    k->committing = false;
}

/* As an administrator does, for a commit of the consumer's own that waits for its coordinator keeps
 * librdkafka (2.0.2) from ending: rd_kafka_destroy() then waits for ever. */
void kafka_commit(struct kafka *k, const struct kafka_position *position)
{
    take_answer(k);
    k->rest = k->committing;
    rd_kafka_topic_partition_list_t *list = k->committing ? NULL : offsets_of(k, position);
    if (!list || list->cnt == 0) {
        if (list)
            rdkafka.topic_partition_list_destroy(list);
        return;
    }
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rdkafka.AlterConsumerGroupOffsets_new(k->group, list);
    rd_kafka_AdminOptions_t *options =
        rdkafka.AdminOptions_new(k->rk, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    char ignored[128];
    (void)rdkafka.AdminOptions_set_request_timeout(options, ASK_MS, ignored, sizeof ignored);
    rdkafka.AlterConsumerGroupOffsets(k->rk, &request, 1, options, k->answers);
    k->committing = true;
    rdkafka.AdminOptions_destroy(options);
    rdkafka.AlterConsumerGroupOffsets_destroy(request);
    rdkafka.topic_partition_list_destroy(list);
}

void kafka_commit_rest(struct kafka *k, const struct kafka_position *position)
{
    if (k->rest)
        kafka_commit(k, position);
}

bool kafka_behind(struct kafka *k, const struct kafka_position *position, uint64_t *messages)
{
    size_t n;
    const struct kafka_place *all = kafka_position_all(k->taken, &n);
    bool known = true;

    *messages = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t low, high, at = 0;
        if (rdkafka.get_watermark_offsets(k->rk, all[i].topic, all[i].partition, &low, &high) ||
            high < 0) {
            known = false;
            continue;
        }
        if (!kafka_position_get(position, all[i].topic, all[i].partition, &at) || at < low)
            at = low;
        if (high > at)
            *messages += (uint64_t)(high - at);
    }
    return known;
}
