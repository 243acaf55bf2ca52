#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

int cli_say(const char *command, int status, const char *fmt, ...)
{
    char text[2 * ERR_MSG_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if (*p == '\n') /* SQLite reports damage in several lines */
            *p = ' ';
    (void)fprintf(stderr, "ha %s: %s\n", command, text);
    return status;
}

enum {
    HELP = 256,
    DATABASE,
    TOKEN,
    NEW,
    REPLACE,
    DRY_RUN,
    S3_ENDPOINT,
    S3_REGION,
    EXPECT,
    REPLACE_LOG,
    CACERT
};

static const struct option all_options[] = {
    {"remote", required_argument, NULL, 'r'},
    {"help", no_argument, NULL, HELP},
    {"database", required_argument, NULL, DATABASE},
    {"token", required_argument, NULL, TOKEN},
    {"new", no_argument, NULL, NEW},
    {"replace", no_argument, NULL, REPLACE},
    {"dry-run", no_argument, NULL, DRY_RUN},
    {"s3-endpoint", required_argument, NULL, S3_ENDPOINT},
    {"s3-region", required_argument, NULL, S3_REGION},
    {"expect-nodes", required_argument, NULL, EXPECT},
    {"replace-log", no_argument, NULL, REPLACE_LOG},
    {"cacert", required_argument, NULL, CACERT},
    {NULL, 0, NULL, 0},
};

/* Takes one option; 0 where the command does not have it. */
static unsigned take(struct cli_args *a, int which)
{
    switch (which) {
    case 'r':
        a->remote = optarg;
        return CLI_REMOTE;
    case DATABASE:
        a->database = optarg;
        return CLI_DATABASE;
    case TOKEN:
        a->token = optarg;
        return CLI_TOKEN;
    case CACERT:
        a->cacert = optarg;
        return CLI_CACERT;
    case NEW:
        a->is_new = true;
        return CLI_NEW;
    case REPLACE:
        a->replace = true;
        return CLI_REPLACE;
    case DRY_RUN:
        a->dry_run = true;
        return CLI_DRY_RUN;
    case S3_ENDPOINT:
        a->s3_endpoint = optarg;
        return CLI_S3;
    case S3_REGION:
        a->s3_region = optarg;
        return CLI_S3;
    case EXPECT:
        a->expect = optarg;
        return CLI_EXPECT;
    case REPLACE_LOG:
        a->replace_log = true;
        return CLI_REPLACE_LOG;
    default:
        return 0;
    }
}

bool cli_parse(struct cli_args *a, int argc, char **argv, const struct cli_usage *usage,
               int *status)
{
    int which;
    *a = (struct cli_args){
        .command = argv[1], .token = getenv("HA_TOKEN"), .cacert = getenv("HA_CACERT")};
    *status = CLI_WRONG;
    opterr = 0;
    optind = 2;
    while ((which = getopt_long(argc, argv, ":r:h", all_options, NULL)) != -1) {
        const char *word = optind > 2 ? argv[optind - 1] : "";
        if (which == HELP || which == 'h') {
            (void)fputs(usage->help, stdout);
            *status = CLI_DONE;
            return false;
        }
        if (which == ':') {
            cli_say(a->command, CLI_WRONG, "%s needs a value", word);
            return false;
        }
        if (which == '?' || !(take(a, which) & usage->options)) {
            cli_say(a->command, CLI_WRONG, "there is no option %s; see ha %s --help", word,
                    a->command);
            return false;
        }
    }
    a->words = argv + optind;
    a->n_words = argc - optind;
    if (a->n_words < usage->least)
        cli_say(a->command, CLI_WRONG, "a file name is missing; see ha %s --help", a->command);
    else if (a->n_words > usage->most)
        cli_say(a->command, CLI_WRONG, "\"%s\" is too much; see ha %s --help",
                a->words[usage->most], a->command);
    return a->n_words >= usage->least && a->n_words <= usage->most;
}

int cli_failed(const char *command, const struct err *e)
{
    bool wrong = e->code == ERR_CONFIG || e->code == ERR_DATABASE_EXISTS;

    return cli_say(command, wrong ? CLI_WRONG : CLI_FAILED, "%s", e->msg);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"verify", cli_verify},   {"backup", cli_backup},
    {"restore", cli_restore}, {"force-recover", cli_force_recover},
    {"diff", cli_diff},
};

bool cli_is_command(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(word, commands[i].name) == 0)
            return true;
    return false;
}

int cli_main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    return CLI_WRONG;
}
