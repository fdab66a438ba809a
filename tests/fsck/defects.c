/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named defects: each folder f_NAME has a script of the image editor, "damage",
 * and in "expect" what fsck.owfs -f -y must say about it.  Of each
 *
 *	-n writes nothing; -p repairs what is safe, and goes on with nothing the second time;
 *	-y says what is expected, and leaves nothing, or what it said it leaves;
 *	-y again finds nothing, or the same, and writes nothing;
 *	every file is what it was, or named in the report;
 *	who uses it instead loses nothing by it that was there (use_judge.h);
 *	what was repaired mounts, takes a workload and is sound afterwards.
 *
 * And the defects together have every problem that there is.
 *
 *	defects [-u] [f_NAME...]	-u writes "expect" anew: look at it then
 *
 * The image is made once and is the same in every run.  A script may begin
 * with "#image dup": nodes written twice; "grown": many files; "large":
 * blocks of 16 KiB; "full": no room for files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "defects_use.h"
#include "edit.h"
#include "file/namei.h"
#include "repair_judge.h"

#define IMAGE		"img"
#define WORKERS		2
#define CHUNK		4096u

/* ------------------------------------------------------------------- images */

struct base {
	const char *name;
	uint32_t blocksize;
	unsigned int copies;
	bool grown, full;
	struct scene scene;
	struct use_look sound;
	uint64_t size;
	size_t n;
	struct chunk { uint64_t pos; unsigned char bytes[CHUNK]; } *chunk;
};

static struct base bases[] = {
	{ .name = "plain", .blocksize = 4096, .copies = 1 },
	{ .name = "dup", .blocksize = 4096, .copies = 2 },
	{ .name = "grown", .blocksize = 4096, .copies = 1, .grown = true },
	{ .name = "large", .blocksize = 16384, .copies = 1 },
	{ .name = "full", .blocksize = 4096, .copies = 1, .full = true },
};

static void apply(struct owfs_fs *fs, struct op op)
{
	int ret = rig_apply(fs, &op);

	if (ret)
		fail_msg("%s: %d", op.path, ret);
}

static void make_special(struct owfs_fs *fs, const char *name, uint32_t mode,
			 uint64_t rdev)
{
	const struct owfs_newnode nn = { .mode = mode, .rdev = rdev };
	struct owfs_inode *root, *inode;

	assert_int_equal(owfs_iget(fs, OWFS_INO_ROOT, &root), 0);
	assert_int_equal(owfs_create(root, name, strlen(name), &nn, &inode), 0);
	owfs_iput(inode);
	owfs_iput(root);
}

/* What the images of the unit tests do not have. */
static void add_files(struct owfs_fs *fs, uint32_t bs)
{
	unsigned int i;

	make_special(fs, "fifo", S_IFIFO | 0644, 0);
	make_special(fs, "device", S_IFCHR | 0600, makedev(1, 3));
	apply(fs, (struct op){ .kind = OP_CREATE, .path = "empty" });
	apply(fs, (struct op){ .kind = OP_CREATE, .path = "big" });
	for (i = 0; i < 6; i++)
		apply(fs, (struct op){ .kind = OP_WRITE, .path = "big",
				       .pos = i * 4 * bs, .len = bs, .seed = i });
	apply(fs, (struct op){ .kind = OP_SETLIST, .path = "big", .num = 0640,
			       .len = 2, .seed = 4 });
	apply(fs, (struct op){ .kind = OP_MKDIR, .path = "many" });
	for (i = 0; i < 14; i++) {
		struct op op = { .kind = OP_CREATE };

		snprintf(op.path, sizeof(op.path), "many/%02u-%060u", i, i);
		apply(fs, op);
		op.kind = OP_WRITE;
		op.len = 100;
		op.seed = i;
		apply(fs, op);
	}
}

/* After this the commit before the last has no node in common with it. */
static void renew(struct image *im)
{
	struct edit ed;

	assert_int_equal(edit_open(&ed, emubd_blkdev(im->e), &im->env.env), 0);
	assert_int_equal(edit_renew(&ed), 0);
}

