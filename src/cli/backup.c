/* `ha backup`: a database of a running node as a file or an object, checked before it gets its
 * name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/packed.h"
#include "cli/part.h"
#include "cli/s3.h"
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
    "      --cacert FILE    CAs for https, instead of the system's (default: $HA_CACERT)\n"
    "\n"
    "A FILE whose name ends in .zst is compressed with zstd; ha restore takes it as it is.\n"
    "\n"
    "FILE may be s3://BUCKET/KEY, an object that does not exist yet in S3-compatible\n"
    "storage. The copy is checked in $TMPDIR (or /tmp) before it is sent. Credentials:\n"
    "$AWS_ACCESS_KEY_ID, $AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN.\n"
    "\n"
    "      --s3-endpoint URL   the storage (default: $AWS_ENDPOINT_URL, else AWS)\n"
    "      --s3-region NAME    default: $AWS_REGION, else us-east-1\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage. See also: ha restore --help\n";

struct target {
    int fd, failed; /* errno */
};

static bool put(void *arg, const void *bytes, size_t len)
{
    struct target *t = arg;
    t->failed = file_write_all(t->fd, bytes, len);
    return t->failed == 0;
}

static enum err_code load(const struct cli_args *a, const struct part *part, struct err *e)
{
    struct target t = {.fd = part->fd};
    struct buf path = BUF_INIT;
    struct bar bar;
    const struct cli_get get = {
        .token = a->token, .cacert = a->cacert, .write = put, .arg = &t, .bar = &bar};
    if (a->database)
        cli_http_database(&path, a->database, "");
    else
        buf_puts(&path, "/download");
    bar_begin(&bar, "copying");
    enum err_code code =
        cli_http_get(a->remote ? a->remote : "http://localhost:8080", buf_cstr(&path), &get, e);
    bar_end(&bar);
    if (t.failed)
        code = file_error(e, "write", part->path, t.failed);
    if (code == ERR_OK && fsync(part->fd) != 0)
        code = file_error(e, "sync", part->path, errno);
    buf_free(&path);
    return code;
}

/* The database in `plain`, checked; where it is to be packed, in `packed`, too. */
static enum err_code make(const struct cli_args *a, const struct part *plain,
                          const struct part *packed, struct image *img, struct err *e)
{
    struct bar bar;
    enum err_code code = load(a, plain, e);
    if (code != ERR_OK)
        return code;
    code = cli_file_check(plain->path, img, e);
    if (code != ERR_OK || !packed)
        return code;
    bar_begin(&bar, "compressing");
    code = packed_write(plain->fd, packed->fd, packed->path, &bar, e);
    bar_end(&bar);
    return code;
}

static enum err_code to_file(const struct cli_args *a, const char *file, bool pack,
                             struct image *img, struct err *e)
{
    struct part part = PART_INIT, plain = PART_INIT;
    enum err_code code = part_open(&part, "backup", file, e);
    if (code == ERR_OK && pack)
        code = part_beside(&plain, &part, ".db", e);
    if (code == ERR_OK)
        code = make(a, pack ? &plain : &part, pack ? &part : NULL, img, e);
    if (code == ERR_OK)
        code = part_keep(part.path, file, e);
    part_close(&plain);
    part_close(&part);
    return code;
}

static enum err_code to_s3(const struct cli_args *a, const char *uri, bool pack, struct image *img,
                           struct err *e)
{
    struct part plain = PART_INIT, packed = PART_INIT;
    struct s3 *s = NULL;
    struct bar bar;
    bool there = false;
    enum err_code code = s3_open(&s, uri, a->s3_endpoint, a->s3_region, e);
    /* Before anything is copied: the credentials and the bucket may be wrong, too. */
    if (code == ERR_OK)
        code = s3_find(s, &there, e);
    if (code == ERR_OK && there)
        code = err_set(e, ERR_CONFIG, "%s exists already", uri);
    if (code == ERR_OK)
        code = part_temp(&plain, e);
    if (code == ERR_OK && pack)
        code = part_temp(&packed, e);
    if (code == ERR_OK)
        code = make(a, &plain, pack ? &packed : NULL, img, e);
    if (code == ERR_OK) {
        bar_begin(&bar, "sending");
        code = s3_put(s, pack ? packed.fd : plain.fd, &bar, e);
        bar_end(&bar);
    }
    part_close(&plain);
    part_close(&packed);
    s3_free(s);
    return code;
}

int cli_backup(int argc, char **argv)
{
    static const struct cli_usage usage = {
        help, CLI_REMOTE | CLI_DATABASE | CLI_TOKEN | CLI_CACERT | CLI_S3, .least = 1, .most = 1};
    struct cli_args a;
    struct err e = ERR_INIT;
    struct image img = {0};
    int status;
    if (!cli_parse(&a, argc, argv, &usage, &status))
        return status;
    const char *file = a.words[0];
    bool s3 = s3_is_uri(file);
    if (!s3 && strstr(file, "://"))
        return cli_say("backup", CLI_WRONG,
                       "%s: a backup is written to a local file or to s3://bucket/key", file);
    if (!s3 && (a.s3_endpoint || a.s3_region))
        return cli_say("backup", CLI_WRONG, "%s is not s3://bucket/key", file);
    if (!s3 && access(file, F_OK) == 0)
        return cli_say("backup", CLI_WRONG, "%s exists already", file);
    bool pack = packed_is_name(file);
    enum err_code code = s3 ? to_s3(&a, file, pack, &img, &e) : to_file(&a, file, pack, &img, &e);
    if (code != ERR_OK)
        return cli_failed("backup", &e);
    (void)printf("%s: %" PRIu64 " bytes%s, at %" PRIu64 " of the log\n", file, img.bytes,
                 pack ? " before compression" : "", img.pos.seq);
    return CLI_DONE;
}
