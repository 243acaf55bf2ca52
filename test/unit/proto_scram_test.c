/* SCRAM-SHA-256 against the conversation of RFC 7677, section 3, and against everything wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "proto/scram.h"

#define CLIENT_FIRST "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
#define OURS         "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define SERVER_FIRST                                                                               \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define FINAL_BARE   "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_FINAL FINAL_BARE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static struct scram_secret secret_of(const char *password)
{
    struct scram_secret s;
    unsigned char salt[64];
    size_t n = 0;

    assert_true(base64_decode_into("W22ZaJ0SNY7soEsUEjb6gQ==", 24, salt, sizeof salt, &n));
    assert_true(scram_derive(&s, password, strlen(password), salt, n, 4096));
    return s;
}

static bool first(struct scram *s, const char *msg, struct buf *out)
{
    const char *why;

    return scram_first(s, msg, strlen(msg), OURS, out, &why);
}

static void test_rfc(void **state)
{
    const struct scram_secret secret = secret_of("pencil");
    struct scram s;
    struct buf out = BUF_INIT;
    const char *why;
    bool proven = false;

    (void)state;
    scram_init(&s, &secret, false, NULL, 0);
    assert_true(first(&s, CLIENT_FIRST, &out));
    assert_string_equal(buf_cstr(&out), SERVER_FIRST);
    buf_reset(&out);
    assert_true(scram_final(&s, CLIENT_FINAL, strlen(CLIENT_FINAL), &proven, &out, &why));
    assert_true(proven);
    assert_string_equal(buf_cstr(&out), SERVER_FINAL);
    buf_free(&out);
    scram_fini(&s);
}

static void test_wrong_password(void **state)
{
    const struct scram_secret secret = secret_of("pencils");
    struct scram s;
    struct buf out = BUF_INIT;
    const char *why;
    bool proven = true;

    (void)state;
    scram_init(&s, &secret, false, NULL, 0);
    assert_true(first(&s, CLIENT_FIRST, &out));
    buf_reset(&out);
    assert_true(scram_final(&s, CLIENT_FINAL, strlen(CLIENT_FINAL), &proven, &out, &why));
    assert_false(proven);
    assert_int_equal(out.len, 0);
    buf_free(&out);
    scram_fini(&s);
}

static void test_malformed_first(void **state)
{
    static const char *const bad[] = {"",
                                      "n",
                                      "n,,",
                                      "n,,n=user",
                                      "n,,r=abc,n=user",
                                      "n,a=other,n=user,r=abc",
                                      "x,,n=user,r=abc",
                                      "n,,n=user,r=",
                                      "n,,n=user,r=a b",
                                      "n,,m=ext,n=user,r=abc",
                                      "p=tls-unique,,n=user,r=abc",
                                      "p=tls-server-end-point,,n=user,r=abc"};
    const struct scram_secret secret = secret_of("pencil");

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scram s;
        struct buf out = BUF_INIT;
        scram_init(&s, &secret, false, NULL, 0);
        if (first(&s, bad[i], &out))
            fail_msg("accepted: %s", bad[i]);
        buf_free(&out);
        scram_fini(&s);
    }
}

static void test_malformed_final(void **state)
{
    static const char *const bad[] = {
        "",
        FINAL_BARE,
        FINAL_BARE ",p=",
        FINAL_BARE ",p=AAAA",
        CLIENT_FINAL ",x=1",
        "c=eSws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag"
        "9zjfMHgsqmmiz7AndVQ=",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="};
    const struct scram_secret secret = secret_of("pencil");

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct scram s;
        struct buf out = BUF_INIT;
        const char *why;
        bool proven = false;
        scram_init(&s, &secret, false, NULL, 0);
        assert_true(first(&s, CLIENT_FIRST, &out));
        if (scram_final(&s, bad[i], strlen(bad[i]), &proven, &out, &why) && proven)
            fail_msg("accepted: %s", bad[i]);
        assert_false(proven);
        buf_free(&out);
        scram_fini(&s);
    }
}

/* A client that could bind to the channel and believes that we cannot has been lied to. */
static void test_binding_downgrade(void **state)
{
    const struct scram_secret secret = secret_of("pencil");
    struct scram s;
    struct buf out = BUF_INIT;

    (void)state;
    scram_init(&s, &secret, false, "certificate", 11);
    assert_false(first(&s, "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", &out));
    scram_fini(&s);
    scram_init(&s, &secret, false, NULL, 0);
    assert_true(first(&s, "y,,n=user,r=rOprNGfwEbeRWgbNEkqO", &out));
    scram_fini(&s);
    scram_init(&s, &secret, true, "certificate", 11);
    assert_false(first(&s, CLIENT_FIRST, &out));
    scram_fini(&s);
    scram_init(&s, &secret, true, "certificate", 11);
    assert_true(first(&s, "p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO", &out));
    scram_fini(&s);
    buf_free(&out);
}

static void test_secret_text(void **state)
{
    const struct scram_secret secret = secret_of("pencil");
    struct scram_secret read;
    struct buf b = BUF_INIT;

    (void)state;
    buf_puts(&b, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$");
    base64_encode(&b, secret.stored_key, SCRAM_KEY_BYTES);
    buf_putc(&b, ':');
    base64_encode(&b, secret.server_key, SCRAM_KEY_BYTES);
    assert_true(scram_parse_secret(&read, buf_cstr(&b)));
    assert_int_equal(read.iterations, 4096);
    assert_memory_equal(read.stored_key, secret.stored_key, SCRAM_KEY_BYTES);
    assert_memory_equal(read.server_key, secret.server_key, SCRAM_KEY_BYTES);
    for (size_t n = 0; n < b.len; n++) {
        char cut[256];
        (void)snprintf(cut, sizeof cut, "%.*s", (int)n, b.data);
        assert_false(scram_parse_secret(&read, cut));
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),
        cmocka_unit_test(test_wrong_password),
        cmocka_unit_test(test_malformed_first),
        cmocka_unit_test(test_malformed_final),
        cmocka_unit_test(test_binding_downgrade),
        cmocka_unit_test(test_secret_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
