/*
 * The embedded NATS.
 *
 *   find_program, ask_version, warn_about_version
 *   lock_directory, wait_for_port, put_config
 *   find_url                where the child listens, out of its ports file
 *   greeting, probe         the first line a client would get: does it have JetStream?
 *   wait_until_ready
 *   nats_server_*
 */
#include "nats/server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "nats/url.h"
#include "os/child.h"
#include "os/file.h"
#include "os/holder.h"
#include "os/port.h"

#define PROGRAM          "nats-server"
#define PROGRAM_ENV      "HA_NATS_SERVER"
#define URL_SIZE         256
#define VERSION_SIZE     32
#define FAILED_STOP_WAIT CLOCK_S /* for a child that runs but is of no use */
#define POLL_MS          2       /* between looks at a starting child */
#define NODE_LOCK_WAIT   CLOCK_S /* a killed node's lock goes away with the process */
#define SERVER_LOCK_WAIT                                                                           \
    (5 * CLOCK_S) /* a server that was told to end hands over and closes its store */
#define VERSION_WAIT    (5 * CLOCK_S)
#define PROBE_WAIT_S    2        /* for the server's greeting */
#define PORTS_FILE_MAX  65536    /* bytes */
#define GREETING_MAX    32768    /* bytes */
#define VERSION_SYNC    2010000U /* 2.10.0 knows sync_interval: always */
#define VERSION_SAFE_R3 2010023U /* 2.10.23 keeps acknowledged messages of replicated streams */

struct nats_server {
    /* Immutable after init. */
    struct child *child;
    int node_lock, server_lock; /* -1 = none */
    char url[URL_SIZE];
    char version[VERSION_SIZE];
    uint32_t version_number;
    bool greets; /* whoever connects is greeted, before TLS */
};

/* ---- the program ---------------------------------------------------------------------------- */

/* Three numbers with points between them. */
static bool read_version(const char *p, uint32_t numbers[3])
{
    for (int i = 0; i < 3; i++) {
        size_t n = strspn(p, "0123456789");

        if (n == 0 || n > 3)
            return false;
        numbers[i] = (uint32_t)strtoul(p, NULL, 10);
        p += n;
        if (i < 2 && *p++ != '.')
            return false;
    }
    return true;
}

uint32_t nats_server_version_number(const char *text)
{
    uint32_t v[3];

    for (const char *p = strpbrk(text, "0123456789"); p; p = strpbrk(p, "0123456789")) {
        if (read_version(p, v))
            return v[0] * 1000000U + v[1] * 1000U + v[2];
        p += strspn(p, "0123456789");
    }
    return 0;
}

static enum err_code find_program(char *path, size_t size, struct err *e)
{
    const char *name = getenv(PROGRAM_ENV);

    if (name && *name) {
        if (child_find(name, path, size))
            return ERR_OK;
        return err_set(e, ERR_CONFIG, "%s=%s is not a program", PROGRAM_ENV, name);
    }
    /* Debian puts it into /usr/sbin, which the PATH of an ordinary user does not have. */
    if (child_find(PROGRAM, path, size) || child_find("/usr/sbin/" PROGRAM, path, size) ||
        child_find("/usr/local/bin/" PROGRAM, path, size))
        return ERR_OK;
    return err_set(e, ERR_CONFIG,
                   PROGRAM " is not installed: install it (Debian: apt install " PROGRAM
                           "), name it in %s, or use --nats-port 0 with --replication-url",
                   PROGRAM_ENV);
}

static enum err_code ask_version(struct nats_server *s, const char *path, struct err *e)
{
    const char *argv[] = {PROGRAM, "--version", NULL};
    struct buf out;
    int status = 0;
    enum err_code code;
    const char *text, *digits;

    buf_init(&out, 4096);
    code = child_run(path, argv, &out, &status, clock_deadline(VERSION_WAIT), e);
    if (!code) {
        text = buf_cstr(&out);
        s->version_number = nats_server_version_number(text);
        if (!s->version_number) {
            code = err_set(e, ERR_CONFIG, "%s --version does not tell its version", path);
        } else {
            digits = text + strcspn(text, "0123456789");
            (void)snprintf(s->version, sizeof s->version, "%.*s", (int)strcspn(digits, " \r\n\t"),
                           digits);
        }
    }
    buf_free(&out);
    return code;
}

