#include "script/script.h"

#include <lua.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "os/file.h"
#include "script/sandbox.h"

static enum err_code try_out(const struct script *s, struct err *e)
{
    struct sandbox *sb = NULL;
    bool before = false, after = false;
    enum err_code code = sandbox_open(&sb, s, "", NULL, e);
    if (code == ERR_OK)
        code = sandbox_begin(sb, SANDBOX_STEPS, &before, &after, e);
    if (code == ERR_OK && !before && !after)
        code = err_set(e, ERR_CONFIG, "%s defines neither before() nor after()", s->path);
    sandbox_close(sb);
    return e->code = code == ERR_OK || code == ERR_NO_MEMORY ? code : ERR_CONFIG;
}

enum err_code script_load(struct script **out, const char *path, size_t memory_bytes, struct err *e)
{
    struct buf text = BUF_INIT;
    unsigned char digest[SHA256_SIZE];
    struct script *s = calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return err_set(e, ERR_NO_MEMORY, "out of memory");
    enum err_code code = file_read(path, SCRIPT_MAX_BYTES, &text, e);
    if (code != ERR_OK) {
        buf_free(&text);
        script_free(s);
        return e->code = ERR_CONFIG;
    }
    s->len = text.len;
    s->text = strndup(buf_cstr(&text), text.len);
    s->path = strdup(path);
    s->memory_bytes = memory_bytes;
    sha256(text.data, text.len, digest);
    sha256_text(digest, s->digest);
    if (!s->text || !s->path)
        code = err_set(e, ERR_NO_MEMORY, "out of memory");
    else if (text.len > 0 &&
             (text.data[0] == LUA_SIGNATURE[0] || memchr(text.data, '\0', text.len)))
        code = err_set(e, ERR_CONFIG, "%s is not a text file", path);
    else
        code = try_out(s, e);
    buf_free(&text);
    if (code != ERR_OK) {
        script_free(s);
        return code;
    }
    *out = s;
    return ERR_OK;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    free(s->path);
    free(s->text);
    free(s);
}
