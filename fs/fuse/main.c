/* SPDX-License-Identifier: GPL-2.0-or-later */
/* owfs-fuse, and mount.owfs and mount.fuse.owfs, which are the same program. */
#include "base/cmdline.h"
#include "base/stdfds.h"
#include "fuse/mnt.h"
#include "fuse/server.h"

int main(int argc, char **argv)
{
	struct server server;
	const struct owfs_server srv = {
		.ops = &server_ops, .ctx = &server,
		.session = &server.session,
	};
	struct owfs_opts o;
	int ret;

	owfs_stdfds_take();
	ret = owfs_opts_parse(&o, argc, argv);
	if (ret)
		return ret < 0 ? 1 : owfs_cmdline_flush(o.prog);
	if (o.fake)
		return 0;
	if (o.remount)
		return owfs_mnt_remount(&o) ? 1 : 0;
	server_init(&server);
	ret = owfs_parent_run(&o, &srv);
	server_exit(&server);
	return ret;
}
