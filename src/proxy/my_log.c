/*
 * The library fetches events in calls that cannot be ended from the side. So a second thread looks
 * whether the source is to stop, and then shuts the connection: the call ends with an error.
 */
#include "proxy/my_log.h"

#include <endian.h>
#include <errmsg.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define HEARTBEAT_NS   CLOCK_S
#define SILENCE_S      10u
#define FILE_BEGINNING 4u /* behind the four bytes that say what the file is */

struct my_log {
    struct my_link *link;
    MARIADB_RPL *rpl;
    MARIADB_RPL_EVENT *event; /* the last one */
    struct binlog_format format;
    struct buf scratch;
    /* the thread that shuts the connection */
    pthread_t watcher;
    bool watched;
    int wake_fd, done_fd, socket;
};

static void *watch(void *arg)
{
    struct my_log *l = arg;
    struct pollfd p[2] = {{.fd = l->wake_fd, .events = POLLIN},
                          {.fd = l->done_fd, .events = POLLIN}};

    while (poll(p, 2, -1) <= 0)
        ;
    if (!p[1].revents)
        (void)shutdown(l->socket, SHUT_RDWR);
    return NULL;
}

/* ---- the session ---- */

/* Does the log have checksums? The server sends them if it is told that they are understood. */
static enum err_code ask_checksum(struct my_log *l, const struct wait *w, struct err *e)
{
    struct buf name = BUF_INIT;
    enum err_code code =
        my_link_run(l->link, "SET @master_binlog_checksum = @@global.binlog_checksum", NULL, w, e);

    if (code == ERR_OK)
        code = my_link_ask(l->link, "SELECT @@global.binlog_checksum", 0, &name, w, e);
    if (code == ERR_OK)
        l->format.checksum = strcmp(buf_cstr(&name), "NONE") != 0;
    buf_free(&name);
    return code;
}

static enum err_code set_up(struct my_log *l, const struct my_position *from, const struct wait *w,
                            struct err *e)
{
    struct buf sql = BUF_INIT;
    bool mariadb = my_link_is_mariadb(l->link);

    enum err_code code = ask_checksum(l, w, e);
    buf_printf(&sql,
               "SET @master_heartbeat_period = %" PRId64 ", @source_heartbeat_period = %" PRId64,
               HEARTBEAT_NS, HEARTBEAT_NS);
    if (mariadb)
        buf_puts(&sql, ", @mariadb_slave_capability = 4"); /* GTIDs as they are */
    if (mariadb && from->n_gtids > 0) {
        buf_puts(&sql, ", @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0,"
                       " @slave_connect_state = '");
        my_position_put_gtids(&sql, from);
        buf_putc(&sql, '\'');
    }
    if (code == ERR_OK)
        code = buf_ok(&sql) ? my_link_run(l->link, buf_cstr(&sql), NULL, w, e)
                            : err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&sql);
    return code;
}

static enum err_code ask_for_events(struct my_log *l, uint32_t server_id,
                                    const struct my_position *from, struct err *e)
{
    bool by_gtid = my_link_is_mariadb(l->link) && from->n_gtids > 0;
    unsigned long pos = by_gtid ? FILE_BEGINNING : (unsigned long)from->pos;
    const char *file = by_gtid ? "" : from->file;

    if (pos > UINT32_MAX)
        return err_set(e, ERR_UNSUPPORTED, "the source's log file %.100s is larger than 4 GiB",
                       from->file);
    l->rpl = my.rpl_init_ex(my_link_handle(l->link), MARIADB_RPL_VERSION);
    if (!l->rpl)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (my.rpl_optionsv(l->rpl, MARIADB_RPL_SERVER_ID, (unsigned)server_id) != 0 ||
        my.rpl_optionsv(l->rpl, MARIADB_RPL_START, pos) != 0 ||
        my.rpl_optionsv(l->rpl, MARIADB_RPL_FLAGS, 0u) != 0 ||
        my.rpl_optionsv(l->rpl, MARIADB_RPL_FILENAME, file, strlen(file)) != 0)
        return err_set(e, ERR_INTERNAL, "libmariadb does not know an option of replication");
    return my.rpl_open(l->rpl) == 0 ? ERR_OK : my_link_error(l->link, e);
}

