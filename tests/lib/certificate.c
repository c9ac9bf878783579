/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Certificates by GnuTLS, which is there anyway. An elliptic key: it is made at once.
 */
#include "certificate.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void export_pem(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, struct certificate *ret)
{
	size_t size = sizeof(ret->pem);

	assert_int_equal(gnutls_x509_crt_export(crt, GNUTLS_X509_FMT_PEM, ret->pem, &size), 0);
	size = sizeof(ret->key);
	assert_int_equal(gnutls_x509_privkey_export(key, GNUTLS_X509_FMT_PEM, ret->key, &size), 0);
}

/* Go looks nowhere else for who a certificate is for. */
static void set_hosts(gnutls_x509_crt_t crt)
{
	const unsigned char address[] = {127, 0, 0, 1};

	assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address,
							      sizeof(address), GNUTLS_FSAN_SET),
			 0);
	assert_int_equal(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, "localhost",
							      strlen("localhost"),
							      GNUTLS_FSAN_APPEND),
			 0);
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
	set_hosts(crt);
	assert_int_equal(gnutls_x509_crt_set_key(crt, key), 0);
	assert_int_equal(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0), 0);
	export_pem(crt, key, ret);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

void certificate_make_files(const char *directory, struct certificate_files *ret)
{
	struct certificate made;

	certificate_make("poolscope test", &made);
	snprintf(ret->certificate, sizeof(ret->certificate), "%s/certificate.pem", directory);
	snprintf(ret->key, sizeof(ret->key), "%s/key.pem", directory);
	write_file(ret->certificate, made.pem);
	write_file(ret->key, made.key);
}