static void learn_chunks(struct base *b)
{
	static const unsigned char zero[CHUNK];
	struct emubd *e = b->scene.im.e;
	unsigned char bytes[CHUNK];
	uint64_t pos;

	b->size = emubd_blkdev(e)->size;
	b->chunk = calloc(emubd_chunks(e), sizeof(*b->chunk));
	assert_non_null(b->chunk);
	for (pos = 0; pos < b->size; pos += CHUNK) {
		emubd_peek(e, bytes, CHUNK, pos);
		if (!memcmp(bytes, zero, CHUNK))
			continue;
		b->chunk[b->n].pos = pos;
		memcpy(b->chunk[b->n++].bytes, bytes, CHUNK);
	}
}

static void make_base(struct base *b)
{
	struct image *im = &b->scene.im;
	struct owfs_fs *fs;

	image_make(im, b->blocksize, b->copies);
	assert_int_equal(rig_mount(&fs, im->e, &im->env, 0, NULL), 0);
	add_files(fs, b->blocksize);
	assert_int_equal(owfs_unmount(fs), 0);
	if (b->grown)
		scene_fill(im);
	if (b->full)
		image_fill_up(im);
	renew(im);
	renew(im);
	scene_learn(&b->scene);
	use_look(&b->sound, im->e, &im->env);
	learn_chunks(b);
}

static void write_image(const struct base *b, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	size_t i;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)b->size), 0);
	for (i = 0; i < b->n; i++)
		assert_int_equal(pwrite(fd, b->chunk[i].bytes, CHUNK,
					(off_t)b->chunk[i].pos), CHUNK);
	close(fd);
}

/* What the file has, where it has something, to @fn. */
static void each_chunk(const char *path,
		       void (*fn)(void *ctx, const void *buf, size_t len,
				  uint64_t pos), void *ctx)
{
	unsigned char buf[65536];
	int fd = open(path, O_RDONLY);
	off_t pos = 0, end;
	ssize_t n;

	assert_true(fd >= 0);
	while ((pos = lseek(fd, pos, SEEK_DATA)) >= 0) {
		end = lseek(fd, pos, SEEK_HOLE);
		for (; pos < end; pos += n) {
			n = pread(fd, buf, min_u64(sizeof(buf),
						   (uint64_t)(end - pos)), pos);
			assert_true(n > 0);
			fn(ctx, buf, (size_t)n, (uint64_t)pos);
		}
	}
	close(fd);
}

static void add_hash(void *ctx, const void *buf, size_t len, uint64_t pos)
{
	uint64_t *hash = ctx;

	*hash = XXH3_64bits_withSeed(buf, len, *hash + pos);
}

static uint64_t hash_image(void)
{
	uint64_t hash = 0;

	each_chunk(IMAGE, add_hash, &hash);
	return hash;
}

static void put_chunk(void *ctx, const void *buf, size_t len, uint64_t pos)
{
	emubd_poke(ctx, buf, len, pos);
}

/* ------------------------------------------------------------------ defects */

struct defect {
	char name[64];			/* of its folder */
	char dir[512];
	char *damage;
	const struct base *base;
	struct report said;		/* by -y */
	int status[4];			/* -n, -p, -y, -y */
	char why[256];			/* it is not as it must be */
};

