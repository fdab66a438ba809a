/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Distances between words, row by row over the letters of the second. */
#include "base/spell.h"

#include <stdbool.h>
#include <string.h>

#define LETTERS_MAX	32u

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

unsigned int owfs_spell_distance(const char *word, size_t len,
				 const char *known)
{
	unsigned int rows[3][LETTERS_MAX + 1];
	unsigned int *old = rows[0], *prev = rows[1], *row = rows[2], *free_row;
	size_t n = strlen(known), i, j;
	bool same;

	if (len > LETTERS_MAX || n > LETTERS_MAX)
		return (unsigned int)len + 1;
	for (j = 0; j <= len; j++)
		prev[j] = (unsigned int)j;
	memcpy(old, prev, sizeof(rows[0]));
	for (i = 1; i <= n; i++) {
		row[0] = (unsigned int)i;
		for (j = 1; j <= len; j++) {
			same = known[i - 1] == word[j - 1];
			row[j] = least(prev[j - 1] + !same,
				       least(prev[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && known[i - 1] == word[j - 2] &&
			    known[i - 2] == word[j - 1])
				row[j] = least(row[j], old[j - 2] + 1);
		}
		free_row = old;
		old = prev;
		prev = row;
		row = free_row;
	}
	return prev[len];
}

unsigned int owfs_spell_slips(size_t len)
{
	return (unsigned int)(len + 1) / 3;
}
