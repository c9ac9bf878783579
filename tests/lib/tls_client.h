/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * TLS as a client speaks it, over a connected socket. GnuTLS does the work.
 */
#ifndef TLS_CLIENT_H
#define TLS_CLIENT_H

#include <sys/types.h>

struct tls_client;

/*
 * A session over fd, which stays the caller's. ca_file: the server must show a certificate for 127.0.0.1 that this file
 * trusts; NULL: whatever it shows is taken. Fails the test if ca_file holds no certificate.
 */
struct tls_client *tls_client_open(int fd, const char *ca_file);

/* -EAGAIN: fd is non-blocking, or its time-out passed; call it again. -EPROTO: refused, as tls_client_why() says. */
int tls_client_handshake(struct tls_client *t);
const char *tls_client_why(const struct tls_client *t);

/* As read() and write(), errors returned as -errno: -EAGAIN as above, -ECONNRESET: ended without a farewell. */
ssize_t tls_client_read(struct tls_client *t, void *to, size_t size);
ssize_t tls_client_write(struct tls_client *t, const void *from, size_t size);

/* Sends nothing; takes NULL. */
void tls_client_close(struct tls_client *t);

#endif