static char *read_file(const char *dir, const char *name)
{
	char path[1024];
	struct stat st;
	char *text;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return NULL;
	assert_int_equal(fstat(fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(read(fd, text, (size_t)st.st_size), st.st_size);
	close(fd);
	return text;
}

static bool wrong(struct defect *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static bool wrong(struct defect *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->why, sizeof(d->why), fmt, ap);
	va_end(ap);
	return false;
}

static bool make_damage(struct defect *d)
{
	const struct owfs_env *env = &d->base->scene.im.env.env;
	struct owfs_blkdev *bd;
	struct edit ed;
	int ret;

	write_image(d->base, IMAGE);
	assert_int_equal(owfs_blkdev_open(IMAGE, 0, &bd), 0);
	ret = edit_open(&ed, bd, env);
	if (!ret)
		ret = edit_script(&ed, d->damage);
	owfs_blkdev_close(bd);
	return ret ? wrong(d, "damage: line %u: %s", ed.line, ed.why) : true;
}

/* The program itself; its words in @text if that is wanted. */
static int run_fsck(const char *mode, struct report *text)
{
	char program[1024], buf[4096];
	int out[2], status;
	ssize_t n;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/fsck/fsck.owfs",
		 getenv("top_builddir"));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = vfork();
	if (!pid) {
		dup2(out[1], 1);
		dup2(out[1], 2);
		execl(program, "fsck.owfs", "-f", mode, IMAGE, (char *)NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	close(out[1]);
	while ((n = read(out[0], buf, sizeof(buf))) > 0) {
		if (!text)
			continue;
		text->text = realloc(text->text, text->len + (size_t)n + 1);
		memcpy(text->text + text->len, buf, (size_t)n);
		text->len += (size_t)n;
		text->text[text->len] = '\0';
	}
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + status;
}

/* -n, then -p on the same image: who changes nothing has left something. */
static bool look_only(struct defect *d)
{
	uint64_t hash = hash_image();

	d->status[0] = run_fsck("-n", NULL);
	if (hash_image() != hash)
		return wrong(d, "-n has written");
	d->status[1] = run_fsck("-p", NULL);
	if ((d->status[1] & ~1) == 4 &&
	    (hash_image() != hash) != (d->status[1] & 1))
		return wrong(d, "-p has written and does not say so, or has not");
	hash = hash_image();
	if (d->status[1] & 4 && (run_fsck("-p", NULL) != (d->status[1] & ~1) ||
				 hash_image() != hash))
		return wrong(d, "-p goes on the second time");
	if (d->status[1] == 1 && run_fsck("-n", NULL))
		return wrong(d, "-p has left something and does not say so");
	return true;
}

/* Each line but the sum of them. */
static bool says_as_much(const struct report *first, const struct report *again)
{
	const char *at;
	char line[1024];
	size_t n;

	for (at = again->text; at && *at; at += n + (at[n] == '\n')) {
		n = strcspn(at, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)n, at);
		if (!strstr(line, " problems") && !strstr(first->text, line))
			return false;
	}
	return true;
}

/* A second run changes nothing and finds what the first said it leaves. */
static bool repair_twice(struct defect *d)
{
	struct report again = { .text = NULL };
	uint64_t hash;
	bool same;

	d->status[2] = run_fsck("-y", &d->said);
	hash = hash_image();
	d->status[3] = run_fsck("-y", &again);
	same = !d->status[3] || says_as_much(&d->said, &again);
	free(again.text);
	if (!same)
		return wrong(d, "a second run says something else");
	if (hash != hash_image())
		return wrong(d, "a second run goes on");
	if (d->status[3] != (d->status[2] & ~1))
		return wrong(d, "exit %d, and then %d", d->status[2],
			     d->status[3]);
	return true;
}

/* "#touches 16": nothing can tell that this inode was changed. */
static void touch_some(const struct defect *d, struct touched *t)
{
	const char *at = d->damage;

	while ((at = strstr(at, "#touches "))) {
		at += strlen("#touches ");
		touch(t, strtoull(at, NULL, 0));
	}
}

static struct emubd *load_image(const struct defect *d)
{
	struct emubd *e = emubd_create(d->base->size);

	each_chunk(IMAGE, put_chunk, e);
	return e;
}

/* Nobody repairs it. */
static bool judge_use(struct defect *d)
{
	struct rig_env env = d->base->scene.im.env;
	struct emubd *e = load_image(d);
	const char *what;

	env.env.ctx = &env;
	what = defect_use(e, &d->base->sound, &env);
	emubd_destroy(e);
	return what ? wrong(d, "in use: %s", what) : true;
}

static bool judge_files(struct defect *d)
{
	struct touched t = { .n = 0 };
	struct image im = d->base->scene.im;
	const char *what;

	touch_some(d, &t);
	im.env.env.ctx = &im.env;
	im.e = load_image(d);
	what = scene_compare(&im, &d->base->scene, &d->said, &t);
	if (!what)
		what = scene_use(&im);
	image_free(&im);
	return what ? wrong(d, "%s", what) : true;
}

/* Checksums change with whatever is new in the format: they are left out. */
static void mask_checksums(char *text)
{
	size_t digits;
	char *end;

	while ((text = strstr(text, "0x"))) {
		text += 2;
		digits = strspn(text, "0123456789abcdef");
		if (digits < 9)
			continue;
		end = text + digits;
		memmove(text + 1, end, strlen(end) + 1);
		*text = '*';
	}
}

/* What the floors below say of a block changes with them: it is left out. */
static bool is_from_below(const char *line)
{
	char what[200];
	unsigned int i;

	if (strncmp(line, IMAGE ": ", 5) || !strncmp(line + 5, "note: ", 6) ||
	    strstr(line, " problem") || strstr(line, " files, "))
		return false;
	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		snprintf(what, sizeof(what), ": %s: ",
			 owfs_problem_info(i)->text);
		if (strstr(line, what))
			return false;
	}
	return true;
}

static void drop_from_below(char *text)
{
	char line[1024];
	size_t n;

	while (*text) {
		n = strcspn(text, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		n += text[n] == '\n';
		if (is_from_below(line))
			memmove(text, text + n, strlen(text + n) + 1);
		else
			text += n;
	}
}

/* "expect": the exit codes, and what -y says. */
static char *outcome(const struct defect *d)
{
	char *text;

	assert_true(asprintf(&text, "-n %d, -p %d, -y %d, again %d\n%s",
			     d->status[0], d->status[1], d->status[2],
			     d->status[3], d->said.text) > 0);
	mask_checksums(text);
	drop_from_below(text);
	return text;
}

static bool run_defect(struct defect *d)
{
	if (!make_damage(d) || !judge_use(d) || !look_only(d) ||
	    !make_damage(d) || !repair_twice(d))
		return false;
	return d->status[3] || judge_files(d);
}

/* ---------------------------------------------------------------- all of them */

static bool update;
static bool *seen;		/* shared: problems, by number in the table */

static void note_problems(const struct report *r)
{
	char what[200];
	unsigned int i;

	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		snprintf(what, sizeof(what), ": %s: ",
			 owfs_problem_info(i)->text);
		seen[i] |= r->text && strstr(r->text, what);
	}
}

static void write_expect(const struct defect *d, const char *text)
{
	char path[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/expect", d->dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static bool is_expected(struct defect *d)
{
	char *want = read_file(d->dir, "expect"), *text = outcome(d);
	bool same = want && !strcmp(want, text);

	if (!same && update)
		write_expect(d, text);
	else if (!same)
		printf("%s: expected\n%sbut got\n%s", d->name,
		       want ? want : "nothing\n", text);
	free(want);
	free(text);
	return same || update || wrong(d, "another outcome");
}

static const struct base *base_of(const char *damage)
{
	char name[16] = "plain";
	size_t i;

	sscanf(damage, "#image %15s", name);
	for (i = 0; i < ARRAY_SIZE(bases); i++)
		if (!strcmp(bases[i].name, name))
			return &bases[i];
	return NULL;
}

static bool one_defect(const char *top, const char *name)
{
	struct defect d = { .base = NULL };
	bool good;

	snprintf(d.name, sizeof(d.name), "%s", name);
	snprintf(d.dir, sizeof(d.dir), "%s/%s", top, name);
	d.damage = read_file(d.dir, "damage");
	d.base = d.damage ? base_of(d.damage) : NULL;
	if (!d.base)
		good = wrong(&d, "no damage, or to no image");
	else
		good = run_defect(&d) && is_expected(&d);
	note_problems(&d.said);
	if (!good)
		printf("FAIL: %s: %s\n%s", name, d.why,
		       d.said.text ? d.said.text : "");
	free(d.damage);
	free(d.said.text);
	return good;
}

struct names {
	char **v;
	size_t n;
};

static int is_defect(const struct dirent *de)
{
	return !strncmp(de->d_name, "f_", 2) && !strchr(de->d_name, '.');
}

/* Every WORKERS-th from @first on, in a place of its own. */
static int work(const char *top, const struct names *names, size_t first)
{
	char here[32];
	int bad = 0;
	size_t i;

	snprintf(here, sizeof(here), "%zu", first);
	assert_int_equal(mkdir(here, 0700), 0);
	assert_int_equal(chdir(here), 0);
	for (i = first; i < names->n; i += WORKERS)
		bad += !one_defect(top, names->v[i]);
	unlink(IMAGE);
	assert_int_equal(chdir(".."), 0);
	rmdir(here);
	fflush(stdout);
	return bad > 100 ? 100 : bad;
}

static int work_all(const char *top, const struct names *names)
{
	int status, bad = 0;
	size_t i;

	fflush(stdout);
	for (i = 0; i < WORKERS; i++)
		if (!fork())
			_exit(work(top, names, i));
	for (i = 0; i < WORKERS; i++) {
		assert_true(wait(&status) > 0);
		bad += WIFEXITED(status) ? WEXITSTATUS(status) : 100;
	}
	return bad;
}

static int missing_problems(void)
{
	int i, n = 0;

	for (i = 0; i < OWFS_PROBLEM_KINDS; i++) {
		if (seen[i])
			continue;
		n++;
		printf("FAIL: no defect shows problem %u (%s)\n",
		       owfs_problem_info(i)->number, owfs_problem_info(i)->name);
	}
	return n;
}

static void find_defects(const char *top, struct names *names)
{
	struct dirent **found;
	int i, n = scandir(top, &found, is_defect, alphasort);

	assert_true(n > 0);
	names->v = calloc((size_t)n, sizeof(*names->v));
	assert_non_null(names->v);
	for (i = 0; i < n; i++) {
		names->v[names->n++] = strdup(found[i]->d_name);
		free(found[i]);
	}
	free(found);
}

static void free_all(struct names *names)
{
	size_t i;

	for (i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	for (i = 0; i < ARRAY_SIZE(bases); i++) {
		scene_free(&bases[i].scene);
		free(bases[i].chunk);
	}
}

int main(int argc, char **argv)
{
	char top[300], dir[] = "/dev/shm/owfs-defects.XXXXXX";
	struct names names = { .n = 0 };
	bool some;
	size_t i;
	int bad;

	if (argc > 1 && !strcmp(argv[1], "-u")) {
		update = true;
		argv++;
		argc--;
	}
	some = argc > 1;
	snprintf(top, sizeof(top), "%s/tests/fsck", getenv("top_srcdir"));
	if (some)
		names = (struct names){ argv + 1, (size_t)argc - 1 };
	else
		find_defects(top, &names);
	if (!names.n)
		return 99;
	for (i = 0; i < ARRAY_SIZE(bases); i++)
		make_base(&bases[i]);
	seen = mmap(NULL, OWFS_PROBLEM_KINDS, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(seen != MAP_FAILED);
	if (access("/dev/shm", W_OK))
		memcpy(dir, "/var/tmp", 8);
	if (!mkdtemp(dir) || chdir(dir))
		return 99;
	bad = work_all(top, &names);
	rmdir(dir);
	if (!some)
		bad += missing_problems();
	printf("ok: defects=%zu wrong=%d\n", names.n, bad);
	if (some)
		names = (struct names){ .n = 0 };
	free_all(&names);
	return bad != 0;
}
