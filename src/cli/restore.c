/* `ha restore`: a backup becomes the file of a stopped node. The file says itself which prefix of
 * which log it is; --new makes it forget that. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/packed.h"
#include "cli/part.h"
#include "cli/s3.h"
#include "os/file.h"
#include "sql/backup.h"
#include "sql/image.h"

static const char help[] =
    "Usage: ha restore [--new] [--replace] BACKUP FILE\n"
    "\n"
    "Puts BACKUP (a file that ha backup or a download has made) in place as the\n"
    "database file FILE of a stopped node. It is checked first. A BACKUP that is compressed\n"
    "with zstd is recognised as such.\n"
    "\n"
    "Without --new the file keeps its place in the log: the node that starts with it\n"
    "follows the log from there, so the cluster's present state comes back, not that of\n"
    "the backup.\n"
    "\n"
    "      --new       the file forgets its log: it is the content of a new database, or\n"
    "                  of a cluster that begins anew. A node refuses it where the log of\n"
    "                  that name holds messages already.\n"
    "      --replace   FILE exists: keep it as FILE.before-<time> and put BACKUP there\n"
    "\n"
    "BACKUP may be s3://BUCKET/KEY. Credentials: $AWS_ACCESS_KEY_ID,\n"
    "$AWS_SECRET_ACCESS_KEY, $AWS_SESSION_TOKEN.\n"
    "\n"
    "      --s3-endpoint URL   the storage (default: $AWS_ENDPOINT_URL, else AWS)\n"
    "      --s3-region NAME    default: $AWS_REGION, else us-east-1\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or FILE is in the way.\n";

static enum err_code copy_file(const char *what, const char *from, const char *to, struct err *e)
{
    struct bar bar;
    bar_begin(&bar, what);
    enum err_code code =
        backup_to_file(from, to, &(struct watch){.moved = bar_moved, .arg = &bar}, e);
    bar_end(&bar);
    return code;
}

/* The file and what SQLite keeps beside it get another name. */
static enum err_code put_aside(const char *file, char *aside, size_t size, struct err *e)
{
    char stamp[32];
    struct tm tm;
    time_t now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    (void)snprintf(aside, size, "%s.before-%s", file, stamp);
    /* With what is in its WAL. */
    enum err_code code = copy_file("keeping aside", file, aside, e);
    if (code == ERR_OK)
        image_remove(file);
    return code;
}

static enum err_code fetch(const struct cli_args *a, const char *uri, const struct part *part,
                           struct err *e)
{
    struct packed_sink sink;
    struct bar bar;
    struct s3 *s = NULL;
    enum err_code code = s3_open(&s, uri, a->s3_endpoint, a->s3_region, e);
    if (code != ERR_OK)
        return code;
    bar_begin(&bar, "loading");
    packed_begin(&sink, part->fd, part->path, uri, e);
    code = packed_end(&sink, s3_get(s, packed_take, &sink, &bar, e));
    bar_end(&bar);
    s3_free(s);
    return code;
}

static enum err_code unpack(const char *from, int fd, const struct part *part, struct err *e)
{
    struct bar bar;
    bar_begin(&bar, "unpacking");
    enum err_code code = packed_read(fd, from, part->fd, part->path, &bar, e);
    bar_end(&bar);
    return code;
}

/* Is it sound, and does nothing get lost that was never published? */
static enum err_code check(const struct cli_args *a, const char *from, const char *path,
                           struct image *img, struct err *e)
{
    enum err_code code = cli_file_check(path, img, e);
    if (code == ERR_OK && img->bytes == 0) /* for SQLite that is a sound database without a table */
        code = err_set(e, ERR_CORRUPT, "%s is empty: no backup is", from);
    if (code == ERR_OK && img->outbox > 0 && !a->is_new)
        code = err_set(e, ERR_CONFIG,
                       "%s holds %" PRIu64
                       " messages that its node had not published; use --new to keep them",
                       from, img->outbox);
    return code;
}

/* BACKUP as a file of ours beside FILE, checked; its name in `copy`. FILE.part is both the lock and
 * where bytes are loaded or unpacked to; a plain local BACKUP is copied by SQLite, which knows its
 * WAL, into a file that it makes. */
static enum err_code bring(const struct cli_args *a, const struct part *part, char copy[PATH_MAX],
                           struct image *img, struct err *e)
{
    const char *from = a->words[0];
    enum err_code code = ERR_OK;
    int fd = s3_is_uri(from) ? -1 : open(from, O_RDONLY | O_CLOEXEC);
    bool packed = fd >= 0 && packed_is_file(fd);
    if (packed || s3_is_uri(from)) {
        (void)snprintf(copy, PATH_MAX, "%s", part->path);
        code = packed ? unpack(from, fd, part, e) : fetch(a, from, part, e);
        if (code == ERR_OK)
            code = check(a, from, copy, img, e);
    } else {
        (void)snprintf(copy, PATH_MAX, "%.*s.copy", PATH_MAX - 8, part->path);
        image_remove(copy);
        code = check(a, from, from, img, e);
        if (code == ERR_OK)
            code = copy_file("copying", from, copy, e);
    }
    if (fd >= 0)
        close(fd);
    return code;
}

static enum err_code put_in_place(const struct cli_args *a, bool there, char *aside, size_t size,
                                  struct image *img, struct err *e)
{
    const char *file = a->words[1];
    struct part part = PART_INIT;
    char copy[PATH_MAX] = "";
    enum err_code code = part_open(&part, "restore", file, e);
    if (code == ERR_OK)
        code = bring(a, &part, copy, img, e);
    if (code == ERR_OK && a->is_new)
        code = image_untie(copy, false, e);
    if (code == ERR_OK && there)
        code = put_aside(file, aside, size, e);
    if (code == ERR_OK)
        code = part_keep(copy, file, e);
    if (copy[0])
        image_remove(copy);
    part_close(&part);
    return code;
}

int cli_restore(int argc, char **argv)
{
    static const struct cli_usage usage = {help, CLI_NEW | CLI_REPLACE | CLI_S3, .least = 2,
                                           .most = 2};
    struct cli_args a;
    struct err e = ERR_INIT;
    struct image img = {0};
    char aside[PATH_MAX] = "";
    int status;
    if (!cli_parse(&a, argc, argv, &usage, &status))
        return status;
    const char *from = a.words[0], *file = a.words[1];
    if (!s3_is_uri(from) && (a.s3_endpoint || a.s3_region))
        return cli_say("restore", CLI_WRONG, "%s is not s3://bucket/key", from);
    if (!s3_is_uri(from) && access(from, R_OK) != 0)
        return cli_say("restore", CLI_WRONG, "%s: %s", from, strerror(errno));
    bool there = access(file, F_OK) == 0;
    if (there && !a.replace)
        return cli_say("restore", CLI_WRONG,
                       "%s exists already; --replace keeps it aside and goes on", file);
    if (there && cli_file_in_use(file))
        return cli_say("restore", CLI_WRONG, "%s is in use: stop its node first", file);
    if (put_in_place(&a, there, aside, sizeof aside, &img, &e) != ERR_OK)
        return cli_failed("restore", &e);
    if (aside[0])
        (void)printf("%s is kept as %s\n", file, aside);
    if (a.is_new || !img.has_position || img.pos.seq == 0)
        (void)printf("%s is in place: it begins a new log\n", file);
    else
        (void)printf("%s is in place at %" PRIu64
                     " of log %s: its node follows the log from there\n",
                     file, img.pos.seq, img.pos.stream);
    return CLI_DONE;
}
