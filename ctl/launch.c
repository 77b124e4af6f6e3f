#include "ctl/launch.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/strbuf.h"
#include "ctl/client.h"
#include "ctl/escape.h"

enum { START_MS = 10000, POLL_MS = 10, LOG_ROTATE_BYTES = 16 << 20, TAIL_BYTES = 4000, TAIL_LINES = 12 };

static bool executable_in(const char *folder, size_t len, const char *program, char *ret, size_t size)
{
    (void)snprintf(ret, size, "%.*s/%s", (int)len, folder, program);
    return access(ret, X_OK) == 0;
}

int launch_find(const char *program, char *ret, size_t size, struct err *e)
{
    char own[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    if (n > 0) {
        own[n] = '\0';
        char *slash = strrchr(own, '/');
        if (slash && executable_in(own, (size_t)(slash - own), program, ret, size)) return 0;
    }
    const char *path = getenv("PATH");
    for (const char *at = path ? path : ""; *at; at += strcspn(at, ":"), at += *at == ':') {
        size_t len = strcspn(at, ":");
        if (len && at[0] == '/' && executable_in(at, len, program, ret, size)) return 0;
    }
    return err_set(e, -ENOENT, "%s was found neither beside musterctl nor in $PATH", program);
}

static int open_log(const struct paths *p, off_t *ret_start, struct err *e)
{
    char old[PATH_MAX + 4];
    struct stat st;
    fixed_printf(old, "%s.1", p->musterd_log);
    if (stat(p->musterd_log, &st) == 0 && st.st_size > LOG_ROTATE_BYTES) (void)rename(p->musterd_log, old);
    /* The folder may belong to the logger's own user: what it put there in the file's place is not written to. */
    cleanup_close int fd = open(p->musterd_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0 || fstat(fd, &st) < 0) return err_sys(e, -errno, "%s", p->musterd_log);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1) return err_set(e, -EINVAL, "%s is not a plain file; remove it", p->musterd_log);
    *ret_start = st.st_size;
    return TAKE_FD(fd);
}

/* In the child: only what it should have. Handlers fall back by exec, but ignored and blocked signals would be inherited. */
static void become_agent(char *const argv[], int log)
{
    sigset_t none;
    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int s = 1; s < NSIG; s++)
        if (s != SIGKILL && s != SIGSTOP) signal(s, SIG_DFL);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    (void)close_range(3, ~0U, 0);
    if (chdir("/") == 0) execv(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot execute %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static void show_log_tail(const struct paths *p, off_t start)
{
    struct stat st;
    cleanup_close int fd = open(p->musterd_log, O_RDONLY | O_CLOEXEC);
    char data[TAIL_BYTES + 1];
    if (fd < 0 || fstat(fd, &st) < 0) return;
    off_t from = st.st_size - start > TAIL_BYTES ? st.st_size - TAIL_BYTES : start;
    ssize_t n = pread(fd, data, TAIL_BYTES, from);
    if (n <= 0) return;
    data[n] = '\0';
    char *tail = data + n;
    for (int lines = 0; tail > data; tail--)
        if (tail[-1] == '\n' && lines++ == TAIL_LINES) break;
    char *save = NULL;
    for (char *line = strtok_r(tail, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        cleanup_free char *text = escape_line(line);
        fprintf(stderr, "  | %s\n", text);
    }
}

/* What the keeper found wrong as it started, such as processes of one before it that was killed. */
static void show_warnings(const struct paths *p, off_t start)
{
    static const char mark[] = " keeper: warning: ";
    cleanup_close int fd = open(p->musterd_log, O_RDONLY | O_CLOEXEC);
    char data[TAIL_BYTES + 1], *save = NULL;
    ssize_t n = fd < 0 ? -1 : pread(fd, data, TAIL_BYTES, start);
    data[n > 0 ? n : 0] = '\0';
    for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        const char *what = strstr(line, mark);
        cleanup_free char *text = what ? escape_line(what + sizeof mark - 1) : NULL;
        if (text) fprintf(stderr, "Warning: %s.\n", text);
    }
}

static int wait_for_socket(const struct paths *p, pid_t pid, off_t log_start, struct err *e)
{
    int64_t start = clock_mono_ms();
    int status;
    while (clock_mono_ms() - start < START_MS) {
        if (client_alive(p)) return 0;
        if (waitpid(pid, &status, WNOHANG) == pid) {
            if (client_alive(p)) return 0;          /* another `up` was faster */
            show_log_tail(p, log_start);
            return err_set(e, -ECHILD, "muster ended as it started (%s %d); its log is %s", WIFSIGNALED(status) ? "signal" : "exit code",
                           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), p->musterd_log);
        }
        nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
    }
    show_log_tail(p, log_start);
    kill(pid, SIGTERM);                             /* nothing was applied yet: what does not answer in 10 s is not left behind */
    return err_set(e, -ETIMEDOUT, "muster does not answer within %d s; its log is %s", START_MS / 1000, p->musterd_log);
}

int launch_muster(struct paths *p, pid_t *ret_pid, struct err *e)
{
    char agent[PATH_MAX], controller[PATH_MAX];
    off_t log_start = 0;
    int r = launch_find("muster-agent", agent, sizeof agent, e);
    if (r == 0) r = launch_find("musterd", controller, sizeof controller, e);
    if (r == 0) r = paths_make(p, e);
    if (r < 0) return r;
    cleanup_close int log = open_log(p, &log_start, e);
    if (log < 0) return log;
    char state_opt[] = "--state", run_opt[] = "--run", controller_opt[] = "--controller";
    char *argv[] = { agent, state_opt, p->state, run_opt, p->run, controller_opt, controller, NULL };
    pid_t pid = fork();
    if (pid < 0) return err_sys(e, -errno, "fork");
    if (pid == 0) become_agent(argv, log);
    if ((r = wait_for_socket(p, pid, log_start, e)) < 0) return r;
    show_warnings(p, log_start);
    *ret_pid = pid;
    return 0;
}
