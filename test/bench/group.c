/*
 * The bare limit of many writers: threads hand one-row transactions to a write group, as LevelDB's
 * writers do, around one SQLite connection and one publish. No network front, no capture, no
 * encoding: the message is that many bytes of nothing.
 *
 *   group url=nats://127.0.0.1:4222 file=bare.db threads=64 seconds=5 bytes=244
 *
 * Whoever comes to an empty queue leads: it runs what is queued, each transaction in a savepoint,
 * publishes `bytes` for each in one message, expecting the sequence before it, waits for the
 * acknowledgement, notes the sequence in the file, commits, and wakes the others. WAL,
 * synchronous=NORMAL, as a node's file. The file must be new.
 *
 * Prints {"requests", "rate", "groups", "p50_us", "p99_us", "p999_us", "max_us"}.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <unistd.h>

#include "support/item.h"
#include "support/jetstream.h"

#define STREAM      "bench-group"
#define THREADS_MAX 1024
#define RUNS_MAX    2000000 /* of one thread */

struct writer {
    pthread_t thread;
    struct writer *next; /* in the queue; guarded by mu */
    sem_t woken;         /* the result is there, or the queue is this one's to lead */
    bool leads;          /* written before woken */
    uint32_t *ns;
    size_t count;
};

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct writer *head, **tail = &head; /* guarded by mu; the head leads */

/* The leader's only. */
static struct jetstream stream;
static sqlite3 *db;
static sqlite3_stmt *begin, *savepoint, *insert, *release_, *note, *commit;
static uint64_t sequence;
static int64_t rows, groups;
static char *payload;
static long bytes;

static int64_t deadline_ns;

static void step(sqlite3_stmt *stmt)
{
    if (sqlite3_step(stmt) != SQLITE_DONE)
        measure_fail("SQLite: %s", sqlite3_errmsg(db));
    sqlite3_reset(stmt);
}

static sqlite3_stmt *prepare(const char *sql)
{
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        measure_fail("SQLite: %s", sqlite3_errmsg(db));
    return stmt;
}

static void open_database(const char *file)
{
    static const char schema[] =
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; " ITEM_SCHEMA
        "; CREATE TABLE position (seq INTEGER); INSERT INTO position VALUES (0)";
    if (sqlite3_open(file, &db) != SQLITE_OK ||
        sqlite3_exec(db, schema, NULL, NULL, NULL) != SQLITE_OK)
        measure_fail("%s: %s", file, sqlite3_errmsg(db));
    begin = prepare("BEGIN IMMEDIATE");
    savepoint = prepare("SAVEPOINT t");
    insert = prepare("INSERT INTO item (name, value) VALUES (?, ?)");
    release_ = prepare("RELEASE t");
    note = prepare("UPDATE position SET seq = ?");
    commit = prepare("COMMIT");
}

static void open_stream(const char *url)
{
    static const char *subjects[] = {STREAM};
    jsStreamInfo *info = NULL;
    jsStreamConfig cfg;
    jsErrCode jerr = 0;
    jetstream_open(&stream, url, 1);
    jsStreamConfig_Init(&cfg);
    cfg.Name = STREAM;
    cfg.Subjects = subjects;
    cfg.SubjectsLen = 1;
    natsStatus s = js_GetStreamInfo(&info, stream.js, STREAM, NULL, &jerr);
    if (s == NATS_NOT_FOUND)
        s = js_AddStream(&info, stream.js, &cfg, NULL, &jerr);
    jetstream_must(s, jerr, "the stream");
    sequence = info->State.LastSeq;
    jsStreamInfo_Destroy(info);
}

static void publish(size_t len)
{
    jsPubOptions options;
    jsPubAck *ack = NULL;
    jsErrCode jerr = 0;
    jsPubOptions_Init(&options);
    options.ExpectLastSeq = sequence;
    natsStatus s = js_Publish(&ack, stream.js, STREAM, payload, (int)len, &options, &jerr);
    jetstream_must(s, jerr, "publishing");
    sequence = ack->Sequence;
    jsPubAck_Destroy(ack);
}

