/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The system calls of the sandbox, through libseccomp.
 *
 * What is not listed is answered with ENOSYS, so that a C library that has
 * learned a new call goes on with the old one.  What nobody calls by mistake
 * (another file, program, process, network, namespace) ends the process.
 *
 * Some arguments are looked at: threads but no processes, no memory that
 * could be run, signals to nobody else.  Looking for a file, or opening it for
 * reading, is refused and not fatal, as in the empty root: the C library looks
 * for advice in files now and then and goes on without.
 */
#include "base/sandbox.h"

#include <errno.h>

#if defined(HAVE_SECCOMP) && defined(OWFS_SANDBOX_WHOLE)

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/util.h"

const char owfs_sandbox_build[] = "whole";

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Those of iomap mode, which headers do not have yet. */
#define FUSE_BACKING_OPEN	0x4010e501u
#define FUSE_SET_NOFS		0x4004e564u

/* Any of ours, by which a filesystem in use is looked at: of this type. */
#define OWFS_IOC		((uint32_t)'O' << 8)

/* By name: not each architecture has all, and new ones come. */
static const char *const reader_calls[] = {
	/* files that are open */
	"read", "readv", "pread64", "preadv", "write", "writev", "lseek",
	"_llseek", "close", "fstat", "poll", "ppoll", "fadvise64", "flock",
	"syncfs",
	/* memory */
	"munmap", "mremap", "madvise", "brk",
	/* time, chance, and who we are */
	"clock_gettime", "clock_gettime64", "gettimeofday", "time",
	"getrandom", "getpid", "gettid", "getppid", "getuid", "geteuid",
	"getgid", "getegid", "getresuid", "getresgid", "getrusage", "getrlimit",
	"sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu",
	"sysinfo", "uname", "clock_getres", "clock_getres_time64",
	/* locks, and the library's threads */
	"futex", "futex_time64", "sched_yield", "membarrier", "rseq",
	"set_robust_list", "nanosleep", "clock_nanosleep",
	"clock_nanosleep_time64",
	/* signals to ourselves */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn",
	"sigaltstack", "restart_syscall",
	"exit", "exit_group",
};

static const char *const writer_calls[] = {
	"pwrite64", "pwritev", "fsync", "fdatasync", "fallocate",
	"ftruncate", "ftruncate64",
};

static const char *const server_calls[] = {
	"sendmsg", "recvmsg", "rt_sigtimedwait", "rt_sigtimedwait_time64",
	"dup2", "dup3", "pipe2", "splice", "vmsplice",
};

struct rule {
	enum owfs_sandbox_work from;	/* who has it */
	const char *call;
	struct scmp_arg_cmp arg;	/* that must be so */
};

#define MASKED(n, mask, value) \
	{ .arg = (n), .op = SCMP_CMP_MASKED_EQ, .datum_a = (mask), \
	  .datum_b = (value) }
#define IS(n, value)	MASKED(n, 0xffffffffu, (value) & 0xffffffffu)
#define IS_SET(n, bit)	MASKED(n, bit, bit)

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | \
		    CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define A_THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | \
		  CLONE_THREAD)
#ifdef __s390__
#define CLONE_FLAGS	1
#else
#define CLONE_FLAGS	0
#endif

static const struct rule rules[] = {
	{ OWFS_SANDBOX_READER, "mmap", MASKED(2, PROT_EXEC, 0) },
	{ OWFS_SANDBOX_READER, "mprotect", MASKED(2, PROT_EXEC, 0) },
	{ OWFS_SANDBOX_READER, "newfstatat", MASKED(3, AT_EMPTY_PATH, AT_EMPTY_PATH) },
	{ OWFS_SANDBOX_READER, "statx", MASKED(2, AT_EMPTY_PATH, AT_EMPTY_PATH) },
	{ OWFS_SANDBOX_READER, "fcntl", IS(1, F_GETFL) },
	{ OWFS_SANDBOX_READER, "fcntl", IS(1, F_GETFD) },
	{ OWFS_SANDBOX_READER, "ioctl", IS(1, TCGETS) },
	{ OWFS_SANDBOX_READER, "ioctl", IS(1, TIOCGWINSZ) },
	{ OWFS_SANDBOX_READER, "ioctl", IS(1, BLKGETSIZE64) },
	{ OWFS_SANDBOX_READER, "ioctl", IS(1, BLKSSZGET) },
	{ OWFS_SANDBOX_READER, "ioctl", IS(1, BLKROGET) },
	{ OWFS_SANDBOX_READER, "ioctl", MASKED(1, 0xff00u, OWFS_IOC) },
	{ OWFS_SANDBOX_READER, "prlimit64", MASKED(2, ~0ull, 0) },
	{ OWFS_SANDBOX_READER, "prctl", IS(0, PR_SET_NAME) },
	{ OWFS_SANDBOX_READER, "prctl", IS(0, PR_SET_VMA) },
	{ OWFS_SANDBOX_WRITER, "ioctl", IS(1, BLKDISCARD) },
	{ OWFS_SANDBOX_SERVER, "ioctl", IS(1, FUSE_BACKING_OPEN) },
	{ OWFS_SANDBOX_SERVER, "ioctl", IS(1, FUSE_SET_NOFS) },
	/* liburcu frees in a thread */
	{ OWFS_SANDBOX_READER, "clone", MASKED(CLONE_FLAGS,
					       A_THREAD | NAMESPACES, A_THREAD) },
};

