/* child.c - what the keeper's tests start. child VERB ARGS...
 *   report FILE        writes what it finds of itself to FILE, then sleeps
 *   exit N | signal N  ends so
 *   sleep              until killed
 *   stubborn           ignores TERM, sleeps
 *   family DIR         leaves a setsid grandchild (ignores TERM if argv[3] is "stubborn") whose pid is in DIR/grandchild, and sleeps
 *   orphan DIR N       the same, then exits N
 *   lines N US         writes "line 0".."line N-1" to standard output, US microseconds apart, then sleeps
 *   print TEXT         writes TEXT (no newline) to both outputs, exits 0
 *   memory BYTES       touches as much in a child of its own, then sleeps
 *   bomb DIR           keeps a chain of forking setsid children alive
 *   stamp FILE         appends the monotonic time in ns and its pid, sleeps
 *   notify TEXT        sends TEXT to $NOTIFY_SOCKET, exits 0 or the errno */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Built with a sanitizer, this must still die of signals as any program does, and have no handler. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigfpe=0:handle_sigill=0:handle_sigtrap=0:detect_leaks=0:use_sigaltstack=0";
}

static void copy_status(FILE *f)
{
    static const char *const keys[] = { "SigBlk:", "SigIgn:", "SigCgt:", "Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Umask:", "CapEff:" };
    char line[4096];
    FILE *s = fopen("/proc/self/status", "re");
    while (s && fgets(line, sizeof line, s))
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
            if (!strncmp(line, keys[i], strlen(keys[i])))
                fputs(line, f);
    if (s)
        fclose(s);
}

static void list_fds(FILE *f)
{
    DIR *d = opendir("/proc/self/fd");
    struct dirent *e;
    fputs("Fds:", f);
    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(d) && atoi(e->d_name) != fileno(f))
            fprintf(f, " %s", e->d_name);
    fputc('\n', f);
    for (int i = 0; i < 3; i++) {
        char path[32], to[256] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", i);
        if (readlink(path, to, sizeof to - 1) > 0)
            fprintf(f, "Fd%d: %s %d\n", i, to, fcntl(i, F_GETFL) & O_ACCMODE);
    }
    if (d)
        closedir(d);
}

static int report(const char *path, char **argv)
{
    char tmp[512], cwd[256];
    snprintf(tmp, sizeof tmp, "%s.tmp", path);
    FILE *f = fopen(tmp, "we");
    if (!f)
        return 99;
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    fprintf(f, "Pid: %d\nSid: %d\nCwd: %s\nFiles: %llu %llu\n", getpid(), getsid(0), getcwd(cwd, sizeof cwd) ? cwd : "?",
            (unsigned long long)r.rlim_cur, (unsigned long long)r.rlim_max);
    copy_status(f);
    list_fds(f);
    for (char **a = argv; *a; a++)
        fprintf(f, "Arg: %s\n", *a);
    for (char **e = environ; *e; e++)
        fprintf(f, "Env: %s\n", *e);
    fclose(f);
    return rename(tmp, path) < 0 ? 98 : 0;
}

static void rest(void)
{
    for (;;)
        pause();
}

static void put_pid(const char *dir, const char *name)
{
    char path[512], tmp[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(tmp, sizeof tmp, "%s/.%s.tmp", dir, name);
    FILE *f = fopen(tmp, "we");
    if (!f)
        return;
    fprintf(f, "%d\n", getpid());
    fclose(f);
    rename(tmp, path);
}

static void family(const char *dir, int stubborn)
{
    if (fork() == 0) {
        setsid();
        if (fork() > 0)
            _exit(0);
        if (stubborn)
            signal(SIGTERM, SIG_IGN);
        put_pid(dir, "grandchild");
        rest();
    }
    wait(NULL);
    char path[512];
    snprintf(path, sizeof path, "%s/grandchild", dir);
    while (access(path, F_OK) < 0)
        usleep(1000);
}

static void lines(int n, int us)
{
    for (int i = 0; i < n; i++) {
        char text[64];
        int len = snprintf(text, sizeof text, "line %d\n", i);
        if (write(1, text, (size_t)len) != len)
            _exit(97);
        if (us)
            usleep((useconds_t)us);
    }
}

static void memory(size_t bytes)
{
    if (fork() == 0) {
        char *p = malloc(bytes);
        for (size_t i = 0; p && i < bytes; i += 4096)
            p[i] = 1;
        rest();
    }
    wait(NULL);
}

static void bomb(const char *dir)
{
    put_pid(dir, "bomb");
    if (fork() == 0)
        for (int i = 0; i < 4000; i++) {        /* each link forks its successor and dies: always on the run */
            pid_t p = fork();
            if (p < 0 || p > 0)
                _exit(0);
            setsid();
            usleep(500);
        }
    rest();
}

static int notify(const char *text)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const char *path = getenv("NOTIFY_SOCKET");
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path ? path : "");
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    return sendto(fd, text, strlen(text), 0, (struct sockaddr *)&a, sizeof a) < 0 ? errno : 0;
}

static void stamp(const char *path)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    char text[96];
    int len = snprintf(text, sizeof text, "%lld %d\n", (long long)t.tv_sec * 1000000000 + t.tv_nsec, getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (write(fd, text, (size_t)len) != len)
        _exit(97);
    rest();
}

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : "0", *arg2 = argc > 3 ? argv[3] : "0";
    if (!strcmp(verb, "report")) {
        int rc = report(arg, argv);
        if (rc)
            return rc;
    } else if (!strcmp(verb, "exit"))
        return atoi(arg);
    else if (!strcmp(verb, "signal")) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        kill(getpid(), atoi(arg));
    } else if (!strcmp(verb, "stubborn"))
        signal(SIGTERM, SIG_IGN);
    else if (!strcmp(verb, "family"))
        family(arg, !strcmp(arg2, "stubborn"));
    else if (!strcmp(verb, "orphan")) {
        family(arg, 0);
        return atoi(arg2);
    } else if (!strcmp(verb, "lines"))
        lines(atoi(arg), atoi(arg2));
    else if (!strcmp(verb, "print"))
        return write(1, arg, strlen(arg)) < 0 || write(2, arg, strlen(arg)) < 0;
    else if (!strcmp(verb, "memory"))
        memory((size_t)atoll(arg));
    else if (!strcmp(verb, "bomb"))
        bomb(arg);
    else if (!strcmp(verb, "stamp"))
        stamp(arg);
    else if (!strcmp(verb, "notify"))
        return notify(arg);
    rest();
}
