/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What was built. The only file that is compiled anew when the commit changes.
 */
#ifndef VERSION_H
#define VERSION_H

extern const char version_text[]; /* "0.1.0" */
extern const char version_revision[]; /* short commit, or "unknown" */

#endif
