/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The crash search by the thousand: every sequence of two operations out of a
 * list, samples of three, and long random runs; each cut at every write, with
 * the combinations of what may have arrived; and the recovery of a mount after
 * a crash and the repair of a damaged image, cut in the same way.
 *
 *	c_prove [states=N] [seconds=N] [seed=N] [jobs=N] [units=FROM-TO]
 *
 * The work is a sequence of units, the same for the same seed; it ends with the
 * first unit after so many states or seconds.  A violation's last line names
 * the unit: units=17-17 with the same seed replays it.  Closes with one line
 * of totals; exits with 1 if a promise was broken.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "c_prove.h"
#include "search.h"

#define JOBS_MAX	64

/* ------------------------------------------------------------- short scripts */

#define BLOCK		4096
#define OP(kind_, ...)	{ .kind = OP_##kind_, .seed = __COUNTER__, __VA_ARGS__ }
#define AT(pos_, len_)	.pos = (pos_), .len = (len_)

/*
 * What the scripts find: "a" with six blocks, the last not full; "c" with two
 * and attributes, one of them long; "f" with every other block missing, so that
 * cutting it takes more than one step; names in directories, a link of each
 * kind; no "b".
 */
static const struct op setup[] = {
	OP(CREATE, .path = "a"), OP(WRITE, .path = "a", AT(0, 5 * BLOCK + 100)),
	OP(CREATE, .path = "c"), OP(WRITE, .path = "c", AT(0, 2 * BLOCK)),
	OP(SETXATTR, .path = "c", .num = 0, .len = 20),
	OP(SETXATTR, .path = "c", .num = 1, .len = 2500),
	OP(CREATE, .path = "f"),
	OP(WRITE, .path = "f", AT(0, BLOCK)),
	OP(WRITE, .path = "f", AT(2 * BLOCK, BLOCK)),
	OP(WRITE, .path = "f", AT(4 * BLOCK, BLOCK)),
	OP(WRITE, .path = "f", AT(6 * BLOCK, BLOCK)),
	OP(WRITE, .path = "f", AT(8 * BLOCK, BLOCK)),
	OP(WRITE, .path = "f", AT(10 * BLOCK, BLOCK)),
	OP(MKDIR, .path = "d0"), OP(MKDIR, .path = "d1"),
	OP(CREATE, .path = "d0/a"), OP(WRITE, .path = "d0/a", AT(0, 700)),
	OP(LINK, .path = "c", .path2 = "d0/c"),
	OP(SYMLINK, .path = "s", .path2 = "d0/a"),
	OP(PREALLOC_KEEP, .path = "d0/a", AT(BLOCK, 4 * BLOCK)),
};
#define CUT_EXTENTS	2

static const struct op list[] = {
	OP(CREATE, .path = "b"), OP(MKDIR, .path = "b"),
	OP(SYMLINK, .path = "b", .path2 = "nowhere"),
	OP(LINK, .path = "a", .path2 = "b"),
	OP(LINK, .path = "c", .path2 = "d1/c"),
	OP(UNLINK, .path = "a"), OP(UNLINK, .path = "c"),
	OP(UNLINK, .path = "f"), OP(UNLINK, .path = "d0/c"),
	OP(RMDIR, .path = "d1"),
	OP(RENAME, .path = "a", .path2 = "b"),
	OP(RENAME, .path = "a", .path2 = "c"),
	OP(RENAME, .path = "c", .path2 = "f"),
	OP(RENAME, .path = "d0/a", .path2 = "a"),
	OP(RENAME, .path = "d0", .path2 = "d1"),
	OP(EXCHANGE, .path = "a", .path2 = "c"),
	OP(EXCHANGE, .path = "d0/a", .path2 = "d1"),
	OP(WRITE, .path = "a", AT(1000, 5000)),
	OP(WRITE, .path = "a", AT(BLOCK, 2 * BLOCK)),
	OP(WRITE, .path = "b", AT(0, 3000)),
	OP(WRITE, .path = "f", AT(3 * BLOCK, 3 * BLOCK)),
	OP(WRITE, .path = "d0/a", AT(BLOCK + 100, BLOCK)),
	OP(WRITE, .path = "c", AT(20 * BLOCK, 10)),
	OP(APPEND, .path = "a", .len = 6000), OP(APPEND, .path = "d0/a", .len = 10),
	OP(TRUNCATE, .path = "a", .pos = 0),
	OP(TRUNCATE, .path = "a", .pos = 3000),
	OP(TRUNCATE, .path = "a", .pos = 100000),
	OP(TRUNCATE, .path = "f", .pos = BLOCK),
	OP(TRUNCATE, .path = "f", .pos = 20 * BLOCK),
	OP(PUNCH, .path = "a", AT(BLOCK, 2 * BLOCK)),
	OP(PUNCH, .path = "f", AT(100, 11 * BLOCK)),
	OP(ZERO, .path = "a", AT(BLOCK / 2, 3 * BLOCK)),
	OP(PREALLOC, .path = "a", AT(4 * BLOCK, 8 * BLOCK)),
	OP(PREALLOC_KEEP, .path = "f", AT(0, 12 * BLOCK)),
	OP(SETXATTR, .path = "a", .num = 2, .len = 40),
	OP(SETXATTR, .path = "c", .num = 1, .len = 2900),
	OP(REMOVEXATTR, .path = "c", .num = 1),
	OP(CHMOD, .path = "a", .num = 0600),
	OP(FSYNC, .path = "a"), OP(FSYNC, .path = "d0"),
	OP(SYNC), OP(REMOUNT),
};
#define NLIST	ARRAY_SIZE(list)

