/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Certificates by GnuTLS, which is there anyway. An elliptic key: it is made at once.
 */
#include "certificate.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <time.h>

#include "check.h"

static void export_pem(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, struct certificate *ret)
{
	size_t size = sizeof(ret->pem);

	assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, ret->pem, &size), 0);
	size = sizeof(ret->key);
	assert_int_equal(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, ret->key, &size), 0);
}

void certificate_make(const char *name, struct certificate *ret)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	time_t now = time(NULL);

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(
		gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
					     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
		0);
	assert_int_equal(gnutls_x509_crt_init(&crt), 0);
	assert_int_equal(gnutls_x509_crt_set_version(crt, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(crt, "1", 1), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(crt, now - 3600), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(crt, now + 3600), 0);
	assert_int_equal(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						       (unsigned int)strlen(name)),
			 0);
	assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	export_pem(crt, key, ret);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}
