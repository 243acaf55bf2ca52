#include <limits.h>

#include "base/clock.h"
#include "ext/table.h"

#define WAIT_DEFAULT_MS 5000
#define WAIT_FIRST_NS   (CLOCK_MS / 2) /* between two looks, doubled each time … */
#define WAIT_LONGEST_NS (20 * CLOCK_MS)

static void info(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    (void)argv;
    char *text = sqlite3_mprintf("ha-sync version=%s, sqlite=%s", HA_VERSION, sqlite3_libversion());
    if (text)
        sqlite3_result_text(context, text, -1, sqlite3_free);
    else
        sqlite3_result_error_nomem(context);
}

/* 1: this connection sees the log up to `seq`; 0: it did not in time. Inside a transaction that has
 * read something before it sees what it saw then. */
static void wait_for(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct host *h = sqlite3_user_data(context);
    sqlite3_int64 seq = sqlite3_value_int64(argv[0]);
    sqlite3_int64 ms = argc > 1 ? sqlite3_value_int64(argv[1]) : WAIT_DEFAULT_MS;
    int64_t deadline = clock_deadline((ms < INT_MAX ? ms : INT_MAX) * CLOCK_MS);
    int64_t pause = WAIT_FIRST_NS;
    char stream[256];
    uint64_t at = 0;

    if (sqlite3_value_type(argv[0]) != SQLITE_INTEGER) {
        sqlite3_result_error(context, "ha_wait() takes a seq, as HA-Seq says it, and milliseconds",
                             -1);
        return;
    }
    for (;;) {
        bool found = host_position(h->db, &at, stream, sizeof stream);
        if (sqlite3_errcode(h->db) == SQLITE_INTERRUPT) {
            sqlite3_result_error_code(context, SQLITE_INTERRUPT);
            return;
        }
        if ((found && (sqlite3_int64)at >= seq) || clock_mono_ns() >= deadline) {
            sqlite3_result_int(context, found && (sqlite3_int64)at >= seq);
            return;
        }
        clock_nap(pause);
        pause = pause < WAIT_LONGEST_NS ? pause * 2 : WAIT_LONGEST_NS;
    }
}

int function_register(struct host *h)
{
    const int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    int rc = sqlite3_create_function_v2(h->db, "ha_info", 0, SQLITE_UTF8 | SQLITE_DETERMINISTIC, h,
                                        info, NULL, NULL, NULL);

    for (int n = 1; n <= 2 && rc == SQLITE_OK; n++)
        rc = sqlite3_create_function_v2(h->db, "ha_wait", n, flags, h, wait_for, NULL, NULL, NULL);
    return rc;
}