static enum err_code start_watching(struct my_log *l, struct err *e)
{
    l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->socket = (int)my.get_socket(my_link_handle(l->link));
    if (l->done_fd < 0 || pthread_create(&l->watcher, NULL, watch, l) != 0)
        return err_set(e, ERR_NO_MEMORY, "no thread for the source's log");
    l->watched = true;
    return ERR_OK;
}

enum err_code my_log_open(struct my_log **out, const struct my_dsn *dsn, uint32_t server_id,
                          const struct my_position *from, const struct wait *w, struct err *e)
{
    struct my_log *l = calloc(1, sizeof *l);

    *out = NULL;
    if (!l)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    l->wake_fd = w->wake_fd;
    l->done_fd = -1;
    buf_init(&l->scratch, BINLOG_EVENT_MAX);
    enum err_code code =
        my_link_open(&l->link, dsn, &(struct my_link_options){.silence_s = SILENCE_S}, w, e);
    if (code == ERR_OK)
        code = set_up(l, from, w, e);
    if (code == ERR_OK)
        code = start_watching(l, e);
    if (code == ERR_OK)
        code = ask_for_events(l, server_id, from, e);
    if (code != ERR_OK) {
        my_log_close(l);
        return code;
    }
    *out = l;
    return ERR_OK;
}

void my_log_close(struct my_log *l)
{
    uint64_t one = 1;

    if (!l)
        return;
    if (l->watched) {
        while (write(l->done_fd, &one, sizeof one) < 0)
            ;
        pthread_join(l->watcher, NULL);
    }
    if (l->done_fd >= 0)
        close(l->done_fd);
    if (l->event)
        my.free_rpl_event(l->event);
    if (l->rpl)
        my.rpl_close(l->rpl);
    my_link_close(l->link);
    buf_free(&l->scratch);
    free(l);
}

/* ---- events ---- */

/* The library reads events, too, and gives up what it thinks is malformed: 3.3.18 does so with a
 * ROTATE to a file whose name is shorter than 12 bytes, others with kinds that they do not know.
 * Its reading is not used here (binlog.h has our own), so such an event is taken from where the
 * library has received it. False: there is none. */
static bool take_refused(MYSQL *c, const unsigned char **bytes, size_t *len)
{
    const unsigned char *packet = c->net.read_pos;
    unsigned number = my.number(c);
    uint32_t length;

    if ((number != CR_BINLOG_ERROR && number != CR_UNKNOWN_BINLOG_EVENT) || !packet ||
        packet < c->net.buff || packet + 1 + BINLOG_HEADER_BYTES > c->net.buff_end || *packet != 0)
        return false;
    memcpy(&length, packet + 1 + BINLOG_LENGTH_AT, sizeof length);
    *bytes = packet + 1;
    *len = le32toh(length);
    return *len <= (size_t)(c->net.buff_end - *bytes);
}

enum err_code my_log_next(struct my_log *l, struct binlog_event *event, struct err *e)
{
    MYSQL *c = my_link_handle(l->link);
    const unsigned char *bytes = NULL;
    size_t len = 0;

    if (l->event)
        my.free_rpl_event(l->event);
    l->event = my.rpl_fetch(l->rpl, NULL);
    if (l->event) {
        bytes = l->event->raw_data + l->event->raw_data_ofs;
        len = l->event->raw_data_size - l->event->raw_data_ofs;
    } else if (!take_refused(c, &bytes, &len)) {
        if (my.number(c) != 0)
            return my_link_error(l->link, e);
        return err_set(e, ERR_IO, "the source has ended the connection to its log");
    }
    if (!binlog_read_event(bytes, len, &l->format, &l->scratch, event))
        return err_set(e, ERR_FORMAT,
                       "an event of the source's log (type %u, %zu bytes) cannot be read",
                       len > 4 ? bytes[4] : 0, len);
    return ERR_OK;
}

bool my_log_has_more(struct my_log *l)
{
    struct pollfd p = {.fd = l->socket, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}
