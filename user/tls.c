/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Certificates, counted by who uses them. Invariant: a session keeps the certificate that it began with, so another one may
 * come in the middle of its handshake.
 *
 * What it refuses to know: files, connections, when a certificate is replaced.
 */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "util.h"

struct tls {
	unsigned int users;
	gnutls_certificate_credentials_t credentials;
};

int tls_open(struct tls **ret, const char *certificate, size_t certificate_len, const char *key,
	     size_t key_len, char *why, size_t why_size)
{
	const gnutls_datum_t certificate_data = {(unsigned char *)(uintptr_t)certificate,
						 (unsigned int)certificate_len};
	const gnutls_datum_t key_data = {(unsigned char *)(uintptr_t)key, (unsigned int)key_len};
	struct tls *t = calloc(1, sizeof(*t));
	int result = t ? gnutls_certificate_allocate_credentials(&t->credentials)
		       : GNUTLS_E_MEMORY_ERROR;

	if (result == GNUTLS_E_SUCCESS)
		result = gnutls_certificate_set_x509_key_mem(t->credentials, &certificate_data,
							     &key_data, GNUTLS_X509_FMT_PEM);
	if (result < 0) {
		snprintf(why, why_size, "the certificate and its key cannot be used: %s",
			 gnutls_strerror(result));
		if (t && t->credentials)
			gnutls_certificate_free_credentials(t->credentials);
		free(t);
		return result == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
	}
	t->users = 1;
	*ret = t;
	return 0;
}

static int on_hello(gnutls_session_t session, unsigned int type, unsigned int when,
		    unsigned int incoming, const gnutls_datum_t *message)
{
	const struct tls_greeting *greeting = gnutls_db_get_ptr(session);

	(void)type;
	(void)when;
	(void)incoming;
	(void)message;
	greeting->fn(greeting->arg);
	return 0;
}

struct tls *tls_use(struct tls *t, gnutls_session_t session, const struct tls_greeting *greeting)
{
	if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, t->credentials) < 0)
		return NULL;
	/* GnuTLS's own use of this pointer is for a store of sessions, and there is none. */
	gnutls_db_set_ptr(session, (void *)(uintptr_t)greeting);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CLIENT_HELLO, GNUTLS_HOOK_POST,
					   on_hello);
	t->users++;
	return t;
}

void tls_close(struct tls *t)
{
	if (!t || --t->users > 0)
		return;
	gnutls_certificate_free_credentials(t->credentials);
	free(t);
}

int tls_no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
		       const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		       gnutls_pcert_st **ret_certificate, unsigned int *ret_length,
		       gnutls_privkey_t *ret_key)
{
	(void)session;
	(void)names;
	(void)name_count;
	(void)algorithms;
	(void)algorithm_count;
	(void)ret_certificate;
	(void)ret_length;
	(void)ret_key;
	return -1;
}
