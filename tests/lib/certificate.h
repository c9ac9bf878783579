/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A certificate and its key, made when a test wants them.
 */
#ifndef CERTIFICATE_H
#define CERTIFICATE_H

/* Self-signed, PEM, valid for an hour. */
struct certificate {
	char pem[4096], key[4096];
};
void certificate_make(const char *name, struct certificate *ret);

#endif
