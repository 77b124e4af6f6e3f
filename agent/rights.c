#include "agent/rights.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CAP_NUMBER_MAX = 63 };
#define BIT(cap) (UINT64_C(1) << (cap))
/* NET_BIND_SERVICE: K_LISTEN at 80 and 443. SYS_RESOURCE: pipes and descriptors beyond the usual. DAC_READ_SEARCH and SYS_PTRACE: whose socket is it, and
 * the marker in an instance's environment. SETPCAP: to take a role's capabilities. */
static const uint64_t KEPT = BIT(CAP_CHOWN) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP)
    | BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_SYS_PTRACE);
static const uint64_t BECOMING = BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP);

struct sets { uint64_t effective, permitted, inheritable; };

static int get_sets(struct sets *s)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2];
    if (syscall(SYS_capget, &h, d) < 0)
        return -errno;
    s->effective = d[0].effective | (uint64_t)d[1].effective << 32;
    s->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
    s->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
    return 0;
}

static int set_sets(const struct sets *s)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = {
        { (uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable },
        { (uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32), (uint32_t)(s->inheritable >> 32) },
    };
    return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

/* What is not in the bounding set can be gained by no exec. Without SETPCAP it stays, and no_new_privs does the same. */
static void bound_to(uint64_t few)
{
    for (int cap = 0; cap <= CAP_NUMBER_MAX; cap++)
        if (!(few & BIT(cap)) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
            (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

int rights_before_exec(bool changes)
{
    struct rlimit none = { 0, 0 };
    struct sets s;
    int rc = get_sets(&s);
    if (rc < 0)
        return rc;
    s.inheritable = 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return -errno;
    if (changes)
        bound_to(BECOMING);
    return set_sets(&s);
}

int rights_become(uid_t uid, gid_t gid)
{
    static const struct sets none;
    uid_t u[3];
    gid_t g[3];
    bound_to(0);
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    int rc = set_sets(&none);
    if (rc < 0)
        return rc;
    if (getresuid(&u[0], &u[1], &u[2]) < 0 || getresgid(&g[0], &g[1], &g[2]) < 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        if (u[i] != uid || g[i] != gid)
            return -EPERM;
    if (uid != 0 && setresuid(0, 0, 0) == 0)
        return -EPERM;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

bool rights_can_become(uid_t uid, gid_t gid)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(rights_become(uid, gid) < 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int rights_keep_few(void)
{
    struct sets s;
    int rc = get_sets(&s);
    s.effective &= KEPT;
    s.inheritable = 0;
    return rc < 0 ? rc : set_sets(&s);
}

int rights_take_all_back(void)
{
    struct sets s;
    int rc = get_sets(&s);
    if (rc < 0 || s.effective == s.permitted)
        return rc;
    s.effective = s.permitted;
    return set_sets(&s);
}
