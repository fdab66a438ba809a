/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The small crash search: fixed seeds by default, which is what make check
 * runs; otherwise
 *
 *	c_search SECONDS FILE		go on with the seeds where FILE says, for
 *					so long, and add to the totals there
 *	c_search seed SEED [NAME]	one seed, in all scenes or the one named
 *
 * A violation's last line is the command that replays it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rcu.h"
#include "base/util.h"
#include "search.h"

static const struct scene {
	const char *name;
	struct search s;
	unsigned int seeds;		/* by default */
} scenes[] = {
	{ "mixed", { .profile = &op_profile_mixed, .nops = 120, .depth = 3,
		     .plan.seeded = 2, .nest_every = 100 }, 8 },
	{ "mixed-dup", { .profile = &op_profile_mixed, .nops = 100, .depth = 3,
			 .copies = 2, .plan.seeded = 2, .nest_every = 100 }, 3 },
	{ "mixed-16k", { .profile = &op_profile_mixed, .nops = 100, .depth = 2,
			 .blocksize = 16384, .bytes = 64 << 20, .plan.seeded = 1,
			 .nest_every = 100 }, 2 },
	{ "names", { .profile = &op_profile_names, .nops = 400, .depth = 2,
		     .cut_every = 3, .plan.seeded = 1, .nest_every = 100 }, 2 },
	{ "data", { .profile = &op_profile_data, .nops = 120, .depth = 3,
		    .plan.seeded = 2, .nest_every = 100 }, 8 },
	{ "intents", { .profile = &op_profile_intents, .nops = 500, .depth = 2,
		       .cut_every = 6, .plan.seeded = 1, .nest_every = 60 }, 2 },
	{ "keep", { .profile = &op_profile_mixed, .nops = 200, .depth = 2,
		    .keep = true, .discard = true, .plan.seeded = 1,
		    .nest_every = 100 }, 8 },
	{ "keep-names", { .profile = &op_profile_names, .nops = 500,
			  .depth = 1, .keep = true, .discard = true,
			  .cut_every = 4, .plan.seeded = 1 }, 3 },
	{ "keep-full", { .profile = &op_profile_full, .nops = 600, .depth = 1,
			 .keep = true, .cut_every = 48, .plan.seeded = 1 }, 1 },
	{ "mend", { .profile = &op_profile_mixed, .nops = 60, .depth = 3,
		    .copies = 2, .keep = true, .hurt = true,
		    .plan.seeded = 2, .nest_every = 20 }, 8 },
	{ "mend-names", { .profile = &op_profile_names, .nops = 150,
			  .depth = 3, .copies = 2, .keep = true, .hurt = true,
			  .plan.seeded = 1, .cut_every = 3, .nest_every = 10 },
	  3 },
	{ "full", { .profile = &op_profile_full, .nops = 500, .depth = 2,
		    .cut_every = 12, .plan.seeded = 1, .nest_every = 60 }, 1 },
};

/* What came of it, in the order in which it is printed and kept. */
enum { RUNS, SECONDS, OPERATIONS, ENOSPC_ANSWERS, KEPT, GIVEN_UP, MENDED, NESTED,
       STATES, VIOLATIONS, NEXT_SEED, NTOTALS };

static const char *const total_names[NTOTALS] = {
	"runs", "seconds", "operations", "enospc", "kept_checked", "given_up",
	"mended", "nested", "crash_states",
	"violations", "next_seed",
};

static uint64_t total[NTOTALS];

static int run_scene(const struct scene *sc, uint64_t seed)
{
	struct search s = sc->s;
	int ret;

	s.seed = seed;
	ret = search_run(&s);
	total[RUNS]++;
	total[OPERATIONS] += s.ops;
	total[ENOSPC_ANSWERS] += s.enospc;
	total[KEPT] += s.kept;
	total[GIVEN_UP] += s.given_up;
	total[MENDED] += s.mended;
	total[NESTED] += s.nested;
	total[STATES] += s.states;
	total[VIOLATIONS] += s.violations;
	if (ret)
		fprintf(stderr, "replay: c_search seed %" PRIu64 " %s\n", seed,
			sc->name);
	return ret;
}

/*
 * With one thread there is nothing for ThreadSanitizer to see, and mapping and
 * unmapping memory all the time is what AddressSanitizer is slowest at.
 */
#if defined(OWFS_TSAN) || defined(__SANITIZE_ADDRESS__)
#define MAX_SEEDS	1
#else
#define MAX_SEEDS	100
#endif

static void run_fixed(void)
{
	size_t i;
	uint64_t seed;

	for (i = 0; i < ARRAY_SIZE(scenes); i++)
		for (seed = 1; seed <= scenes[i].seeds && seed <= MAX_SEEDS;
		     seed++)
			run_scene(&scenes[i], seed);
}

static void run_seed(uint64_t seed, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenes); i++)
		if (!name || !strcmp(name, scenes[i].name))
			run_scene(&scenes[i], seed);
}

static void totals_load(const char *file)
{
	FILE *f = fopen(file, "r");
	char name[40];
	uint64_t v;
	int i;

	total[NEXT_SEED] = 1000;
	while (f && fscanf(f, "%39[^=]=%" SCNu64 "\n", name, &v) == 2)
		for (i = 0; i < NTOTALS; i++)
			if (!strcmp(name, total_names[i]))
				total[i] = v;
	if (f)
		fclose(f);
}

static void totals_print(FILE *f, char sep)
{
	int i;

	for (i = 0; i < NTOTALS; i++)
		fprintf(f, "%s=%" PRIu64 "%c", total_names[i], total[i],
			i == NTOTALS - 1 ? '\n' : sep);
}

/* Replaced whole, so that a sitting that is killed loses one seed at most. */
static void totals_save(const char *file)
{
	char new[4096];
	FILE *f;

	snprintf(new, sizeof(new), "%s.new", file);
	f = fopen(new, "w");
	if (!f) {
		perror(new);
		exit(99);
	}
	totals_print(f, '\n');
	if (fclose(f) || rename(new, file)) {
		perror(file);
		exit(99);
	}
}

static void run_long(time_t seconds, const char *file)
{
	time_t start = time(NULL), now = start, last = start;

	totals_load(file);
	while (now < start + seconds && !total[VIOLATIONS]) {
		run_seed(total[NEXT_SEED], NULL);
		total[NEXT_SEED]++;
		now = time(NULL);
		total[SECONDS] += (uint64_t)(now - last);
		last = now;
		totals_save(file);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "seed"))
		run_seed(strtoull(argv[2], NULL, 0), argc > 3 ? argv[3] : NULL);
	else if (argc > 2)
		run_long(atol(argv[1]), argv[2]);
	else
		run_fixed();
	totals_print(stdout, ' ');
	return total[VIOLATIONS] || !total[STATES];
}
