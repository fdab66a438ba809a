/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fsck.owfs: locking, questions and what is said around owfs_check()
 * and owfs_repair().
 *
 * A filesystem in use is only looked at (-n), and may change meanwhile: if
 * problems were found and commits went by, the check is repeated.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sandbox.h"
#include "base/stdfds.h"
#include "check.h"
#include "io/devlock.h"
#include "io/window.h"
#include "online.h"
#include "options.h"
#include "progress.h"
#include "repair.h"
#include "trans/super.h"
#include "undo.h"

#define MOVING_TRIES	5
#define LARGE_BYTES	(1u << 20)

struct run {
	const struct options *o;
	struct owfs_blkdev *bd;
	struct owfs_super sb;		/* as it was at first */
	bool has_super;			/* it could be read */
	bool keeps;			/* what it overwrites, with --undo */
	struct online *online;		/* it is mounted; else NULL */
	struct progress progress;
	FILE *out;			/* where problems go */
	int out_err;			/* why a line could not */
	bool yes_to_all;		/* as somebody has answered */
	unsigned int corrected;
};

/* ---------------------------------------------------------------- checking */

/*
 * Also into a file: what is given up is said before it is committed, and when
 * that is done nobody else can say it.
 */
static void flush_lines(struct run *run)
{
	if (run->out == stdout && fflush(stdout) && !run->out_err)
		run->out_err = errno;
}

static void emit(void *ctx, enum owfs_msg_level level, const char *line)
{
	struct run *run = ctx;

	progress_clear(&run->progress);
	fprintf(run->out, "%s: %s%s\n", run->o->path,
		level == OWFS_MSG_ERROR ? "" : "note: ", line);
	flush_lines(run);
}

/* Has a commit gone by since the superblock was read? */
static bool has_moved(struct run *run)
{
	struct owfs_super now;
	struct owfs_slots slots;

	if (owfs_super_read(run->bd, &now, &slots, NULL))
		return run->has_super;
	if (run->has_super && now.seq == run->sb.seq)
		return false;
	run->has_super = true;
	run->sb = now;
	return true;
}

static struct owfs_check_param check_param(struct run *run,
					   const struct owfs_msg *msg)
{
	return (struct owfs_check_param){
		/* a repair may go back there, and one cut short has left it */
		.commits = OWFS_CHECK_CURRENT |
			   (run->online ? 0 : OWFS_CHECK_PREVIOUS),
		.kept = run->online ? online_kept(run->online) : NULL,
		.msg = msg,
		.max_lines = run->o->verbose ? 10000 : 0,
		.search = run->o->force,
		.progress = progress_step,
		.progress_ctx = &run->progress,
	};
}

static int check_once(struct run *run, struct owfs_check_report *r)
{
	const struct owfs_msg msg = {
		.emit = emit, .ctx = run, .max_level = OWFS_MSG_WARN };
	const struct owfs_check_param p = check_param(run, &msg);
	int ret = owfs_check(run->bd, &p, r);

	progress_clear(&run->progress);
	return ret;
}

/* --------------------------------------------------------------- repairing */

/* The rest of a long answer is none to the next question. */
static void skip_line(const char *begun)
{
	int c = strchr(begun, '\n') ? '\n' : 0;

	while (c != '\n' && c != EOF)
		c = getchar();
}

static bool ask_terminal(struct run *run, const struct owfs_problem_info *info)
{
	bool yes = info->answer != OWFS_ANSWER_NO;
	char line[64];

	printf("  %s? [%s] ", info->repair, yes ? "Y/n/a" : "y/N/a");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin)) {
		putchar('\n');
		return false;
	}
	skip_line(line);
	if (line[0] == 'a' || line[0] == 'A')
		run->yes_to_all = true;
	if (line[0] == '\n')
		return yes;
	return run->yes_to_all || line[0] == 'y' || line[0] == 'Y';
}

