/* keeper_rig.h - a real keeper in a child process, with this test as its supervisor (through keeper_client). Included by one test
 * program each. Everything lives in one folder below /tmp and ends with rig_stop; each wait has a cap. */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "agent/keeper.h"
#include "agent/keeper_client.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define RIG_FN static __attribute__((unused))
enum { RIG_MSGS_MAX = 4096, RIG_WAIT_MS = 10000 };
struct rig {
    char dir[64], state[80], run[80], child[512];
    pid_t keeper;
    uv_loop_t loop;
    struct keeper_client *client;
    struct k_msg msgs[RIG_MSGS_MAX]; int fds[RIG_MSGS_MAX]; int n;      /* received, not yet taken */
    struct k_msg last;                                                  /* the one that rig_wait found */
    int last_fd;
    bool ended;
};

RIG_FN void rig_on_msg(void *arg, const struct k_msg *m, int fd)
{
    struct rig *r = arg;
    assert_true(r->n < RIG_MSGS_MAX);
    r->msgs[r->n] = *m;
    r->fds[r->n++] = fd;
}

RIG_FN void rig_on_end(void *arg) { ((struct rig *)arg)->ended = true; }
RIG_FN void rig_on_timer(uv_timer_t *t) { *(bool *)t->data = true; }

/* All bodies begin with the id. */
RIG_FN const char *rig_id(const struct k_msg *m) { return m->u.id.id; }

