/* Frames over a socketpair and over real listening sockets; what a rude peer can do. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cmocka.h>
#include "base/cleanup.h"
#include "base/file.h"
#include "net/frame.h"

struct seen { unsigned frames; size_t bytes; struct strbuf last; bool closed; int rc; char why[128]; struct frame_channel *close_in_frame, *echo; };

static void on_frame(void *arg, const void *data, size_t len)
{
    struct seen *s = arg;
    assert_false(s->closed);
    s->frames++;
    s->bytes += len;
    strbuf_reset(&s->last);
    strbuf_add(&s->last, data, len);
    if (s->close_in_frame)
        frame_close(s->close_in_frame);
    if (s->echo)
        frame_send(s->echo, data, len);
}

static void on_close(void *arg, int rc, const char *why)
{
    struct seen *s = arg;
    assert_false(s->closed);    /* once */
    s->closed = true;
    s->rc = rc;
    fixed_copy(s->why, sizeof s->why, why);
}

static const struct frame_ops ops = {on_frame, on_close};

struct rig { uv_loop_t loop; int peer; struct frame_channel *ch; struct seen seen; };

static void open_rig(struct rig *r)
{
    int p[2];
    *r = (struct rig){0};
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, p), 0);
    r->ch = frame_channel_new(&r->loop, p[0], &ops, &r->seen);
    r->peer = p[1];
}

static void turn(struct rig *r)
{
    for (int i = 0; i < 200; i++)
        uv_run(&r->loop, UV_RUN_NOWAIT);
}

static void close_rig(struct rig *r)
{
    if (!r->seen.closed)
        frame_close(r->ch);
    turn(r);
    assert_true(r->seen.closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);       /* nothing is left on the loop */
    if (r->peer >= 0)
        close(r->peer);
    strbuf_done(&r->seen.last);
}

static void head(char *buf, size_t len)
{
    for (int i = 0; i < 4; i++)
        buf[i] = (char)(len >> (24 - 8 * i));
}

static void byte_by_byte(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    static const char bytes[] = "\0\0\0\3abc\0\0\0\0\0\0\0\1x";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        assert_int_equal(write(r.peer, bytes + i, 1), 1);
        turn(&r);
        assert_int_equal(r.seen.frames, (i >= 6) + (i >= 10) + (i >= 15));
    }
    assert_string_equal(r.seen.last.s, "x");
    close_rig(&r);
    assert_int_equal(r.seen.rc, 0);
}

static void many_in_one_write(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    cleanup_strbuf struct strbuf b = STRBUF_INIT;
    for (int i = 0; i < 5000; i++) {
        char h[4];
        head(h, 5);
        strbuf_add(&b, h, 4);
        strbuf_puts(&b, "hello");
    }
    assert_int_equal(write(r.peer, b.s, b.len), (ssize_t)b.len);
    turn(&r);
    assert_int_equal(r.seen.frames, 5000);
    close_rig(&r);
}

static void too_long(void **st)
{
    (void)st;
    static const size_t lens[] = {FRAME_BYTES_MAX + 1, 0xffffffff, 0x80000000};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct rig r;
        open_rig(&r);
        char h[4];
        head(h, lens[i]);
        assert_int_equal(write(r.peer, h, 4), 4);
        turn(&r);
        assert_true(r.seen.closed);
        assert_int_equal(r.seen.rc, -EMSGSIZE);
        assert_int_equal(r.seen.frames, 0);
        close_rig(&r);
    }
}

static void peer_goes(void **st)
{
    (void)st;
    static const struct { const char *sent; size_t len; int rc; } rows[] = {{"", 0, -ECONNRESET}, {"\0\0", 2, -EPROTO}, {"\0\0\0\5abc", 7, -EPROTO},
        {"\0\0\0\1a", 5, -ECONNRESET}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct rig r;
        open_rig(&r);
        assert_int_equal(write(r.peer, rows[i].sent, rows[i].len), (ssize_t)rows[i].len);
        close(r.peer);
        r.peer = -1;
        turn(&r);
        assert_true(r.seen.closed);
        assert_int_equal(r.seen.rc, rows[i].rc);
        assert_int_equal(r.seen.frames, i == 3);
        close_rig(&r);
    }
}

/* Closed by its own callback: no further frame is handed out. */
static void close_inside(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    r.seen.close_in_frame = r.ch;
    assert_int_equal(write(r.peer, "\0\0\0\1a\0\0\0\1b", 10), 10);
    turn(&r);
    assert_int_equal(r.seen.frames, 1);
    assert_int_equal(r.seen.rc, 0);
    close_rig(&r);
}

