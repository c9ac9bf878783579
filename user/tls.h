/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A certificate with its key, as the TLS sessions that present it hold it. The one that sees GnuTLS.
 */
#ifndef TLS_H
#define TLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stddef.h>

/* TLS 1.3, and 1.2 with forward secrecy and without CBC. */
#define TLS_PRIORITIES \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-AES-128-CBC:-AES-256-CBC:%SERVER_PRECEDENCE"

struct tls;

/* Whom to tell that a session's ClientHello is complete and can be answered. */
struct tls_greeting {
	void (*fn)(void *arg);
	void *arg;
};

/*
 * Reads the certificate (with its chain) and the key, both PEM, and checks that they belong together. -EINVAL, and `why`
 * says what is wrong: they cannot be used; -ENOMEM.
 */
int tls_open(struct tls **ret, const char *certificate, size_t certificate_len, const char *key,
	     size_t key_len, char *why, size_t why_size);
/*
 * The session presents this certificate and tells *greeting, which must outlive it; returns `t`, once more held, or NULL if there
 * is no memory.
 */
struct tls *tls_use(struct tls *t, gnutls_session_t session, const struct tls_greeting *greeting);
/* Gives back what tls_open() or tls_use() returned, after the session's end; the last one frees it. Takes NULL. */
void tls_close(struct tls *t);

/* For a session to which no certificate was given: a gnutls_certificate_retrieve_function2 that refuses. */
int tls_no_certificate(gnutls_session_t session, const gnutls_datum_t *names, int name_count,
		       const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		       gnutls_pcert_st **ret_certificate, unsigned int *ret_length,
		       gnutls_privkey_t *ret_key);

#endif
