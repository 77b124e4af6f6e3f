/* sysx.h - the few Linux calls that glibc 2.36 has no or no fit wrapper for. No allocation; negative errno. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/sched.h>

struct sysx_dirent { uint64_t ino; int64_t off; unsigned short reclen; unsigned char type; char name[]; };   /* of getdents64 */

int sysx_pidfd_open(pid_t pid);
int sysx_pidfd_signal(int pidfd, int signo);
/* fork by clone3: *ret_pidfd is set in the parent; cgroup_fd >= 0: born in that v2 cgroup. share_files: with the parent's table of
 * descriptors, until it is left. Only for a process with one thread. */
pid_t sysx_clone(int cgroup_fd, bool share_files, int *ret_pidfd);
int sysx_leave_files(int below);        /* a table of its own, with a copy of what is below that number only */
int sysx_can_unshare_files(void);       /* 0, or -errno: this kernel cannot (before 5.9) */
/* Up to size-1 bytes of a (small, virtual) file, NUL-terminated. Their number. */
ssize_t sysx_read_file(int dir, const char *path, char *buf, size_t size);
int sysx_write_file(int dir, const char *path, const char *text);     /* the file must exist */
int sysx_close_from(int first);
/* Removes a folder and the plain files in it. 0 also if there is none. */
int sysx_remove_folder(int dir, const char *name);
/* rmdir of a tree of folders whose files cannot be unlinked (a cgroup). -EBUSY while it is populated. */
int sysx_rmdir_tree(int dir, const char *name, int depth_max);
