/*
 * ha: one node of the cluster; or, with a command as its first argument, a tool (cli/cli.h); or,
 * with --remote, a client (cli/shell.h).
 *
 * Exit status: 0 after a graceful stop, 1 when the node could not run, 2 for a wrong configuration,
 * 128 + number when a second signal ended it at once.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/shell.h"
#include "os/signal.h"
#include "server/config.h"
#include "server/server.h"
#include "server/service.h"

#define STOP_GRACE_S 10 /* beyond SERVER_STOP_S, before a stop counts as hanging */

enum { EXIT_STOPPED = 0, EXIT_FAILED = 1, EXIT_WRONG = 2 };

/* Where 0 to 2 are closed, a database file or a socket would get one of these numbers, and what is
 * printed would end there. */
static void keep_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

/* A connection is a descriptor: take all that the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int wrong(const struct err *e)
{
    (void)fprintf(stderr, "ha: %s\n", e->msg);
    return e->code == ERR_CONFIG ? EXIT_WRONG : EXIT_FAILED;
}

static int run(const struct config *c)
{
    struct err e = ERR_INIT;
    const struct server_host host = {.gave_up = signal_pending, .greet = true};
    struct server *s = NULL;
    int number;

    log_configure((enum log_level)c->log_level, (enum log_format)c->log_format);
    if (server_start(&s, c, &host, &e)) {
        if (e.code == ERR_SHUTDOWN && signal_pending())
            return EXIT_STOPPED;
        LOG_ERROR("the node cannot start", LOG_STR("error", e.msg),
                  LOG_STR("code", err_name(e.code)));
        return e.code == ERR_CONFIG ? EXIT_WRONG : EXIT_FAILED;
    }
    number = service_wait(s);
    LOG_INFO("stopping", LOG_STR("signal", sigabbrev_np(number)));
    signal_end_after(SERVER_STOP_S + STOP_GRACE_S);
    server_stop(s);
    return EXIT_STOPPED;
}

/* `ha -r URL` */
static int run_client(const struct config *c)
{
    const struct shell_options o = {.urls = c->remote,
                                    .token = c->token,
                                    .cacert = c->cacert,
                                    .database = c->database,
                                    .command = c->command,
                                    .mode = (enum show_mode)c->mode,
                                    .files = c->files,
                                    .n_files = c->n_files};

    signal_release();
    return cli_shell(&o);
}

static int run_with(struct config *c, int argc, char **argv)
{
    struct err e = ERR_INIT;

    if (config_load(c, argc, argv, environ, &e))
        return wrong(&e);
    if (c->help) {
        config_print_help(stdout);
        return EXIT_STOPPED;
    }
    if (c->version) {
        (void)printf("ha %s\n", HA_VERSION);
        return EXIT_STOPPED;
    }
    if (c->help_markdown) {
        config_print_markdown(stdout);
        return EXIT_STOPPED;
    }
    if (*c->remote && !c->check_config && !c->print_config)
        return run_client(c); /* what a node would be told is of no matter */
    if (c->print_config)
        config_print(c, stdout);
    if (config_check(c, &e) || (c->check_config && server_check(c, &e)))
        return wrong(&e);
    if (c->check_config)
        (void)printf("the configuration is valid\n");
    if (c->check_config || c->print_config)
        return EXIT_STOPPED;
    return run(c);
}

int main(int argc, char **argv)
{
    struct config c;
    struct err e = ERR_INIT;
    int status;

    keep_standard_descriptors();
    if (argc > 1 && cli_is_command(argv[1])) {
        (void)signal(SIGPIPE, SIG_IGN); /* the others end a command at once, as everywhere */
        return cli_main(argc, argv);
    }
    signal_setup();
    raise_descriptor_limit();
    if (config_init(&c, &e))
        return wrong(&e);
    status = run_with(&c, argc, argv);
    config_free(&c);
    return status;
}
