#include "agent/filter.h"
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/cleanup.h"
#include "base/log.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool filter_built(void) { return !SANITIZED; }

/* What both do: descriptors, files in their folders, memory, time, signals of their own, threads. By name: one that this architecture does not have
 * is left out. */
static const char *const COMMON[] = {
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "lseek", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64",
    "pipe", "pipe2", "eventfd2", "tee", "splice", "sendfile",
    "open", "openat", "openat2", "access", "faccessat", "faccessat2", "stat", "lstat", "fstat", "newfstatat", "fstatat64", "statx", "statfs", "fstatfs", "getdents64",
    "readlink", "readlinkat", "getcwd", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "ftruncate", "fallocate", "fadvise64",
    "fsync", "fdatasync", "sync_file_range", "fchmod", "chmod", "fchmodat", "umask", "utimensat", "flock",
    "mmap2", "munmap", "mremap", "madvise", "brk", "memfd_create",
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "clock_gettime64", "clock_nanosleep_time64",
    "timerfd_create", "timerfd_settime", "timerfd_gettime",
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "sigaltstack", "sigreturn", "signalfd4", "restart_syscall", "pause",
    "futex", "futex_time64", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity", "membarrier", "getcpu", "set_tid_address",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64", "select", "pselect6",
    "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "getsockopt", "setsockopt", "getsockname", "getpeername", "shutdown", "connect", "bind",
    "getpid", "gettid", "getppid", "getpgid", "getpgrp", "getsid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "getrlimit",
    "getrusage", "getrandom", "uname", "sysinfo", "times", "capget", "exit", "exit_group", "arch_prctl",
};
/* Servers and probes. */
static const char *const OF_SUPERVISOR[] = { "accept", "accept4", "listen" };
/* Tried by C libraries before what they fall back to: clone3 for threads (its flags cannot be seen here). */
static const char *const UNKNOWN_HERE[] = { "clone3", "io_uring_setup", "futex_waitv", "set_mempolicy_home_node", "cachestat", "fchmodat2", "map_shadow_stack", "mseal" };

static int allow(scmp_filter_ctx f, const char *const *names, size_t n, uint32_t action)
{
    for (size_t i = 0; i < n; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);
        int rc = nr == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(f, action, nr, 0);
        if (rc < 0 && rc != -EDOM)              /* not a call of this architecture */
            return rc;
    }
    return 0;
}

/* The macros of libseccomp leave the second value out where there is none. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

static int allow_if(scmp_filter_ctx f, int nr, struct scmp_arg_cmp c)
{
    return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, nr, 1, &c);
}

static int allow_socket(scmp_filter_ctx f, int family)
{
    return allow_if(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
}

/* Those that are harmless with some arguments only. */
static int allow_some(scmp_filter_ctx f, enum filter_role role)
{
    static const int controls[] = { PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_SECCOMP, PR_GET_NO_NEW_PRIVS, 0x53564d41 /* PR_SET_VMA: names of memory, by malloc */ };
    static const unsigned long requests[] = { FIONBIO, FIOCLEX, FIONREAD, 0x5401 /* TCGETS: isatty */ };
    const scmp_datum_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(controls) && rc == 0; i++)
        rc = allow_if(f, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)controls[i]));
    for (size_t i = 0; i < ARRAY_LEN(requests) && rc == 0; i++)
        rc = allow_if(f, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)requests[i]));
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)
        rc = allow_if(f, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    if (rc == 0)                                /* a thread, not a process */
        rc = allow_if(f, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
    if (rc == 0)                                /* reading a limit, not setting one */
        rc = allow_if(f, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));
    if (rc == 0)                                /* abort, of itself */
        rc = allow_if(f, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (rc == 0)
        rc = allow_socket(f, AF_UNIX);
    if (rc == 0 && role == FILTER_SUPERVISOR)
        rc = allow_socket(f, AF_INET);
    if (rc == 0 && role == FILTER_SUPERVISOR)
        rc = allow_socket(f, AF_INET6);
    return rc;
}

static int make(scmp_filter_ctx f, enum filter_role role)
{
    int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (rc == 0)
        rc = allow(f, COMMON, ARRAY_LEN(COMMON), SCMP_ACT_ALLOW);
    if (rc == 0 && role == FILTER_SUPERVISOR)
        rc = allow(f, OF_SUPERVISOR, ARRAY_LEN(OF_SUPERVISOR), SCMP_ACT_ALLOW);
    if (rc == 0)
        rc = allow(f, UNKNOWN_HERE, ARRAY_LEN(UNKNOWN_HERE), SCMP_ACT_ERRNO(ENOSYS));
    return rc == 0 ? allow_some(f, role) : rc;
}

int filter_load(enum filter_role role)
{
    if (SANITIZED) {
        log_note("no system call filter in a build with a sanitizer");
        return 0;
    }
    if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0 && errno == EINVAL) {
        log_warn("this kernel cannot filter system calls (no seccomp)");
        return 0;
    }
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = f ? make(f, role) : -ENOMEM;
    if (rc == 0)
        rc = seccomp_load(f);
    seccomp_release(f);
    if (rc < 0)
        log_error("cannot limit the system calls: %s", strerror(-rc));
    return rc;
}
