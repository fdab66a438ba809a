/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line of owfs-fuse and of the helper of mount(8). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/util.h"
#include "fuse/opts.h"

static char dir[] = "/tmp/owfs-opts.XXXXXX";
static char image[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(image, sizeof(image), "%s/image", dir);
	fd = open(image, O_CREAT | O_RDWR, 0600);
	close(fd);
	return fd < 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(image);
	return rmdir(dir);
}

#define ARGS_MAX 16

/* "owfs-fuse -o ro IMAGE DIR": the words in capitals are filled in. */
static int parse(struct owfs_opts *o, const char *line)
{
	char *words = strdup(line), *argv[ARGS_MAX + 1], *save, *w;
	int argc = 0, ret;

	assert_non_null(words);
	for (w = strtok_r(words, " ", &save); w && argc < ARGS_MAX;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = !strcmp(w, "IMAGE") ? image :
			       !strcmp(w, "DIR") ? dir : w;
	argv[argc] = NULL;
	ret = owfs_opts_parse(o, argc, argv);
	free(words);
	return ret;
}

static void accept(struct owfs_opts *o, const char *line)
{
	if (parse(o, line))
		fail_msg("refused: %s", line);
}

static void refuse(const char *line)
{
	struct owfs_opts o;

	if (parse(&o, line) >= 0)
		fail_msg("accepted: %s", line);
}

static void test_plain_call_has_defaults(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse IMAGE DIR");
	assert_string_equal(o.device, image);
	assert_string_equal(o.mountpoint, dir);
	assert_false(o.foreground || o.debug || o.readonly || o.discard ||
		     o.helper || o.plain || o.shutdown_on_error);
	assert_int_equal(o.commit_secs, 0);
	assert_int_equal(o.cache, 0);
	assert_string_equal(o.kernel, "");
}

static void test_own_options_are_understood(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse -f -o ro,commit=7,errors=shutdown -o discard,cache=64M,iomap=off IMAGE DIR");
	assert_true(o.foreground && o.readonly && o.discard);
	assert_true(o.shutdown_on_error);
	assert_int_equal(o.commit_secs, 7);
	assert_int_equal(o.cache, 64u << 20);
	assert_int_equal(o.iomap, OWFS_IOMAP_OFF);
	accept(&o, "owfs-fuse -o ro,rw,cache=2g IMAGE DIR");
	assert_false(o.readonly);
	assert_int_equal(o.cache, 2ull << 30);
	assert_false(o.writeback);
	accept(&o, "owfs-fuse -o nowriteback,writeback IMAGE DIR");
	assert_true(o.writeback);
	accept(&o, "owfs-fuse -d IMAGE DIR");
	assert_true(o.debug && o.foreground);
}

static void test_letters_of_the_command_line(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse -r IMAGE DIR");
	assert_true(o.readonly);
	accept(&o, "owfs-fuse -r -w IMAGE DIR");
	assert_false(o.readonly);
	assert_true(o.insist_rw);
	accept(&o, "owfs-fuse -d IMAGE DIR");
	assert_true(o.debug && o.foreground);
	accept(&o, "mount.owfs IMAGE DIR -f -v");
	assert_true(o.helper && o.fake && o.verbose && !o.foreground);
	/* both print and are done, whatever else is there */
	assert_int_equal(parse(&o, "owfs-fuse -V"), 1);
	assert_int_equal(parse(&o, "owfs-fuse --version"), 1);
	assert_int_equal(parse(&o, "owfs-fuse --help"), 1);
	refuse("owfs-fuse --halp");
	assert_int_equal(parse(&o, "owfs-fuse -h nonsense"), 1);
	assert_int_equal(parse(&o, "mount.owfs -h"), 1);
	refuse("owfs-fuse -N 1 IMAGE DIR");
	refuse("mount.owfs IMAGE DIR -N /nonexistent");
	refuse("mount.owfs IMAGE DIR -N 4294967296");
}

static void test_numbers_have_their_limits(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse -o threads=1,spin=0 IMAGE DIR");
	assert_int_equal(o.threads, 1);
	assert_int_equal(o.spin_us, 0);
	accept(&o, "owfs-fuse -o threads=128 IMAGE DIR");
	assert_int_equal(o.threads, 128);
	accept(&o, "owfs-fuse -o iomap=on IMAGE DIR");
	assert_int_equal(o.iomap, OWFS_IOMAP_ON);
	accept(&o, "owfs-fuse -o iomap=on,iomap=auto IMAGE DIR");
	assert_int_equal(o.iomap, OWFS_IOMAP_AUTO);
	refuse("owfs-fuse -o threads=0 IMAGE DIR");
	refuse("owfs-fuse -o threads=129 IMAGE DIR");
	refuse("owfs-fuse -o threads=-1 IMAGE DIR");
	refuse("owfs-fuse -o spin=x IMAGE DIR");
	refuse("owfs-fuse -o commit=3601 IMAGE DIR");
}

static void test_access_times_have_words(void **state)
{
	static const struct { const char *line; enum owfs_atime atime; } words[] = {
		{ "owfs-fuse IMAGE DIR", OWFS_ATIME_RELATIVE },
		{ "owfs-fuse -o noatime IMAGE DIR", OWFS_ATIME_NEVER },
		{ "owfs-fuse -o strictatime IMAGE DIR", OWFS_ATIME_ALWAYS },
		{ "owfs-fuse -o noatime,relatime IMAGE DIR", OWFS_ATIME_RELATIVE },
		{ "owfs-fuse -o relatime,noatime IMAGE DIR", OWFS_ATIME_NEVER },
		{ "owfs-fuse -o strictatime,atime IMAGE DIR", OWFS_ATIME_RELATIVE },
		{ "owfs-fuse -o lazytime,norelatime IMAGE DIR", OWFS_ATIME_RELATIVE },
	};
	struct owfs_opts o;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		accept(&o, words[i].line);
		assert_int_equal(o.atime, words[i].atime);
		assert_false(o.nodiratime);
	}
	accept(&o, "owfs-fuse -o nodiratime IMAGE DIR");
	assert_true(o.nodiratime);
	assert_string_equal(o.kernel, "");	/* libfuse does not know it */
	accept(&o, "owfs-fuse -o nodiratime,diratime IMAGE DIR");
	assert_false(o.nodiratime);
}