static void sends_after_close(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    frame_send(r.ch, "abc", 3);
    frame_close(r.ch);
    frame_close(r.ch);
    frame_send(r.ch, "def", 3);
    close_rig(&r);
    frame_close(NULL);
}

static void peer_does_not_read(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    size_t len = 8 << 20, sent = 0;
    cleanup_free char *data = xcalloc(1, len);
    for (int i = 0; i < 20 && !r.seen.closed; i++) {
        frame_send(r.ch, data, len);
        sent += len;
        turn(&r);
    }
    assert_true(r.seen.closed);
    assert_int_equal(r.seen.rc, -ENOBUFS);
    assert_in_range(sent, FRAME_QUEUE_MAX, FRAME_QUEUE_MAX + 2 * len);
    close_rig(&r);
}

static void own_too_long(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    cleanup_free char *data = xcalloc(1, FRAME_BYTES_MAX + 1);
    frame_send(r.ch, data, FRAME_BYTES_MAX + 1);
    turn(&r);
    assert_int_equal(r.seen.rc, -EMSGSIZE);
    close_rig(&r);
}

/* The longest frame there and back between two channels, then a short one. */
static void longest(void **st)
{
    (void)st;
    struct rig r;
    open_rig(&r);
    struct seen other = {0};
    struct frame_channel *peer = frame_channel_new(&r.loop, r.peer, &ops, &other);
    r.peer = -1;
    other.echo = peer;
    cleanup_free char *data = xmalloc(FRAME_BYTES_MAX);
    for (size_t i = 0; i < FRAME_BYTES_MAX; i++)
        data[i] = (char)(i * 31 >> 3);
    frame_send(r.ch, data, FRAME_BYTES_MAX);
    frame_send(r.ch, "short", 5);
    for (int i = 0; i < 20000 && r.seen.frames < 2; i++)
        uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(r.seen.frames, 2);
    assert_int_equal(r.seen.bytes, FRAME_BYTES_MAX + 5);
    assert_string_equal(r.seen.last.s, "short");
    frame_close(peer);
    close_rig(&r);
    assert_true(other.closed);
    strbuf_done(&other.last);
}

static void bad_descriptor(void **st)
{
    (void)st;
    uv_loop_t loop;
    struct seen s = {0};
    uv_loop_init(&loop);
    struct frame_channel *ch = frame_channel_new(&loop, -1, &ops, &s);
    assert_non_null(ch);
    assert_false(s.closed);     /* never from inside _new */
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(s.closed && s.rc < 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void listening(void **st)
{
    (void)st;
    char folder[64], path[128];
    fixed_printf(folder, "/tmp/muster-test-frame-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(folder));
    fixed_printf(path, "%s/s", folder);
    struct err e = {""};
    cleanup_close int l = unix_listen(path, 0640, -1, &e);
    assert_true(l >= 0);
    struct stat sb;
    assert_int_equal(lstat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 07777, 0640);
    cleanup_close int again = unix_listen(path, 0600, (int)getgid(), &e);       /* the socket of a daemon that died */
    assert_true(again >= 0);
    cleanup_close int c = unix_connect(path, &e);
    assert_true(c >= 0);
    assert_true(fcntl(c, F_GETFL) & O_NONBLOCK);
    cleanup_close int s = accept(again, NULL, NULL);
    assert_true(s >= 0);
    unsigned uid;
    int pid;
    assert_int_equal(unix_peer_uid(s, &uid, &pid), 0);
    assert_int_equal(uid, getuid());
    assert_int_equal(pid, getpid());
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unix_connect(path, &e), -ENOENT);
    assert_int_equal(file_write_atomic(path, "mine", 4, 0600, 0, &e), 0);
    assert_int_equal(unix_listen(path, 0600, -1, &e), -EEXIST);
    assert_int_equal(unix_connect(path, &e), -ECONNREFUSED);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);                 /* no temporary folder stays */
    assert_int_equal(unix_listen("/no/such/folder/s", 0600, -1, &e), -ENOENT);
    char longest_path[200];
    memset(longest_path, 'x', sizeof longest_path - 1);
    longest_path[0] = '/';
    longest_path[sizeof longest_path - 1] = '\0';
    assert_int_equal(unix_listen(longest_path, 0600, -1, &e), -ENAMETOOLONG);
    assert_int_equal(unix_connect(longest_path, &e), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(byte_by_byte), cmocka_unit_test(many_in_one_write), cmocka_unit_test(too_long), cmocka_unit_test(peer_goes),
        cmocka_unit_test(close_inside), cmocka_unit_test(sends_after_close), cmocka_unit_test(peer_does_not_read), cmocka_unit_test(own_too_long),
        cmocka_unit_test(longest), cmocka_unit_test(bad_descriptor), cmocka_unit_test(listening)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