static bool ask(void *ctx, const struct owfs_problem_info *info,
		const char *line)
{
	struct run *run = ctx;

	(void)line;
	progress_clear(&run->progress);
	if (progress_interrupted())
		return false;
	switch (run->o->mode) {
	case 'p':
		return info->answer == OWFS_ANSWER_SAFE;
	case 'y':
		run->yes_to_all = true;
		break;
	default:
		break;
	}
	if (!run->yes_to_all)
		return ask_terminal(run, info);
	fprintf(run->out, "  %s: yes\n", info->repair);
	flush_lines(run);
	return true;
}

static int repair(struct run *run, struct owfs_check_report *r)
{
	const struct owfs_msg msg = {
		.emit = emit, .ctx = run, .max_level = OWFS_MSG_WARN };
	const struct owfs_repair_param p = {
		.check = check_param(run, &msg),
		.ask = ask,
		.ask_ctx = run,
		.only_safe = run->o->mode == 'p',
	};
	struct owfs_repair_report report;
	int ret = owfs_repair(run->bd, &p, &report);

	progress_clear(&run->progress);
	*r = report.left;
	run->corrected = report.corrected;
	return ret;
}

/* Did it hold still?  What was found says nothing if not. */
static bool has_held(struct run *run, int ret, const struct owfs_check_report *r)
{
	if (run->online)
		return !online_is_lost(run->online);
	return !(ret || r->problems) || ret == -ECANCELED || !has_moved(run);
}

/* With -n somebody may be writing: only what holds still is reported. */
static int check_moving(struct run *run, struct owfs_check_report *r)
{
	size_t len = 0;
	char *text = NULL;
	int tries, ret = -EAGAIN;

	for (tries = 0; tries < MOVING_TRIES && ret == -EAGAIN; tries++) {
		free(text);
		text = NULL;
		run->out = open_memstream(&text, &len);
		if (!run->out)
			return -ENOMEM;
		ret = check_once(run, r);
		if (!has_held(run, ret, r))
			ret = run->online ? -ESTALE : -EAGAIN;
		fclose(run->out);
		run->out = stdout;
	}
	if (ret != -EAGAIN && ret != -ESTALE && text)
		fputs(text, stdout);
	free(text);
	return ret;
}

static const char *s(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void tell_sums(const struct run *run, const struct owfs_check_report *r)
{
	uint64_t files = r->files + r->symlinks + r->others;
	const char *path = run->o->path;

	printf("%s: %" PRIu64 " file%s, %" PRIu64 " director%s, %" PRIu64
	       "/%" PRIu64 " blocks\n", path, files, s(files), r->dirs,
	       r->dirs == 1 ? "y" : "ies", r->nblocks - r->free_blocks,
	       r->nblocks);
	if (!run->o->verbose)
		return;
	printf("%s: generation %" PRIu64 ", %" PRIu64 " node%s, %" PRIu64
	       " item%s, %" PRIu64 " extent%s, %" PRIu64 " data block%s\n",
	       path, r->gen, r->nodes, s(r->nodes), r->items, s(r->items),
	       r->extents, s(r->extents), r->data_blocks, s(r->data_blocks));
	printf("%s: %" PRIu64 " symbolic link%s, %" PRIu64
	       " special file%s, %" PRIu64 " without a name\n", path,
	       r->symlinks, s(r->symlinks), r->others, s(r->others),
	       r->orphans);
}

static void tell_problems(const struct run *run,
			  const struct owfs_check_report *r)
{
	unsigned int by_class[3] = { 0 }, i;

	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		const struct owfs_problem_info *info = owfs_problem_info(i);

		by_class[info->class] += r->count[i];
		if (run->o->verbose && r->count[i])
			printf("%s: problem %u (%s): %u\n", run->o->path,
			       info->number, info->name, r->count[i]);
	}
	printf("%s: %u problem%s%s: %u dangerous to write with, %u with loss, %u of count\n",
	       run->o->path, r->problems, s(r->problems),
	       run->corrected ? " left" : "",
	       by_class[OWFS_CLASS_DANGER], by_class[OWFS_CLASS_LOSS],
	       by_class[OWFS_CLASS_COUNT]);
	if (run->o->mode == 'p')
		printf("%s: UNEXPECTED INCONSISTENCY: what is left is not safe to repair without a look; run fsck.owfs by hand\n",
		       run->o->path);
}