/* Not all processors and libraries know them all: what is unknown is left out. */
static int add_calls(scmp_filter_ctx ctx, uint32_t action,
		     const char *const *calls, size_t n)
{
	size_t i;
	int nr, ret = 0;

	for (i = 0; i < n && !ret; i++) {
		nr = seccomp_syscall_resolve_name(calls[i]);
		if (nr >= 0)
			ret = seccomp_rule_add(ctx, action, nr, 0);
	}
	return ret;
}

static int add_rules(scmp_filter_ctx ctx, uint32_t action,
		     const struct rule *rule, size_t n,
		     enum owfs_sandbox_work work)
{
	size_t i;
	int nr, ret = 0;

	for (i = 0; i < n && !ret; i++) {
		nr = seccomp_syscall_resolve_name(rule[i].call);
		if (rule[i].from <= work && nr >= 0)
			ret = seccomp_rule_add_array(ctx, action, nr, 1,
						     &rule[i].arg);
	}
	return ret;
}

/* Looking for files, by any of these. */
static const char *const refused_calls[] = {
	"stat", "stat64", "lstat", "lstat64", "access", "faccessat",
	"faccessat2", "readlink", "readlinkat", "statfs", "statfs64",
};

#define READ_ONLY(n)	MASKED(n, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)

static const struct rule refused_rules[] = {
	{ OWFS_SANDBOX_READER, "open", READ_ONLY(1) },
	{ OWFS_SANDBOX_READER, "openat", READ_ONLY(2) },
	{ OWFS_SANDBOX_READER, "newfstatat", MASKED(3, AT_EMPTY_PATH, 0) },
	{ OWFS_SANDBOX_READER, "statx", MASKED(2, AT_EMPTY_PATH, 0) },
};

static int refuse_some(scmp_filter_ctx ctx)
{
	const uint32_t no = SCMP_ACT_ERRNO(EACCES);
	int ret = add_calls(ctx, no, refused_calls, ARRAY_SIZE(refused_calls));

	if (!ret)
		ret = add_rules(ctx, no, refused_rules,
				ARRAY_SIZE(refused_rules), OWFS_SANDBOX_READER);
	return ret;
}

/* What serving has no reason for, whatever the library. */
static const char *const fatal_calls[] = {
	/* files */
	"creat", "openat2", "open_by_handle_at", "truncate", "truncate64",
	"link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
	"rename", "renameat", "renameat2", "mkdir", "mkdirat", "rmdir",
	"mknod", "mknodat", "chmod", "fchmodat", "fchmodat2", "chown", "lchown",
	"fchownat", "setxattr", "lsetxattr", "removexattr", "lremovexattr",
	"fanotify_init", "inotify_add_watch",
	/* the file tree, and namespaces */
	"mount", "umount", "umount2", "pivot_root", "chroot", "chdir", "fchdir",
	"unshare", "setns", "move_mount", "open_tree", "fsopen", "fspick",
	"fsconfig", "fsmount", "mount_setattr", "swapon", "swapoff", "quotactl",
	/* programs and processes */
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv",
	"process_vm_writev", "process_madvise", "pidfd_open", "pidfd_getfd",
	"pidfd_send_signal", "kill", "tkill", "rt_sigqueueinfo",
	"rt_tgsigqueueinfo", "kcmp", "userfaultfd", "memfd_create",
	/* the network, and others on the machine */
	"socket", "socketpair", "connect", "bind", "listen",
	"accept", "accept4", "sendto", "sendmmsg",
	"shmget", "shmat", "msgget", "semget", "mq_open",
	/* who we are, and the kernel */
	"setuid", "setuid32", "setgid", "setgid32", "setreuid", "setregid",
	"setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset",
	"personality", "seccomp", "bpf", "perf_event_open", "io_uring_setup",
	"io_setup", "keyctl", "add_key", "request_key", "init_module",
	"finit_module", "delete_module", "kexec_load", "kexec_file_load",
	"reboot", "sethostname", "setdomainname", "settimeofday",
	"clock_settime", "adjtimex", "clock_adjtime", "syslog", "acct",
	"iopl", "ioperm", "modify_ldt",
};