static void warn_about_version(const struct nats_server *s, const struct nats_server_options *opt)
{
    if (s->version_number < VERSION_SAFE_R3 && opt->replicas > 1)
        LOG_WARN("this nats-server may lose acknowledged messages of replicated streams when "
                 "several servers are killed; use 2.10.23 or newer",
                 LOG_STR("version", s->version), LOG_INT("replicas", opt->replicas));
    if (s->version_number < VERSION_SYNC && opt->sync_always && !*opt->config)
        LOG_INFO("this nats-server cannot sync every message (2.10 and newer can): acknowledged "
                 "means in the page cache, safe from a crash of the process, not of the machine",
                 LOG_STR("version", s->version));
}

/* ---- before the start ----------------------------------------------------------------------- */

static enum err_code join_path(char *out, size_t size, const char *dir, const char *name,
                               struct err *e)
{
    int n = snprintf(out, size, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= size)
        return file_error(e, "cannot use", dir, ENAMETOOLONG);
    return ERR_OK;
}

/* The node's lock is ours, so whoever holds the server's was left behind by a node that is no more,
 * and was told to end when that node died. One that hangs (2.9.10, its disk full) is killed: what
 * it has acknowledged it has written. Nobody else is: a program that reads the directory, as a
 * backup does, may have the file open, too. */
static enum err_code lock_server(struct nats_server *s, const char *path, int64_t deadline_ns,
                                 struct err *e)
{
    int64_t soon = clock_deadline(SERVER_LOCK_WAIT);
    enum err_code code =
        file_lock(&s->server_lock, path, soon < deadline_ns ? soon : deadline_ns, e);
    pid_t pid = code == ERR_BUSY ? holder_find(path, PROGRAM) : 0;

    if (pid > 0) {
        LOG_WARN("the " PROGRAM " of an earlier run does not end, and is killed",
                 LOG_INT("pid", pid), LOG_STR("lock", path));
        (void)kill(pid, SIGKILL);
        err_clear(e);
        code = file_lock(&s->server_lock, path, deadline_ns, e);
    }
    return code == ERR_BUSY ? err_wrap(e, "the " PROGRAM " of an earlier run has not ended") : code;
}

static enum err_code lock_directory(struct nats_server *s, const char *dir, int64_t deadline_ns,
                                    struct err *e)
{
    char path[PATH_MAX];
    int64_t soon = clock_deadline(NODE_LOCK_WAIT);
    enum err_code code = file_make_dirs(dir, 0700, e);

    if (!code)
        code = join_path(path, sizeof path, dir, "node.lock", e);
    if (!code)
        code = file_lock(&s->node_lock, path, soon < deadline_ns ? soon : deadline_ns, e);
    if (code == ERR_BUSY)
        return err_wrap(e, "another node uses this NATS store directory (give each node its own "
                           "--nats-store-dir)");
    if (!code)
        code = join_path(path, sizeof path, dir, "server.lock", e);
    return code ? code : lock_server(s, path, deadline_ns, e);
}

/* What a killed server left behind, so that its address is never taken for ours. */
static void remove_ports_files(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    while (d && (entry = readdir(d))) {
        size_t n = strlen(entry->d_name);

        if (n > 6 && strcmp(entry->d_name + n - 6, ".ports") == 0)
            (void)unlinkat(dirfd(d), entry->d_name, 0);
    }
    if (d)
        (void)closedir(d);
}

static bool gives_up(const struct nats_server_options *opt, struct err *e)
{
    if (!opt->gave_up || !opt->gave_up())
        return false;
    (void)err_set(e, ERR_SHUTDOWN, "stopped while starting " PROGRAM);
    return true;
}

static enum err_code wait_for_port(const struct nats_server_options *opt, int64_t deadline_ns,
                                   struct err *e)
{
    bool told = false;