static void tell_corrected(const struct run *run)
{
	printf("%s: %u problem%s corrected\n", run->o->path, run->corrected,
	       s(run->corrected));
}

/*
 * What was left counts, whatever else was corrected: a second run says the same.
 * But whoever started it with -p has to know that it wrote, before he looks.
 */
static int status_of(const struct run *run, const struct owfs_check_report *r)
{
	int corrected = run->corrected ? EXIT_CORRECTED : 0;

	if (!r->problems)
		return corrected;
	return EXIT_LEFT | (run->o->mode == 'p' ? corrected : 0);
}

static int no_more_undo(const struct run *run, int status)
{
	return complain(status | EXIT_OPERATION,
			"cannot keep more in %s, so nothing more is repaired: %s",
			run->o->undo, strerror(-undo_error(run->bd)));
}

static int verdict(struct run *run, int ret, const struct owfs_check_report *r)
{
	const char *path = run->o->path;
	int status = status_of(run, r);

	if (run->corrected)
		tell_corrected(run);
	if (r->problems && ret != -ENODEV)
		tell_problems(run, r);
	flush_lines(run);
	if (run->keeps && undo_error(run->bd))
		return no_more_undo(run, status);
	switch (ret) {
	case 0:
		if (!r->problems)
			tell_sums(run, r);
		return status;
	case -ECANCELED:
		return complain(status | EXIT_CANCELLED,
				"%s: check interrupted", path);
	case -EAGAIN:
		return complain(EXIT_OPERATION,
				"%s changes too fast to be checked; unmount it",
				path);
	case -ESTALE:
		return complain(EXIT_OPERATION,
				"%s: space became short, or the server went away, and what was being checked was given up; nothing is known",
				path);
	case -ENODEV:
		return complain(EXIT_OPERATION, "%s holds no owfs filesystem",
				path);
	case -ENOSPC:
		return complain(status | EXIT_OPERATION,
				"%s has not enough room to be repaired further",
				path);
	case -EPROTONOSUPPORT:
		return complain(EXIT_OPERATION,
				"%s was made by a newer owfs; use its fsck",
				path);
	default:
		return complain(status | EXIT_OPERATION,
				"%s cannot be checked: %s", path,
				strerror(-ret));
	}
}

/* Nothing to do: unmounted properly, no errors recorded, all four slots good. */
static bool is_clean(struct run *run)
{
	const struct owfs_super *sb = &run->sb;
	struct owfs_slots slots;

	run->has_super = !owfs_super_read(run->bd, &run->sb, &slots, NULL);
	return run->has_super && !run->o->force && slots.bad == 0 &&
	       (sb->state & OWFS_STATE_CLEAN) &&
	       !(sb->state & OWFS_STATE_ERROR) &&
	       sb->nblocks * sb->blocksize <= run->bd->size;
}

static void tell_room(const struct run *run)
{
	uint64_t room = run->sb.blocksize ?
			owfs_super_room(&run->sb, run->bd) : 0;

	if (room)
		printf("%s: note: device is longer than the filesystem by %" PRIu64
		       " block%s; making a filesystem longer is not possible yet\n",
		       run->o->path, room, s(room));
}