/* What is behind every script, so that it is cut inside a commit, too. */
static const struct op behind = OP(SYNC);

static int run_script(struct search *s, const struct op *ops, unsigned int n)
{
	struct op script[4];

	memcpy(script, ops, n * sizeof(*ops));
	script[n] = behind;
	s->profile = &op_profile_mixed;
	s->script = script;
	s->nops = n + 1;
	s->setup = setup;
	s->nsetup = ARRAY_SIZE(setup);
	s->cut_extents = CUT_EXTENTS;
	s->plan = (struct states_plan){ .seeded = 1, .windows = true };
	return search_run(s);
}

/*
 * Number @n of all sequences of two, again and again in steps that visit each
 * once: a short run sees a sample of all and not the first operations only.
 */
static int run_pair(struct search *s, uint64_t n)
{
	const uint64_t step = 1009;	/* a prime above NLIST */
	const uint64_t pair = n * step % (NLIST * NLIST);
	const struct op ops[2] = { list[pair / NLIST], list[pair % NLIST] };

	s->depth = 2;
	s->nest_every = 40;
	return run_script(s, ops, 2);
}

static int run_triple(struct search *s)
{
	struct rng rng = { s->seed };
	struct op ops[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		ops[i] = list[rng_below(&rng, NLIST)];
	s->depth = 2;
	s->nest_every = 40;
	return run_script(s, ops, 3);
}

/* ----------------------------------------------------------------- recovery */

/* What leaves work for a mount, all the more while "a", "c" and "f" are open. */
static const struct op leaving[] = {
	OP(UNLINK, .path = "a"), OP(UNLINK, .path = "c"),
	OP(UNLINK, .path = "f"), OP(UNLINK, .path = "d0/c"),
	OP(RENAME, .path = "a", .path2 = "f"),
	OP(RENAME, .path = "d0/a", .path2 = "c"),
	OP(RENAME, .path = "f", .path2 = "a"),
	OP(TRUNCATE, .path = "f", .pos = BLOCK),
	OP(TRUNCATE, .path = "a", .pos = 0),
	OP(PUNCH, .path = "f", AT(100, 11 * BLOCK)),
	OP(ZERO, .path = "f", AT(BLOCK, 9 * BLOCK)),
	OP(WRITE, .path = "f", AT(3 * BLOCK, 3 * BLOCK)),
	OP(SYNC),
};

/* Crash while there is work left, recover, crash in the middle of that, three deep. */
static int run_recovery(struct search *s)
{
	struct rng rng = { s->seed };
	struct op ops[3];
	unsigned int i;

	for (i = 0; i < 3; i++)
		ops[i] = leaving[rng_below(&rng, ARRAY_SIZE(leaving))];
	s->hold[0] = "a";
	s->hold[1] = "c";
	s->hold[2] = "f";
	s->depth = 3;
	s->recover_every = 16;
	return run_script(s, ops, 3);
}

/* ---------------------------------------------------------------- long runs */

static const struct search scenes[] = {
	{ .profile = &op_profile_mixed, .nops = 40, .depth = 3,
	  .plan.seeded = 1, .nest_every = 60 },
	{ .profile = &op_profile_mixed, .nops = 40, .depth = 3, .copies = 2,
	  .plan.seeded = 1, .nest_every = 60 },
	{ .profile = &op_profile_mixed, .nops = 40, .depth = 2,
	  .blocksize = 16384, .bytes = 64 << 20, .plan.seeded = 1,
	  .nest_every = 60 },
	{ .profile = &op_profile_names, .nops = 300, .depth = 2, .cut_every = 6,
	  .plan.seeded = 1, .nest_every = 60 },
	{ .profile = &op_profile_data, .nops = 60, .depth = 3,
	  .plan.seeded = 1, .nest_every = 60 },
	{ .profile = &op_profile_intents, .nops = 300, .depth = 2,
	  .cut_every = 12, .plan.seeded = 1, .nest_every = 40 },
	{ .profile = &op_profile_full, .nops = 300, .depth = 2,
	  .cut_every = 24, .plan.seeded = 1, .nest_every = 40 },
	{ .profile = &op_profile_mixed, .nops = 40, .depth = 3, .copies = 2,
	  .keep = true, .hurt = true, .plan.seeded = 1, .nest_every = 60 },
};

static int run_scene(struct search *s, uint64_t n)
{
	const uint64_t seed = s->seed;

	*s = scenes[n % ARRAY_SIZE(scenes)];
	s->seed = seed;
	s->once = true;
	s->plan.windows = true;
	s->discard = seed & 4;
	return search_run(s);
}

/* -------------------------------------------------------------------- units */

/* The totals, in the order in which they are printed. */
enum { UNITS, OPERATIONS, ENOSPC_ANSWERS, RECOVERIES, REPAIRS, REPAIR_STATES,
       AGAIN, NESTED, STATES, VIOLATIONS, NTOTALS };

static const char *const total_names[NTOTALS] = {
	"units", "operations", "enospc", "recoveries", "repairs",
	"repair_states", "again", "nested", "crash_states", "violations",
};

struct asked {
	uint64_t states, seconds, seed, from, to;
	unsigned int jobs;
};

/* Of so many units: pairs, a triple, long runs, recoveries, repairs. */
#define KINDS	6

static int run_search(struct search *s, uint64_t round, unsigned int kind)
{
	switch (kind) {
	case 0:
	case 1:
		return run_pair(s, round * 2 + kind);
	case 2:
		return run_triple(s);
	case 3:
		return run_scene(s, round);
	default:
		return run_recovery(s);
	}
}

static int search_unit(uint64_t seed, uint64_t unit, uint64_t *total)
{
	struct search s = { .once = true, .seed = seed, .discard = unit & 4 };
	int ret = run_search(&s, unit / KINDS, unit % KINDS);

	total[OPERATIONS] += s.ops;
	total[ENOSPC_ANSWERS] += s.enospc;
	total[RECOVERIES] += s.recoveries;
	total[NESTED] += s.nested;
	total[AGAIN] += s.again;
	total[STATES] += s.states;
	total[VIOLATIONS] += s.violations + (ret && !s.violations);
	return ret;
}

static int repair_unit(uint64_t seed, uint64_t unit, uint64_t *total)
{
	struct repair_cuts rc = { .seed = seed, .number = unit / KINDS };
	int ret = repair_cuts_run(&rc);

	total[REPAIRS]++;
	total[REPAIR_STATES] += rc.states;
	total[AGAIN] += rc.again;
	total[STATES] += rc.states;
	total[VIOLATIONS] += ret != 0;
	return ret;
}

static void run_unit(const struct asked *a, uint64_t unit, uint64_t *total)
{
	const uint64_t seed = (a->seed << 32) + unit;
	int ret = unit % KINDS == KINDS - 1 ? repair_unit(seed, unit, total)
					    : search_unit(seed, unit, total);

	if (ret)
		fprintf(stderr, "replay: c_prove seed=%" PRIu64 " units=%" PRIu64 "-%" PRIu64 "\n",
			a->seed, unit, unit);
	total[UNITS]++;
}

/* What the jobs share: whoever is done with a unit takes the next. */
struct shared {
	uint64_t next, states, violations;	/* atomic */
};

static bool is_enough(const struct asked *a, const struct shared *sh,
		      time_t start)
{
	if (__atomic_load_n(&sh->violations, __ATOMIC_RELAXED))
		return true;
	if (a->states &&
	    __atomic_load_n(&sh->states, __ATOMIC_RELAXED) >= a->states)
		return true;
	return a->seconds && (uint64_t)(time(NULL) - start) >= a->seconds;
}

static void run_job(const struct asked *a, struct shared *sh, uint64_t *total)
{
	const time_t start = time(NULL);
	uint64_t unit, states;

	do {
		unit = __atomic_fetch_add(&sh->next, 1, __ATOMIC_RELAXED);
		if (unit > a->to)
			break;
		states = total[STATES];
		run_unit(a, unit, total);
		__atomic_fetch_add(&sh->states, total[STATES] - states,
				   __ATOMIC_RELAXED);
		__atomic_fetch_add(&sh->violations, total[VIOLATIONS],
				   __ATOMIC_RELAXED);
	} while (!is_enough(a, sh, start));
}

/* ---------------------------------------------------------------------- main */

static void complain(const char *word)
{
	fprintf(stderr, "c_prove: %s: states=N, seconds=N, seed=N, jobs=N or units=FROM-TO wanted\n",
		word);
	exit(99);
}

static void parse(struct asked *a, const char *word)
{
	char *end = NULL;

	if (!strncmp(word, "states=", 7))
		a->states = strtoull(word + 7, &end, 10);
	else if (!strncmp(word, "seconds=", 8))
		a->seconds = strtoull(word + 8, &end, 10);
	else if (!strncmp(word, "seed=", 5))
		a->seed = strtoull(word + 5, &end, 10);
	else if (!strncmp(word, "jobs=", 5))
		a->jobs = (unsigned int)strtoul(word + 5, &end, 10);
	else if (!strncmp(word, "units=", 6))
		a->from = strtoull(word + 6, &end, 10);
	if (end && *end == '-' && !strncmp(word, "units=", 6))
		a->to = strtoull(end + 1, &end, 10);
	if (!end || *end || !a->jobs || a->jobs > JOBS_MAX)
		complain(word);
}

static pid_t start_job(const struct asked *a, struct shared *sh, int *from)
{
	uint64_t total[NTOTALS] = { 0 };
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		exit(99);
	pid = fork();
	if (pid < 0)
		exit(99);
	if (!pid) {
		run_job(a, sh, total);
		_exit(write(fds[1], total, sizeof(total)) != sizeof(total));
	}
	close(fds[1]);
	*from = fds[0];
	return pid;
}

/* A job that died has found something, too. */
static void end_job(const struct asked *a, pid_t pid, int from, uint64_t *total)
{
	uint64_t part[NTOTALS];
	int i, status;

	if (read(from, part, sizeof(part)) == sizeof(part)) {
		for (i = 0; i < NTOTALS; i++)
			total[i] += part[i];
	} else {
		total[VIOLATIONS]++;
		fprintf(stderr, "c_prove: a job died; seed=%" PRIu64 "\n",
			a->seed);
	}
	close(from);
	waitpid(pid, &status, 0);
}

int main(int argc, char **argv)
{
	struct asked a = {
		.states = 3000, .seed = 1, .to = UINT64_MAX,
		.jobs = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN),
	};
	uint64_t total[NTOTALS] = { 0 };
	struct shared *sh;
	pid_t pid[JOBS_MAX];
	int from[JOBS_MAX], i;
	unsigned int job;

	if (a.jobs > JOBS_MAX)
		a.jobs = JOBS_MAX;
	for (i = 1; i < argc; i++)
		parse(&a, argv[i]);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		exit(99);
	sh->next = a.from;
	for (job = 0; job < a.jobs; job++)
		pid[job] = start_job(&a, sh, &from[job]);
	for (job = 0; job < a.jobs; job++)
		end_job(&a, pid[job], from[job], total);
	for (i = 0; i < NTOTALS; i++)
		printf("%s=%" PRIu64 "%c", total_names[i], total[i],
		       i == NTOTALS - 1 ? '\n' : ' ');
	return total[VIOLATIONS] || !total[STATES];
}