    while (!port_is_free(opt->port)) {
        if (gives_up(opt, e))
            return e->code;
        if (clock_mono_ns() >= deadline_ns)
            return err_set(e, ERR_BUSY,
                           "port %d is in use by another program; choose another --nats-port, or 0 "
                           "for no embedded NATS",
                           opt->port);
        if (!told)
            LOG_WARN("the NATS port is in use, waiting for it", LOG_INT("port", opt->port));
        told = true;
        (void)poll(NULL, 0, POLL_MS);
    }
    return ERR_OK;
}

/* A string of NATS' configuration language. */
static void put_quoted(struct buf *b, const char *s)
{
    buf_putc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            buf_printf(b, "\\x%02X", c);
        else
            buf_putc(b, (char)c);
    }
    buf_putc(b, '"');
}

static void put_server_name(struct buf *b, const char *name)
{
    char token[NAME_TOKEN_SIZE];

    if (!*name || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                               "_-.") != strlen(name)) {
        name_encode(name, token);
        name = token;
    }
    put_quoted(b, name);
}

static enum err_code write_config(const struct nats_server *s,
                                  const struct nats_server_options *opt, int port, const char *path,
                                  struct err *e)
{
    struct buf b = BUF_INIT;
    enum err_code code;

    buf_puts(&b, "# Written by ha at every start: changes are lost. For a configuration of your "
                 "own use --nats-config.\nserver_name: ");
    put_server_name(&b, opt->server_name);
    buf_printf(&b, "\nlisten: \"0.0.0.0:%d\"\nlogtime: false\njetstream {\n    store_dir: ", port);
    put_quoted(&b, opt->store_dir);
    if (opt->sync_always && s->version_number >= VERSION_SYNC)
        buf_puts(&b, "\n    sync_interval: always");
    buf_puts(&b, "\n}\n");
    if (*opt->user || *opt->pass) {
        buf_puts(&b, "authorization {\n    user: ");
        put_quoted(&b, opt->user);
        buf_puts(&b, "\n    password: ");
        put_quoted(&b, opt->pass);
        buf_puts(&b, "\n}\n");
    }
    if (buf_ok(&b))
        code = file_write(path, b.data, b.len, 0600, e);
    else
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    buf_free(&b);
    return code;
}

/* ---- is it there? --------------------------------------------------------------------------- */

static int url_rank(const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    if (strncmp(host, "127.0.0.1:", 10) == 0)
        return 3;
    if (strncmp(host, "localhost:", 10) == 0)
        return 2;
    return strncmp(host, "[::1]:", 6) == 0 ? 1 : 0;
}

/* The ports file: {"nats":["nats://127.0.0.1:4222","nats://[::1]:4222"],"monitoring":[…]}. Takes
 * the loopback address, else the first one. URLs have no escapes. A half-written file has no last
 * brace. */
static bool choose_url(const char *json, char out[URL_SIZE])
{
    const char *p = strchr(json, '}') ? strstr(json, "\"nats\"") : NULL;
    const char *end;
    int best = -1;

    p = p ? strchr(p, '[') : NULL;
    end = p ? strstr(p, "\"]") : NULL; /* a "]" inside a URL has no quote before it */
    while (p && end && (p = strchr(p, '"')) && p < end) {
        const char *url = p + 1;
        size_t n = strcspn(url, "\"");

        if (n > 0 && n < URL_SIZE && url_rank(url) > best) {
            best = url_rank(url);
            memcpy(out, url, n);
            out[n] = '\0';
        }
        p = url + n + 1;
    }
    return best >= 0;
}

/* The ports file's name carries the process id: an older server's is never taken for this one's. */
static bool find_url(const char *dir, pid_t pid, char out[URL_SIZE])
{
    char path[PATH_MAX];
    struct buf b = BUF_INIT;
    struct err ignored = ERR_INIT;
    bool found;

    (void)snprintf(path, sizeof path, "%s/%s_%ld.ports", dir, PROGRAM, (long)pid);
    /* Half written, or not there yet: the next look will tell. */
    found = !file_read(path, PORTS_FILE_MAX, &b, &ignored) && choose_url(buf_cstr(&b), out);
    buf_free(&b);
    return found;
}

