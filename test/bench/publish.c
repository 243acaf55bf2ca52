/*
 * The bare limit of a write: a publish and its acknowledgement, one after the other, of the very
 * bytes that the node has published last.
 *
 *   publish url=nats://127.0.0.1:4222 like=ha_replication-a.db subject=ha_replication.a.db
 * count=1000 warmup=100 headers=0
 *
 * Reads the last message of the stream `like` and publishes its payload `count` times into a stream
 * of its own on the same server. headers=1 sends the headers of a node's message along, fresh id
 * and expected sequence included, as the node does.
 *
 * Prints {"count", "bytes", "p50_us", "p99_us", "max_us"}.
 */
#include <stdbool.h>
#include <unistd.h>

#include "support/jetstream.h"

#define STREAM  "bench-bare"
#define SUBJECT "bench.bare"

static uint64_t prepare_stream(jsCtx *js)
{
    static const char *subjects[] = {SUBJECT};
    jsStreamInfo *info = NULL;
    jsStreamConfig cfg;
    jsErrCode jerr = 0;
    natsStatus s = js_GetStreamInfo(&info, js, STREAM, NULL, &jerr);
    if (s == NATS_NOT_FOUND) {
        jsStreamConfig_Init(&cfg);
        cfg.Name = STREAM;
        cfg.Subjects = subjects;
        cfg.SubjectsLen = 1;
        s = js_AddStream(&info, js, &cfg, NULL, &jerr);
    }
    jetstream_must(s, jerr, "the stream");
    uint64_t last = info->State.LastSeq;
    jsStreamInfo_Destroy(info);
    return last;
}

static void set_headers(natsMsg *msg, uint64_t expect)
{
    char id[32], seq[32];
    snprintf(id, sizeof id, "bench%08x%09llu", (unsigned)getpid(), (unsigned long long)expect);
    snprintf(seq, sizeof seq, "%llu", (unsigned long long)expect);
    natsStatus s = natsMsgHeader_Set(msg, "Nats-Msg-Id", id);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "Nats-Expected-Last-Sequence", seq);
    if (s == NATS_OK)
        s = natsMsgHeader_Set(msg, "Nats-Expected-Stream", STREAM);
    jetstream_must(s, 0, "headers");
}

static uint64_t publish(jsCtx *js, const char *data, int len, bool headers, uint64_t expect)
{
    natsMsg *msg = NULL;
    jsPubAck *ack = NULL;
    jsErrCode jerr = 0;
    jetstream_must(natsMsg_Create(&msg, SUBJECT, NULL, data, len), 0, "a message");
    if (headers)
        set_headers(msg, expect);
    jetstream_must(js_PublishMsg(&ack, js, msg, NULL, &jerr), jerr, "publishing");
    uint64_t seq = ack->Sequence;
    jsPubAck_Destroy(ack);
    natsMsg_Destroy(msg);
    return seq;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"url",    "like",    "subject", "count",
                                        "warmup", "headers", NULL};
    measure_check(argc, argv, names);
    const char *like = measure_text(argc, argv, "like", "");
    const char *subject = measure_text(argc, argv, "subject", "");
    long count = measure_number(argc, argv, "count", 1000, 1, 10000000);
    long warmup = measure_number(argc, argv, "warmup", 0, 0, 100000);
    bool headers = measure_number(argc, argv, "headers", 0, 0, 1) == 1;
    struct jetstream j = {0};
    natsMsg *model = NULL;
    jsErrCode jerr = 0;

    jetstream_open(&j, measure_text(argc, argv, "url", "nats://127.0.0.1:4222"), 1);
    jetstream_must(js_GetLastMsg(&model, j.js, like, subject, NULL, &jerr), jerr,
                   "the message to do as");
    const char *data = natsMsg_GetData(model);
    int len = natsMsg_GetDataLength(model);
    uint64_t seq = prepare_stream(j.js);
    uint32_t *ns = measure_alloc((size_t)count, sizeof *ns);
    for (long i = 0; i < warmup; i++)
        seq = publish(j.js, data, len, headers, seq);
    for (long i = 0; i < count; i++) {
        int64_t start = measure_now_ns();
        seq = publish(j.js, data, len, headers, seq);
        ns[i] = measure_since(start);
    }
    printf("{\"count\":%ld,\"bytes\":%d,", count, len);
    measure_print(ns, (size_t)count);
    puts("}");
    free(ns);
    natsMsg_Destroy(model);
    jetstream_close(&j);
    return 0;
}
