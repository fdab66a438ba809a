# SPDX-License-Identifier: GPL-2.0-or-later
#
# Macros of owfs's configure.ac.

# _OWFS_TRY_CFLAG(FLAG, IF-OK, IF-NOT)
# Does the compiler take FLAG?  Clang accepts unknown warnings unless told
# that they are errors.
AC_DEFUN([_OWFS_TRY_CFLAG], [
	owfs_saved_cflags=$CFLAGS
	CFLAGS="$CFLAGS -Werror $1"
	AC_MSG_CHECKING([whether $CC accepts $1])
	AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
		[CFLAGS=$owfs_saved_cflags
		 AC_MSG_RESULT([yes])
		 $2],
		[CFLAGS=$owfs_saved_cflags
		 AC_MSG_RESULT([no])
		 $3])
])

# OWFS_CHECK_CFLAGS(VARIABLE, FLAGS)
# Collect in VARIABLE those of FLAGS that the compiler takes.
AC_DEFUN([OWFS_CHECK_CFLAGS], [
	AC_REQUIRE([AC_PROG_CC])
	for owfs_flag in $2; do
		_OWFS_TRY_CFLAG([$owfs_flag], [$1="$$1 $owfs_flag"])
	done
])

# OWFS_REQUIRE_CFLAG(FLAG)
AC_DEFUN([OWFS_REQUIRE_CFLAG], [
	AC_REQUIRE([AC_PROG_CC])
	_OWFS_TRY_CFLAG([$1], [],
		[AC_MSG_ERROR([owfs needs a compiler that takes $1])])
])

# OWFS_ENABLE_SANITIZER(NAME, KIND)
# --enable-NAME adds -fsanitize=KIND to SAN_CFLAGS and SAN_LDFLAGS; asked for
# and not to be had is an error, because its absence would look like success.
AC_DEFUN([OWFS_ENABLE_SANITIZER], [
	AC_ARG_ENABLE([$1],
		[AS_HELP_STRING([--enable-$1], [build with -fsanitize=$2])],
		[], [enable_$1=no])
	AS_IF([test "$enable_$1" = yes], [
		owfs_saved_cflags=$CFLAGS
		CFLAGS="$CFLAGS -fsanitize=$2"
		AC_MSG_CHECKING([whether $CC links with -fsanitize=$2])
		AC_LINK_IFELSE([AC_LANG_PROGRAM()],
			[AC_MSG_RESULT([yes])],
			[AC_MSG_RESULT([no])
			 AC_MSG_ERROR([--enable-$1: $CC cannot do it])])
		CFLAGS=$owfs_saved_cflags
		SAN_CFLAGS="$SAN_CFLAGS -fsanitize=$2 -fno-omit-frame-pointer"
		AS_IF([test $2 = undefined],
			[SAN_CFLAGS="$SAN_CFLAGS -fno-sanitize-recover=$2"])
		SAN_LDFLAGS="$SAN_LDFLAGS -fsanitize=$2"
	])
])

# OWFS_CHECK_PTHREAD
AC_DEFUN([OWFS_CHECK_PTHREAD], [
	_OWFS_TRY_CFLAG([-pthread], [PTHREAD_CFLAGS=-pthread],
		[AC_MSG_ERROR([owfs needs POSIX threads])])
])