/* Without a terminal, and without being told, nobody has said yes. */
static bool may_repair(const struct options *o)
{
	if (o->mode || o->restore)
		return o->mode != 'n';
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

/* Everything is open that was named. */
static void lock_in(const struct run *run)
{
	owfs_sandbox_program(may_repair(run->o) ? OWFS_SANDBOX_WRITER :
						  OWFS_SANDBOX_READER);
}

/* Who finds no such file later shall know why. */
static void tell_no_undo(const struct options *o)
{
	if (o->undo)
		printf("%s: note: nothing is written, so %s is not made\n",
		       o->path, o->undo);
}

static struct undo_id undo_id_of(const struct run *run)
{
	struct undo_id id = { .csum_seed = 0 };

	if (!run->has_super)
		return id;
	memcpy(id.uuid, run->sb.uuid, sizeof(id.uuid));
	id.csum_seed = run->sb.csum_seed;
	return id;
}

/* From now on what is overwritten is kept, if that was asked for. */
static int keep_undo(struct run *run)
{
	const char *file = run->o->undo;
	struct undo_id id;
	int ret;

	if (!may_repair(run->o))
		tell_no_undo(run->o);
	if (!file || !may_repair(run->o))
		return 0;
	id = undo_id_of(run);
	ret = undo_open(file, &id, run->bd, &run->bd);
	if (ret == -EEXIST)
		return complain(EXIT_OPERATION,
				"%s is there already and may be wanted; give another name",
				file);
	if (ret)
		return complain(EXIT_OPERATION, "cannot keep anything in %s: %s",
				file, strerror(-ret));
	run->keeps = true;
	return 0;
}

static void tell_undone(const struct run *run, const struct undo_report *r)
{
	if (r->left)
		printf("%s: note: %" PRIu64 " bytes could not be read before they were overwritten, and are left as they are\n",
		       run->o->path, r->left);
	printf("%s: %" PRIu64 " write%s undone\n", run->o->path, r->writes,
	       s(r->writes));
}

/* Something else stands where the repair has written. */
static int refuse_undo(struct run *run, const struct undo_report *r)
{
	const char *file = run->o->restore, *path = run->o->path;
	const struct undo_id none = { .csum_seed = 0 };
	struct owfs_slots slots;
	struct undo_id id;

	run->has_super = !owfs_super_read(run->bd, &run->sb, &slots, NULL);
	id = undo_id_of(run);
	if (run->has_super && memcmp(&r->id, &none, sizeof(id)) &&
	    memcmp(&r->id, &id, sizeof(id)))
		return complain(EXIT_OPERATION,
				"%s is of another filesystem than the one on %s; nothing was undone",
				file, path);
	return complain(EXIT_OPERATION,
			"%s was changed since, or %s is of another device: byte %" PRIu64
			" is neither what was there nor what came; nothing was undone",
			path, file, r->at);
}

static int restore(struct run *run)
{
	const char *file = run->o->restore;
	int fd = open(file, O_RDONLY | O_CLOEXEC), ret = -errno;
	struct undo_report report;

	if (fd >= 0) {
		lock_in(run);
		ret = undo_restore(fd, run->bd, &report);
		close(fd);
	}
	switch (ret) {
	case 0:
		tell_undone(run, &report);
		return 0;
	case -ESTALE:
		return refuse_undo(run, &report);
	case -EPROTONOSUPPORT:
		return complain(EXIT_OPERATION,
				"%s was made by an older fsck.owfs; use that one",
				file);
	case -ENODEV:
		return complain(EXIT_OPERATION,
				"%s is no file that --undo has made", file);
	case -EINVAL:
		return complain(EXIT_OPERATION,
				"%s is of a device of another size", file);
	case -EFSBADCRC:
		return complain(EXIT_OPERATION,
				"%s is damaged; nothing was undone", file);
	default:
		return complain(EXIT_OPERATION, "cannot undo %s with %s: %s",
				run->o->path, file, strerror(-ret));
	}
}

static int check_device(struct run *run)
{
	struct owfs_check_report report = { 0 };
	bool clean;
	int ret;

	if (!run->o->undo)
		lock_in(run);
	clean = is_clean(run);
	tell_room(run);
	if (clean) {
		printf("%s: clean, %" PRIu64 "/%" PRIu64 " blocks\n",
		       run->o->path,
		       run->sb.nblocks - run->sb.root[0].map.free_blocks,
		       run->sb.nblocks);
		tell_no_undo(run->o);
		return 0;
	}
	ret = keep_undo(run);
	if (ret)
		return ret;
	if (run->o->undo)
		lock_in(run);
	progress_catch_signals();
	if (run->o->mode == 'n')
		ret = check_moving(run, &report);
	else if (may_repair(run->o))
		ret = repair(run, &report);
	else
		ret = check_once(run, &report);
	return verdict(run, ret, &report);
}

static struct run new_run(const struct options *o)
{
	return (struct run){
		.o = o,
		.out = stdout,
		.progress = {
			.device = o->path,
			.fd = o->progress_fd > 0 ? o->progress_fd : -1,
			.bar = o->progress_fd == 0 ||
			       (o->progress_fd < 0 && o->mode != 'p' &&
				isatty(STDOUT_FILENO)),
			.shown = -1,
		},
	};
}

static int flush_out(int status, int err)
{
	if (fflush(stdout) && !err)
		err = errno;
	if (err)
		return complain(status | EXIT_OPERATION, "cannot write: %s",
				strerror(err));
	return status;
}

static int run_locked(const struct options *o)
{
	struct run run = new_run(o);
	char why[OWFS_WINDOW_WHY];
	int status, ret = owfs_window_open(o->path, may_repair(o) ? 0 :
					   OWFS_BLKDEV_RDONLY, &o->window,
					   &run.bd, why);

	if (ret)
		return complain(EXIT_OPERATION, "cannot open %s: %s", o->path,
				why);
	status = o->restore ? restore(&run) : check_device(&run);
	owfs_blkdev_close(run.bd);
	return flush_out(status, run.out_err);
}

static int cannot_look(const struct options *o, int ret)
{
	switch (ret) {
	case -ENOTTY:
	case -ENOSYS:
		return complain(EXIT_OPERATION,
				"%s: no owfs filesystem, or one with an older server",
				o->path);
	case -EBUSY:
		return complain(EXIT_OPERATION,
				"%s is being checked by somebody else", o->path);
	case -EPERM:
		if (geteuid())
			return complain(EXIT_OPERATION,
					"%s: only root may check a filesystem in use",
					o->path);
		return complain(EXIT_OPERATION,
				"%s: its server cannot see that root asks: not from in here, or it lost its parent process; umount %s, and check the device",
				o->path, o->path);
	default:
		return complain(EXIT_OPERATION, "cannot look at %s: %s",
				o->path, strerror(-ret));
	}
}

static int run_online(const struct options *o)
{
	struct run run = new_run(o);
	struct owfs_check_report report = { 0 };
	int ret, err, status;

	if (o->mode != 'n' && !o->scrub)
		return complain(EXIT_OPERATION,
				"%s is a directory: a mounted filesystem is checked with -n or --scrub",
				o->path);
	ret = online_open(o->path, o->scrub, &run.online);
	if (ret)
		return cannot_look(o, ret);
	run.bd = online_blkdev(run.online);
	tell_no_undo(o);
	progress_catch_signals();
	ret = check_moving(&run, &report);
	err = online_close(run.online);
	run.corrected = report.mended;
	if (ret != -ESTALE && err)
		ret = err;
	status = verdict(&run, ret, &report);
	return flush_out(status, run.out_err);
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int run(const struct options *o)
{
	char holder[OWFS_DEVLOCK_HOLDER];
	struct owfs_devlock *lock = NULL;
	int status, ret;

	/* the next file that is opened would get the number, and the lines */
	if (o->progress_fd > 0 && fcntl(o->progress_fd, F_GETFD) < 0)
		return complain(EXIT_USAGE, "-C %d: no such descriptor is open",
				o->progress_fd);
	if (is_directory(o->path))
		return run_online(o);
	if (o->scrub)
		return complain(EXIT_USAGE,
				"--scrub wants the directory where the filesystem is mounted, not %s",
				o->path);
	if (o->mode != 'n') {
		ret = owfs_devlock_take(o->path, true, &lock, holder,
					sizeof(holder));
		if (ret == -EBUSY)
			return complain(EXIT_OPERATION,
					"%s is in use by %s; with -n it is looked at all the same",
					o->path, holder);
		if (ret)
			return complain(EXIT_OPERATION, "cannot open %s: %s",
					o->path, owfs_blkdev_strerror(ret, 0));
	}
	status = run_locked(o);
	owfs_devlock_release(lock);
	return status;
}

int main(int argc, char **argv)
{
	struct options o;
	int ret = options_parse(&o, argc, argv);

	owfs_stdfds_take();
	/* tables that grew, or belong to the commit before, go back at once */
	mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	if (ret)
		return ret;
	if (o.version)
		printf("fsck.owfs %s\n", PACKAGE_VERSION);
	else if (o.help)
		options_usage(stdout);
	else
		return run(&o);
	return flush_out(0, 0);
}
