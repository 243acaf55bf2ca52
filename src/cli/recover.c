/* `ha force-recover`: the log is lost, and one of the files of stopped nodes begins a new one.
 * Chooses the file, and changes only what it says of itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "sql/image.h"

#define RECOVER_FILES_MAX 16

static const char help[] =
    "Usage: ha force-recover [--dry-run] [--replace-log] FILE...\n"
    "\n"
    "For a cluster whose log is lost (its NATS servers lost their majority for good, or\n"
    "their disks), or holds a message that no node can take. Give it the database files of all "
    "surviving nodes, which must be\n"
    "stopped; it chooses the one that is furthest, which then begins a new log. Start its\n"
    "node first, on a new and empty NATS; the other nodes replace their files by its\n"
    "content when they start, and keep what they had aside.\n"
    "\n"
    "Lost is what was acknowledged but had not reached any of the files.\n"
    "\n"
    "      --dry-run       only say what would be done\n"
    "      --replace-log   the log is still there: the node that starts with the file\n"
    "                      deletes it, if it is the very one that the file belonged to\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.\n";

static bool is_same_log(const struct image *a, const struct image *b)
{
    return strcmp(a->pos.stream, b->pos.stream) == 0;
}

/* A file that was left over when its log began anew has seqs of the old log, which are often the
 * higher ones; nothing tells which of the two logs is to survive. */
static bool is_same_beginning(const struct image *a, const struct image *b)
{
    return a->pos.stream_created == 0 || b->pos.stream_created == 0 ||
           a->pos.stream_created == b->pos.stream_created;
}

/* Index of the furthest; -1 and `e` where the files leave no choice that is right. */
static int choose(char **files, const struct image *img, int n, struct err *e)
{
    int best = 0;
    for (int i = 0; i < n; i++) {
        if (!is_same_log(&img[i], &img[0])) {
            err_set(e, ERR_CONFIG, "%s and %s belong to different logs, \"%s\" and \"%s\"",
                    files[0], files[i], img[0].pos.stream, img[i].pos.stream);
            return -1;
        }
        for (int k = 0; k < i; k++)
            if (!is_same_beginning(&img[i], &img[k])) {
                err_set(e, ERR_CONFIG,
                        "%s and %s know log \"%s\" from different beginnings, their seqs cannot be "
                        "compared: give only the files that are to survive",
                        files[k], files[i], img[i].pos.stream);
                return -1;
            }
        if (img[i].pos.seq > img[best].pos.seq)
            best = i;
    }
    for (int i = 0; i < n; i++)
        if (img[i].pos.seq == img[best].pos.seq &&
            strcmp(img[i].pos.msg_id, img[best].pos.msg_id) != 0) {
            err_set(e, ERR_CONFIG,
                    "%s and %s both end at %" PRIu64
                    " but with different messages: give only the one that is to survive",
                    files[best], files[i], img[i].pos.seq);
            return -1;
        }
    return best;
}

static enum err_code look(const char *file, struct image *img, struct err *e)
{
    if (access(file, R_OK | W_OK) != 0)
        return err_set(e, ERR_CONFIG, "%s: %s", file, strerror(errno));
    if (cli_file_in_use(file))
        return err_set(e, ERR_CONFIG, "%s is in use: stop its node first", file);
    enum err_code code = cli_file_check(file, img, e);
    if (code == ERR_OK && (!img->has_position || !img->pos.stream[0]))
        code = err_set(e, ERR_CONFIG, "%s belongs to no log: its node can start with it as it is",
                       file);
    return code;
}

int cli_force_recover(int argc, char **argv)
{
    static const struct cli_usage usage = {help, CLI_DRY_RUN | CLI_REPLACE_LOG, .least = 1,
                                           .most = RECOVER_FILES_MAX};
    struct cli_args a;
    struct err e = ERR_INIT;
    struct image img[RECOVER_FILES_MAX] = {0};
    int status;
    if (!cli_parse(&a, argc, argv, &usage, &status))
        return status;
    for (int i = 0; i < a.n_words; i++)
        if (look(a.words[i], &img[i], &e) != ERR_OK)
            return cli_failed("force-recover", &e);
    int best = choose(a.words, img, a.n_words, &e);
    if (best < 0)
        return cli_failed("force-recover", &e);
    for (int i = 0; i < a.n_words; i++)
        (void)printf("%s ends at %" PRIu64 " of log %s%s\n", a.words[i], img[i].pos.seq,
                     img[i].pos.stream, i == best ? ": the furthest" : "");
    (void)printf("lost: what was acknowledged after %" PRIu64
                 ", if anything was; and places in the old log (history, HA-Seq) mean nothing any "
                 "more\n",
                 img[best].pos.seq);
    if (img[best].outbox > 0)
        (void)printf("%" PRIu64 " messages that were never published stay in it\n",
                     img[best].outbox);
    if (a.dry_run)
        return CLI_DONE;
    if (image_untie(a.words[best], a.replace_log, &e) != ERR_OK)
        return cli_failed("force-recover", &e);
    (void)printf("%s begins a new log: start its node first, on %s\n", a.words[best],
                 a.replace_log ? "the NATS that has the old one" : "an empty NATS");
    return CLI_DONE;
}
