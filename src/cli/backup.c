/* `ha backup`: a database of a running node as a file, checked before it gets its name. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "os/file.h"
#include "sql/image.h"

static const char help[] =
    "Usage: ha backup [-r URL] [--database ID] FILE\n"
    "\n"
    "Copies a database of the running node at URL (default http://localhost:8080) into\n"
    "the new file FILE. The copy is of one moment, holds its place in the log, and is\n"
    "checked before it gets its name. Writes go on meanwhile.\n"
    "\n"
    "  -r, --remote URL     a node of the cluster\n"
    "      --database ID    which database (default: the node's main one)\n"
    "      --token TOKEN    the node's --token (default: $HA_TOKEN)\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage. See also: ha restore --help\n";

struct target {
    int fd, failed; /* errno */
};

static bool put(void *arg, const void *bytes, size_t len)
{
    struct target *t = arg;
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(t->fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            t->failed = errno;
            return false;
        }
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static enum err_code load(const struct cli_args *a, const char *part, struct err *e)
{
    struct target t = {.fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    struct buf path = BUF_INIT;
    const struct cli_get get = {.token = a->token, .write = put, .arg = &t, .progress = true};
    if (t.fd < 0)
        return file_error(e, "create", part, errno);
    if (a->database)
        cli_http_database(&path, a->database, "");
    else
        buf_puts(&path, "/download");
    enum err_code code =
        cli_http_get(a->remote ? a->remote : "http://localhost:8080", buf_cstr(&path), &get, e);
    if (t.failed)
        code = file_error(e, "write", part, t.failed);
    if (code == ERR_OK && fsync(t.fd) != 0)
        code = file_error(e, "sync", part, errno);
    close(t.fd);
    buf_free(&path);
    return code;
}

int cli_backup(int argc, char **argv)
{
    struct cli_args a;
    struct err e = ERR_INIT;
    struct image img = {0};
    char part[PATH_MAX];
    int status;
    if (!cli_parse(&a, argc, argv, CLI_REMOTE | CLI_DATABASE | CLI_TOKEN, 1, 1, help, &status))
        return status;
    const char *file = a.words[0];
    if (strstr(file, "://"))
        return cli_say("backup", CLI_WRONG, "%s: a backup is written to a local file only", file);
    size_t len = strlen(file);
    if (len >= 4 && strcmp(file + len - 4, ".zst") == 0)
        return cli_say("backup", CLI_WRONG, "%s: a backup is not compressed", file);
    if (access(file, F_OK) == 0)
        return cli_say("backup", CLI_WRONG, "%s exists already", file);
    if (snprintf(part, sizeof part, "%s.part", file) >= (int)sizeof part)
        return cli_say("backup", CLI_WRONG, "the file's name is too long");
    enum err_code code = load(&a, part, &e);
    if (code == ERR_OK)
        code = image_check(part, NULL, NULL, &img, &e);
    if (code == ERR_OK && link(part, file) != 0) /* never over a file that has come meanwhile */
        code = file_error(&e, "create", file, errno);
    image_remove(part);
    if (code != ERR_OK)
        return cli_say("backup", code == ERR_CONFIG ? CLI_WRONG : CLI_FAILED, "%s", e.msg);
    (void)printf("%s: %" PRIu64 " bytes, at %" PRIu64 " of the log\n", file, img.bytes,
                 img.pos.seq);
    return CLI_DONE;
}
