/* What the commands ask of a node. */
#include <string.h>

#include "cli/call.h"
#include "cli/cli.h"

enum err_code cli_http_get(const char *base, const char *path, const struct cli_get *get,
                           struct err *e)
{
    struct call c = {.method = "GET",
                     .base = base,
                     .path = path,
                     .token = get->token,
                     .cacert = get->cacert,
                     .write = get->write,
                     .arg = get->arg,
                     .bar = get->bar,
                     .is_short = get->is_short};
    if (call_check_url(base, e) != ERR_OK || libcurl_load(e) != ERR_OK)
        return e->code;
    CURL *curl = libcurl.easy_init();
    if (!curl)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = call_run(&c, curl, e);
    libcurl.easy_cleanup(curl);
    /* Whoever asked for a database that is not there can mend it by asking otherwise. */
    if (c.status == 404)
        e->code = code = ERR_CONFIG;
    return code;
}

static void escape(struct buf *b, const char *text, const char *kept)
{
    for (const char *p = text; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr(kept, *p))
            buf_putc(b, *p);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)*p);
    }
}

void cli_http_escape(struct buf *b, const char *text)
{
    escape(b, text, "-._~");
}

void cli_http_escape_path(struct buf *b, const char *text)
{
    escape(b, text, "-._~/");
}

void cli_http_database(struct buf *path, const char *id, const char *rest)
{
    buf_puts(path, "/databases/");
    cli_http_escape(path, id);
    buf_puts(path, rest);
}
