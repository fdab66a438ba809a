/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random operations on trees of a mounted filesystem against a model in memory
 * (lib/model.h), by several programs at once, each in a directory of its own,
 * while somebody kills the server or mounts again.  After a kill every tree must
 * be what it was after some operation of its program, none older than the last
 * that was promised durable; the operation that was under way when the server
 * died may have been done or not.
 *
 *	trees [-p PROFILE] [-o FD,FD] -j PROGRAMS -s SEED -n ROUNDS DIRECTORY
 *
 * For a kill or a remount a word goes to the first descriptor, and a line is
 * read from the second.  Without them there is one round and no kill.  The last
 * line printed is name=value, for totals.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trees.h"

#define PROGRAMS	16

enum phase { RUNNING, KILLED, STOPPED, ENDED };

/* What the programs and their coordinator share. */
static struct shared {
	enum phase phase;		/* atomic */
	uint64_t operations, promises, walks;	/* atomic */
	uint64_t steps;			/* crashes that lost something */
} *shared;

struct program {
	unsigned int id;
	struct rng rng;
	const struct op_profile *profile;
	int parked, resume;		/* pipes */
	char path[PATH_MAX];
	struct tree t;
	struct model *model;
	struct model *base;		/* what was promised, and since then: */
	struct op *ops;
	unsigned int nops, room;
	int held[4];			/* files kept open, or -1 */
};

static uint64_t seed;

static _Noreturn void die(const struct program *p, const char *what)
{
	char text[400] = "";

	for (unsigned int i = p->nops > 8 ? p->nops - 8 : 0; i < p->nops; i++) {
		op_to_text(&p->ops[i], text, sizeof(text));
		fprintf(stderr, "  %u: %s\n", i, text);
	}
	fprintf(stderr, "trees: seed=%llu program=%u: %s\n",
		(unsigned long long)seed, p->id, what);
	_exit(1);
}

static _Noreturn void die_of(const struct program *p, const char *what, int err)
{
	char text[100];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(-err));
	die(p, text);
}

static enum phase phase(void)
{
	return __atomic_load_n(&shared->phase, __ATOMIC_ACQUIRE);
}

/* ------------------------------------------------------------------- model */

static void promised(struct program *p)
{
	model_free(p->base);
	p->base = model_clone(p->model);
	p->nops = 0;
	__atomic_add_fetch(&shared->promises, 1, __ATOMIC_RELAXED);
}

static void remember(struct program *p, const struct op *op)
{
	if (p->nops == p->room) {
		p->room = 2 * p->room + 64;
		p->ops = realloc(p->ops, p->room * sizeof(*p->ops));
		if (!p->ops)
			die(p, "no memory");
	}
	p->ops[p->nops++] = *op;
}

/*
 * Done or under way.  The kernel may cut a write at ends of pages, and a crash
 * come between the pieces.
 */
static void remember_pieces(struct program *p, const struct op *op)
{
	struct op piece = *op;
	uint64_t end, page = 4096;

	if (op->kind != OP_WRITE && op->kind != OP_APPEND) {
		remember(p, op);
		return;
	}
	piece.kind = OP_WRITE;
	for (end = (op->pos / page + 1) * page; end < op->pos + op->len;
	     end += page) {
		piece.len = end - op->pos;
		remember(p, &piece);
	}
	piece.len = op->len;
	remember(p, &piece);
}

static void differs(struct program *p, const struct model *m, const char *what)
{
	int err;

	fprintf(stderr, "--- should be\n");
	model_digest(m, stderr);
	fprintf(stderr, "--- is\n");
	tree_digest(&p->t, stderr, &err);
	die(p, what);
}

static bool is_dead(int ret)
{
	return ret == -ENOTCONN || ret == -ECONNABORTED || ret == -EIO ||
	       ret == -ENODEV || ret == -ENOENT || ret == -ENXIO ||
	       ret == -EBADE;	/* some of the bytes */
}

static void compare(struct program *p)
{
	int err;
	uint64_t got = tree_digest(&p->t, NULL, &err);

	if (err && phase() == KILLED && is_dead(err))
		return;
	if (err)
		die_of(p, "looking at the tree", err);
	if (got != model_digest(p->model, NULL))
		differs(p, p->model, "the tree is not what was done to it");
	__atomic_add_fetch(&shared->walks, 1, __ATOMIC_RELAXED);
}