RIG_FN void rig_spin(struct rig *r, int ms)
{
    bool over = false;
    uv_timer_t t;
    uv_timer_init(&r->loop, &t);
    t.data = &over;
    uv_update_time(&r->loop);
    uv_timer_start(&t, rig_on_timer, (uint64_t)ms, 10);        /* repeated: UV_RUN_ONCE would wait on after a timer that was due at once */
    while (!over)
        uv_run(&r->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&t, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

RIG_FN bool rig_take(struct rig *r, enum keeper_verb verb, const char *id)
{
    for (int i = 0; i < r->n; i++)
        if (r->msgs[i].verb == verb && (!id || !strcmp(rig_id(&r->msgs[i]), id))) {
            r->last = r->msgs[i];
            r->last_fd = r->fds[i];
            r->n--;
            memmove(&r->msgs[i], &r->msgs[i + 1], sizeof r->msgs[0] * (size_t)(r->n - i));
            memmove(&r->fds[i], &r->fds[i + 1], sizeof r->fds[0] * (size_t)(r->n - i));
            return true;
        }
    return false;
}

/* Runs the loop until such a message is there (taken out into r->last), at most ms. */
RIG_FN bool rig_wait_ms(struct rig *r, enum keeper_verb verb, const char *id, int ms)
{
    bool over = false;
    uv_timer_t t;
    uv_timer_init(&r->loop, &t);
    t.data = &over;
    uv_update_time(&r->loop);
    uv_timer_start(&t, rig_on_timer, (uint64_t)ms, 10);        /* repeated: UV_RUN_ONCE would wait on after a timer that was due at once */
    bool got = rig_take(r, verb, id);
    while (!got && !over && !r->ended) {
        uv_run(&r->loop, UV_RUN_ONCE);
        got = rig_take(r, verb, id);
    }
    uv_close((uv_handle_t *)&t, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return got;
}

RIG_FN void rig_wait_at(struct rig *r, enum keeper_verb verb, const char *id, int line)
{
    if (rig_wait_ms(r, verb, id, RIG_WAIT_MS))
        return;
    fprintf(stderr, "line %d: no message %d for %s; waiting:", line, verb, id ? id : "anybody");
    for (int i = 0; i < r->n; i++)
        fprintf(stderr, " %u(%s %d %s)", r->msgs[i].verb, rig_id(&r->msgs[i]), r->msgs[i].verb == K_REPLY ? r->msgs[i].u.reply.rc : 0,
                r->msgs[i].verb == K_SPAWN_FAILED ? r->msgs[i].u.failed.detail : r->msgs[i].verb == K_REPLY ? r->msgs[i].u.reply.detail : "");
    fprintf(stderr, "\n");
    fail_msg("no message");
}
#define rig_wait(r, verb, id) rig_wait_at(r, verb, id, __LINE__)

/* Waits for the next reply and gives its rc. */
RIG_FN int rig_reply(struct rig *r)
{
    rig_wait(r, K_REPLY, NULL);
    return r->last.u.reply.rc;
}

/* Children of other users must reach their program wherever the tree lies (below /root, say): so it is copied into the rig's folder. */
RIG_FN void rig_copy_child(struct rig *r, const char *folder)
{
    char from[512];
    char *data;
    size_t len;
    snprintf(from, sizeof from, "%s/../../child", folder);
    snprintf(r->child, sizeof r->child, "%s/child", r->dir);
    assert_int_equal(file_read(from, 64 << 20, &data, &len, NULL), 0);
    assert_int_equal(file_write_atomic(r->child, data, len, 0755, 0, NULL), 0);
    free(data);
}

RIG_FN void rig_paths(struct rig *r)
{
    char exe[400];
    snprintf(r->dir, sizeof r->dir, "/tmp/muster-test-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(r->dir));
    assert_return_code(chmod(r->dir, 0755), errno);
    snprintf(r->state, sizeof r->state, "%s/state", r->dir);
    snprintf(r->run, sizeof r->run, "%s/run", r->dir);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    assert_true(n > 0);
    exe[n] = 0;
    *strrchr(exe, '/') = 0;
    rig_copy_child(r, exe);
}

/* Options without folders and supervisor_fd. */
RIG_FN void rig_start(struct rig *r, struct keeper_options o)
{
    static const struct keeper_client_ops ops = { rig_on_msg, rig_on_end };
    int sv[2];
    memset(r, 0, sizeof *r);
    rig_paths(r);
    o.state_dir = r->state;
    o.run_dir = r->run;
    assert_return_code(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv), errno);
    r->keeper = fork();
    if (r->keeper == 0) {
        close(sv[0]);
        setsid();               /* whoever kills this test and its group leaves the keeper the time to end what it started */
        log_init("keeper");
        o.supervisor_fd = sv[1];
        _exit(keeper_run(&o));
    }
    close(sv[1]);
    uv_loop_init(&r->loop);
    r->client = keeper_client_new(&r->loop, sv[0], &ops, r);
    assert_non_null(r->client);
}

RIG_FN int rig_wait_exit(pid_t pid, int ms)
{
    int status = -1;
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        usleep(2000);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

RIG_FN void rig_remove(const char *dir)
{
    pid_t p = fork();
    if (p == 0)
        execl("/bin/rm", "rm", "-rf", dir, (char *)NULL);
    waitpid(p, NULL, 0);
}

/* The keeper kills everything once our end is closed. */
RIG_FN void rig_stop(struct rig *r)
{
    keeper_client_free(r->client);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    int status = r->keeper ? rig_wait_exit(r->keeper, RIG_WAIT_MS) : 0;      /* 0: the test has seen it end */
    for (int i = 0; i < r->n; i++)
        if (r->fds[i] >= 0)
            close(r->fds[i]);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    rig_remove(r->dir);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- spawning ---------------------------------------------------------------------------------------------------- */

struct rig_spawn { struct k_spawn s; struct strbuf records; };

RIG_FN struct rig_spawn rig_spawn_new(const char *id)
{
    struct rig_spawn w = { .s = { .kind = K_INSTANCE, .umask = 022 } };
    w.s.owner_uid = getuid();
    w.s.owner_gid = getgid();
    fixed_copy(w.s.id, sizeof w.s.id, id);
    fixed_copy(w.s.log_id, sizeof w.s.log_id, id);
    return w;
}

/* The child tool with its arguments, up to NULL. */
RIG_FN void rig_child(struct rig *r, struct rig_spawn *w, ...)
{
    va_list ap;
    va_start(ap, w);
    spawn_record(&w->records, 'A', "%s", r->child);
    for (const char *s; (s = va_arg(ap, const char *));)
        spawn_record(&w->records, 'A', "%s", s);
    va_end(ap);
}

RIG_FN int rig_send(struct rig *r, struct rig_spawn *w, int output_fd)
{
    assert_int_equal(keeper_client_spawn(r->client, &w->s, &w->records, output_fd), 0);
    strbuf_done(&w->records);
    return rig_reply(r);
}

/* Spawns and waits for K_SPAWNED. The pid. */
RIG_FN int rig_up(struct rig *r, struct rig_spawn *w)
{
    char id[ID_SIZE];
    fixed_copy(id, sizeof id, w->s.id);
    assert_int_equal(rig_send(r, w, -1), 0);
    rig_wait(r, K_SPAWNED, id);
    return r->last.u.state.pid;
}

RIG_FN struct k_state rig_exited(struct rig *r, const char *id)
{
    rig_wait(r, K_EXITED, id);
    return r->last.u.state;
}

RIG_FN bool rig_alive(int pid)
{
    char path[40], buf[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, buf, sizeof buf - 1);
    close(fd);
    char *s = n > 0 ? strrchr(buf, ')') : NULL;
    return s && s[2] != 'Z' && s[2] != 'X';
}

/* The text of a file that may still have to come; "" after the cap. Static. */
RIG_FN const char *rig_text(const char *path)
{
    static char text[65536];
    for (int64_t end = clock_mono_ms() + RIG_WAIT_MS; clock_mono_ms() < end; usleep(2000)) {
        int fd = open(path, O_RDONLY);
        if (fd < 0)
            continue;
        ssize_t n = read(fd, text, sizeof text - 1);
        close(fd);
        text[n > 0 ? n : 0] = 0;
        return text;
    }
    return "";
}
