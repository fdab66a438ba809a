/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See prune.h. */
#include "fuse/prune.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "fuse/server.h"

#define INODE_BYTES	1024u		/* with what the allocator adds, and its hash */
#define CHUNK		512u		/* inodes in one notification */

/* What an asked kernel has to send first, and how long it gets for that. */
#define ROUND_NSEC	50000000
#define REST_MAX_SECS	31u

/* Down to seven eighths, so that not every new inode sends another away. */
static uint64_t too_many(const struct owfs_prune *p, const struct owfs_fs *fs)
{
	uint64_t n = owfs_itable_remembered(fs);

	return n > p->limit ? n - p->limit / 8 * 7 : 0;
}

/* Choose, with the filesystem held; the numbers are the caller's to free. */
static size_t choose(struct server *srv, owfs_ino_t **ino)
{
	size_t n = 0;

	*ino = NULL;
	if (server_enter(srv))
		return 0;
	n = too_many(&srv->prune, srv->fs);
	if (n)
		*ino = malloc(n * sizeof(**ino));
	n = *ino ? owfs_itable_cold(srv->fs, *ino, n) : 0;
	server_leave(srv);
	return n;
}

/* False: it makes no sense to go on. */
static bool send_away(struct server *srv, const owfs_ino_t *ino, size_t n)
{
	size_t i, part;
	int ret = 0;

	for (i = 0; i < n && !ret; i += part) {
		part = min_u64(n - i, CHUNK);
		ret = server_enter(srv);
		if (ret)
			return false;
		ret = owfs_session_prune(&srv->session, ino + i, part);
		server_leave(srv);
	}
	return !ret;
}

/* How many inodes the kernel has let go of so far; false: the filesystem is gone. */
static bool forgotten(struct server *srv, uint64_t *n)
{
	if (server_enter(srv))
		return false;
	*n = owfs_itable_forgotten(srv->fs);
	server_leave(srv);
	return true;
}

/*
 * The first look at the table clears who was asked for; the next finds the cold
 * ones.  What the kernel is using stays.  True: it let go of some.
 */
static bool prune(struct server *srv)
{
	const struct timespec moment = { .tv_nsec = ROUND_NSEC };
	uint64_t before, now;
	owfs_ino_t *ino;
	unsigned int idle;
	bool helped = false;
	size_t n;

	if (!forgotten(srv, &before))
		return false;
	for (idle = 0; idle < 2; before = now) {
		n = choose(srv, &ino);
		if (!send_away(srv, ino, n) ||
		    __atomic_load_n(&srv->prune.stop, __ATOMIC_ACQUIRE))
			idle = 2;
		free(ino);
		if (n)
			nanosleep(&moment, NULL);
		if (!forgotten(srv, &now))
			break;
		idle = n && now != before ? 0 : idle + 1;
		helped |= n && now != before;
	}
#ifdef __GLIBC__
	/* what a burst of lookups took is the machine's again */
	malloc_trim(0);
#endif
	return helped;
}

/* If the kernel cannot help, ask it less and less often.  Ends early to stop. */
static void rest(struct owfs_prune *p, bool helped)
{
	struct timespec until;

	p->rest_secs = helped ? 0 : min_u64(2 * p->rest_secs + 1, REST_MAX_SECS);
	if (!p->rest_secs)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += (time_t)p->rest_secs;
	while (sem_timedwait(&p->wanted, &until) && errno == EINTR)
		;
}

static void *prune_thread(void *arg)
{
	struct server *srv = arg;
	struct owfs_prune *p = &srv->prune;

	for (;;) {
		while (sem_wait(&p->wanted) && errno == EINTR)
			;
		if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
			return NULL;
		rest(p, prune(srv));
		if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE))
			return NULL;
		__atomic_store_n(&p->asked, false, __ATOMIC_RELEASE);
	}
}

void owfs_prune_look(struct server *srv)
{
	struct owfs_prune *p = &srv->prune;

	if (!p->running || owfs_itable_remembered(srv->fs) <= p->limit ||
	    __atomic_exchange_n(&p->asked, true, __ATOMIC_ACQ_REL))
		return;
	sem_post(&p->wanted);
}

void owfs_prune_start(struct server *srv)
{
	struct owfs_prune *p = &srv->prune;
	size_t cache = srv->opts->cache ? srv->opts->cache : OWFS_CACHE_DEFAULT;

	p->limit = cache / INODE_BYTES;
	sem_init(&p->wanted, 0, 0);
	p->running = !pthread_create(&p->thread, NULL, prune_thread, srv);
	if (!p->running)
		sem_destroy(&p->wanted);
}

void owfs_prune_stop(struct server *srv)
{
	struct owfs_prune *p = &srv->prune;

	if (!p->running)
		return;
	__atomic_store_n(&p->stop, true, __ATOMIC_RELEASE);
	sem_post(&p->wanted);
	pthread_join(p->thread, NULL);
	sem_destroy(&p->wanted);
	p->running = false;
}
