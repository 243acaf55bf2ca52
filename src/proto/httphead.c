#include "proto/httphead.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What was seen of the fields that say where the body ends, and of Host. */
struct seen {
    unsigned lengths, encodings, hosts;
};

/* ---- where it ends ---- */

size_t httphead_end(const char *bytes, size_t len, size_t seen)
{
    /* The empty line may have begun before `seen`. */
    size_t at = seen > 3 ? seen - 3 : 0;

    for (;;) {
        const char *lf = memchr(bytes + at, '\n', len - at);
        if (!lf)
            return 0;
        at = (size_t)(lf - bytes) + 1;
        /* An empty line that ends with LF alone ends the head, too, and is refused with it. */
        if (at < len && bytes[at] == '\n')
            return at + 1;
        if (at + 1 < len && bytes[at] == '\r' && bytes[at + 1] == '\n')
            return at + 2;
    }
}

/* ---- characters ---- */

/* Of names and methods (RFC 9110, 5.6.2). */
static bool is_token_char(unsigned char c)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && memchr(others, c, sizeof others - 1);
}

static size_t token_len(const char *s)
{
    size_t n = 0;

    while (is_token_char((unsigned char)s[n]))
        n++;
    return n;
}

/* Of values and of the request's target; names and methods are tokens. */
static enum err_code no_controls(const char *s, const char *end, struct err *e)
{
    for (; s < end; s++)
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7F)
            return err_set(e, ERR_PROTOCOL, "the header holds a control character");
    return ERR_OK;
}

/* ---- the request line ---- */

static enum err_code bad_line(struct err *e)
{
    return err_set(e, ERR_PROTOCOL, "the request line is not one of HTTP/1.1");
}

/* "http://host:port/path" is "/path" to the server it was sent to. */
static char *strip_origin(char *target)
{
    static const char scheme[] = "http://";

    if (strncasecmp(target, scheme, sizeof scheme - 1) != 0)
        return target;
    target += sizeof scheme - 1;
    target += strcspn(target, "/?");
    return target;
}

/* `line` is terminated at `end`. */
static enum err_code request_line(struct httphead *h, char *line, const char *end, struct err *e)
{
    static const char version[] = "HTTP/1.";
    size_t n = token_len(line);

    if (n == 0 || line[n] != ' ')
        return bad_line(e);
    line[n] = '\0';
    h->method = line;
    char *target = line + n + 1;
    n = strcspn(target, " \t");
    if (n == 0 || target[n] != ' ' || strncmp(target + n + 1, version, sizeof version - 1) != 0)
        return bad_line(e);
    const char *minor = target + n + sizeof version;
    if (*minor < '0' || *minor > '9' || minor + 1 != end)
        return bad_line(e);
    h->old = *minor == '0';
    if (no_controls(target, target + n, e) != ERR_OK)
        return e->code;
    target[n] = '\0';
    target = strip_origin(target);
    n = strcspn(target, "?");
    h->query = target[n] ? target + n + 1 : "";
    target[n] = '\0';
    h->path = n > 0 ? target : "/";
    return ERR_OK;
}

/* ---- fields ---- */

static bool is_digits(const char *value)
{
    return *value && value[strspn(value, "0123456789")] == '\0';
}

static size_t length_of(const char *digits)
{
    errno = 0;
    unsigned long long n = strtoull(digits, NULL, 10);
    return errno ? SIZE_MAX : (size_t)n;
}

/* Is `token` one of the list's? */
static bool list_has(const char *list, const char *token)
{
    size_t len = strlen(token);

    for (const char *p = list; *p;) {
        p += strspn(p, " \t,");
        size_t n = strcspn(p, " \t,");
        if (n == len && strncasecmp(p, token, n) == 0)
            return true;
        p += n;
    }
    return false;
}

