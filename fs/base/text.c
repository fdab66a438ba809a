/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8 without its control characters. */
#include <string.h>

#include "base/text.h"

size_t owfs_text_utf8(const char *text, size_t left)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 :
		   s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
	size_t i;

	if (n > left)
		return 0;
	for (i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

/* U+0080 to U+009f, too: there is a second ESC [ among them. */
bool owfs_text_is_control(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	return s[0] < ' ' || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

void owfs_text_plain(char *s, size_t len)
{
	char *end = s + len;

	while (s < end) {
		size_t n = owfs_text_utf8(s, (size_t)(end - s));

		if (!n || owfs_text_is_control(s)) {
			n = n ? n : 1;
			memset(s, '?', n);
		}
		s += n;
	}
}
