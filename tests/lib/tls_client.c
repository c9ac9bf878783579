/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Owns GnuTLS sessions and credentials, one of each for every connection: a siege of a thousand costs memory, and no two of them
 * share a thing. Resumption is off, so each handshake is a whole one.
 */
#include "tls_client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <gnutls/gnutls.h>

#include "check.h"

#define HOST "127.0.0.1"

struct tls_client {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	int fd;
	bool starved; /* there was nothing to receive */
	int error; /* the last of GnuTLS that was fatal */
};

static void must(int error)
{
	if (error < 0)
		fail_msg("GnuTLS: %s", gnutls_strerror(error));
}

static ssize_t tls_client_pull(gnutls_transport_ptr_t arg, void *to, size_t size)
{
	struct tls_client *t = arg;
	ssize_t n = recv(t->fd, to, size, 0);

	t->starved = n < 0 && errno == EAGAIN;
	return n;
}

struct tls_client *tls_client_open(int fd, const char *ca_file)
{
	struct tls_client *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	must(gnutls_certificate_allocate_credentials(&t->credentials));
	must(gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL));
	must(gnutls_set_default_priority(t->session));
	if (ca_file) {
		if (gnutls_certificate_set_x509_trust_file(t->credentials, ca_file,
							   GNUTLS_X509_FMT_PEM) < 1)
			fail_msg("%s holds no certificate", ca_file);
		gnutls_session_set_verify_cert(t->session, HOST, 0);
	}
	must(gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials));
	t->fd = fd;
	gnutls_transport_set_ptr2(t->session, t, (gnutls_transport_ptr_t)(intptr_t)fd);
	gnutls_transport_set_pull_function(t->session, tls_client_pull);
	gnutls_handshake_set_timeout(t->session, GNUTLS_INDEFINITE_TIMEOUT);
	return t;
}

static ssize_t tls_client_result(struct tls_client *t, ssize_t r)
{
	if (r >= 0)
		return r;
	if (r == GNUTLS_E_AGAIN)
		return -EAGAIN;
	t->error = (int)r;
	if (r == GNUTLS_E_PREMATURE_TERMINATION || r == GNUTLS_E_PULL_ERROR ||
	    r == GNUTLS_E_PUSH_ERROR)
		return -ECONNRESET;
	return -EPROTO;
}

/* After what is not fatal, as a warning, it goes on. */
static bool try_again(ssize_t r)
{
	return r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal((int)r);
}

int tls_client_handshake(struct tls_client *t)
{
	int r;

	do
		r = gnutls_handshake(t->session);
	while (try_again(r));
	return (int)tls_client_result(t, r);
}

const char *tls_client_why(const struct tls_client *t)
{
	return gnutls_strerror(t->error);
}

/* A session ticket gives GNUTLS_E_AGAIN, too, also where fd blocks. */
ssize_t tls_client_read(struct tls_client *t, void *to, size_t size)
{
	ssize_t r;

	do
		r = gnutls_record_recv(t->session, to, size);
	while (try_again(r) || (r == GNUTLS_E_AGAIN && !t->starved));
	return tls_client_result(t, r);
}

ssize_t tls_client_write(struct tls_client *t, const void *from, size_t size)
{
	ssize_t r;

	do
		r = gnutls_record_send(t->session, from, size);
	while (try_again(r));
	return tls_client_result(t, r);
}

void tls_client_close(struct tls_client *t)
{
	if (!t)
		return;
	gnutls_deinit(t->session);
	gnutls_certificate_free_credentials(t->credentials);
	free(t);
}
