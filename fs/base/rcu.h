/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which liburcu, and how owfs uses it.
 *
 * The flavour is liburcu-bp: libfuse's loop makes its own threads, and -bp is
 * the one that registers a thread at its first read-side section and forgets
 * it when the thread ends.  RCU keeps objects in memory while somebody may
 * still find them in a table; it never protects what is in them.
 *
 * ThreadSanitizer does not see into liburcu, so the two moments where an
 * object passes from one thread to another through a table are told to it:
 * owfs_rcu_publish() before the object becomes reachable or loses its last
 * user, owfs_rcu_consume() after it was found or in its call_rcu callback.
 *
 * liburcu is called, not inlined (no _LGPL_SOURCE): its readers' records are
 * less aligned than their type says, which UBSan would report at every call,
 * and a call is nothing beside the lookup it protects.
 */
#ifndef OWFS_BASE_RCU_H
#define OWFS_BASE_RCU_H

#include <urcu-bp.h>
#include <urcu/rculfhash.h>

#if defined(__SANITIZE_THREAD__)
#define OWFS_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OWFS_TSAN 1
#endif
#endif

#ifdef OWFS_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
#define owfs_rcu_publish(obj)	__tsan_release((void *)(obj))
#define owfs_rcu_consume(obj)	__tsan_acquire((void *)(obj))
#else
#define owfs_rcu_publish(obj)	((void)(obj))
#define owfs_rcu_consume(obj)	((void)(obj))
#endif

#endif