static void run_group(const struct writer *first, const struct writer *last)
{
    size_t count = 0;
    step(begin);
    for (const struct writer *w = first;; w = w->next) {
        char name[ITEM_NAME_SIZE];
        item_name(name, ++rows);
        step(savepoint);
        sqlite3_bind_text(insert, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_double(insert, 2, item_value(rows));
        step(insert);
        step(release_);
        count++;
        if (w == last)
            break;
    }
    publish(count * (size_t)bytes);
    sqlite3_bind_int64(note, 1, (sqlite3_int64)sequence);
    step(note);
    step(commit);
    groups++;
}

/* `self` is the head: runs all that is queued, hands the queue on and wakes the group. */
static void lead(struct writer *self)
{
    pthread_mutex_lock(&mu);
    struct writer *last = self;
    while (last->next)
        last = last->next;
    pthread_mutex_unlock(&mu);
    run_group(self, last);
    pthread_mutex_lock(&mu);
    struct writer *w = self->next, *end = last->next;
    head = end;
    if (!end)
        tail = &head;
    pthread_mutex_unlock(&mu);
    bool others = last != self;
    while (others) {
        struct writer *next = w->next; /* it may queue anew once it is woken */
        others = w != last;
        w->leads = false;
        sem_post(&w->woken);
        w = next;
    }
    if (end) {
        end->leads = true;
        sem_post(&end->woken);
    }
}

static void *writer_main(void *arg)
{
    struct writer *self = arg;
    for (;;) {
        int64_t start = measure_now_ns();
        if (start >= deadline_ns || self->count == RUNS_MAX)
            return NULL;
        pthread_mutex_lock(&mu);
        self->next = NULL;
        self->leads = head == NULL;
        *tail = self;
        tail = &self->next;
        bool leads = self->leads;
        pthread_mutex_unlock(&mu);
        if (!leads) {
            while (sem_wait(&self->woken) != 0)
                ;
            leads = self->leads;
        }
        if (leads)
            lead(self);
        self->ns[self->count++] = measure_since(start);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"url", "file", "threads", "seconds", "bytes", NULL};
    measure_check(argc, argv, names);
    long threads = measure_number(argc, argv, "threads", 64, 1, THREADS_MAX);
    long seconds = measure_number(argc, argv, "seconds", 5, 1, 3600);
    bytes = measure_number(argc, argv, "bytes", 244, 1, 100000);
    payload = measure_alloc((size_t)threads, (size_t)bytes);
    open_database(measure_text(argc, argv, "file", "bare.db"));
    open_stream(measure_text(argc, argv, "url", "nats://127.0.0.1:4222"));
    struct writer *writers = measure_alloc((size_t)threads, sizeof *writers);
    int64_t start = measure_now_ns();
    deadline_ns = start + (int64_t)seconds * 1000000000;
    for (long i = 0; i < threads; i++) {
        sem_init(&writers[i].woken, 0, 0);
        writers[i].ns = measure_alloc(RUNS_MAX, sizeof *writers[i].ns);
        if (pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) != 0)
            measure_fail("no more threads");
    }
    size_t total = 0, at = 0;
    for (long i = 0; i < threads; i++) {
        pthread_join(writers[i].thread, NULL);
        total += writers[i].count;
    }
    double elapsed = (double)(measure_now_ns() - start) / 1e9;
    uint32_t *all = measure_alloc(total, sizeof *all);
    for (long i = 0; i < threads; i++) {
        memcpy(all + at, writers[i].ns, writers[i].count * sizeof *all);
        at += writers[i].count;
        free(writers[i].ns);
        sem_destroy(&writers[i].woken);
    }
    printf("{\"requests\":%zu,\"rate\":%.1f,\"groups\":%" PRId64 ",", total,
           (double)total / elapsed, groups);
    measure_print(all, total);
    puts("}");
    free(all);
    free(writers);
    free(payload);
    sqlite3_stmt *const all_statements[] = {begin, savepoint, insert, release_, note, commit};
    for (size_t i = 0; i < sizeof all_statements / sizeof all_statements[0]; i++)
        sqlite3_finalize(all_statements[i]);
    sqlite3_close(db);
    jetstream_close(&stream);
    return 0;
}