/* The tree shows what some operation left: go on from there. */
static void recover(struct program *p)
{
	struct model *m = model_clone(p->base), *found = NULL;
	unsigned int i, last = p->nops;
	uint64_t got;
	int err;

	got = tree_digest(&p->t, NULL, &err);
	if (err)
		die_of(p, "looking at the tree after a crash", err);
	for (i = 0;; i++) {
		if (model_digest(m, NULL) == got) {
			model_free(found);
			found = model_clone(m);
			last = i;
		}
		if (i == p->nops)
			break;
		model_apply(m, &p->ops[i]);
	}
	model_free(m);
	if (!found)
		differs(p, p->base, "the tree has never been like this since a promise");
	if (last < p->nops)
		__atomic_add_fetch(&shared->steps, 1, __ATOMIC_RELAXED);
	model_free(p->model);
	p->model = found;
	promised(p);
}

/* -------------------------------------------------------------- operations */

/* Files kept open, so that unlink and rename meet open files. */
static void play_with_held(struct program *p, const struct op *op)
{
	int *fd = &p->held[rng_below(&p->rng, 4)];

	if (*fd >= 0) {
		close(*fd);
		*fd = -1;
	} else {
		*fd = tree_open(&p->t, op->path, O_RDONLY);
		*fd = *fd < 0 ? -1 : *fd;
	}
}

/* False: the server is dead. */
static bool one_op(struct program *p)
{
	struct model *after;
	struct op op;
	int got, want;

	op_random(&op, p->profile, &p->rng);
	if (op.kind == OP_REMOUNT || !tree_may(&p->t, &op))
		return true;
	if (rng_below(&p->rng, 16) == 0)
		play_with_held(p, &op);
	after = model_clone(p->model);
	want = model_apply(after, &op);
	got = tree_apply(&p->t, &op);
	__atomic_add_fetch(&shared->operations, 1, __ATOMIC_RELAXED);
	if (got && phase() == KILLED && is_dead(got)) {
		/* done or not, and if so, right */
		if (!want)
			remember_pieces(p, &op);
		model_free(after);
		return false;
	}
	if (!got != !want) {
		fprintf(stderr, "is %d, should be %d\n", got, want);
		remember(p, &op);
		die(p, "another answer");
	}
	if (want) {
		model_free(after);
		return true;
	}
	model_free(p->model);
	p->model = after;
	remember_pieces(p, &op);
	if (op_is_promise(&op))
		promised(p);
	return true;
}

/* ---------------------------------------------------------------- programs */

static void open_tree(struct program *p)
{
	int ret = tree_begin(&p->t, p->path);

	if (ret)
		die_of(p, p->path, ret);
}

static void close_tree(struct program *p)
{
	for (unsigned int i = 0; i < 4; i++) {
		if (p->held[i] >= 0)
			close(p->held[i]);
		p->held[i] = -1;
	}
	tree_end(&p->t);
}

static void tell(struct program *p)
{
	if (write(p->parked, "", 1) != 1)
		_exit(1);
}

/* Let go of the mount, and go on when there is one again. */
static void park(struct program *p)
{
	enum phase why;
	char c;

	close_tree(p);
	tell(p);
	if (read(p->resume, &c, 1) != 1)
		_exit(1);
	why = (enum phase)c;
	open_tree(p);
	if (why == KILLED) {
		recover(p);
	} else {
		compare(p);
		promised(p);
	}
	tell(p);
}

static _Noreturn void run_program(struct program *p)
{
	unsigned int i;

	p->model = model_new();
	for (i = 0; i < 4; i++)
		p->held[i] = -1;
	open_tree(p);
	if (fsync(p->t.root))
		die(p, "fsync");
	promised(p);
	for (i = 1; phase() != ENDED; i++) {
		while (phase() == RUNNING && one_op(p) && i % 64)
			i++;
		if (phase() == RUNNING)
			compare(p);
		else if (phase() != ENDED)
			park(p);
	}
	compare(p);
	close_tree(p);
	_exit(0);
}

/* -------------------------------------------------------------- coordinator */

static struct program programs[PROGRAMS];
static int resume_fd[PROGRAMS], parked_fd;
static unsigned int nprograms = 3;
static int ask = -1, answer = -1;

static void coordinator_fails(const char *what)
{
	perror(what);
	exit(1);
}

