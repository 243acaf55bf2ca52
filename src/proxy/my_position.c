#include "proxy/my_position.h"

#include <inttypes.h>
#include <string.h>

#include "base/digits.h"
#include "base/json.h"
#include "base/json_tree.h"

bool my_position_set_file(struct my_position *p, const char *name, size_t len)
{
    if (len == 0 || len >= sizeof p->file || memchr(name, '\0', len))
        return false;
    memcpy(p->file, name, len);
    p->file[len] = '\0';
    return true;
}

/* ---- GTIDs ---- */

bool my_position_add_gtid(struct my_position *p, const struct my_gtid *g)
{
    for (unsigned i = 0; i < p->n_gtids; i++)
        if (p->gtids[i].domain == g->domain) {
            p->gtids[i] = *g;
            return true;
        }
    if (p->n_gtids == MY_DOMAINS_MAX) {
        p->n_gtids = 0;
        return false;
    }
    p->gtids[p->n_gtids++] = *g;
    return true;
}

static bool take_number(const char **s, char behind, uint64_t most, uint64_t *out)
{
    if (!digits_read(s, out) || *out > most)
        return false;
    if (behind && *(*s)++ != behind)
        return false;
    return true;
}

bool my_position_set_gtids(struct my_position *p, const char *text, size_t len)
{
    char copy[MY_DOMAINS_MAX * 48];
    const char *s = copy;

    p->n_gtids = 0;
    if (len >= sizeof copy)
        return false;
    memcpy(copy, text, len);
    copy[len] = '\0';
    while (*s) {
        uint64_t domain, server, sequence;
        if (!take_number(&s, '-', UINT32_MAX, &domain) ||
            !take_number(&s, '-', UINT32_MAX, &server) ||
            !take_number(&s, '\0', UINT64_MAX, &sequence) || (*s && *s != ','))
            goto none;
        struct my_gtid g = {(uint32_t)domain, (uint32_t)server, sequence};
        if (!my_position_add_gtid(p, &g))
            goto none;
        while (*s == ',' || *s == ' ' || *s == '\n')
            s++;
    }
    return true;
none:
    p->n_gtids = 0;
    return false;
}

void my_position_put_gtids(struct buf *b, const struct my_position *p)
{
    for (unsigned i = 0; i < p->n_gtids; i++)
        buf_printf(b, "%s%" PRIu32 "-%" PRIu32 "-%" PRIu64, i ? "," : "", p->gtids[i].domain,
                   p->gtids[i].server, p->gtids[i].sequence);
}

/* ---- the text ---- */

bool my_position_read(struct my_position *p, const char *text, size_t len)
{
    memset(p, 0, sizeof *p);
    if (len == 0)
        return true;
    yajl_val v = json_tree_parse(text, len);
    const char *file = json_tree_text(v, "Name"), *server = json_tree_text(v, "server");
    const char *gtids = json_tree_text(v, "gtid");
    int64_t pos = json_tree_integer(v, "Pos", -1);
    bool ok = v && pos >= 0 && my_position_set_file(p, file, strlen(file)) &&
              strlen(server) < sizeof p->server && my_position_set_gtids(p, gtids, strlen(gtids));
    if (ok) {
        p->pos = (uint64_t)pos;
        memcpy(p->server, server, strlen(server) + 1);
    }
    yajl_tree_free(v);
    return ok;
}

void my_position_put(struct buf *b, const struct my_position *p)
{
    buf_puts(b, "{\"Name\":");
    json_put_cstr(b, p->file);
    buf_printf(b, ",\"Pos\":%" PRIu64, p->pos);
    if (p->n_gtids > 0) {
        buf_puts(b, ",\"gtid\":\"");
        my_position_put_gtids(b, p);
        buf_putc(b, '"');
    }
    if (*p->server) {
        buf_puts(b, ",\"server\":");
        json_put_cstr(b, p->server);
    }
    buf_putc(b, '}');
}

/* ---- order ---- */

/* Numbers of log files grow, and may get one digit more. */
static int compare_files(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);

    return n != m ? (n < m ? -1 : 1) : strcmp(a, b);
}

bool my_position_reached(const struct my_position *p, const struct my_position *want)
{
    if (want->n_gtids > 0) {
        for (unsigned i = 0; i < want->n_gtids; i++) {
            bool found = false;
            for (unsigned k = 0; k < p->n_gtids; k++)
                found = found || (p->gtids[k].domain == want->gtids[i].domain &&
                                  p->gtids[k].sequence >= want->gtids[i].sequence);
            if (!found)
                return false;
        }
        return true;
    }
    int order = compare_files(p->file, want->file);
    return order > 0 || (order == 0 && p->pos >= want->pos);
}
