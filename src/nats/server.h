/*
 * The embedded NATS: nats-server as a supervised child of this process. Generates its configuration
 * (or takes the user's), waits until it answers, starts it again when it dies, stops it last.
 *
 * It does not speak NATS: client.h does, with the URL from here, which stays the same over restarts
 * of the child.
 *
 * In the store directory lie
 *     nats.conf           the generated configuration (mode 600: it holds the password)
 *     jetstream/          JetStream's own files
 *     node.lock           locked by this process: two nodes never share a directory
 *     server.lock         locked by this process and the child: a killed node's child is waited for
 *     *_<pid>.ports       written by nats-server: where it listens
 *
 * Every function may be called by any thread; stop and free once, by the owner.
 */
#ifndef HA_NATS_SERVER_H
#define HA_NATS_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct nats_server;

struct nats_server_options {
    const char *server_name; /* any text; encoded where NATS would not take it */
    int port;                /* -1 = any free one */
    const char *store_dir;   /* created if missing */
    const char *config; /* the user's file, used as it is (port and directory too); "" = none */
    const char *user, *pass; /* "" = no authorization */
    bool sync_always;        /* acknowledged means on disk, where the server can (2.10 and newer) */
    int replicas;            /* only to warn about servers that lose messages */
    bool logs;               /* its output goes to the log */
    bool (*gave_up)(void);   /* asked while waiting: true ends the start (ERR_SHUTDOWN); or NULL */
};

/* Returns when clients can connect, or with an error at the deadline. ERR_CONFIG: no nats-server,
 * or it refuses its configuration. ERR_BUSY: directory or port is in use. */
enum err_code nats_server_start(struct nats_server **out, const struct nats_server_options *opt,
                                int64_t deadline_ns, struct err *e);

const char *nats_server_url(const struct nats_server *s);     /* "nats://127.0.0.1:4222" */
const char *nats_server_version(const struct nats_server *s); /* "2.10.27" */

/* Does the child that runs now call itself so? Asks it, for a second or two at most. */
bool nats_server_is(const struct nats_server *s, const char *server_id);

/* Does its port take a connection, which the kernel does for it, and nobody greet there? Then it is
 * stopped, or hangs; one that is only being started does not listen yet. Waits for two seconds at
 * most. False where its greeting was never heard: TLS may have to come first. */
bool nats_server_hangs(const struct nats_server *s);

/* How often it died and was started again. */
uint64_t nats_server_restarts(struct nats_server *s);

/* Signals it, unless it has died since it was started again so often. Its process id; 0: it has. */
long nats_server_signal(struct nats_server *s, uint64_t restarts, int number);

/* SIGTERM (it hands its leaderships over), SIGKILL at the deadline. */
void nats_server_stop(struct nats_server *s, int64_t deadline_ns);
void nats_server_free(struct nats_server *s); /* NULL is fine */

/* "nats-server: v2.10.27" as a number that orders versions: major * 1000000 + minor * 1000 + patch.
 * 0 if there is no version in the text. */
uint32_t nats_server_version_number(const char *text);

#endif