static void test_window_takes_sizes(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse -o offset=1M,sizelimit=20m IMAGE DIR");
	assert_int_equal(o.window.offset, 1 << 20);
	assert_int_equal(o.window.limit, 20 << 20);
	accept(&o, "owfs-fuse -o offset=512 IMAGE DIR");
	assert_int_equal(o.window.offset, 512);
	assert_int_equal(o.window.limit, 0);
}

/* What the program prints for @line on stderr, in a pipe's worth of memory. */
static const char *complaint(const char *line)
{
	static char text[512];
	int old = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	assert_int_equal(pipe(fds), 0);
	fflush(stderr);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	refuse(line);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void test_other_owners(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse IMAGE DIR");
	assert_false(o.uid_given || o.gid_given);
	accept(&o, "owfs-fuse -o uid=12,gid=34 IMAGE DIR");
	assert_true(o.uid_given && o.gid_given);
	assert_int_equal(o.uid, 12);
	assert_int_equal(o.gid, 34);
	accept(&o, "owfs-fuse -o uid=root IMAGE DIR");
	assert_true(o.uid_given && !o.gid_given);
	assert_int_equal(o.uid, 0);
}

static void test_near_misses_get_a_hint(void **state)
{
	static const struct { const char *word, *meant; } tries[] = {
		{ "commits=5", "'commit'" }, { "nosiud", "'nosuid'" },
		{ "no_exec", "'noexec'" }, { "alow_other", "'allow_other'" },
		{ "ofset=1M", "'offset'" }, { "or", "'ro'" },
		{ "size_limit=1M", "'sizelimit'" },
	};
	char line[80];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
		snprintf(line, sizeof(line), "owfs-fuse -o %s IMAGE DIR",
			 tries[i].word);
		if (!strstr(complaint(line), tries[i].meant))
			fail_msg("%s: no hint at %s", line, tries[i].meant);
	}
	assert_null(strstr(complaint("owfs-fuse -o quota IMAGE DIR"), "meant"));
}

static void test_kernel_options_go_to_the_mount(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "owfs-fuse -o nosuid,ro,nodev,noexec IMAGE DIR");
	assert_string_equal(o.kernel, "nosuid,nodev,noexec");
	assert_false(o.sync || o.dirsync);
	accept(&o, "owfs-fuse -o sync,dirsync IMAGE DIR");
	assert_string_equal(o.kernel, "sync,dirsync");
	assert_true(o.sync && o.dirsync);
	accept(&o, "owfs-fuse -o sync,async IMAGE DIR");
	assert_false(o.sync || o.dirsync);
}

