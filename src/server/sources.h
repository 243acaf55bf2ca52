/*
 * The source that the configuration names, if it names one: which database mirrors it, and what
 * follows it (src/proxy). By the thread that starts and stops the server.
 */
#ifndef HA_SERVER_SOURCES_H
#define HA_SERVER_SOURCES_H

#include <stdbool.h>

#include "base/err.h"
#include "server/config.h"

struct node;
struct sources;

/* Does what the flags say make sense? Connects to nothing. ERR_CONFIG. */
enum err_code sources_check(const struct config *c, struct err *e);
/* Is one named? Then the file of --proxy-local is among the databases. */
bool sources_wanted(const struct config *c);

/* Before node_start(). *out is NULL where no source is named. */
enum err_code sources_new(struct sources **out, const struct config *c, struct node *n,
                          struct err *e);
/* After node_start(). NULL is fine, here and below. */
enum err_code sources_start(struct sources *s, struct err *e);
/* Before node_stop(): what is under way ends. Returns at once. */
void sources_stop(struct sources *s);
/* After node_stop(), and when no protocol is served any more. */
void sources_free(struct sources *s);

#endif