static void request(const char *what)
{
	char line[16];

	if (write(ask, what, strlen(what)) != (ssize_t)strlen(what) ||
	    read(answer, line, sizeof(line)) < 3)
		coordinator_fails("request");
}

static void start_programs(const char *dir, const struct op_profile *profile)
{
	int parked[2], resume[2];
	unsigned int i;

	if (pipe(parked))
		coordinator_fails("pipe");
	parked_fd = parked[0];
	for (i = 0; i < nprograms; i++) {
		struct program *p = &programs[i];

		p->id = i;
		p->profile = profile;
		p->rng = (struct rng){ seed * PROGRAMS + i };
		snprintf(p->path, sizeof(p->path), "%s/p%u", dir, i);
		if (pipe(resume) || mkdir(p->path, 0755))
			coordinator_fails(p->path);
		p->parked = parked[1];
		p->resume = resume[0];
		resume_fd[i] = resume[1];
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			signal(SIGCHLD, SIG_DFL);
			run_program(p);
		}
		close(resume[0]);
	}
	close(parked[1]);
}

/* One has ended before its time, and said why; the others follow. */
static void on_child(int sig)
{
	(void)sig;
	_exit(1);
}

/* Until all are parked, or work again. */
static void wait_for_all(void)
{
	unsigned int i;
	char c;

	for (i = 0; i < nprograms; i++)
		if (read(parked_fd, &c, 1) != 1)
			exit(1);
}

static void set_phase(enum phase to)
{
	__atomic_store_n(&shared->phase, to, __ATOMIC_RELEASE);
}

static void go_on(char why)
{
	unsigned int i;

	set_phase(RUNNING);
	for (i = 0; i < nprograms; i++)
		if (write(resume_fd[i], &why, 1) != 1)
			exit(1);
	wait_for_all();
}

static void one_round(struct rng *rng, uint64_t *crashes, uint64_t *remounts)
{
	usleep((useconds_t)(20000 + rng_below(rng, 400000)));
	if (ask < 0)
		return;
	if (rng_below(rng, 4)) {
		set_phase(KILLED);
		request("kill\n");
		wait_for_all();
		request("mount\n");
		go_on(KILLED);
		++*crashes;
	} else {
		set_phase(STOPPED);
		wait_for_all();
		request("remount\n");
		go_on(STOPPED);
		++*remounts;
	}
}

static bool all_ended_well(void)
{
	bool good = true;
	int status;

	while (wait(&status) > 0)
		if (status)
			good = false;
	return good;
}

static const struct op_profile *profile_named(const char *name)
{
	if (!strcmp(name, "names"))
		return &op_profile_names;
	if (!strcmp(name, "data"))
		return &op_profile_data;
	return &op_profile_mixed;
}

int main(int argc, char **argv)
{
	const struct op_profile *profile = &op_profile_mixed;
	uint64_t crashes = 0, remounts = 0, rounds = 1, i;
	struct rng rng;
	int c;

	while ((c = getopt(argc, argv, "j:n:o:p:s:")) != -1) {
		if (c == 'j')
			nprograms = (unsigned int)atoi(optarg);
		else if (c == 'n')
			rounds = strtoull(optarg, NULL, 0);
		else if (c == 'o' && sscanf(optarg, "%d,%d", &ask, &answer) == 2)
			;
		else if (c == 'p')
			profile = profile_named(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else
			return 99;
	}
	if (!argv[optind] || !nprograms || nprograms > PROGRAMS)
		return 99;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		coordinator_fails("mmap");
	umask(022);
	rng = (struct rng){ seed };
	signal(SIGCHLD, on_child);
	start_programs(argv[optind], profile);
	for (i = 0; i < rounds; i++)
		one_round(&rng, &crashes, &remounts);
	signal(SIGCHLD, SIG_DFL);
	set_phase(ENDED);
	if (!all_ended_well())
		return 1;
	printf("rounds=%llu operations=%llu promises=%llu crashes=%llu remounts=%llu comparisons=%llu lost_tails=%llu\n",
	       (unsigned long long)rounds,
	       (unsigned long long)shared->operations,
	       (unsigned long long)shared->promises,
	       (unsigned long long)crashes, (unsigned long long)remounts,
	       (unsigned long long)shared->walks,
	       (unsigned long long)shared->steps);
	return 0;
}
