/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bars, lines, and the wish to stop. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "progress.h"

#define BAR_WIDTH	50

/* Where each pass begins, in permille: reading the tree is nearly all of it. */
static const int pass_start[OWFS_CHECK_PASSES + 2] = {
	0, 0, 10, 900, 905, 930, 1000 };

/* A signal handler has nothing else to write to. */
static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	(void)sig;
	interrupted = 1;
}

void progress_catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

bool progress_interrupted(void)
{
	return interrupted;
}

static int permille(unsigned int pass, uint64_t done, uint64_t total)
{
	int width = pass_start[pass + 1] - pass_start[pass];

	if (done > total)
		done = total;
	if (!total)
		return pass_start[pass];
	return pass_start[pass] + (int)((double)done / (double)total * width);
}

static void draw(struct progress *p, int at)
{
	char bar[BAR_WIDTH + 1];
	int full = at * BAR_WIDTH / 1000;

	memset(bar, '=', (size_t)full);
	memset(bar + full, ' ', (size_t)(BAR_WIDTH - full));
	bar[BAR_WIDTH] = '\0';
	printf("\r%s: |%s| %3d.%d%% ", p->device, bar, at / 10, at % 10);
	fflush(stdout);
	p->drawn = true;
}

void progress_clear(struct progress *p)
{
	if (!p->drawn)
		return;
	printf("\r%*s\r", (int)strlen(p->device) + BAR_WIDTH + 14, "");
	fflush(stdout);
	p->drawn = false;
}

int progress_step(void *ctx, unsigned int pass, uint64_t done, uint64_t total)
{
	struct progress *p = ctx;
	int at = permille(pass, done, total);

	if (interrupted)
		return 1;
	if (at == p->shown)
		return 0;
	p->shown = at;
	if (p->bar)
		draw(p, at);
	if (p->fd >= 0)
		dprintf(p->fd, "%u %llu %llu %s\n", pass,
			(unsigned long long)done, (unsigned long long)total,
			p->device);
	return 0;
}
