/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A begin that has to wait for a direct write, whose ioend comes at the moment
 * that matters: just before the begin is put aside, and just after.  The other
 * thread is a call from inside the lock's, which is what a scheduler may do.
 */
#include "golden.h"

#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#define IOEND	4093u
#define BEGIN	4094u

static void (*before_lock)(void), (*after_unlock)(void);

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __real_pthread_mutex_unlock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock);

static void once(void (**deed)(void), const pthread_mutex_t *lock)
{
	void (*now)(void) = *deed;

	if (!now || lock != &k.srv.park_lock)
		return;
	*deed = NULL;
	now();
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
	once(&before_lock, lock);
	return __real_pthread_mutex_lock(lock);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *lock)
{
	int ret = __real_pthread_mutex_unlock(lock);

	once(&after_unlock, lock);
	return ret;
}

/* ---------------------------------------------------------------- requests */

enum { BEGIN_F = 1, IOEND_F, BEGIN_G, IOEND_G, NREQS };

static struct kfile *f, *g;
static unsigned int answers[NREQS];

/* Served before it returns, maybe inside the serving of another. */
static void ask(unsigned int which, uint32_t opcode, const struct kfile *about,
		const void *in, size_t len)
{
	struct fuse_in_header h = {
		.len = (uint32_t)(sizeof(h) + len), .opcode = opcode,
		.unique = 1000 + 2 * which, .nodeid = about->nodeid,
	};
	struct iovec iov[2] = {
		{ &h, sizeof(h) }, { (void *)(uintptr_t)in, len },
	};
	struct fuse_buf own = { .mem = NULL };

	assert_int_equal(writev(k.sock[0], iov, 2), (ssize_t)h.len);
	assert_true(fuse_session_receive_buf(k.srv.session.se, &own) > 0);
	fuse_session_process_buf(k.srv.session.se, &own);
	free(own.mem);
}

static void ask_begin(unsigned int which, const struct kfile *about)
{
	const struct { uint32_t opflags, zero; uint64_t ino, pos, count; } in = {
		KM_WRITE, 0, about->nodeid, 1024, 512,
	};

	ask(which, BEGIN, about, &in, sizeof(in));
}

static void ask_ioend(unsigned int which, const struct kfile *about)
{
	const struct {
		uint32_t flags;
		int32_t error;
		uint64_t ino, pos, new_addr, written;
		uint32_t dev, zero;
	} in = {
		.flags = 1u << 1 | 1u << 3, .ino = about->nodeid,
		.new_addr = FUSE_IOMAP_NULL_ADDR, .written = 512,
	};

	ask(which, IOEND, about, &in, sizeof(in));
}

static void count_answers(void)
{
	struct { struct fuse_out_header h; char body[200]; } msg;

	while (recv(k.sock[0], &msg, sizeof(msg), MSG_DONTWAIT) > 0) {
		assert_in_range(msg.h.unique, 1000, 1000 + 2 * NREQS - 1);
		assert_int_equal(msg.h.error, 0);
		answers[(msg.h.unique - 1000) / 2]++;
	}
}

/* A file with a direct write of its first sector under way. */
static struct kfile *written_directly(const char *name)
{
	struct kfile *new = kmodel_create(&k, name);
	struct fuse_file_iomap rd, wr;

	assert_int_equal(kmodel_begin(&k, new, KM_DIO_WRITE, 0, 512, &rd, &wr),
			 0);
	return new;
}

static void start(void)
{
	memset(answers, 0, sizeof(answers));
	f = written_directly("f");
	g = written_directly("g");
}

/* ------------------------------------------------------------------- tests */

static void land_f(void)
{
	ask_ioend(IOEND_F, f);
}

static void test_the_write_ends_before_its_begin_is_put_aside(void **state)
{
	(void)state;
	start();
	before_lock = land_f;
	ask_begin(BEGIN_F, f);
	assert_null(before_lock);
	count_answers();
	assert_int_equal(answers[IOEND_F], 1);
	assert_int_equal(answers[BEGIN_F], 1);
	ask_ioend(IOEND_G, g);
	count_answers();
	fine();
}

/* The memory of who was put aside serves another begin by now. */
static void land_f_and_begin_g(void)
{
	ask_ioend(IOEND_F, f);
	ask_begin(BEGIN_G, g);
}

static void test_the_write_ends_when_its_begin_has_been_put_aside(void **state)
{
	(void)state;
	start();
	after_unlock = land_f_and_begin_g;
	ask_begin(BEGIN_F, f);
	assert_null(after_unlock);
	count_answers();
	assert_int_equal(answers[IOEND_F], 1);
	assert_int_equal(answers[BEGIN_F], 1);
	assert_int_equal(answers[BEGIN_G], 0);
	ask_ioend(IOEND_G, g);
	count_answers();
	assert_int_equal(answers[BEGIN_F], 1);
	assert_int_equal(answers[IOEND_G], 1);
	assert_int_equal(answers[BEGIN_G], 1);
	fine();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_the_write_ends_before_its_begin_is_put_aside),
		T(test_the_write_ends_when_its_begin_has_been_put_aside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
