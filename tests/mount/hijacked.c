/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * owfs-fuse with a hole: whoever reads the attribute user.hijack.WHAT.ARGUMENT
 * makes the thread that serves him try WHAT, and reads how that went: "done",
 * or the error.
 */
#include <string.h>

#include "attempt.h"
#include "fuse/server.h"

#define PREFIX "user.hijack."

static void holed_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
			   size_t size)
{
	const char *answer;

	if (strncmp(name, PREFIX, strlen(PREFIX))) {
		op_getxattr(req, ino, name, size);
		return;
	}
	/* a program first asks how long it is */
	if (!size) {
		fuse_reply_xattr(req, 64);
		return;
	}
	answer = attempt(name + strlen(PREFIX));
	fuse_reply_buf(req, answer, strlen(answer));
}

int main(int argc, char **argv)
{
	struct server server;
	struct fuse_lowlevel_ops llops = *server_ops.llops;
	struct owfs_server_ops ops = server_ops;
	const struct owfs_server srv = {
		.ops = &ops, .ctx = &server, .session = &server.session,
	};
	struct owfs_opts o;
	int ret = owfs_opts_parse(&o, argc, argv);

	if (ret)
		return ret < 0 ? 1 : 0;
	llops.getxattr = holed_getxattr;
	ops.llops = &llops;
	server_init(&server);
	ret = owfs_parent_run(&o, &srv);
	server_exit(&server);
	return ret;
}