/* Those that say something about the message. False: it says neither this nor that. */
static bool take_field(struct httphead *h, struct seen *seen, const struct httphead_field *f)
{
    const char *name = f->name, *value = f->value;

    switch (f->name_len) { /* most have none of these lengths */
    case sizeof "Host" - 1:
        seen->hosts += strcasecmp(name, "Host") == 0;
        break;
    case sizeof "Expect" - 1:
        if (strcasecmp(name, "Expect") == 0)
            h->expects = strcasecmp(value, "100-continue") == 0;
        break;
    case sizeof "Connection" - 1:
        if (strcasecmp(name, "Connection") != 0)
            break;
        if (h->old)
            h->close = !list_has(value, "keep-alive");
        h->close |= list_has(value, "close");
        break;
    case sizeof "Content-Length" - 1:
        if (strcasecmp(name, "Content-Length") != 0)
            break;
        seen->lengths++;
        h->length = length_of(value);
        return is_digits(value);
    case sizeof "Transfer-Encoding" - 1:
        if (strcasecmp(name, "Transfer-Encoding") != 0)
            break;
        seen->encodings++;
        h->chunked = true;
        return strcasecmp(value, "chunked") == 0;
    default:
        break;
    }
    return true;
}

static enum err_code bad_framing(struct err *e)
{
    return err_set(
        e, ERR_PROTOCOL,
        "a request has one Content-Length, or else Transfer-Encoding: chunked, or no body");
}

/* `line` is terminated at `end`. */
static enum err_code field(struct httphead *h, struct seen *seen, char *line, char *end,
                           struct err *e)
{
    size_t n = token_len(line);

    if (n == 0 || line[n] != ':')
        return err_set(e, ERR_PROTOCOL, "a header field is not a name with a colon behind it");
    if (h->n == HTTPHEAD_MAX_FIELDS)
        return err_set(e, ERR_PROTOCOL, "more than %u header fields", HTTPHEAD_MAX_FIELDS);
    char *value = line + n + 1;
    line[n] = '\0';
    value += strspn(value, " \t");
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (no_controls(value, end, e) != ERR_OK)
        return e->code;
    *end = '\0';
    struct httphead_field *f = &h->fields[h->n++];
    *f = (struct httphead_field){.name = line, .value = value, .name_len = n};
    return take_field(h, seen, f) ? ERR_OK : bad_framing(e);
}

/* ---- the whole ---- */

/* Terminates the line at `line`; NULL where it does not end with CRLF. */
static char *line_end(char *line, const char *end, struct err *e)
{
    char *lf = memchr(line, '\n', (size_t)(end - line));

    if (!lf || lf == line || lf[-1] != '\r') {
        err_set(e, ERR_PROTOCOL, "a line of the header does not end with CR and LF");
        return NULL;
    }
    lf[-1] = '\0';
    return lf - 1;
}

enum err_code httphead_parse(struct httphead *h, char *bytes, size_t len, struct err *e)
{
    const char *end = bytes + len;
    struct seen seen = {0};
    char *stop = line_end(bytes, end, e);

    h->method = h->path = h->query = "";
    h->old = h->close = h->expects = h->chunked = false;
    h->length = 0;
    h->n = 0;
    if (!stop || request_line(h, bytes, stop, e) != ERR_OK)
        return e->code;
    h->close = h->old;
    for (char *line = stop + 2; line < end; line = stop + 2) {
        stop = line_end(line, end, e);
        if (!stop)
            return e->code;
        if (stop != line && field(h, &seen, line, stop, e) != ERR_OK)
            return e->code;
    }
    /* Encodings came with HTTP/1.1: who still speaks 1.0 may pass them on and not know them. */
    if (seen.lengths + seen.encodings > 1 || (seen.encodings > 0 && h->old))
        return bad_framing(e);
    if (seen.hosts > 1 || (seen.hosts == 0 && !h->old))
        return err_set(e, ERR_PROTOCOL, "a request has one Host");
    h->expects &= !h->old;
    return ERR_OK;
}

const char *httphead_field(const struct httphead *h, const char *name)
{
    size_t len = strlen(name);

    for (unsigned i = 0; i < h->n; i++)
        if (h->fields[i].name_len == len && strcasecmp(h->fields[i].name, name) == 0)
            return h->fields[i].value;
    return NULL;
}
