/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A certificate and its key, made when a test wants them.
 */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

/* Self-signed, PEM, valid for an hour, for 127.0.0.1 and for localhost; `name` is the subject. */
struct certificate {
	char pem[4096], key[4096];
};
void certificate_make(const char *name, struct certificate *ret);

/* One in two files in an existing directory, which only the caller's user may read. */
struct certificate_files {
	char certificate[96], key[96];
};
void certificate_make_files(const char *directory, struct certificate_files *ret);

#endif
