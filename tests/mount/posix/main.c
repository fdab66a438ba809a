/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cases [-a] [-p PART/PARTS] DIRECTORY [SECTION...]	the cases, as text
 * cases [-a] -r SEED [-n STEPS] DIRECTORY		a long random script
 *
 * -a shows times of access, too; -p a part of the cases.  Root only.
 */
#include "posix.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCH	128u		/* cases that wait for a tick together */

struct one_case {
	char *setup, *script;
	char failed[128];
	int top;
	struct snap before;
};

static struct {
	char **text;
	size_t n, room;
} table;

static unsigned int part, parts = 1;
static bool atimes;
static struct one_case batch[BATCH];
static struct run run;
static const char *running = "nothing";

void add(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		die("no memory");
	va_end(ap);
	if (table.n == table.room) {
		table.room = table.room ? 2 * table.room : 1024;
		table.text = realloc(table.text,
				     table.room * sizeof(*table.text));
		if (!table.text)
			die("no memory");
	}
	table.text[table.n++] = text;
}

/* ------------------------------------------------------------------ signals */

static void on_fault(int sig)
{
	if (fault_expected) {
		fault_expected = 0;
		siglongjmp(fault_jump, 1);
	}
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_alarm(int sig)
{
	(void)sig;
	die("hangs: %s", running);
}

static void set_signals(void)
{
	signal(SIGBUS, on_fault);
	signal(SIGSEGV, on_fault);
	signal(SIGALRM, on_alarm);
	/* the limit on sizes, leases and pipes shall show as errors */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGIO, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

/* ------------------------------------------------------------------- a batch */

static void split(struct one_case *c, const char *text)
{
	const char *mark = strchr(text, '!');

	if (!mark)
		die("no \"!\": %s", text);
	c->setup = strndup(text, mark - text);
	c->script = strdup(mark + 1);
}

static bool has_xattrs(const struct one_case *c)
{
	return strstr(c->setup, "xattr") || strstr(c->script, "xattr");
}

static void prepare(struct one_case *c, int dir, size_t number)
{
	const char *failed;
	char name[32];

	snprintf(name, sizeof(name), "%zu", number);
	if (mkdirat(dir, name, 0755))
		die("mkdir %s: %s", name, strerror(errno));
	c->top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->top < 0)
		die("open %s: %s", name, strerror(errno));
	running = c->setup;
	run_begin(&run, c->top);
	failed = script_run(&run, c->setup, false);
	snprintf(c->failed, sizeof(c->failed), "%s", failed ? failed : "");
	if (fchdir(c->top))
		die("fchdir: %s", strerror(errno));
	state_age();
	state_take(&c->before, has_xattrs(c));
}

static void perform(struct one_case *c, const struct timespec *since)
{
	static struct snap after;

	running = c->script;
	print_name(c->setup);
	printf("!");
	print_name(c->script);
	printf(" =>");
	if (c->failed[0])
		printf(" SETUP FAILED %s", c->failed);
	run_begin(&run, c->top);
	script_run(&run, c->script, true);
	become("root");
	umask(0);
	if (fchdir(c->top))
		die("fchdir: %s", strerror(errno));
	state_take(&after, has_xattrs(c));
	state_print(&c->before, &after, since, atimes);
	printf("\n");
	run_end(&run);
	if (fflush(stdout))	/* not under the script's limits */
		die("output: %s", strerror(errno));
	state_drop(&after);
	state_drop(&c->before);
	close(c->top);
	free(c->setup);
	free(c->script);
}

static void run_batch(int dir, size_t first, size_t n)
{
	struct timespec since;
	size_t i;

	for (i = 0; i < n; i++) {
		split(&batch[i], table.text[first + i]);
		prepare(&batch[i], dir, first + i);
	}
	wait_for_tick(&since);
	alarm(60);
	for (i = 0; i < n; i++)
		perform(&batch[i], &since);
	alarm(0);
}

static void run_table(int dir)
{
	size_t i, n, kept = 0;

	for (i = 0; i < table.n; i++)
		if (i % parts == part)
			table.text[kept++] = table.text[i];
	for (i = 0; i < kept; i += n) {
		n = kept - i < BATCH ? kept - i : BATCH;
		run_batch(dir, i, n);
	}
	fprintf(stderr, "%zu cases\n", kept);
}

/* ---------------------------------------------------------------- what to do */

static const struct section *const floors[] = {
	sections_name, sections_perm, sections_file, sections_more,
};

static bool is_wanted(const char *name, char **names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return n == 0;
}

static void run_sections(int dir, char **names, int n)
{
	const struct section *s;
	size_t f;

	for (f = 0; f < ARRAY_SIZE(floors); f++)
		for (s = floors[f]; s->name; s++)
			if (is_wanted(s->name, names, n))
				s->fill();
	run_table(dir);
}

static void run_random(int dir, unsigned long seed, unsigned int steps)
{
	running = "a random script";
	run_begin(&run, dir);
	random_run(&run, seed, steps, atimes);
	run_end(&run);
}

int main(int argc, char **argv)
{
	unsigned long seed = 0;
	unsigned int steps = 2000;
	bool random = false;
	int opt, dir;

	while ((opt = getopt(argc, argv, "ap:r:n:")) != -1)
		switch (opt) {
		case 'a':
			atimes = true;
			break;
		case 'p':
			if (sscanf(optarg, "%u/%u", &part, &parts) != 2 ||
			    !parts)
				die("-p PART/PARTS");
			break;
		case 'r':
			random = true;
			seed = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			steps = strtoul(optarg, NULL, 10);
			break;
		default:
			die("see the top of main.c");
		}
	if (optind >= argc || geteuid())
		die("cases DIRECTORY, as root");
	dir = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die("%s: %s", argv[optind], strerror(errno));
	set_signals();
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	if (random)
		run_random(dir, seed, steps);
	else
		run_sections(dir, argv + optind + 1, argc - optind - 1);
	return 0;
}
