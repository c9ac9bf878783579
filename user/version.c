// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Version and revision, given by the Makefile.
 */
#include "version.h"

const char version_text[] = POOLSCOPE_VERSION;
const char version_revision[] = POOLSCOPE_REVISION;
