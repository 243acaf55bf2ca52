/*
 * Who may connect. --pg-user and --pg-pass make the first user; a file adds others, one a line:
 *
 *     # comment
 *     name  password
 *     name  password  read-only
 *     name  SCRAM-SHA-256$4096:salt$stored:server  [read-only]     (as in pg_authid; SCRAM only)
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/pg/conn.h"

#define LINE_BYTES 2048

static enum err_code add(struct pg_users *u, const char *name, const char *pass, bool read_only,
                         struct err *e)
{
    unsigned char salt[SCRAM_SALT_BYTES];
    struct pg_user *list = realloc(u->list, (u->n + 1) * sizeof *list);
    struct pg_user *x;

    if (!list)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->list = list;
    x = &list[u->n];
    memset(x, 0, sizeof *x);
    x->name = strdup(name);
    x->read_only = read_only;
    x->open = *pass == '\0';
    if (!x->name)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    u->n++;
    if (scram_parse_secret(&x->secret, pass))
        return ERR_OK;
    x->pass = strdup(pass);
    if (!x->pass)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    if (RAND_bytes(salt, sizeof salt) != 1 ||
        !scram_derive(&x->secret, pass, strlen(pass), salt, sizeof salt, SCRAM_ITERATIONS))
        return err_set(e, ERR_INTERNAL, "OpenSSL cannot derive a SCRAM secret");
    return ERR_OK;
}

static enum err_code read_line(struct pg_users *u, char *line, const char *file, unsigned number,
                               struct err *e)
{
    static const char blanks[] = " \t\r\n";
    char *rest = NULL;
    char *name = strtok_r(line, blanks, &rest);
    char *pass = name ? strtok_r(NULL, blanks, &rest) : NULL;
    char *mode = pass ? strtok_r(NULL, blanks, &rest) : NULL;

    if (!name || *name == '#')
        return ERR_OK;
    if (!pass)
        return err_set(e, ERR_CONFIG, "%s, line %u: a user without a password", file, number);
    if (mode && strcmp(mode, "read-only") != 0)
        return err_set(e, ERR_CONFIG, "%s, line %u: \"%s\" is not read-only", file, number, mode);
    if (pg_users_find(u, name))
        return err_set(e, ERR_CONFIG, "%s, line %u: user \"%s\" exists already", file, number,
                       name);
    return add(u, name, pass, mode != NULL, e);
}

static enum err_code load_file(struct pg_users *u, const char *file, struct err *e)
{
    char line[LINE_BYTES];
    unsigned number = 0;
    enum err_code code = ERR_OK;
    FILE *f = fopen(file, "re");

    if (!f)
        return err_set(e, ERR_CONFIG, "--pg-users: \"%s\" cannot be read", file);
    while (code == ERR_OK && fgets(line, sizeof line, f)) {
        number++;
        if (!strchr(line, '\n') && !feof(f))
            code = err_set(e, ERR_CONFIG, "%s, line %u is too long", file, number);
        else
            code = read_line(u, line, file, number, e);
    }
    (void)fclose(f);
    return code;
}

enum err_code pg_users_load(struct pg_users *u, const struct pg_options *o, struct err *e)
{
    enum err_code code = add(u, o->user, o->pass, false, e);

    if (code == ERR_OK && o->users_file && *o->users_file)
        code = load_file(u, o->users_file, e);
    if (code != ERR_OK)
        return code;
    if (RAND_bytes(u->mock_key, sizeof u->mock_key) != 1)
        return err_set(e, ERR_INTERNAL, "OpenSSL has no random numbers");
    return ERR_OK;
}

bool pg_users_mock(const struct pg_users *u, const char *name, struct scram_secret *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    memset(out, 0, sizeof *out);
    out->iterations = SCRAM_ITERATIONS;
    out->salt_len = SCRAM_SALT_BYTES;
    if (!HMAC(EVP_sha256(), u->mock_key, sizeof u->mock_key, (const unsigned char *)name,
              strlen(name), digest, &n) ||
        n < SCRAM_SALT_BYTES)
        return false;
    memcpy(out->salt, digest, SCRAM_SALT_BYTES);
    /* Keys that no password leads to. */
    return RAND_bytes(out->stored_key, sizeof out->stored_key) == 1 &&
           RAND_bytes(out->server_key, sizeof out->server_key) == 1;
}

void pg_users_free(struct pg_users *u)
{
    for (size_t i = 0; i < u->n; i++) {
        free(u->list[i].name);
        free(u->list[i].pass);
    }
    free(u->list);
    memset(u, 0, sizeof *u);
}

const struct pg_user *pg_users_find(const struct pg_users *u, const char *name)
{
    for (size_t i = 0; i < u->n; i++)
        if (strcmp(u->list[i].name, name) == 0)
            return &u->list[i];
    return NULL;
}