static const struct rule fatal_rules[] = {
	{ OWFS_SANDBOX_READER, "open", IS_SET(1, O_CREAT) },
	{ OWFS_SANDBOX_READER, "open", IS_SET(1, O_TRUNC) },
	{ OWFS_SANDBOX_READER, "open", IS_SET(1, O_WRONLY) },
	{ OWFS_SANDBOX_READER, "open", IS_SET(1, O_RDWR) },
	{ OWFS_SANDBOX_READER, "openat", IS_SET(2, O_CREAT) },
	{ OWFS_SANDBOX_READER, "openat", IS_SET(2, O_TRUNC) },
	{ OWFS_SANDBOX_READER, "openat", IS_SET(2, O_WRONLY) },
	{ OWFS_SANDBOX_READER, "openat", IS_SET(2, O_RDWR) },
	{ OWFS_SANDBOX_READER, "mmap", IS_SET(2, PROT_EXEC) },
	{ OWFS_SANDBOX_READER, "mprotect", IS_SET(2, PROT_EXEC) },
	{ OWFS_SANDBOX_READER, "clone", MASKED(CLONE_FLAGS, CLONE_THREAD, 0) },
};

static int forbid_some(scmp_filter_ctx ctx, enum owfs_sandbox_work work)
{
	const uint32_t end = SCMP_ACT_KILL_PROCESS;
	int ret = add_calls(ctx, end, fatal_calls, ARRAY_SIZE(fatal_calls));

	if (!ret)
		ret = add_rules(ctx, end, fatal_rules, ARRAY_SIZE(fatal_rules),
				OWFS_SANDBOX_READER);
	if (!ret && work < OWFS_SANDBOX_WRITER)
		ret = add_calls(ctx, end, writer_calls,
				ARRAY_SIZE(writer_calls));
	if (!ret)
		ret = seccomp_rule_add(ctx, end, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_NE, (unsigned)getpid()));
	return ret;
}

static int allow_some(scmp_filter_ctx ctx, enum owfs_sandbox_work work)
{
	int ret = add_calls(ctx, SCMP_ACT_ALLOW, reader_calls,
			    ARRAY_SIZE(reader_calls));

	if (!ret && work >= OWFS_SANDBOX_WRITER)
		ret = add_calls(ctx, SCMP_ACT_ALLOW, writer_calls,
				ARRAY_SIZE(writer_calls));
	if (!ret && work >= OWFS_SANDBOX_SERVER)
		ret = add_calls(ctx, SCMP_ACT_ALLOW, server_calls,
				ARRAY_SIZE(server_calls));
	if (!ret)
		ret = add_rules(ctx, SCMP_ACT_ALLOW, rules, ARRAY_SIZE(rules),
				work);
	/* abort(), and the end of a thread: ourselves, and nobody else */
	if (!ret)
		ret = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (unsigned)getpid()));
	return ret;
}

bool owfs_sandbox_knows_calls(void)
{
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int owfs_sandbox_limit_calls(enum owfs_sandbox_work work)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int ret;

	if (!ctx)
		return -ENOSYS;
	ret = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH,
			       SCMP_ACT_KILL_PROCESS);
	/* older ones lack these: threads that are there already; not slower */
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = allow_some(ctx, work);
	if (!ret)
		ret = refuse_some(ctx);
	if (!ret)
		ret = forbid_some(ctx, work);
	if (!ret)
		ret = seccomp_load(ctx);
	seccomp_release(ctx);
	return ret;
}

#else

#ifdef OWFS_SANDBOX_WHOLE
const char owfs_sandbox_build[] = "without libseccomp";
#else
const char owfs_sandbox_build[] = "capabilities only";
#endif

bool owfs_sandbox_knows_calls(void)
{
	return false;
}

int owfs_sandbox_limit_calls(enum owfs_sandbox_work work)
{
	(void)work;
	return -ENOSYS;
}

#endif
