/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names and whatever else comes from a device, made fit for a terminal, where
 * some bytes are commands and a newline begins what somebody else could have
 * said.
 */
#ifndef OWFS_BASE_TEXT_H
#define OWFS_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the character in UTF-8 at @s, of which @left bytes are there; 0: none. */
size_t owfs_text_utf8(const char *s, size_t left);
/* Is that character one that is not shown, but obeyed? */
bool owfs_text_is_control(const char *s);
/* A '?' for every byte of those, and for every one that is no UTF-8. */
void owfs_text_plain(char *s, size_t len);

#endif
