#include "server/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "os/file.h"

static char dir[] = "/tmp/ha-files-test-XXXXXX";

static int set_up(void **state)
{
    static const char *const names[] = {"a.db", "a.db-wal", "a.db-shm", "b.db", "c.txt", "d[1].db"};
    struct err e = ERR_INIT;

    (void)state;
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (file_write(names[i], "", 0, 0600, &e))
            return -1;
    return file_make_dirs("dir.db", 0700, &e) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    return chdir("/") == 0 && file_remove_tree(dir) ? 0 : -1;
}

/* The list as one text: "a.db b.db". */
static const char *expand(const char *one, const char *two)
{
    static char text[1024];
    char *args[] = {(char *)one, (char *)two};
    struct file_list list;
    struct err e = ERR_INIT;

    text[0] = '\0';
    assert_int_equal(file_list_expand(&list, args, one ? (two ? 2 : 1) : 0, "ha.db", false, &e),
                     ERR_OK);
    for (size_t i = 0; i < list.n; i++) {
        size_t n = strlen(text);
        (void)snprintf(text + n, sizeof text - n, "%s%s", n ? " " : "", list.names[i]);
    }
    file_list_free(&list);
    return text;
}

static void test_expand(void **state)
{
    (void)state;
    assert_string_equal(expand(NULL, NULL), "ha.db");
    assert_string_equal(expand("new.db", "sub/x.db"), "new.db sub/x.db");
    assert_string_equal(expand("?.db", NULL), "a.db b.db");
    assert_string_equal(expand("a*", NULL), "a.db");
    assert_string_equal(expand("[bc].*", "new.db"), "b.db c.txt new.db");
    assert_string_equal(expand("none*", "b.db"), "b.db");
    assert_string_equal(expand("d[1].db", NULL), "d[1].db");
    assert_string_equal(expand("a.db?cache_size=5", "file:b.db?x"),
                        "a.db?cache_size=5 file:b.db?x");
    assert_string_equal(expand("file:?.db", NULL), "file:?.db"); /* "?" begins parameters there */
    assert_string_equal(expand("file:*.db?x=1", NULL),
                        "file:a.db?x=1 file:b.db?x=1 file:d[1].db?x=1");
    assert_string_equal(expand("[ab].db?x=1", NULL), "a.db?x=1 b.db?x=1");
}

static void test_empty_argument(void **state)
{
    char *args[] = {(char *)""};
    struct file_list list;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(file_list_expand(&list, args, 1, "ha.db", false, &e), ERR_CONFIG);
    assert_int_equal(list.n, 0);
}

/* Nobody who names files is served another one; but where databases come later, one begins. */
static void test_nothing_matches(void **state)
{
    char *args[] = {(char *)"none*", (char *)"x?.db", (char *)"b.db"};
    struct file_list list;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(file_list_expand(&list, args, 2, "ha.db", false, &e), ERR_CONFIG);
    assert_non_null(strstr(e.msg, "no file matches none*"));
    assert_int_equal(list.n, 0);
    assert_int_equal(file_list_expand(&list, args, 2, "ha.db", true, &e), ERR_OK);
    assert_string_equal(list.names[0], "ha.db");
    assert_string_equal(list.unmatched, "none*");
    file_list_free(&list);
    assert_int_equal(file_list_expand(&list, args, 3, "ha.db", false, &e), ERR_OK);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.unmatched, "none*");
    file_list_free(&list);
    assert_null(list.unmatched);
}

static void assert_directory(const char *dsn, const char *expected)
{
    char *got = file_list_directory(dsn);

    assert_string_equal(got, expected);
    free(got);
}

static void test_directory(void **state)
{
    (void)state;
    assert_directory("a.db", ".");
    assert_directory("x/a.db", "x");
    assert_directory("/a.db", "/");
    assert_directory("file:/data/x/a.db?y=/z", "/data/x");
    assert_directory("a.db?y=/z", ".");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_empty_argument),
        cmocka_unit_test(test_nothing_matches),
        cmocka_unit_test(test_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