static void test_helper_understands_fstab(void **state)
{
	struct owfs_opts o;

	(void)state;
	accept(&o, "/sbin/mount.owfs IMAGE DIR -n -v -o rw,defaults,nofail,noauto,users,_netdev,x-systemd.automount,X-a=b,comment=c,nodev");
	assert_true(o.helper && o.verbose);
	accept(&o, "mount.owfs IMAGE DIR -o rw,auto,user,owner,group,_netdev,x-systemd.requires=a.service,x-systemd.mount-timeout=5,X-mount.owner=me,x-initrd.mount,comment=systemd.automount,user=someone,uhelper=udisks2,helper=other,loop=/dev/loop7,relatime,norelatime,strictatime,lazytime,diratime,mand,nomand,silent,loud,iversion,default_permissions,nouser,nousers,noowner,nogroup");
	assert_string_equal(o.kernel, "");
	accept(&o, "mount.owfs IMAGE DIR -o remount,ro,context=system_u:object_r:mnt_t");
	assert_true(o.remount && o.readonly);
	assert_string_equal(o.kernel, "context=system_u:object_r:mnt_t");
	accept(&o, "/sbin/mount.owfs IMAGE DIR -n -v -o rw,defaults,nofail,noauto,users,_netdev,x-systemd.automount,X-a=b,comment=c,nodev");
	assert_false(o.foreground);
	assert_string_equal(o.kernel, "nodev");
	accept(&o, "mount.fuseblk.owfs IMAGE DIR -o rw,noatime,remount,user_id=0,group_id=0,default_permissions,allow_other,blksize=4096,max_read=1048576");
	assert_true(o.remount && !o.readonly);
	assert_string_equal(o.kernel, "noatime");
	refuse("mount.fuseblk.owfs IMAGE DIR -o remount,blk=4096");
	refuse("mount.owfs IMAGE DIR -o user_id=0");
	accept(&o, "mount.fuse.owfs IMAGE DIR -f");
	assert_true(o.fake && !o.foreground);
	accept(&o, "mount.owfs IMAGE DIR -s -o whatever");
	refuse("mount.owfs IMAGE DIR -o whatever");
}

static void test_nonsense_is_refused(void **state)
{
	static const char *const bad[] = {
		"owfs-fuse", "owfs-fuse IMAGE", "owfs-fuse IMAGE DIR more",
		"owfs-fuse -x IMAGE DIR", "owfs-fuse -o r IMAGE DIR",
		"owfs-fuse -o commit IMAGE DIR",
		"owfs-fuse -o commit= IMAGE DIR",
		"owfs-fuse -o commit=0 IMAGE DIR",
		"owfs-fuse -o commit=-1 IMAGE DIR",
		"owfs-fuse -o commit=5s IMAGE DIR",
		"owfs-fuse -o commit=99999999999999999999 IMAGE DIR",
		"owfs-fuse -o cache=1023k IMAGE DIR",
		"owfs-fuse -o cache=99999999999T IMAGE DIR",
		"owfs-fuse -o cache=5X IMAGE DIR",
		"owfs-fuse -o cache=M IMAGE DIR",
		"owfs-fuse -o errors=panic IMAGE DIR",
		"owfs-fuse -o iomap=maybe IMAGE DIR",
		"owfs-fuse -o offset= IMAGE DIR",
		"owfs-fuse -o uid= IMAGE DIR", "owfs-fuse -o gid=-1 IMAGE DIR",
		"owfs-fuse -o uid=4294967295 IMAGE DIR",
		"owfs-fuse -o umask=022 IMAGE DIR",
		"owfs-fuse -o offset=-1 IMAGE DIR",
		"owfs-fuse -o offset=1X IMAGE DIR",
		"owfs-fuse -o offset=9000000T IMAGE DIR",
		"owfs-fuse -o sizelimit=0 IMAGE DIR",
		"owfs-fuse -o sizelimit=all IMAGE DIR",
		"owfs-fuse -o threads=0 IMAGE DIR",
		"owfs-fuse -o spin=1001 IMAGE DIR",
		"owfs-fuse -o spin=-1 IMAGE DIR",
		"owfs-fuse IMAGE IMAGE", "owfs-fuse DIR DIR",
		"owfs-fuse /nonexistent DIR", "owfs-fuse IMAGE /nonexistent",
		"owfs-fuse /dev/null DIR",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refuse(bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_call_has_defaults),
		cmocka_unit_test(test_own_options_are_understood),
		cmocka_unit_test(test_letters_of_the_command_line),
		cmocka_unit_test(test_numbers_have_their_limits),
		cmocka_unit_test(test_access_times_have_words),
		cmocka_unit_test(test_window_takes_sizes),
		cmocka_unit_test(test_other_owners),
		cmocka_unit_test(test_near_misses_get_a_hint),
		cmocka_unit_test(test_kernel_options_go_to_the_mount),
		cmocka_unit_test(test_helper_understands_fstab),
		cmocka_unit_test(test_nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
