#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "model/words.h"

static void words(void **st)
{
    (void)st;
#define X(sym, word, text) assert_string_equal(instance_state_word(sym), word);
    INSTANCE_STATES(X)
#undef X
#define X(sym, word, text) assert_string_equal(service_state_word(sym), word);
    SERVICE_STATES(X)
#undef X
#define X(sym, word, text) assert_string_equal(want_word(sym), word);
    WANTS(X)
#undef X
#define X(sym, word, text) assert_string_equal(server_state_word(sym), word);
    SERVER_STATES(X)
#undef X
    assert_string_equal(instance_state_word(INSTANCE_STATE_COUNT), "?");
    assert_string_equal(instance_state_word((enum instance_state)-1), "?");
    assert_string_equal(service_state_word((enum service_state)99), "?");
    assert_string_equal(want_word(WANT_COUNT), "?");
    assert_string_equal(server_state_word((enum server_state)-1), "?");
}

static void exits(void **st)
{
    (void)st;
    static const struct { struct exit_info x; const char *text; } rows[] = {{{EXIT_KIND_NONE, 0}, ""}, {{EXIT_KIND_CODE, 0}, "exit code 0"},
        {{EXIT_KIND_CODE, 255}, "exit code 255"}, {{EXIT_KIND_SIGNAL, 9}, "signal 9 (KILL)"}, {{EXIT_KIND_SIGNAL, 11}, "signal 11 (SEGV)"},
        {{EXIT_KIND_SIGNAL, 50}, "signal 50 (RTMIN+16)"}, {{EXIT_KIND_SIGNAL, 33}, "signal 33 (?)"}, {{EXIT_KIND_UNKNOWN, 0}, "unknown exit"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char buf[64] = "x";
        exit_describe(rows[i].x, buf, sizeof buf);
        assert_string_equal(buf, rows[i].text);
    }
    char tiny[5];
    exit_describe(rows[1].x, tiny, sizeof tiny);
    assert_string_equal(tiny, "exit");
    exit_describe(rows[0].x, NULL, 0);
}

static void signals(void **st)
{
    (void)st;
    const struct { const char *text; int signo; } ok[] = {{"TERM", SIGTERM}, {"SIGTERM", SIGTERM}, {"15", 15}, {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
        {"WINCH", SIGWINCH}, {"SIGKILL", 9}, {"64", 64}, {"RTMIN", SIGRTMIN}, {"SIGRTMIN+6", SIGRTMIN + 6},
        {"RTMIN+30", SIGRTMIN + 30}};
    for (size_t i = 0; i < ARRAY_LEN(ok); i++) {
        int s = -1;
        assert_int_equal(signal_parse(ok[i].text, &s), 0);
        assert_int_equal(s, ok[i].signo);
    }
    static const char *const bad[] = {"", "0", "-1", "65", "SIG", "SIGSIGTERM", "term", "TERMX", " TERM", "015", "9999999999999999999999", "?", "RTMIN+", "RTMIN+31"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int s = 77;
        assert_int_equal(signal_parse(bad[i], &s), -EINVAL);
        assert_int_equal(s, 77);
    }
    for (int i = 1; i <= SIGRTMAX; i = i == 31 ? SIGRTMIN : i + 1) {      /* each name is read back */
        int s = -1;
        assert_int_equal(signal_parse(signal_name(i), &s), 0);
        assert_int_equal(s, i);
    }
    assert_string_equal(signal_name(0), "?");
    assert_string_equal(signal_name(-5), "?");
    assert_string_equal(signal_name(1000), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words), cmocka_unit_test(exits), cmocka_unit_test(signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