static int connect_to(const char *url)
{
    char host[URL_SIZE], *port;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *list = NULL;
    const char *start = strstr(url, "://");
    struct timeval wait = {.tv_sec = PROBE_WAIT_S, .tv_usec = 0};
    int fd = -1;
    char *h = host;

    (void)snprintf(host, sizeof host, "%s", start ? start + 3 : url);
    port = strrchr(host, ':');
    if (!port)
        return -1;
    *port++ = '\0';
    if (*h == '[') {
        h++;
        h[strcspn(h, "]")] = '\0';
    }
    if (getaddrinfo(strcmp(h, "localhost") == 0 ? "127.0.0.1" : h, port, &hints, &list) != 0)
        return -1;
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        if (connect(fd, list->ai_addr, list->ai_addrlen) != 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

enum greeting { GREETING_WHOLE, GREETING_NONE, GREETING_NO_CONNECTION };

/* The server speaks first: INFO {"server_id":"N…","version":"2.9.10","jetstream":true,…}\r\n
 * Puts that into `b`; GREETING_NONE where it says something else, or nothing. */
static enum greeting greeting(const char *url, struct buf *b)
{
    int fd = connect_to(url);
    bool whole = false;

    if (fd < 0)
        return GREETING_NO_CONNECTION;
    while (buf_ok(b) && !whole) {
        char bytes[2048];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        buf_put(b, bytes, (size_t)n);
        whole = memchr(bytes, '\n', (size_t)n) != NULL;
    }
    (void)close(fd);
    return whole && strncmp(buf_cstr(b), "INFO ", 5) == 0 ? GREETING_WHOLE : GREETING_NONE;
}

enum probe { PROBE_OK, PROBE_NO_JETSTREAM, PROBE_SILENT };

static enum probe probe(const char *url)
{
    struct buf b;
    enum probe result = PROBE_SILENT;

    buf_init(&b, GREETING_MAX);
    if (greeting(url, &b) == GREETING_WHOLE)
        result = strstr(buf_cstr(&b), "\"jetstream\":true") ? PROBE_OK : PROBE_NO_JETSTREAM;
    buf_free(&b);
    return result;
}

/* Its last words, in one line: the last one is the reason. */
static enum err_code start_failed(const struct child_status *st, struct err *e)
{
    char text[CHILD_TAIL_SIZE];
    char *line, *nl;

    memcpy(text, st->tail, sizeof text);
    while ((nl = strrchr(text, '\n')) && nl[1] == '\0')
        *nl = '\0';
    nl = strrchr(text, '\n');
    line = nl ? nl + 1 : text;
    return err_set(e, ERR_CONFIG, PROGRAM " does not start: %s",
                   *line ? line : "it ended without a word");
}

static enum err_code wait_until_ready(struct nats_server *s, const struct nats_server_options *opt,
                                      int64_t deadline_ns, struct err *e)
{
    struct child_status st;
    bool told = false;

    for (;;) {
        child_query(s->child, &st);
        if (st.pid && find_url(opt->store_dir, st.pid, s->url))
            return ERR_OK;
        if (gives_up(opt, e))
            return e->code;
        if (st.exits > 0 && st.state != CHILD_RUNNING) {
            if (!strstr(st.tail, "address already in use"))
                return start_failed(&st, e);
            if (!told)
                LOG_WARN("a port of the NATS configuration is in use, waiting for it");
            told = true;
        }
        if (clock_mono_ns() >= deadline_ns) {
            if (st.exits > 0)
                return start_failed(&st, e);
            return err_set(e, ERR_LOG_UNAVAILABLE, PROGRAM " was not ready in time");
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}

/* ---- interface ------------------------------------------------------------------------------ */

static enum err_code start_child(struct nats_server *s, const struct nats_server_options *opt,
                                 const char *program, const char *config, struct err *e)
{
    const char *argv[] = {PROGRAM, "-c", config, "--ports_file_dir", opt->store_dir, NULL};
    struct child_options child = {.name = PROGRAM,
                                  .path = program,
                                  .argv = argv,
                                  .inherit_fd = s->server_lock,
                                  .log_output = opt->logs,
                                  .restart = true};

    return child_start(&s->child, &child, e);
}

static enum err_code look_at_greeting(struct nats_server *s, bool own, const char *config,
                                      struct err *e)
{
    enum probe seen = probe(s->url);

    s->greets = !own || seen != PROBE_SILENT;
    if (seen != PROBE_NO_JETSTREAM)
        return ERR_OK;
    return err_set(e, ERR_CONFIG, "%s does not turn JetStream on: it needs a jetstream block",
                   config);
}

static enum err_code start(struct nats_server *s, const struct nats_server_options *opt,
                           int64_t deadline_ns, struct err *e)
{
    char program[PATH_MAX], generated[PATH_MAX];
    bool own = *opt->config != '\0';
    enum err_code code = find_program(program, sizeof program, e);

    if (!code)
        code = ask_version(s, program, e);
    if (!code)
        code = lock_directory(s, opt->store_dir, deadline_ns, e);
    if (!code)
        code = join_path(generated, sizeof generated, opt->store_dir, "nats.conf", e);
    if (code)
        return code;
    remove_ports_files(opt->store_dir);
    if (!own && opt->port > 0)
        code = wait_for_port(opt, deadline_ns, e);
    if (!code && !own)
        code = write_config(s, opt, opt->port, generated, e);
    if (!code)
        code = start_child(s, opt, program, own ? opt->config : generated, e);
    if (!code)
        code = wait_until_ready(s, opt, deadline_ns, e);
    /* A port that was chosen by chance is kept, so that the URL outlives the child. */
    if (!code && !own && opt->port < 0)
        code = write_config(s, opt, nats_url_port(s->url), generated, e);
    return code ? code : look_at_greeting(s, own, own ? opt->config : generated, e);
}

enum err_code nats_server_start(struct nats_server **out, const struct nats_server_options *opt,
                                int64_t deadline_ns, struct err *e)
{
    struct nats_server *s = calloc(1, sizeof *s);
    int64_t begin = clock_mono_ns();

    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    s->node_lock = -1;
    s->server_lock = -1;
    if (start(s, opt, deadline_ns, e)) {
        nats_server_stop(s, clock_deadline(FAILED_STOP_WAIT));
        nats_server_free(s);
        return e->code;
    }
    warn_about_version(s, opt);
    LOG_INFO("embedded NATS is ready", LOG_STR("url", s->url), LOG_STR("version", s->version),
             LOG_STR("store", opt->store_dir), LOG_INT("ms", (clock_mono_ns() - begin) / CLOCK_MS));
    *out = s;
    return ERR_OK;
}

const char *nats_server_url(const struct nats_server *s)
{
    return s->url;
}

const char *nats_server_version(const struct nats_server *s)
{
    return s->version;
}

bool nats_server_is(const struct nats_server *s, const char *server_id)
{
    char name[URL_SIZE];
    struct buf b;
    bool is;

    buf_init(&b, GREETING_MAX);
    (void)snprintf(name, sizeof name, "\"server_id\":\"%s\"", server_id);
    is = *server_id && greeting(s->url, &b) == GREETING_WHOLE && strstr(buf_cstr(&b), name);
    buf_free(&b);
    return is;
}

bool nats_server_hangs(const struct nats_server *s)
{
    struct buf b;
    bool hangs;

    buf_init(&b, GREETING_MAX);
    hangs = s->greets && greeting(s->url, &b) == GREETING_NONE;
    buf_free(&b);
    return hangs;
}

uint64_t nats_server_restarts(struct nats_server *s)
{
    struct child_status st;

    child_query(s->child, &st);
    return st.exits;
}

long nats_server_signal(struct nats_server *s, uint64_t restarts, int number)
{
    return (long)child_signal(s->child, restarts, number);
}

void nats_server_stop(struct nats_server *s, int64_t deadline_ns)
{
    if (s->child)
        child_stop(s->child, deadline_ns);
}

void nats_server_free(struct nats_server *s)
{
    if (!s)
        return;
    child_free(s->child);
    file_unlock(s->server_lock);
    file_unlock(s->node_lock);
    free(s);
}
