/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding and erasing what others wrote, through libblkid. */
#include <blkid.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/format.h"
#include "base/util.h"
#include "io/window.h"
#include "signature.h"
#include "trans/super.h"

/* Signatures on one device at most; one that comes back for ever is an error. */
#define WIPE_ROUNDS	256

/* A descriptor of our own, since a file that grows is opened anew. */
struct owfs_signatures {
	blkid_probe pr;
	int fd;
};

/* Everything libblkid can find; @wipe: also what has a wrong checksum. */
static int choose(blkid_probe pr, bool wipe)
{
	int flags = BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_LABEL |
		    BLKID_SUBLKS_MAGIC | (wipe ? BLKID_SUBLKS_BADCSUM : 0);

	if (blkid_probe_enable_superblocks(pr, 1) ||
	    blkid_probe_set_superblocks_flags(pr, flags) ||
	    blkid_probe_enable_partitions(pr, 1) ||
	    blkid_probe_set_partitions_flags(pr, BLKID_PARTS_MAGIC))
		return -ENOMEM;
	blkid_reset_probe(pr);
	return 0;
}

/* Some signatures count on whole disks only, and it asks sysfs what is one. */
static int set_device(struct owfs_signatures *sig, const struct owfs_blkdev *bd,
		      struct owfs_blkdev *under, uint64_t offset)
{
	sig->fd = fcntl(owfs_blkdev_fd(under), F_DUPFD_CLOEXEC, 0);
	if (sig->fd < 0)
		return -errno;
	sig->pr = blkid_new_probe();
	if (!sig->pr ||
	    blkid_probe_set_device(sig->pr, sig->fd, (blkid_loff_t)offset,
				   under == bd ? 0 : (blkid_loff_t)bd->size))
		return -ENOMEM;
	blkid_probe_is_wholedisk(sig->pr);
	return choose(sig->pr, false);
}

void owfs_signatures_close(struct owfs_signatures *sig)
{
	if (!sig)
		return;
	blkid_free_probe(sig->pr);
	if (sig->fd >= 0)
		close(sig->fd);
	free(sig);
}

int owfs_signatures_open(struct owfs_signatures **sigp, struct owfs_blkdev *bd,
			 uint64_t offset)
{
	struct owfs_signatures *sig = calloc(1, sizeof(*sig));
	int ret;

	if (!sig)
		return -ENOMEM;
	ret = set_device(sig, bd, owfs_window_under(bd), offset);
	if (ret) {
		owfs_signatures_close(sig);
		return ret;
	}
	*sigp = sig;
	return 0;
}

static const char *probe_value(blkid_probe pr, const char *name)
{
	const char *value;

	if (blkid_probe_lookup_value(pr, name, &value, NULL))
		return NULL;
	return value;
}

static void append(char *what, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *what, size_t size, const char *fmt, ...)
{
	size_t len = strlen(what);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what + len, size - len, fmt, ap);
	va_end(ap);
}

/* Labels come from the device: nothing that could move a cursor. */
static void append_label(char *what, size_t size, const char *label)
{
	append(what, size, " labelled \"");
	for (; *label; label++)
		append(what, size, "%c", *label >= ' ' && *label < 127 ?
		       *label : '?');
	append(what, size, "\"");
}

static void describe(blkid_probe pr, char *what, size_t size)
{
	const char *type = probe_value(pr, "TYPE");
	const char *table = probe_value(pr, "PTTYPE");
	const char *usage = probe_value(pr, "USAGE");
	const char *label = probe_value(pr, "LABEL");

	if (!type && !table)
		return;
	if (what[0])
		append(what, size, " and ");
	if (!type) {
		append(what, size, "a %s partition table", table);
		return;
	}
	append(what, size, "%s %s %s",
	       strchr("aeioxL", type[0]) ? "an" : "a", type,
	       usage && !strcmp(usage, "filesystem") ? "filesystem" :
	       "signature");
	if (label)
		append_label(what, size, label);
}

/* libblkid does not know owfs (yet): one slot with our magic is enough. */
static bool is_owfs(struct owfs_blkdev *bd)
{
	struct owfs_super sb;
	struct owfs_slots slots;
	int ret = owfs_super_read(bd, &sb, &slots, NULL);

	return ret == 0 || ret == -EFSBADCRC || ret == -EFSCORRUPTED ||
	       ret == -EPROTONOSUPPORT;
}

int owfs_signatures_find(struct owfs_signatures *sig, struct owfs_blkdev *bd,
			 char *what, size_t size)
{
	int ret;

	what[0] = '\0';
	if (bd->size == 0)
		return 0;
	if (is_owfs(bd))
		append(what, size, "an owfs filesystem");
	while ((ret = blkid_do_probe(sig->pr)) == 0)
		describe(sig->pr, what, size);
	if (ret < 0)
		return -EIO;
	return what[0] != '\0';
}

static int wipe_found(blkid_probe pr)
{
	int i, ret = choose(pr, true);

	if (ret)
		return ret;
	for (i = 0; i < WIPE_ROUNDS; i++) {
		ret = blkid_do_probe(pr);
		if (ret == 1)		/* nothing more */
			return 0;
		if (ret || blkid_do_wipe(pr, 0))
			return -EIO;
	}
	return -EIO;
}

static int zero(struct owfs_blkdev *bd, loff_t pos, uint64_t len)
{
	static const unsigned char zeros[OWFS_BOOT_BYTES]
		__attribute__((aligned(OWFS_IO_ALIGN)));
	int ret = 0;

	while (len && !ret) {
		size_t n = min_u64(len, sizeof(zeros));

		ret = owfs_blkdev_write(bd, zeros, n, pos);
		pos += (loff_t)n;
		len -= n;
	}
	return ret;
}

int owfs_signatures_wipe(struct owfs_signatures *sig, struct owfs_blkdev *bd)
{
	int ret = wipe_found(sig->pr);

	if (!ret)
		ret = zero(bd, 0, OWFS_FRONT_BYTES);
	if (!ret)
		ret = zero(bd, (loff_t)(bd->size - OWFS_BACK_BYTES),
			   OWFS_BACK_BYTES);
	return ret ? ret : owfs_blkdev_flush(bd);
}
