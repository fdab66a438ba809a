/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How far apart two words are, to guess which one was meant. */
#ifndef OWFS_BASE_SPELL_H
#define OWFS_BASE_SPELL_H

#include <stddef.h>

/*
 * Letters to add, drop, change or swap with their neighbour to make @known of
 * the first @len letters of @word; more than @len if they have nothing to do
 * with each other.
 */
unsigned int owfs_spell_distance(const char *word, size_t len,
				 const char *known);
/* So few slips in a word of @len letters that the other one was meant. */
unsigned int owfs_spell_slips(size_t len);

#endif
