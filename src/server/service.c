#include "server/service.h"

#include <stdbool.h>

#include "base/buf.h"
#include "base/clock.h"
#include "core/node.h"
#include "os/notify.h"
#include "os/signal.h"
#include "server/server.h"

#define SERVICE_STARTING_NS (250 * CLOCK_MS) /* between looks until the node is ready */
#define SERVICE_TELL_NS     (5 * CLOCK_S)    /* between them afterwards, at most */
#define SERVICE_STATUS_MAX  400              /* bytes: people read it on one line */

static void tell(const struct server *s, bool *ready)
{
    struct buf why = BUF_INIT, lines = BUF_INIT;
    bool now = node_ready(server_node(s), false, 0, &why);

    if (now)
        node_summary(server_node(s), &why);
    if (now && !*ready)
        buf_puts(&lines, "READY=1\n");
    *ready = *ready || now;
    /* A node that is not ready goes on trying: to end it would help nobody. */
    buf_puts(&lines, "WATCHDOG=1\nSTATUS=");
    buf_put(&lines, why.data, why.len < SERVICE_STATUS_MAX ? why.len : SERVICE_STATUS_MAX);
    if (buf_ok(&lines))
        notify_send(buf_cstr(&lines));
    buf_free(&why);
    buf_free(&lines);
}

int service_wait(struct server *s)
{
    int64_t watchdog = notify_watchdog_ns();
    int64_t pause = watchdog > 0 && watchdog / 2 < SERVICE_TELL_NS ? watchdog / 2 : SERVICE_TELL_NS;
    int64_t first = pause < SERVICE_STARTING_NS ? pause : SERVICE_STARTING_NS;
    bool ready = false;
    int number = 0;

    if (!notify_wanted())
        return signal_wait(CLOCK_EVER);
    while (number == 0) {
        tell(s, &ready);
        number = signal_wait(clock_deadline(ready ? pause : first));
    }
    notify_send("STOPPING=1\nSTATUS=stopping");
    return number;
}
