/*
 * libcurl, loaded when it is first needed. It and the libraries behind it (Kerberos, LDAP, SSH …)
 * take 3 MB of a process; a node, which is the same program, needs none of them.
 */
#ifndef HA_CLI_CURL_H
#define HA_CLI_CURL_H

#include <curl/curl.h>

#include "base/err.h"

/* What is used of it, by the names of its interface without "curl_". */
struct libcurl {
    __typeof__(curl_easy_init) *easy_init;
    __typeof__(curl_easy_reset) *easy_reset;
    __typeof__(curl_easy_setopt) *easy_setopt;
    __typeof__(curl_easy_perform) *easy_perform;
    __typeof__(curl_easy_getinfo) *easy_getinfo;
    __typeof__(curl_easy_strerror) *easy_strerror;
    __typeof__(curl_easy_cleanup) *easy_cleanup;
    __typeof__(curl_slist_append) *slist_append;
    __typeof__(curl_slist_free_all) *slist_free_all;
};

/* Immutable after libcurl_load(), which must have succeeded before any of them is called. */
extern struct libcurl libcurl;

/* Before the first use; once is enough, and more do no harm. One thread. ERR_CONFIG where the
 * machine does not have it. */
enum err_code libcurl_load(struct err *e);

#endif
