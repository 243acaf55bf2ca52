/* The message loop: one message at a time; replies leave when there is nothing more to read. */
#include "wire/pg/session.h"

static void ready(struct pg_conn *c)
{
    pg_report_untold(c);
    pgwire_write_ready(&c->io.out, pg_status(c));
}

/* No block goes on, so what was set for a transaction has seen its end. */
static void settle(struct pg_conn *c)
{
    if (c->tx != PG_TX_IDLE)
        return;
    pg_undo_end(c, true);
    pg_portals_end(c, true);
}

static void sync(struct pg_conn *c)
{
    c->skipping = false;
    (void)pg_end_implicit(c);
    settle(c);
    ready(c);
}

static void simple(struct pg_conn *c, const struct pg_message *m)
{
    const char *sql;

    if (!pgwire_read_string(m->body, m->len, &sql)) {
        pg_error(c, "08P01", "invalid message format");
    } else {
        /* An unnamed portal and statement do not outlive a simple query. */
        struct pg_portal *p = pg_portal_find(c, "");
        if (p)
            pg_portal_remove(c, p);
        pg_prepared_remove(c, "");
        pg_query(c, sql, m->len - 1);
        settle(c);
    }
    ready(c);
}

static void message(struct pg_conn *c, const struct pg_message *m)
{
    switch (m->type) {
    case 'Q':
        c->skipping = false;
        simple(c, m);
        break;
    case 'S':
        sync(c);
        break;
    case 'H':
        stream_flush(&c->io);
        break;
    case 'X':
        c->closing = true;
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        if (!c->skipping)
            pg_extended(c, m);
        break;
    case 'd': /* what is left of a COPY that has failed */
    case 'c':
    case 'f':
        break;
    case 'F':
        pg_error(c, "0A000", "function calls by message are not supported");
        ready(c);
        break;
    default:
        pg_fatal(c, "08P01", "unexpected message type 0x%02x", (unsigned char)m->type);
        break;
    }
}

/* False ends the connection. */
static bool next(struct pg_conn *c)
{
    struct pg_message m;

    switch (pg_read(c, &m)) {
    case PG_READ_OK:
        arena_reset(c->arena);
        message(c, &m);
        return !c->closing && !c->io.dead;
    case PG_READ_TOO_LONG: /* an error, and then to the next Sync as usual */
        pg_error(c, "08P01", "message is too long");
        if (m.type == 'Q' || m.type == 'F')
            ready(c);
        else
            c->skipping = true;
        return true;
    case PG_READ_UNKNOWN:
        pg_fatal(c, "08P01", "invalid frontend message type or length");
        return false;
    default:
        if (atomic_load(&c->server->clients.stopping))
            pg_fatal(c, "57P01", "terminating connection due to administrator command");
        return false;
    }
}

void pg_serve(struct pg_conn *c)
{
    while (next(c))
        ;
    pg_portals_clear(c);
    pg_tx_clear(c);
    pg_prepared_clear(c);
}
